"""Explainer: wires image, regions, baseline, scorer, objective and search to one engine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pysmdl import images
from pysmdl.config import EngineConfig
from pysmdl.engine import Engine, Item, Loader, Plan, Probe
from pysmdl.errors import ImageError, one_of, whole
from pysmdl.images import Pixels
from pysmdl.methods import resolve as resolve_search
from pysmdl.objective import Objective
from pysmdl.objective.presets import DEFAULTS
from pysmdl.objective.presets import resolve as resolve_objective
from pysmdl.profile_report import model_cost
from pysmdl.profiling import Profile
from pysmdl.progress import Report, reporting
from pysmdl.regions import partition
from pysmdl.regions.label_maps import snap_to_patches
from pysmdl.removal import BASELINES, baseline_of
from pysmdl.result import Explanation
from pysmdl.scorers import Scorer
from pysmdl.scorers import resolve as resolve_scorer
from pysmdl.scorers.inputs import Scale
from pysmdl.scorers.keeping import KeptWith
from pysmdl.scorers.token_drop import TokenDropScorer, token_drop_of
from pysmdl.search import SEARCHES
from pysmdl.targets import Box
from pysmdl.types import Bools, Floats, Regions, Search

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
        self.trace = tuple(trace) if isinstance(trace, (tuple, list)) else (trace,)
        self.regions, self.baseline, self.seed = regions, baseline, seed
        if isinstance(baseline, str) and baseline not in BASELINES:
            raise one_of("baseline", baseline, BASELINES)
        if isinstance(self.scorer, TokenDropScorer) and not (isinstance(baseline, str) and baseline == "black"):
            raise ValueError(f'removal="token-drop" leaves patches out, so there is no baseline; got {baseline!r}')
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
        on_error: str = "raise",
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
            source = Loader(inputs, self.load, self._loaders(), self._lend)
        except TypeError:  # it cannot be iterated over: an image of Pillow's, say
            raise _single(inputs) from None
        return self._run(source, progress, on_error, profile, ordered)

    def _run(
        self, source: Loader, progress: bool | Report, on_error: str, profile: Profile | None, ordered: bool
    ) -> Iterator[Explanation]:
        def prepare(loaded: Loaded) -> Item:
            item = self.place(loaded)
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

    @staticmethod
    def as_dict(given: Any) -> Mapping[str, Any]:
        """An item as a dict with image and whatever else it names."""
        if isinstance(given, Mapping):
            unknown = set(given) - {"image", "target", "id", "regions", "baseline"}
            if unknown or "image" not in given:
                raise ValueError(f"an item needs image and may have target, id, regions, baseline; got {sorted(given)}")
            return given
        if isinstance(given, tuple):
            if len(given) != 2:
                raise ValueError(f"an item given as a tuple must be (image, target); got {len(given)} entries")
            return {"image": given[0], "target": given[1]}
        return {"image": given}

    def prepare(self, given: Any) -> Item:
        """One input, as explain_many takes it, ready for the engine."""
        return self.place(self.load(given))

    def load(self, given: Any) -> Loaded:
        """The half of :meth:`prepare` that needs no device: read, resize, divide into regions."""
        item = self.as_dict(given)
        given, spec = item["image"], self.scorer.input
        if isinstance(given, Tensor):
            x, pixels = _checked(given), None
            scale = spec.scale((x.shape[1], x.shape[2])) if spec.mask_at == "image" and x.dim() == 3 else (1.0, 1.0)
            on_grid = spec.denormalise(x) if x.dim() == 3 and x.shape[0] in (1, 3) else None
        else:
            pixels = images.load(given)
            on_grid = spec.grid(pixels)
            x, scale = spec.normalise(on_grid), spec.scale(pixels.shape[:2])
        regions = partition(item.get("regions", self.regions), on_grid, x.shape[1:])
        if isinstance(self.scorer, TokenDropScorer) and isinstance(item.get("regions", self.regions), str):
            regions = snap_to_patches(regions, self.scorer.tower.patch)
        return Loaded(item, x, regions, pixels if pixels is not None else on_grid, scale)

    def place(self, loaded: Loaded) -> Item:
        """The other half: onto the scorer's device, with what absent regions look like there."""
        item, regions = loaded.given, loaded.regions
        x = loaded.x.detach().to(self.scorer.device).to(self.scorer.dtype)
        target = item.get("target")
        tokens = image = None
        if isinstance(self.scorer, TokenDropScorer):
            if item.get("baseline") is not None:
                raise ValueError('an item has no baseline under removal="token-drop", which leaves patches out')
            image = x
            x, tokens = self.scorer.tokens_of(x), self.scorer.labels_of(regions)
            baseline = torch.zeros(1, dtype=x.dtype, device=x.device).expand(x.shape)  # nothing is painted over
        else:
            baseline = baseline_of(item.get("baseline", self.baseline), x, self.scorer.input.black())
        return Item(
            x=x,
            baseline=baseline,
            regions=tokens or regions,
            shown=regions,
            image=image,
            target=self.scorer.encode(target, self.trace, loaded.scale),
            described=target.describe() if isinstance(target, Box) else None,
            id=None if item.get("id") is None else str(item["id"]),
            pixels=loaded.pixels,
        )

    def _loaders(self) -> int:
        """Threads that load ahead: on a GPU, whose model leaves the cores to them, unless it was said."""
        if self.config.loaders is not None:
            return self.config.loaders
        return max(1, min(4, (os.cpu_count() or 1) - 1)) if self.scorer.device.type == "cuda" else 0

    def _lend(self, given: Any) -> dict[str, Any] | None:
        """The item as a thread may load it later: the caller may fill its arrays anew by then. None where loading it
        runs the caller's code, or touches a device, whose graphs a thread would end.
        """
        item = dict(self.as_dict(given))
        read = item["image"], item.get("regions", self.regions)
        if any(callable(each) or getattr(each, "is_cuda", False) for each in read):
            return None
        if not isinstance(item["image"], (str, os.PathLike, np.ndarray, Tensor)):  # Pillow's: its file may be closed
            item["image"] = images.load(item["image"])
        return {name: _copied(value) for name, value in item.items()}


@dataclass(frozen=True)
class Loaded:
    """One input as :meth:`Explainer.load` leaves it: the item as given, what the model sees, and how it is divided."""

    given: Mapping[str, Any]
    x: Tensor
    regions: Regions
    pixels: Pixels | None
    scale: Scale


def _single(given: Any) -> ValueError:
    return ValueError(
        f"items must be an iterable of inputs; got a single one, a {type(given).__name__}: put it in a list"
    )


def _copied(value: Any) -> Any:
    if isinstance(value, Regions):
        return replace(value, labels=value.labels.copy())
    if isinstance(value, np.ndarray):
        return value.copy()
    return value.clone() if isinstance(value, Tensor) else value


def _checked(x: Tensor) -> Tensor:
    if x.dim() < 2 or 0 in x.shape or not x.is_floating_point():
        raise ImageError(f"an input tensor must be float [C, *grid] in model space; got {x.dtype} {list(x.shape)}")
    if not torch.isfinite(x).all():
        raise ImageError("the input tensor holds NaN or infinity")
    return x


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
