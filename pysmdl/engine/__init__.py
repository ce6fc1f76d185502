"""Engine: the only part that knows many searches run at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import cycle
from typing import Any, TypeAlias

from pysmdl.config import EngineConfig
from pysmdl.engine.batch import Answer
from pysmdl.engine.device.runner import Runner
from pysmdl.engine.device.trouble import out_of_memory
from pysmdl.engine.item import Item
from pysmdl.engine.loader import Loader
from pysmdl.engine.output_order import OutputOrder
from pysmdl.engine.plan import Plan
from pysmdl.engine.requests.request import Probe, Request
from pysmdl.engine.scheduler import Scheduler
from pysmdl.errors import PysmdlError, ScorerError, one_of
from pysmdl.profiling import stage
from pysmdl.progress import Progress

__all__ = ["Engine", "Item", "Loader", "OnError", "Plan", "Probe", "Request"]

log = logging.getLogger("pysmdl")

PATIENCE = 16  # inputs done after memory ran out for another before one more is tried; then twice as many

OnError: TypeAlias = str | Callable[[int, Exception], None]


class Engine:
    """Drives many searches to their end over shared batches.

    Args:
        plan: Scorer, removal, objective and search, common to all inputs.
        prepare: Makes one input, loaded, ready for the device; its errors count as that input's.
        config: Speed and memory.
        progress: Told after each batch.
        on_error: "raise": finish what is in flight, then raise the first error. "skip": log each and go on. A function:
            it is called with an input's number and its error, and the rest goes on.
        ordered: Whether run() keeps the order of the inputs.
        make: Makes an input's request.
    """

    def __init__(
        self,
        plan: Plan,
        prepare: Callable[[Any], Item],
        config: EngineConfig,
        progress: Callable[[Progress], None] | None = None,
        on_error: OnError = "raise",
        ordered: bool = False,
        make: Callable[[Item, Plan, int], Request] = Request,
    ) -> None:
        if not callable(on_error) and on_error not in ("raise", "skip"):
            raise one_of("on_error", on_error, ("raise", "skip"))
        uses_confidence = any(term.name == "confidence" for term in plan.objective.terms)
        self.plan, self.prepare, self.config, self.on_error = plan, prepare, config, on_error
        confidence = plan.objective.confidence_form if uses_confidence else None
        self.runner = Runner(plan.scorer, plan.removal, config, confidence)
        self.scheduler = Scheduler(alone=config.deterministic)
        self._progress, self._make = progress, make
        self._state = Progress(started=time.perf_counter())
        self._error: Exception | None = None  # the first of an input, where they are not skipped: it ends the run
        self._given = 0
        self._most = config.max_searches
        self._more_at, self._patience = 0, PATIENCE  # inputs done when one more is tried again
        self._done = OutputOrder(ordered)

    def run(self, inputs: Iterable[Any] | Loader) -> Iterator[Any]:
        """Yield each input's explanation as it is done.

        Ctrl-C, and what ends the process otherwise, yields what is settled of each, then goes on its way.
        """
        try:
            for _ in self.batches(inputs):
                if self._done.changed:
                    yield from self._done.take()
        except (KeyboardInterrupt, SystemExit):
            for request in self.scheduler.live:
                partial = request.partial("interrupted")
                if partial is not None:
                    self._done.add(request.index, partial)
            yield from self._done.rest()
            raise
        except Exception:
            yield from self._done.rest()
            raise
        yield from self._done.rest()

    def batches(self, inputs: Iterable[Any] | Loader) -> Iterator[list[Request]]:
        """The loop itself: yields after each batch, with the requests that it finished.

        In the end it raises what broke the inputs, or the first error of one of them, unless these are skipped.
        """
        source = inputs if isinstance(inputs, Loader) else Loader(inputs)
        if self._goes_ahead(source.single):
            self.runner.sizes.watched = True
            self.plan = replace(self.plan, ahead=self.runner.sizes.spare)
        try:
            for slot in cycle(self.runner.slots):  # on a GPU two: one computes while we decide on the other
                answer = slot.collect()
                if answer is not None:
                    yield self._complete(answer)
                if not source.ended:
                    self._admit(source)
                batch = self.scheduler.next_batch(self.runner.sizes.room)
                if batch is not None:
                    slot.submit(batch)
                elif not self.scheduler.live:
                    break
        finally:
            source.close()
            self.runner.close()
        for error in (self._error, source.broken):
            if error is not None:
                raise error

    def _goes_ahead(self, single: bool) -> bool:
        """Unless it was said: where a device would wait for the only search there is, and a row costs no request."""
        if self.config.ahead is not None:
            return bool(self.config.ahead)
        if self.config.deterministic or not self.plan.scorer.model.local:
            return False
        return self.config.max_searches == 1 or single

    def _admit(self, source: Loader) -> None:
        """Top up the live searches from the inputs; while there are any, what is still being loaded can wait."""
        if self._most < self.config.max_searches and self._state.finished >= self._more_at:
            self._most, self._more_at = self._most + 1, self._state.finished + self._patience
        while len(self.scheduler.live) < self._most and self._error is None:
            if self.scheduler.live and not source.ready:
                return
            load = source.take()
            if load is None:
                return
            try:
                with stage("partition"):
                    loaded = load()
                request = self._make(self.prepare(loaded), self.plan, self._given)
                request.start()
                place = self.runner.admit(request.item)
            except Exception as error:
                if out_of_memory(error) and self.scheduler.live:
                    source.give_back(load)
                    self._fewer()
                    return
                self._fail(error, self._given)
            else:
                self.scheduler.admit(request, place)
                self._state.expected += self.plan.rows(request.n)
                self._state.inputs += 1
            self._given += 1

    def _fewer(self) -> None:
        """Memory ran out for another input: as many as there are, until some are done."""
        self._most = len(self.scheduler.live)
        self._more_at, self._patience = self._state.finished + self._patience, 2 * self._patience
        log.warning("out of memory for another input; going on with %d in flight", self._most)

    def _complete(self, answer: Answer) -> list[Request]:
        """Hand out a batch's answers; returns the requests that are done."""
        for request, error in answer.failed.items():
            self._drop(request, error)
        with stage("search"):
            done = [request for request, error in self.scheduler.complete(answer) if self._end(request, error)]
        self._state.evaluations += answer.rows
        self._state.expected = max(self._state.expected, self._state.evaluations)  # rows that went ahead are more
        self._state.finished += len(done)
        if self._progress is not None:
            self._progress(self._state.now())
        return done

    def _end(self, request: Request, error: Exception | None) -> bool:
        """Let go of a request that is done, or that failed; whether it is done."""
        if error is not None:
            self._drop(request, error)
            return False
        self._done.add(request.index, request.result)
        self.runner.drop(request.item.kind, self.scheduler.drop(request))
        return True

    def _drop(self, request: Request, error: Exception) -> None:
        if request not in self.scheduler.live:
            return
        self.runner.drop(request.item.kind, self.scheduler.drop(request))
        if isinstance(error, ScorerError):
            partial = request.partial("the model failed")
            error.partial = () if partial is None else (partial,)
        self._fail(error, request.index, request.item.id)

    def _fail(self, error: Exception, index: int, id: str | None = None) -> None:
        self._done.skip(index)
        if callable(self.on_error):
            self.on_error(index, error)
        elif self.on_error == "skip":
            name = index if id is None else repr(id)
            kind = "" if isinstance(error, PysmdlError) else f"{type(error).__name__}: "
            text = f"{kind}{error}"  # an error holds its input, and a log record may be kept
            log.error("input %s skipped: %s", name, text)
        elif self._error is None:
            self._error = error
