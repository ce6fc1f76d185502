"""A model behind a server, or any slow function: many views in flight, nothing asked twice, answers kept on disk."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pysmdl.errors import ScorerError, described, number, one_of, whole_number
from pysmdl.inputs.image import InputSpec
from pysmdl.inputs.image_files import Pixels
from pysmdl.models.answer_files import AnswerFiles
from pysmdl.models.base import Model
from pysmdl.models.posting import close, need_client, posting
from pysmdl.models.sending import Call, Ended, Sender, Spent, loop_of
from pysmdl.models.views import ENCODED, encoded
from pysmdl.profiling import stage
from pysmdl.types import Floats

WAVES = 16  # requests of a batch for each that may be in flight: what is idle at a batch's end is a small share of it
FEW = 4  # views of a quarter of those requests are encoded and sent at a time
KEPT = 4096  # answers of calls that failed, which the next one asks for again

Asked = tuple[str, Any]  # a view's key, and what is sent of it


class Remote(Model):
    """Answers of a server or of an async function, see :func:`pysmdl.scorers.endpoint`; any scorer takes it as a model.

    Args:
        asked, **others: As in :func:`pysmdl.scorers.endpoint`.
        input: How images become the views.
        wrap: Makes the JSON that is sent of an encoded view; None: the view itself is sent.
        means: What `parse` reads off a reply, where the request does not say it: answers are kept by it too.

    Attributes:
        wave: Rows of as many requests as there may be in flight.
        rows: Rows of a batch that keep so many in flight.
        requests: Sent so far, without the retries.
    """

    name: str
    local = False

    def __init__(
        self,
        asked: str | Callable[[Any], Any],
        input: InputSpec,
        *,
        concurrency: int = 16,
        retries: int = 3,
        timeout: float = 30.0,
        batch: int = 1,
        encode: str = "png",
        parse: Callable[[Any], Any] | None = None,
        cache: str | os.PathLike[str] | None = None,
        headers: Mapping[str, str] | None = None,
        max_requests: int | None = None,
        wrap: Callable[[bytes], bytes] | None = None,
        means: str = "",
    ) -> None:
        self._url = asked if isinstance(asked, str) else None
        if self._url is not None and not is_url(self._url):
            raise ValueError(f"an endpoint must be a URL, http(s)://..., or an async function; got {asked!r}")
        if self._url is None and not _is_async(asked):
            raise TypeError(f"an endpoint must be a URL or an async function; got {type(asked).__name__}")
        if self._url is None and headers is not None:
            raise ValueError("headers go with a URL; a function of yours sends its own")
        if headers is not None and not isinstance(headers, Mapping):
            raise ValueError(f"headers must be {{name: value}}; got {headers!r}")
        if encode not in ENCODED:
            raise one_of("encode", encode, ENCODED)
        if parse is not None and not callable(parse):
            raise TypeError(f"parse must be callable, a reply to numbers; got {type(parse).__name__}")
        self._views = whole_number("batch", batch, 1)
        self._concurrency = whole_number("concurrency", concurrency, 1)
        most = None if max_requests is None else whole_number("max_requests", max_requests, 1)
        tries = whole_number("retries", retries, 0), number("timeout", timeout, above=0), most
        self._settings = self._concurrency, *tries
        self._wrap, self._means = wrap, means
        self._input, self._encode, self._parse, self._headers = input, encode, parse, dict(headers or {})
        self._cache = None if cache is None else AnswerFiles(cache)
        if self._url is not None:
            need_client()
        self._had: dict[str, Floats] = {}
        self._sender: Sender | None = None
        self._process = 0
        self.requests = 0
        self.wave = self._concurrency * self._views
        self.rows = WAVES * self.wave
        super().__init__(self._answer if isinstance(asked, str) else asked)
        self.name = self._url.partition("?")[0] if self._url else f"{asked.__module__}.{_named(asked)}"

    def __getstate__(self) -> dict[str, Any]:
        """Without connections and without answers that wait to be asked for again: another process has its own."""
        return {**super().__getstate__(), "_had": {}, "_sender": None, "_process": 0}

    def __call__(self, batch: Tensor) -> Tensor:
        """Answers [B, K] to a batch in model space; every view is asked for once.

        Raises:
            ScorerError: a request failed for good. The answers had are kept: the next call asks for none of them.
        """
        with stage("model"):
            return self._answer(batch)

    def compiled(self) -> Model:
        return self

    def _answer(self, batch: Tensor) -> Tensor:
        call = Call()
        keys: list[str] = []
        known: dict[str, Floats] = {}  # the loop adds to it
        flying: list[Future[None]] = []
        try:
            for views in self._unknown(batch, keys, known):
                flying.append(self._launch(views, call, known))
            wait(flying, return_when=FIRST_EXCEPTION)
            for error in (call.failed, call.spent):
                if error is not None:
                    raise error
            if any(key not in known for key in keys):
                raise ScorerError(f"{self.name} gave no answer to some views: its requests were cancelled")
        except BaseException:  # Ctrl-C too: nothing is sent any more, and nothing had is lost
            for each in flying:
                each.cancel()
            if len(self._had) + len(known) > KEPT:
                self._had.clear()
            self._had |= known
            raise
        return torch.from_numpy(_stacked([known[key] for key in keys], self.name))

    def _unknown(self, batch: Tensor, keys: list[str], known: dict[str, Floats]) -> Iterator[list[Asked]]:
        """Views that must be asked for, a few at a time, so that the first are on their way while the next are encoded;
        fills in the keys of all rows, and what is known of them.
        """
        few = -(-self._concurrency // FEW) * self._views
        waiting: list[Asked] = []
        seen: set[str] = set()
        for pixels in (each for rows in batch.split(few) for each in self._input.denormalise(rows)):
            key, view = self._sent(pixels)
            keys.append(key)
            if key in seen:
                continue
            seen.add(key)
            found = self._remembered(key)
            if found is not None:
                known[key] = found
            else:
                waiting.append((key, view))
            if len(waiting) == few:
                yield waiting
                waiting = []
        if waiting:
            yield waiting

    def _sent(self, pixels: Pixels) -> Asked:
        """A view as it is sent, by a key that says what is sent and to whom."""
        content = encoded(pixels, self._encode)
        content = content if self._wrap is None else self._wrap(content)
        key = hashlib.sha256(f"{self._url or self.name}\n{self._encode}\n{self._means}".encode() + content).hexdigest()
        return key, pixels if self._url is None and self._encode == "array" else content

    def _launch(self, views: list[Asked], call: Call, known: dict[str, Floats]) -> Future[None]:
        process = os.getpid()
        if self._process != process:  # a forked child has connections of its own
            self._sender, self._process = None, process
        return asyncio.run_coroutine_threadsafe(self._together(views, call, known), loop_of(process))

    async def _together(self, views: list[Asked], call: Call, known: dict[str, Floats]) -> None:
        """Requests for so many views at once; the first that fails ends them all."""
        if self._sender is None:  # on the loop, where its parts belong
            send: Any = self.function
            if self._url is not None:
                kind = ENCODED[self._encode] if self._wrap is None else "application/json"
                send, clients = posting(self._url, kind, self._views, self._headers)
                weakref.finalize(self, close, clients, loop_of(os.getpid()))
            self._sender = Sender(send, self.name, *self._settings)
        several = [views[at : at + self._views] for at in range(0, len(views), self._views)]
        self.requests += len(several)
        tasks = [asyncio.ensure_future(self._one(each, self._sender, call, known)) for each in several]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _one(self, views: list[Asked], sender: Sender, call: Call, known: dict[str, Floats]) -> None:
        sent = [view for _, view in views]
        try:
            reply = await sender.ask(sent[0] if self._views == 1 else sent, call)
            known.update(self._take(views, reply))
        except Spent as error:
            call.spent = error
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            if call.failed is not None:
                raise asyncio.CancelledError from error
            call.failed = error.__cause__ if isinstance(error, Ended) else error
            raise Ended from error  # which ends this task, and never the loop

    def _take(self, views: Sequence[Asked], reply: Any) -> dict[str, Floats]:
        """A reply's numbers by the keys of its views, kept on disk if they are to be.

        Raises:
            ScorerError: these are no numbers, or not of so many views.
        """
        given = self._parsed(reply)
        try:
            found = np.asarray(given.detach().cpu() if isinstance(given, Tensor) else given, np.float32)
        except (TypeError, ValueError):
            found = np.zeros(0, np.float32)
        if given is None:  # which NumPy takes for NaN
            found = np.zeros(0, np.float32)
        found = found.reshape(1, -1) if self._views == 1 and found.size else found
        if found.ndim != 2 or len(found) != len(views):
            wanted = "a list of numbers, one a class" if self._views == 1 else f"{len(views)} lists of numbers"
            raise ScorerError(f"{self.name} must reply with {wanted}; got {str(given)[:80]}")
        answers = {key: row for (key, _), row in zip(views, found, strict=True)}
        if self._cache is not None:
            self._cache.keep(answers)
        return answers

    def _parsed(self, reply: Any) -> Any:
        if self._parse is None:
            return reply
        try:
            return self._parse(reply)
        except Exception as error:
            raise ScorerError(f"parse failed on {str(reply)[:80]}, of {self.name}: {described(error)}") from error

    def _remembered(self, key: str) -> Floats | None:
        """An answer that a call before left, or that lies on disk; None where it must be asked for."""
        if key in self._had:
            return self._had.pop(key)
        return None if self._cache is None else self._cache.read(key)


def is_url(given: Any) -> bool:
    """Whether it is text that names a server."""
    return isinstance(given, str) and given.startswith(("http://", "https://"))


def _is_async(function: Any) -> bool:
    if not callable(function):
        return False
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(function.__call__)  # of an object


def _named(function: Any) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _stacked(answers: Sequence[Floats], what: str) -> Floats:
    wide = {len(each) for each in answers}
    if len(wide) > 1:
        raise ScorerError(f"{what} must reply with as many numbers for each view; got {sorted(wide)}")
    return np.stack(answers)
