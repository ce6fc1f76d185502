"""What users call: explain() one decision, a stream of them, or one step by step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from pysmdl.engine import OnError
from pysmdl.errors import Interrupted
from pysmdl.explainer import Explainer, Step
from pysmdl.explanation import Explanation
from pysmdl.profiling import Profile
from pysmdl.progress import Report
from pysmdl.scales import Scales, explain_scales, scales_of
from pysmdl.settings import spelt_out

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pysmdl.settings import Common, Settings, Undivided
    from pysmdl.types import Regions

__all__ = ["Step", "explain", "explain_many", "explain_steps"]


@overload
def explain(
    image: Any,
    model: Any,
    target: Any = None,
    *,
    regions: list[str] | list[Regions] | tuple[str, ...] | tuple[Regions, ...],
    progress: bool | Report = True,
    profile: Literal[False] = False,
    fuse: str | None = None,
    resolutions: Sequence[int | tuple[int, int]] | None = None,
    nested: bool = False,
    **settings: Unpack[Undivided],
) -> Scales: ...


@overload
def explain(
    image: Any,
    model: Any,
    target: Any = None,
    *,
    players: list[Regions] | tuple[Regions, ...],
    progress: bool | Report = True,
    profile: Literal[False] = False,
    fuse: str | None = None,
    resolutions: Sequence[int | tuple[int, int]] | None = None,
    nested: bool = False,
    **settings: Unpack[Common],
) -> Scales: ...


@overload
def explain(
    image: Any,
    model: Any,
    target: Any = None,
    *,
    players: list[str] | tuple[str, ...],
    progress: bool | Report = True,
    profile: bool | Profile = False,
    fuse: str | None = None,
    resolutions: Sequence[int | tuple[int, int]] | None = None,
    nested: bool = False,
    **settings: Unpack[Common],
) -> Explanation | Any: ...  # names of one division, or of several


@overload
def explain(
    image: Any,
    model: Any,
    target: Any = None,
    *,
    progress: bool | Report = True,
    profile: Literal[False] = False,
    fuse: str | None = None,
    resolutions: Sequence[int | tuple[int, int]],
    nested: Literal[False] = False,
    **settings: Unpack[Settings],
) -> Scales: ...


@overload
def explain(
    image: Any,
    model: Any,
    target: Any = None,
    *,
    progress: bool | Report = True,
    profile: bool | Profile = False,
    fuse: None = None,
    resolutions: None = None,
    nested: Literal[False] = False,
    **settings: Unpack[Settings],
) -> Explanation: ...


@overload
def explain(
    image: Any,
    model: Any,
    target: Any = None,
    *,
    progress: bool | Report = True,
    profile: bool | Profile = False,
    fuse: str | None = None,
    resolutions: Sequence[int | tuple[int, int]] | None = None,
    nested: bool = False,
    **settings: Unpack[Settings],
) -> Explanation | Scales: ...


@spelt_out(Explainer)
def explain(
    image: Any,
    model: Any,
    target: Any = None,
    *,
    progress: bool | Report = True,
    profile: bool | Profile = False,
    fuse: str | None = None,
    resolutions: Sequence[int | tuple[int, int]] | None = None,
    nested: bool = False,
    **settings: Unpack[Settings],
) -> Explanation | Scales:
    """Explain one decision: the input's regions in the order in which they carry it.

    Args:
        image: uint8 [H, W, 3] RGB, a PIL image, a path, or a float tensor [C, *grid] in model space; a signal or ids
            [N], which the model gets as [B, N]; what the scorer reads itself, such as a table's row.
        model: A scorer (:mod:`pysmdl.scorers`); a model as its library has it, with what :func:`pysmdl.adapt` needs to
            know of it (timm's say it themselves); any callable from a batch [B, C, H, W] to logits [B, K]; the path of
            a file with one (TorchScript, .pt2, .onnx), or an endpoint's URL: images go into these as pixel / 255 at
            their own size.
        target: A class, by its index or its name, or None for the model's own top class; a :class:`pysmdl.Box` for a
            detector, or a class or None: its best box of that class, or of all; :class:`pysmdl.Tokens` for a token
            scorer.
        progress: A bar on the terminal, or a callback that is given a :class:`pysmdl.progress.Progress`.
        profile: True, or a :class:`pysmdl.Profile` to fill: ``notes["profile"]`` is its report. One more row goes
            through the model afterwards, to count its FLOPs.
        fuse, resolutions, nested: Of several partitions, or of one seen at several sizes: how their maps become one,
            "mean" where nobody says; what the image is resized to in turn; and whether each partition divides only what
            was enough at the one before. See :func:`pysmdl.explain_scales`, whose :class:`pysmdl.scales.Scales` is the
            answer then.
        players: What it is divided into. None: what suits the input. Of images "slico", "slico:50", "slico-opencv",
            "seeds", "grid", or a function of the pixels to any of these; of what is no image "time:20", "bands:8x6",
            "tubes:4x4x4", "columns", "grid:4x4x4"; an int label map (-1: always shown), bool masks [n, *grid], a list
            of names, or :func:`pysmdl.regions.players` with groups and weights. See :mod:`pysmdl.regions`. Several
            partitions, the coarse ones first, as ["slico:25", "slico:100"], are explained each, with one map of all. Of
            several inputs by name: {"photo": "grid"}; "shown" leaves one as it is.
        regions: The same, as it is called where there is a grid.
        baseline: What an absent region looks like where it is painted over: "black", "zero", "mean", "blur", or numbers
            in model space; a function of the input and of what is hidden; a fill that is drawn, such as
            :func:`pysmdl.removal.marginal`; None: the scorer's, "black". See :func:`pysmdl.removal.baseline_of`.
        removal: What absence means: "baseline", painting over; "token-drop", leaving an absent region's patches out of
            a vision transformer (there is no baseline then); or a :class:`pysmdl.removal.Removal` of your own. None:
            what the scorer is made for, "baseline" if nothing.
        preset: A paper's objective and search in one word: "smdl", "lima", "vps", "vps-grounding", "eagle",
            "eagle-scoped", "phasewin" or "phasewin-florence". A term that needs features is left out where there are
            none; the notes say so.
        objective: None: :func:`pysmdl.pair`, equal weights of the view kept and the view removed; a name ("pair",
            "smdl", "lima", "vps", "eagle": with the paper's weights for CLIP where the scorer has prototypes, else with
            those for a single network), or a set function.
        search: None: :func:`pysmdl.search.guided`, the best measured, with up to 8 subsets at a time at an endpoint; a
            name or a search of :mod:`pysmdl.search`, or a method of :mod:`pysmdl.methods`.
        names: Names of the classes: a sequence, {class: name}, or torchvision's weights; None: what the model carries.
        trace: Another class whose curves are wanted too, or several; "predicted" is the model's own top class.
        k: Stop after this many regions.
        evaluations: Budget of model evaluations, curves included.
        batch_size: Rows of a forward pass; None lets the engine choose.
        device: Where the model runs; None: where its parameters are.
        seed: Of the searches that draw samples.
        until: "decided": stop at the first regions that give the decision by themselves (the minimal sufficient
            subset along the order); orders them only.
        processor, transform, tokenizer, prompts, prompt, answer, gives, head, decode: Of a model that is no scorer yet:
            see :func:`pysmdl.adapt`.
        config: An :class:`pysmdl.EngineConfig`, for all else.

    Raises:
        ValueError: an argument is out of range or unknown; the message says what would have been right.
        TypeError: no such setting.
        ImageError, RegionError: the image or the regions cannot be used.
        ScorerError: the model failed; ``.partial`` holds what was settled.
        SearchError: a search of your own breaks what was agreed.
        KeyboardInterrupt: Ctrl-C; its ``.partial`` holds what was settled until then, or the best order known where a
            search settles nothing from the start before it ends, with ``notes["stopped"] == "interrupted"``.
        RuntimeError: another profile is active.
    """
    if not isinstance(profile, (bool, Profile)):
        raise ValueError(f"profile must be True, False or a pysmdl.Profile; got {profile!r}")
    scales = scales_of(settings, fuse, resolutions, nested)
    if scales is not None:
        if profile is not False:
            raise ValueError("profile is of one explanation; leave it out, or give one partition and no resolutions")
        rest: Any = {name: value for name, value in settings.items() if name not in ("players", "regions")}
        how: Any = {"resolutions": resolutions, "fuse": fuse or "mean", "nested": nested, "progress": progress}
        return explain_scales(image, model, target, scales=scales, **how, **rest)
    kept = (Profile() if profile else None) if isinstance(profile, bool) else profile
    run = Explainer(model, **settings).run([{"image": image, "target": target}], progress, profile=kept)
    partial: list[Explanation] = []
    try:
        partial += run
    except KeyboardInterrupt:
        raise Interrupted(tuple(partial)) from None
    (found,) = partial
    if kept is not None:
        found.notes["profile"] = kept.report()
    return found


@spelt_out(Explainer)
def explain_steps(
    image: Any,
    model: Any,
    target: Any = None,
    *,
    progress: bool | Report = False,
    **settings: Unpack[Settings],
) -> Iterator[Step]:
    """Explain one decision and yield each region as soon as its place is settled, the most important first.

    Searches that fill the order from its start (exact, bidirectional, scoped ...) yield as they go; others at the end.
    The last step carries the explanation. Arguments are those of :func:`explain`, but for profile.
    """
    yield from Explainer(model, **settings).steps({"image": image, "target": target}, progress)


@spelt_out(Explainer)
def explain_many(
    items: Iterable[Any],
    model: Any,
    *,
    progress: bool | Report = True,
    ordered: bool = False,
    on_error: OnError = "raise",
    profile: Profile | None = None,
    **settings: Unpack[Settings],
) -> Iterator[Explanation]:
    """Explain a stream of inputs on one engine that shares batches between them.

    Args:
        items: Images, (image, target) pairs, or dicts with image and, optionally, target (or label), id, regions,
            baseline. May be a generator, which is read here as places become free, on a GPU a few items ahead; what it
            raises is raised when all that it gave is explained. A path must stay good until its item is explained.
        model: As in :func:`explain`.
        ordered: Yield in the order of the items instead of as each is done.
        on_error: "raise": finish what is in flight, then raise the first error. "skip": log each and go on. A function:
            it is called with an item's number and its error, and the rest goes on; ``partial`` of a
            :class:`pysmdl.errors.ScorerError` holds what was settled.
        profile: A :class:`pysmdl.Profile` to fill; it pauses while the caller has the turn. Its ``report()`` covers
            all items explained so far.
        **settings: As in :func:`explain`.

    Yields:
        An explanation each; ``index`` is the item's number, ``id`` the item's own. Ctrl-C yields what is settled of
        each item in flight, then is raised.
    """
    if profile is not None and not isinstance(profile, Profile):
        raise ValueError(
            f"profile must be a pysmdl.Profile, whose report() covers the stream, or None; got {profile!r}"
        )
    explainer = Explainer(model, **settings)  # bad settings fail here, not at the first item
    return explainer.run(items, progress, on_error, profile, ordered)
