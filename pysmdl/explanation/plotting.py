"""Pictures of an explanation: heat map, best subset, insertion and deletion curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.explanation.data import ExplanationData
from pysmdl.inputs.image_files import Pixels, load
from pysmdl.targets import outline, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEARLY = 0.02  # the subset marked is the smallest that comes this close to the highest score
KEPT, GONE, MARK = "#1b6ca8", "#c8553d", "#444444"  # insertion, deletion, the best subset


def figure(explanation: ExplanationData, pixels: Any = None, names: Sequence[str] | None = None) -> Figure:
    """One row: image, heat map, best subset (the smallest that nearly reaches the highest score), curves. The curves
    alone where regions divide no image.

    Raises:
        ValueError: no image to draw on (a loaded explanation has none; hand it in).
        ImageError: what was handed in is no image.
    """
    from matplotlib.figure import Figure

    best = explanation.best_step(NEARLY)
    if explanation.labels.ndim != 2:
        alone = Figure(figsize=(5, 3.4), layout="tight")
        axes = alone.subplots()
        curves(axes, explanation, best)
        axes.set_title(_title(explanation, names), fontsize=9, pad=32, parse_math=False)  # above the legend
        return alone
    image = explanation.pixels if pixels is None else load(pixels)
    if image is None:
        raise ValueError(
            "there is no image to draw on: an explanation loaded from disk, or of a tensor that is no picture, needs "
            "plot(pixels=...)"
        )
    fig = Figure(figsize=(13, 3.4))
    panels = fig.subplots(
        1,
        4,
        width_ratios=(1, 1, 1, 1.3),
        gridspec_kw={"left": 0.01, "right": 0.985, "top": 0.85, "bottom": 0.14, "wspace": 0.3},
    )
    _picture(panels[0], image, _title(explanation, names))
    _outline(panels[0], explanation)
    _picture(panels[1], image, "importance")
    heat = explanation.overlay((image.shape[0], image.shape[1]))
    panels[1].imshow(heat, cmap="turbo", alpha=0.55, vmin=0, vmax=1)
    share = 100 * float(explanation.area[best])
    shown = f"{best} of {explanation.n} regions, {share:.0f} % of the area"
    _picture(panels[2], masked(explanation, image, best), shown)
    curves(panels[3], explanation, best)
    return fig


def masked(explanation: ExplanationData, pixels: Pixels, regions: int) -> Pixels:
    """The image with all but the first `regions` regions dimmed to a fifth."""
    keep = np.isin(explanation.labels, explanation.order[:regions]) | (explanation.labels < 0)
    rows = np.arange(pixels.shape[0]) * keep.shape[0] // pixels.shape[0]
    columns = np.arange(pixels.shape[1]) * keep.shape[1] // pixels.shape[1]
    shown = keep[np.ix_(rows, columns)][:, :, None]
    return np.where(shown, pixels, pixels // 5).astype(np.uint8)


def curves(axes: Axes, explanation: ExplanationData, best: int) -> None:
    """Insertion and deletion against the share of the area, the best subset marked."""
    area = explanation.area
    axes.plot(area, explanation.insertion, color=KEPT, label=f"insertion, AUC {explanation.insertion_auc:.3f}")
    axes.plot(area, explanation.deletion, color=GONE, label=f"deletion, AUC {explanation.deletion_auc:.3f}")
    axes.axvline(area[best], color=MARK, linewidth=0.8, linestyle=":")
    axes.plot(
        area[best],
        explanation.insertion[best],
        "o",
        color=MARK,
        markersize=5,
        clip_on=False,
        label=f"{best} regions, {explanation.insertion[best]:.3f}",
    )
    axes.set_xlim(0, float(area[-1]) or 1)
    axes.set_ylim(*_limits(explanation))
    axes.set_xlabel("share of the area kept or removed", fontsize=9)
    axes.set_ylabel("score of the target", fontsize=9)
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(  # above: inside it would lie on a curve
        frameon=False,
        fontsize=8,
        ncols=2,
        columnspacing=1.2,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0.2,
    )


def _limits(explanation: ExplanationData) -> tuple[float, float]:
    """Of the score: 0 to 1, or further where a cosine or a confidence goes further, and a margin."""
    scores = np.concatenate((explanation.insertion, explanation.deletion, (0, 1)))
    low, high = float(np.nanmin(scores)), float(np.nanmax(scores))
    margin = 0.02 * (high - low)
    return low - margin, high + margin


def _picture(axes: Any, image: NDArray[np.uint8], title: str) -> None:
    axes.imshow(image)
    axes.set_title(title, fontsize=9, parse_math=False)  # names of classes may hold any character
    axes.set_axis_off()


def _outline(axes: Any, explanation: ExplanationData) -> None:
    """The box that is explained, where a box is."""
    corners = outline(explanation.target)
    if corners is not None:
        from matplotlib.patches import Rectangle

        x0, y0, x1, y1 = corners
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, color=GONE, linewidth=2))


def _title(explanation: ExplanationData, names: Sequence[str] | None) -> str:
    why = f"why {title(explanation.target, names)}? {float(explanation.deletion[0]):.2f}"
    said = -1 if explanation.predicted is None else int(explanation.predicted[1, 0])
    return why if said in (explanation.target, -1) else f"{why}\n(the model says {title(said, names)})"
