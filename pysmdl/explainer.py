"""explain() and explain_many(): wire image, regions, baseline, scorer, objective and search to one engine."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pysmdl import images
from pysmdl.config import EngineConfig
from pysmdl.engine import Engine, Item, Plan, Probe
from pysmdl.errors import ImageError, one_of
from pysmdl.methods import resolve as resolve_search
from pysmdl.objective import Objective
from pysmdl.objective.presets import DEFAULTS
from pysmdl.objective.presets import resolve as resolve_objective
from pysmdl.profile_report import model_cost
from pysmdl.profiling import Profile, stage
from pysmdl.progress import Report, reporting
from pysmdl.regions import partition
from pysmdl.regions.label_maps import snap_to_patches
from pysmdl.removal import baseline_of
from pysmdl.result import Explanation
from pysmdl.scorers import Scorer
from pysmdl.scorers import resolve as resolve_scorer
from pysmdl.scorers.keeping import KeptWith
from pysmdl.scorers.token_drop import TokenDropScorer, token_drop_of
from pysmdl.search import SEARCHES
from pysmdl.targets import Box
from pysmdl.types import Bools, Floats, Search

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
        trace: Sequence[Any] = (),
        k: int | None = None,
        evaluations: int | None = None,
        batch_size: int | None = None,
        device: str | torch.device | None = None,
        seed: int = 0,
        until: str | None = None,
        config: EngineConfig | None = None,
    ) -> None:
        for name, value in (("k", k), ("evaluations", evaluations)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"{name} must be a whole number of at least 1; got {value!r}")
        if removal not in ("baseline", "token-drop"):
            raise one_of("removal", removal, ("baseline", "token-drop"))
        self.scorer = resolve_scorer(model, device)
        if removal == "token-drop":
            self.scorer = token_drop_of(self.scorer)
        self.regions, self.baseline, self.trace, self.seed = regions, baseline, tuple(trace), seed
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
    ) -> Iterator[Explanation]:
        """Explain a stream of inputs on one engine; yields each as it is done. A profile records while that runs."""

        def prepare(given: Any) -> Item:
            item = self.prepare(given)
            if profile is not None:
                profile.probe = partial(model_cost, self.scorer, item.x if item.image is None else item.image)
            return item

        with reporting(progress) as report:
            found = Engine(self.plan, prepare, self.config, report, on_error).run(inputs)
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
        item = self.as_dict(given)
        given, target = item["image"], item.get("target")
        spec = self.scorer.input
        if isinstance(given, Tensor):
            x, pixels, scale = _checked(given), None, (1.0, 1.0)
            on_grid = spec.denormalise(x) if x.dim() == 3 and x.shape[0] in (1, 3) else None
        else:
            pixels = images.load(given)
            on_grid = spec.grid(pixels)
            x, scale = spec.normalise(on_grid), spec.scale(pixels)
        with stage("partition"):
            regions = partition(item.get("regions", self.regions), on_grid, x.shape[1:])
        x = x.detach().to(self.scorer.device).to(self.scorer.dtype)
        tokens = image = None
        if isinstance(self.scorer, TokenDropScorer):
            image, computed = x, isinstance(item.get("regions", self.regions), str)
            regions = snap_to_patches(regions, self.scorer.tower.patch) if computed else regions
            x, tokens = self.scorer.tokens_of(x), self.scorer.labels_of(regions)
            baseline = torch.zeros(1, dtype=x.dtype, device=x.device).expand(x.shape)  # nothing is painted over
        else:
            baseline = baseline_of(item.get("baseline", self.baseline), x, spec.black())
        return Item(
            x=x,
            baseline=baseline,
            regions=tokens or regions,
            shown=regions,
            image=image,
            target=self.scorer.encode(target, self.trace, scale),
            described=target.describe() if isinstance(target, Box) else None,
            id=None if item.get("id") is None else str(item["id"]),
            pixels=pixels if pixels is not None else on_grid,
        )


def explain(
    image: Any,
    model: Any,
    target: Any = None,
    *,
    progress: bool | Report = True,
    profile: bool | Profile = False,
    **settings: Any,
) -> Explanation:
    """Explain one decision: the input's regions in the order in which they carry it.

    Args:
        image: uint8 [H, W, 3] RGB, a PIL image, a path, or a float tensor [C, *grid] in model space.
        model: A scorer (:mod:`pysmdl.scorers`), or any callable from a batch [B, C, H, W] to logits [B, K]; images go
            into a bare callable as pixel / 255 at their own size.
        target: A class index, or None for the model's own top class; a :class:`pysmdl.Box` for a detector,
            :class:`pysmdl.Tokens` for a token scorer.
        progress: A bar on the terminal, or a callback that is given a :class:`pysmdl.progress.Progress`.
        profile: True, or a :class:`pysmdl.Profile` to fill: ``notes["profile"]`` is its report. One more row goes
            through the model afterwards, to count its FLOPs.
        regions: "slico", "slico:50", "slico-opencv", "seeds", "grid", an int label map [H, W] (-1: always shown), bool
            masks [n, H, W], or a function of the pixels. See :mod:`pysmdl.regions`.
        baseline: What an absent region looks like: "black", "zero", "mean", "blur", or numbers in model space. See
            :func:`pysmdl.removal.baseline_of`.
        removal: "baseline", or "token-drop": leave an absent region's patches out of a vision transformer (a scorer of
            :func:`pysmdl.scorers.token_drop`, or a classifier around such a model). There is no baseline then.
        objective: None for the scorer's own: :func:`pysmdl.lima` (without effectiveness where there are no features;
            the notes say so), :func:`pysmdl.vps` or :func:`pysmdl.eagle`; a name, or a set function.
        search: A name or a search of :mod:`pysmdl.search`, or a method of :mod:`pysmdl.methods`.
        trace: Other classes whose curves are wanted too; "predicted" is the model's own top class.
        k: Stop after this many regions.
        evaluations: Budget of model evaluations, curves included.
        batch_size: Rows of a forward pass; None lets the engine choose.
        device: Where the model runs; None: where its parameters are.
        seed: Of the searches that draw samples.
        until: "decided": stop at the first regions that give the decision by themselves (the minimal sufficient
            subset along the order); orders them only.
        config: An :class:`pysmdl.EngineConfig`, for all else.

    Returns:
        The explanation. After Ctrl-C, what was settled until then, with ``notes["stopped"] == "interrupted"``.

    Raises:
        ValueError: an argument is out of range or unknown; the message says what would have been right.
        ImageError, RegionError: the image or the regions cannot be used.
        ScorerError: the model failed; ``.partial`` holds what was settled.
        RuntimeError: another profile is active.
    """
    if not isinstance(profile, (bool, Profile)):
        raise ValueError(f"profile must be True, False or a pysmdl.Profile; got {profile!r}")
    kept = (Profile() if profile else None) if isinstance(profile, bool) else profile
    found = next(Explainer(model, **settings).run([{"image": image, "target": target}], progress, profile=kept))
    if kept is not None:
        found.notes["profile"] = kept.report()
    return found


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


def explain_steps(image: Any, model: Any, target: Any = None, **settings: Any) -> Iterator[Step]:
    """Explain one decision and yield each region as soon as its place is settled, the most important first.

    Searches that fill the order from its start (exact, bidirectional, scoped ...) yield as they go; others at the end.
    The last step carries the explanation. Arguments are those of :func:`explain`.
    """
    began = time.perf_counter()
    explainer = Explainer(model, **settings)
    engine = Engine(explainer.plan, explainer.prepare, explainer.config)
    shown = 0
    for done in engine.batches([{"image": image, "target": target}]):
        for request in (*done, *engine.scheduler.live):
            found = request.result
            order = request.settled if found is None else tuple(found.order.tolist())
            for rank in range(shown, len(order)):
                insertion, deletion = request.view(order[: rank + 1])
                last = found if rank == len(order) - 1 else None
                seconds = time.perf_counter() - began
                yield Step(rank, order[rank], insertion, deletion, request.evaluations, seconds, last)
            shown = max(shown, len(order))
    engine.raise_errors()


def explain_many(
    items: Iterable[Any],
    model: Any,
    *,
    progress: bool | Report = True,
    ordered: bool = False,
    on_error: str = "raise",
    profile: Profile | None = None,
    **settings: Any,
) -> Iterator[Explanation]:
    """Explain a stream of inputs on one engine that shares batches between them.

    Args:
        items: Images, (image, target) pairs, or dicts with image and, optionally, target, id, regions, baseline. May be
            a generator; it is read as places become free.
        model: As in :func:`explain`.
        ordered: Yield in the order of the items instead of as each is done.
        on_error: "raise": finish what is in flight, then raise the first error. "skip": log it and go on.
        profile: A :class:`pysmdl.Profile` to fill; it pauses while the caller has the turn. Its ``report()`` covers
            all items explained so far.
        **settings: As in :func:`explain`.

    Yields:
        An explanation each; ``index`` is the item's number, ``id`` the item's own.
    """
    if profile is not None and not isinstance(profile, Profile):
        raise ValueError(
            f"profile must be a pysmdl.Profile, whose report() covers the stream, or None; got {profile!r}"
        )
    explainer = Explainer(model, **settings)  # bad settings fail here, not at the first item
    found = explainer.run(items, progress, on_error, profile)
    return _in_order(found) if ordered else found


def _in_order(found: Iterator[Explanation]) -> Iterator[Explanation]:
    """Hold back what is done before its turn. Items that failed leave gaps, which the end closes."""
    early: dict[int, Explanation] = {}
    turn = 0
    for explanation in found:
        early[explanation.index] = explanation
        while turn in early:
            yield early.pop(turn)
            turn += 1
    yield from (early[index] for index in sorted(early))


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
    if uses_confidence and chosen.confidence_form == "evidential" and not scorer.has_evidence:
        raise ValueError('confidence_form="evidential" needs an evidential head: give the scorer evidence=')
    return chosen, []
