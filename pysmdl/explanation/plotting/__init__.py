"""Pictures of explanations, as matplotlib figures: kinds by name, and several explanations beside each other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import one_of
from pysmdl.explanation.data import ExplanationData
from pysmdl.explanation.plotting import kinds, modalities, several
from pysmdl.explanation.plotting.canvas import canvas
from pysmdl.explanation.plotting.layout import Panel, Strip, figure_of
from pysmdl.explanation.plotting.named import Named, differences
from pysmdl.explanation.plotting.panels import limits, scale
from pysmdl.explanation.sheets import with_sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["KINDS", "figure", "fused", "plot"]

KINDS: dict[str, Callable[..., list[Strip]]] = {
    "row": kinds.row,
    "map": partial(kinds.alone, kinds.map_panel),
    "order": partial(kinds.alone, kinds.order_panel),
    "steps": kinds.steps,
    "mistake": kinds.mistake,
}
OTHERS: dict[str, Callable[[Named], list[Strip]]] = {
    "row": modalities.row,
    "map": modalities.alone,
    "bars": modalities.bars_alone,
    "curves": lambda named: [Strip([kinds.curves_panel(named, named.why)])],
}
SEVERAL = {"row": several.row, "map": several.alone}
BESIDE = ("row", "map", "order", "curves")


def figure(
    explanation: ExplanationData,
    pixels: Any = None,
    names: Sequence[str] | Mapping[int, str] | None = None,
    kind: str = "row",
) -> Figure:
    """A picture of one explanation; a row of one whose regions divide no image is its curves.

    Raises:
        ValueError: no such kind, no image to draw on, or no other class traced for "mistake".
        ImageError: what was handed in is no image.
    """
    named = Named(explanation, names)
    _check(kind, (*KINDS, "curves", "bars"))
    if explanation.inputs and pixels is None and kind in SEVERAL:
        return figure_of(SEVERAL[kind](named))
    if kind in OTHERS and (kind == "bars" or (explanation.modality != "image" and pixels is None)):
        return figure_of(OTHERS[kind](named))
    if kind == "curves" or (kind == "row" and explanation.labels.ndim != 2):
        return figure_of([Strip([kinds.curves_panel(named, named.why)])])
    if explanation.modality != "image" and pixels is None:
        explanation = with_sheet(explanation)
    return figure_of(KINDS[kind](Named(explanation, names), canvas(explanation, pixels)))


def plot(
    explanations: ExplanationData | Iterable[ExplanationData],
    kind: str = "map",
    titles: Sequence[str] | None = None,
    names: Sequence[str] | Mapping[int, str] | None = None,
) -> Figure:
    """Several explanations in one picture: rows below each other, or maps, orders or curves side by side. Maps share
    one colour scale, curves one axis.

    Args:
        explanations: One or more, say of one input by two methods, or of two inputs.
        kind: "map", "order", "curves" or "row".
        titles: A word for each; None: what differs of id, search and objective.
        names: As in ``Explanation.plot``.

    Raises:
        ValueError: no explanation, no such kind, titles of another number, or no image to draw on.
    """
    _check(kind, BESIDE)
    several = [explanations] if isinstance(explanations, ExplanationData) else explanations
    found = [each if each.modality == "image" else with_sheet(each) for each in several]
    if not found:
        raise ValueError("explanations must hold at least one; got none")
    listed = isinstance(titles, Collection) and not isinstance(titles, str)
    if titles is not None and not (listed and len(titles) == len(found)):
        got = len(titles) if listed else repr(titles)
        raise ValueError(f"titles must be one for each of {len(found)} explanations; got {got}")
    words = differences(found) if titles is None else list(map(str, titles))
    named = [Named(each, names) for each in found]
    if kind == "row":
        rows = [kinds.row(each, canvas(each.explanation)) for each in named]
        return figure_of(
            [
                replace(strip, heading="" if place else word)
                for row, word in zip(rows, words, strict=True)
                for place, strip in enumerate(row)
            ]
        )
    return figure_of([Strip(list(_beside(kind, named, words)))])


def fused(
    explanations: Sequence[ExplanationData],
    value_map: Callable[[tuple[int, int]], NDArray[np.float64]],
    titles: Sequence[str],
    word: str,
) -> Figure:
    """Maps of an image's partitions side by side, and one map of all of them.

    Args:
        explanations: Of one image.
        value_map: From (height, width) to that map at this size.
        titles: A word for each.
        word: Above the map of all.
    """
    named = [Named(each, None) for each in explanations]
    on = canvas(explanations[0])
    points = value_map((on.pixels.shape[0], on.pixels.shape[1]))
    whole = kinds.fused_panel(named[0], on, points, f"{word}\n{named[0].why}".strip())
    return figure_of([Strip([*_beside("map", named, titles), whole])])


def _beside(kind: str, named: Sequence[Named], words: Sequence[str]) -> Iterable[Panel]:
    found = [each.explanation for each in named]
    if kind == "curves":
        shared = limits(np.concatenate([np.concatenate((each.insertion, each.deletion)) for each in found]))
        for each, word in zip(named, words, strict=True):
            yield kinds.curves_panel(each, f"{word}\n{each.why}".strip(), shared)
        return
    most = max(scale(each, np.nan_to_num(each.values())) for each in found)
    for each, word in zip(named, words, strict=True):
        on = canvas(each.explanation)
        if kind == "order":
            yield kinds.order_panel(each, on, word=word)
        else:
            yield kinds.map_panel(each, on, word=word, most=most)


def _check(kind: str, known: Iterable[str]) -> None:
    if kind not in known:
        raise one_of("kind", kind, known)
