"""Explainer: wires image, regions, removal, scorer, objective and search to one engine."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from pysmdl.adapters import resolve as resolve_scorer
from pysmdl.config import EngineConfig
from pysmdl.engine import Engine, Item, Loader, OnError, Plan, Probe, Request
from pysmdl.errors import whole_number, yes_or_no
from pysmdl.explanation import Explanation
from pysmdl.methods import resolve as resolve_search
from pysmdl.models.class_names import listed, names_of
from pysmdl.objective import Objective
from pysmdl.objective.presets import preset_of
from pysmdl.objective.presets import resolve as resolve_objective
from pysmdl.preparation import Loaded, Preparation
from pysmdl.profiling import Profile
from pysmdl.progress import Report, checked, reporting
from pysmdl.removal import Fill, Removal, fill_of
from pysmdl.removal import resolve as resolve_removal
from pysmdl.scorers import Scorer
from pysmdl.scorers.cost import model_cost
from pysmdl.scorers.provenance import provenance_of
from pysmdl.search import SEARCHES, Search, guided
from pysmdl.session import SESSIONS
from pysmdl.types import Bools, Floats, Reading

AT_ONCE = 8  # subsets that guided asks of an endpoint at a time: more find worse orders (docs/searches.md)

log = logging.getLogger("pysmdl")


@dataclass(frozen=True)
class Step:
    """A region whose place in the order has been settled.

    Attributes:
        rank: Its place, from 0.
        region: Which region.
        insertion, deletion: Target score with the regions so far kept, and removed; NaN where not measured yet.
        evaluations: Rows the model has seen by then.
        seconds: Since the start.
        explanation: The whole result, with the last step.
    """

    rank: int
    region: int
    insertion: float
    deletion: float
    evaluations: int
    seconds: float
    explanation: Explanation | None = None


class Explainer:
    """A model with everything that is common to its explanations. Holds no state of any image.

    Arguments are those of :func:`explain`.
    """

    def __init__(
        self,
        model: Any,
        *,
        players: Any = None,
        regions: Any = None,
        baseline: Any = None,
        removal: str | Removal | None = None,
        preset: str | None = None,
        objective: str | Objective | None = None,
        search: str | Search | None = None,
        names: Any = None,
        trace: Any = (),
        k: int | None = None,
        evaluations: int | None = None,
        batch_size: int | None = None,
        device: str | torch.device | None = None,
        seed: int = 0,
        until: str | None = None,
        processor: Any = None,
        transform: Any = None,
        tokenizer: Any = None,
        prompts: Any = None,
        prompt: str | None = None,
        answer: str | None = None,
        gives: str | None = None,
        head: Any = None,
        decode: Any = None,
        config: EngineConfig | None = None,
    ) -> None:
        k = None if k is None else whole_number("k", k, 1)
        evaluations = None if evaluations is None else whole_number("evaluations", evaluations, 1)
        seed = whole_number("seed", seed, 0)
        if players is not None and regions is not None:
            raise ValueError("players and regions are two words for the same; give one of them")
        if until not in (None, "decided"):
            raise ValueError(f"until must be 'decided' or None; got {until!r}")
        if config is not None and not isinstance(config, EngineConfig):
            raise ValueError(f"config must be a pysmdl.EngineConfig or None; got {config!r}")
        self.config = config or EngineConfig()
        if batch_size is not None:
            self.config = replace(self.config, batch_size=batch_size)
        texts = {"tokenizer": tokenizer, "prompts": prompts, "prompt": prompt, "answer": answer}
        read = {"gives": gives, "head": head, "decode": decode}
        given = resolve_scorer(model, device, processor=processor, transform=transform, **texts, **read)
        fill = fill_of(baseline, given)
        self.removal = resolve_removal(given.removal or "baseline" if removal is None else removal, fill)
        if isinstance(search, Search) and search.soft:
            self.removal = self.removal.softened()
        self.scorer = self.removal.serves(given)
        self.names = names_of(names) or self.scorer.class_names()
        self._listed = listed(self.scorer.names if names is None else names)
        divided = regions if players is None else players
        self.inputs = Preparation(self.scorer, self.removal, divided, baseline, trace, self.names)
        shown = self.inputs.baseline
        if preset is not None:
            objective, search = _of_preset(preset, objective, search)
        chosen, left_out = _objective_for("pair" if objective is None else objective, self.scorer, preset)
        found = self._usual() if search is None else resolve_search(search)
        notes = {
            "objective": chosen.name,
            "weights": chosen.weights,
            "search": found.name,
            **{f"search.{name}": value for name, value in found.parameters.items()},
            "baseline": _baseline_in_words(shown if fill is None else fill),
            "removal": self.removal.name,
            "seed": seed,
            "left_out": left_out,
        }
        self.plan = Plan(
            scorer=self._compiled() if self.config.compile else self.scorer,
            removal=self.removal,
            objective=chosen,
            search=found,
            k=k,
            evaluations=evaluations,
            seed=seed,
            until=until,
            mixed=self._mixed(found),
            backend=self.config.backend,
            notes=notes,
            names=self.names,
            provenance=provenance_of(self.scorer),
        )

    def _usual(self) -> Search:
        """The default search; of an endpoint with enough subsets at a time to fill most of its places."""
        model = self.scorer.model
        pairs = 1 if model.local else (model.wave or 1) // 2  # both views of a subset are asked for
        return guided() if pairs < 2 else guided(batch=min(AT_ONCE, pairs))

    def _mixed(self, search: Search) -> bool:
        """Whether candidates are scored in half precision first."""
        precision = self.config.precision
        mixed = precision != "model"
        if mixed and not search.rechecks:
            offered = [name for name, make in SEARCHES.items() if make().rechecks]
            raise ValueError(f'precision="{precision}" works with the searches {", ".join(offered)}; got {search.name}')
        return mixed

    def _compiled(self) -> Scorer:
        if not self.removal.fixed_rows:
            raise ValueError(f'compile=True works with removal="baseline"; got "{self.removal.name}"')
        compiled: Scorer = SESSIONS.of(self.scorer).form("compiled", self.scorer.compiled)
        compiled.graph_safe = self.scorer.graph_safe
        return compiled

    def run(
        self,
        inputs: Iterable[Any],
        progress: bool | Report = False,
        on_error: OnError = "raise",
        profile: Profile | None = None,
        ordered: bool = False,
    ) -> Iterator[Explanation]:
        """Explain a stream of inputs on one engine; yields each as it is done, or in their order. A profile records
        while that runs.

        Raises:
            ValueError: it is a single input, or the model is in training mode by now.
        """
        self._ready()
        return self._run(self._source(inputs), checked(progress), on_error, profile, yes_or_no("ordered", ordered))

    def _source(self, inputs: Iterable[Any]) -> Loader:
        inputs = self.inputs.several(inputs)
        if isinstance(inputs, (str, os.PathLike, Mapping)) or getattr(inputs, "ndim", 1) in (2, 3):
            raise _single(inputs)
        try:
            return Loader(inputs, self.inputs.load, self._loaders(), self.inputs.lend)
        except TypeError:  # it cannot be iterated over: an image of Pillow's, say
            raise _single(inputs) from None

    def _run(
        self, source: Loader, progress: bool | Report, on_error: OnError, profile: Profile | None, ordered: bool
    ) -> Iterator[Explanation]:
        def prepare(loaded: Loaded) -> Item:
            item = self.inputs.place(loaded)
            if profile is not None and self.removal.fixed_rows and item.resident.row is not None:
                profile.probe = partial(model_cost, self.scorer, item.x)
            return item

        with reporting(progress) as report:
            found = Engine(self.plan, prepare, self.config, report, on_error, ordered).run(source)
            try:
                yield from found if profile is None else profile.over(found)
            finally:
                self._doubt_names()

    def _doubt_names(self) -> None:
        """Warn once where a list of names is another model's: it has more classes, or fewer."""
        classes = getattr(self.scorer, "classes", None)
        if self._listed is not None and classes not in (None, self._listed):
            log.warning("names are %d, and the model has %d classes: are they its own?", self._listed, classes)
            self._listed = None

    def steps(self, given: Any, progress: bool | Report = False) -> Iterator[Step]:
        """Explain one input, as explain_many takes it; yields each region as soon as its place is settled."""
        self._ready()
        began, shown = time.perf_counter(), 0
        with reporting(progress) as report:
            engine = Engine(self.plan, self.inputs.place, self.config, report)
            for done in engine.batches(Loader([given], self.inputs.load)):
                for request in (*done, *engine.scheduler.live):
                    order = request.fixed if request.result is None else tuple(request.result.order.tolist())
                    for rank in range(shown, len(order)):
                        yield _step(request, order, rank, time.perf_counter() - began)
                    shown = max(shown, len(order))

    def scores(self, item: Item, member: Bools) -> tuple[Floats, Item]:
        """The target score of any subsets [a, n] of one input kept, and the input with its target resolved."""
        self._ready()
        engine = Engine(self.plan, lambda given: given, self.config, make=partial(Probe, member=member))
        reading, resolved = next(engine.run([item]))
        return reading.score, resolved

    def readings(self, inputs: Iterable[Any], member: Callable[[Item], Bools]) -> Iterator[tuple[Reading, Item]]:
        """All that the scorer reads of some subsets of each input of a stream, in their order and in shared batches.

        Args:
            inputs: As explain_many takes them.
            member: From an input to the subsets of it that are kept. [a, n].
        """
        self._ready()

        def make(item: Item, plan: Plan, index: int) -> Request:
            return Probe(item, plan, index, member=member(item))

        return Engine(self.plan, self.inputs.place, self.config, ordered=True, make=make).run(self._source(inputs))

    def prepare(self, given: Any) -> Item:
        """One input, as explain_many takes it, ready for the engine."""
        return self.inputs.place(self.inputs.load(given))

    def most(self, item: Item) -> int:
        """Evaluations that an input takes at most, before the memo saves any.

        Raises:
            ValueError: a run would refuse it: its budget does not pay for the curves, say.
        """
        return self.plan.rows(Request(item, self.plan).n) * self.plan.draws

    def _ready(self) -> None:
        self.scorer.ready()
        if self.plan.scorer is not self.scorer:  # its compiled form
            self.plan.scorer.ready()

    def _loaders(self) -> int:
        """Threads that load ahead: on a GPU, whose model leaves the cores to them, unless it was said."""
        if self.config.loaders is not None:
            return self.config.loaders
        return max(1, min(4, (os.cpu_count() or 1) - 1)) if self.scorer.device.type == "cuda" else 0


