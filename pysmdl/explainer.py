"""Explainer: wires image, regions, baseline, scorer, objective and search to one engine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from pysmdl.config import EngineConfig
from pysmdl.engine import Engine, Item, Loader, OnError, Plan, Probe, Request
from pysmdl.errors import one_of, whole
from pysmdl.explanation import Explanation
from pysmdl.methods import resolve as resolve_search
from pysmdl.objective import Objective
from pysmdl.objective.presets import DEFAULTS
from pysmdl.objective.presets import resolve as resolve_objective
from pysmdl.preparation import Loaded, Preparation
from pysmdl.profiling import Profile
from pysmdl.progress import Report, reporting
from pysmdl.scorers import Scorer
from pysmdl.scorers import resolve as resolve_scorer
from pysmdl.scorers.cost import model_cost
from pysmdl.scorers.token_drop import TokenDropScorer, token_drop_of
from pysmdl.search import SEARCHES
from pysmdl.search.vocabulary import Search
from pysmdl.session import KeptWith
from pysmdl.types import Bools, Floats

COMPILED: KeptWith[Scorer] = KeptWith()


class Explainer:
    """A model with everything that is common to its explanations. Holds no state of any image.

    Arguments are those of :func:`explain`.
    """

    def __init__(
        self,
        model: Any,
        *,
        regions: Any = "slico",
        baseline: Any = "black",
        removal: str = "baseline",
        objective: str | Objective | None = None,
        search: str | Search = "bidirectional",
        trace: Any = (),
        k: int | None = None,
        evaluations: int | None = None,
        batch_size: int | None = None,
        device: str | torch.device | None = None,
        seed: int = 0,
        until: str | None = None,
        config: EngineConfig | None = None,
    ) -> None:
        k = None if k is None else whole("k", k, 1)
        evaluations = None if evaluations is None else whole("evaluations", evaluations, 1)
        seed = whole("seed", seed, 0)
        if config is not None and not isinstance(config, EngineConfig):
            raise ValueError(f"config must be a pysmdl.EngineConfig or None; got {config!r}")
        if removal not in ("baseline", "token-drop"):
            raise one_of("removal", removal, ("baseline", "token-drop"))
        self.scorer = resolve_scorer(model, device)
        if removal == "token-drop":
            self.scorer = token_drop_of(self.scorer)
        self.inputs = Preparation(self.scorer, regions, baseline, trace)
        self.config = config or EngineConfig()
        if batch_size is not None:
            self.config = replace(self.config, batch_size=batch_size)
        chosen, left_out = _objective_for(objective, self.scorer)
        found = resolve_search(search)
        notes = {
            "objective": chosen.name,
            "weights": chosen.weights,
            "search": found.name,
            **{f"search.{name}": value for name, value in found.parameters.items()},
            "baseline": baseline if isinstance(baseline, str) else "given",
            "removal": "token-drop" if isinstance(self.scorer, TokenDropScorer) else "baseline",
            "seed": seed,
            "left_out": left_out,
        }
        if until not in (None, "decided"):
            raise one_of("until", until, ("decided", None))
        mixed = self.config.precision == "mixed"
        if mixed and not found.rechecks:
            offered = [name for name, make in SEARCHES.items() if make().rechecks]
            raise ValueError(f'precision="mixed" works with the searches {", ".join(offered)}; got {found.name}')
        scorer = self.scorer
        if self.config.compile:
            if isinstance(scorer, TokenDropScorer):
                raise ValueError('compile=True works with removal="baseline"; got "token-drop"')
            scorer = COMPILED.get_or(scorer, scorer.compiled)
            scorer.graph_safe = self.scorer.graph_safe
        self.plan = Plan(scorer, chosen, found, k, evaluations, seed, until, mixed, self.config.backend, notes)

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
            ValueError: it is a single input.
        """
        if isinstance(inputs, (str, os.PathLike, Mapping)) or getattr(inputs, "ndim", 1) in (2, 3):
            raise _single(inputs)
        try:
            source = Loader(inputs, self.inputs.load, self._loaders(), self.inputs.lend)
        except TypeError:  # it cannot be iterated over: an image of Pillow's, say
            raise _single(inputs) from None
        return self._run(source, progress, on_error, profile, ordered)

    def _run(
        self, source: Loader, progress: bool | Report, on_error: OnError, profile: Profile | None, ordered: bool
    ) -> Iterator[Explanation]:
        def prepare(loaded: Loaded) -> Item:
            item = self.inputs.place(loaded)
            if profile is not None:
                profile.probe = partial(model_cost, self.scorer, item.x if item.image is None else item.image)
            return item

        with reporting(progress) as report:
            found = Engine(self.plan, prepare, self.config, report, on_error, ordered).run(source)
            yield from found if profile is None else profile.over(found)

    def scores(self, item: Item, member: Bools) -> tuple[Floats, Item]:
        """The target score of any subsets [a, n] of one input kept, and the input with its target resolved."""
        engine = Engine(self.plan, lambda given: given, self.config, make=partial(Probe, member=member))
        values, target = next(engine.run([item]))
        return values, replace(item, target=target)

    def prepare(self, given: Any) -> Item:
        """One input, as explain_many takes it, ready for the engine."""
        return self.inputs.place(self.inputs.load(given))

    def most(self, item: Item) -> int:
        """Evaluations that an input takes at most, before the memo saves any.

        Raises:
            ValueError: a run would refuse it: its budget does not pay for the curves, say.
        """
        return self.plan.rows(Request(item, self.plan).n)

    def _loaders(self) -> int:
        """Threads that load ahead: on a GPU, whose model leaves the cores to them, unless it was said."""
        if self.config.loaders is not None:
            return self.config.loaders
        return max(1, min(4, (os.cpu_count() or 1) - 1)) if self.scorer.device.type == "cuda" else 0


def _single(given: Any) -> ValueError:
    return ValueError(
        f"items must be an iterable of inputs; got a single one, a {type(given).__name__}: put it in a list"
    )


def _objective_for(objective: str | Objective | None, scorer: Scorer) -> tuple[Objective, list[str]]:
    """The set function, and the terms left out of the default because the scorer cannot serve them.

    Raises:
        ValueError: the objective was asked for and needs what the scorer does not have.
    """
    if objective is None:
        chosen = DEFAULTS[scorer.target]()
        if chosen.needs("regions") and not scorer.has_features:
            return chosen.without("effectiveness"), ["effectiveness"]
        return chosen, []
    chosen = resolve_objective(objective)
    if chosen.target != scorer.target:
        raise ValueError(
            f"objective {chosen.name!r} reads {chosen.target} scores; this scorer gives {scorer.target} scores"
        )
    if chosen.needs("regions") and not scorer.has_features:
        raise ValueError(
            f"objective {chosen.name!r} has an effectiveness term, which needs features: give the scorer features=, or "
            f"set effectiveness=0"
        )
    uses_confidence = any(term.name == "confidence" for term in chosen.terms)
    if uses_confidence and not scorer.has_confidence:
        raise ValueError(
            f"objective {chosen.name!r} has a confidence term, which needs class probabilities: give the encoder "
            f"prototypes, or set confidence=0"
        )
    if uses_confidence and chosen.confidence_form == "evidential" and not scorer.has_evidence:
        raise ValueError('confidence_form="evidential" needs an evidential head: give the scorer evidence=')
    return chosen, []