def _baseline_in_words(baseline: Any) -> str | None:
    if isinstance(baseline, Fill):
        return f"{baseline.name}, {baseline.draws} draws"
    return baseline if baseline is None or isinstance(baseline, str) else "given"


def _step(request: Request, order: tuple[int, ...], rank: int, seconds: float) -> Step:
    insertion, deletion = request.view(order[: rank + 1])
    last = request.result if rank == len(order) - 1 else None
    return Step(rank, order[rank], insertion, deletion, request.values.evaluations, seconds, last)


def _single(given: Any) -> ValueError:
    each = "give its rows, frame.to_dict('records')" if hasattr(given, "columns") else "put it in a list"
    return ValueError(f"items must be an iterable of inputs; got a single one, a {type(given).__name__}: {each}")


def _of_preset(preset: str, objective: Any, search: Any) -> tuple[str, str | Search]:
    for name, given in (("objective", objective), ("search", search)):
        if given is not None:
            raise ValueError(f"preset={preset!r} says what {name} is; leave one of them out")
    return preset_of(preset)


def _objective_for(
    objective: str | Objective, scorer: Scorer, preset: str | None = None
) -> tuple[Objective, list[str]]:
    """The set function, and the terms of a preset that are left out because the scorer cannot serve them.

    Raises:
        ValueError: the objective needs what the scorer does not have.
    """
    chosen, left_out = resolve_objective(objective, scorer.has_prototypes), []
    if chosen.target not in ("any", scorer.target):
        raise ValueError(
            f"objective {chosen.name!r} reads {chosen.target} scores; this scorer gives {scorer.target} scores"
        )
    if preset is not None and not scorer.has_features:
        left_out = [term.name for term in chosen.pairwise]
        for name in left_out:
            chosen = chosen.without(name)
            log.warning("preset %r without its %s term: the scorer gives no features", preset, name)
    for term in chosen.pairwise:
        if not scorer.has_features:
            raise ValueError(
                f"objective {chosen.name!r} has an {term.name} term, which needs features: give the scorer features=, "
                f"or set {term.name}=0"
            )
    uses_confidence = any(term.name == "confidence" for term in chosen.terms)
    if uses_confidence and not scorer.has_confidence:
        raise ValueError(
            f"objective {chosen.name!r} has a confidence term, which needs class probabilities: give the encoder "
            f"prototypes, or set confidence=0"
        )
    if uses_confidence and chosen.confidence_form == "evidential" and not scorer.has_evidence:
        raise ValueError('confidence_form="evidential" needs an evidential head: give the scorer evidence=')
    return chosen, left_out
