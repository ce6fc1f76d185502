"""What an explanation holds and what can be read off it. Arrays and plain values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.checks import image_size
from pysmdl.errors import number, one_of, share, yes_or_no
from pysmdl.explanation.parts import Part
from pysmdl.explanation.values import Frame, Values, gains, grouped, labels_at, ranks, spread
from pysmdl.types import Bools, Floats, Ints

NEARLY = 0.02  # a score this close to another is as good, in what they are told apart by
FLAT = 0.02  # curves that stay within this much of one value, or of the largest score above 1, decide nothing
KINDS = ("auto", "gain", "attribution")
CALLED = {  # players, and what they are shares of, by modality; of others "players" and "input"
    "image": ("regions", "area"),
    "sound": ("segments", "time"),
    "spectrogram": ("bands", "area"),
    "clip": ("tubes", "clip"),
    "volume": ("blocks", "volume"),
    "table": ("columns", "columns"),
    "text": ("spans", "text"),
    "ids": ("positions", "positions"),
    "values": ("positions", "positions"),
    "wavelet": ("coefficients", "transform"),
}


@dataclass(eq=False)
class ExplanationData:
    """The regions of one input by importance, and what the model said along the way.

    ``k`` regions are ordered. Curve point j is the view after the first j of them, j = 0..k; point 0 is the empty view
    for insertion and the full input for deletion. A point that was never measured (a search cut short) is NaN.

    Attributes:
        order: Regions, most important first. [k], int64.
        score: F of the first j + 1 regions. [k], float32.
        terms: Each term of F by name, unweighted. [k] each.
        insertion: Target score with the first j regions kept. [k + 1], float32.
        deletion: Target score with them removed. [k + 1], float32.
        area: Share of the removable area after j regions. [k + 1], float32.
        labels: Region of each grid point, -1 for always shown. [*grid], int32.
        target: What was explained: a class index, or the target's own description.
        traced: Insertion and deletion curves of other classes traced along. {class: [2, k + 1]}.
        predicted: The model's top class at each curve point, kept and removed. [2, k + 1], int64; -1 where unknown.
        evaluations: Distinct rows the model saw, curves included.
        asked: Rows asked for before the memo of subsets saved any.
        seconds: Wall time from admission to the last answer.
        violations: How often a region's gain grew from one step to the next: F is not submodular there.
        notes: What else the run has to say (its search, objective, seed, whether it was stopped ...).
        id: The caller's name of the input.
        index: Its number among the inputs of the call.
        pixels: The image as given, uint8 [H, W, 3], for pictures; of an explanation read from disk a small one.
        size: Height and width of the image as given, where it was one.
        frame: Where the regions' grid lies in the image, which the model may see a crop of: x0, y0, x1, y1 as shares of
            its width and height. None: all of it.
        names: Names of the classes that it speaks of, where they are known.
        provenance: What made it: model, input, regions, versions, source ...; plain values.
        reading: The scorer's other numbers at each curve point, kept and removed, by name (boxes, IoU, per-token
            scores). [2, k + 1, ...] each.
        attribution: A value for each region, of methods that give one. [n], float32, or None.
        players: What each region is called: a column's name, a span's text, a segment's seconds. [n]; empty where
            regions have no names, as those of images.
        groups: What each region belongs to, such as a modality. [n], or empty.
        modality: What the input is: "image", "sound", "spectrogram", "clip", "volume", "table", "text", "ids",
            "values", "several"; "" where nobody knows.
        shown: What pictures are drawn from where it is no image: a signal [N], a spectrogram [F, T], a clip's frames
            uint8 [T, H, W, 3], a volume [D, H, W], a row [F], a text's code points [characters]; of an explanation
            read from disk a small one.
        rate: Points a second along the last axis, of a sound.
        covers: Where each region is, if they overlap: labels then have the smallest at each point. bool [n, *grid].
        cover: Whether such a point is shown while "any" region that covers it is kept, or while "all" are.
        inputs: Of several inputs at once, what is shown of each, by name.
    """

    order: NDArray[np.int64]
    score: Floats
    terms: dict[str, Floats]
    insertion: Floats
    deletion: Floats
    area: Floats
    labels: Ints
    target: Any
    traced: dict[int, Floats] = field(default_factory=dict)
    predicted: NDArray[np.int64] | None = None
    evaluations: int = 0
    asked: int = 0
    seconds: float = 0.0
    violations: int = 0
    notes: dict[str, Any] = field(default_factory=dict)
    id: str | None = None
    index: int = 0
    pixels: NDArray[np.uint8] | None = None
    reading: dict[str, Floats] = field(default_factory=dict)
    attribution: Floats | None = None
    size: tuple[int, int] | None = None
    frame: Frame | None = None
    names: dict[int, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    players: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    modality: str = "image"
    shown: NDArray[Any] | None = None
    rate: float | None = None
    covers: Bools | None = None
    cover: str = "any"
    inputs: dict[str, Part] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of regions of the input."""
        return len(self.players) or int(self.labels.max()) + 1

    @property
    def pictured(self) -> bool:
        """Whether there is a picture, and the players lie on it."""
        return self.pixels is not None and self.labels.ndim == 2

    @property
    def called(self) -> str:
        """What the players are called: regions of an image, segments of a sound, columns of a table."""
        return CALLED.get(self.modality, ("players", ""))[0]

    @property
    def extent(self) -> str:
        """What the players are shares of: an image's area, a sound's time; of players that overlap all of them."""
        if self.covers is not None:
            return self.called
        return CALLED.get(self.modality, ("", "input"))[1]

    @property
    def insertion_auc(self) -> float:
        """Area under the insertion curve over the area reached, divided by it. Higher is better."""
        return self._auc(self.insertion)

    @property
    def deletion_auc(self) -> float:
        """Area under the deletion curve, likewise. Lower is better."""
        return self._auc(self.deletion)

    @property
    def normalised_auc(self) -> tuple[float, float]:
        """Both areas, insertion's and deletion's, on a scale where the empty view scores 0 and the full input 1.

        (AUC - f(empty)) / (f(V) - f(empty)): what scores without bounds can be compared by. NaN where both score alike.
        """
        empty, full = float(self.insertion[0]), float(self.deletion[0])
        if full == empty:
            return float("nan"), float("nan")
        return (self.insertion_auc - empty) / (full - empty), (self.deletion_auc - empty) / (full - empty)

    def highest_confidence(self, area: float = 1.0) -> float:
        """Highest target score of the insertion curve within this share of the area (SMDL's table 2).

        Raises:
            ValueError: area is not above 0 and at most 1.
        """
        return _highest(self.insertion[self.area <= share("area", area) + 1e-6])

    def best_step(self, within: float = 0.0) -> int:
        """The fewest regions whose target score comes `within` so many of :attr:`unit` of the highest on the insertion
        curve.
        """
        within = self.unit * number("within", within, least=0)
        return int(np.argmax(self.insertion >= _highest(self.insertion) - within))

    def enough(self, within: float = NEARLY) -> int:
        """The fewest regions that alone come within so many of :attr:`unit`, 0.02 of them, of the full input's score;
        of the highest score on the insertion curve where the full input has not half of that (counted from the lowest
        score, where there are scores below 0), as where a wrong prediction is set right.
        """
        within = self.unit * number("within", within, least=0)
        highest, full = _highest(self.insertion), float(self.deletion[0])
        low = min(0.0, -_highest(-self.insertion))
        goal = full if full - low >= (highest - low) / 2 else highest
        return int(np.argmax(self.insertion >= min(goal, highest) - within))

    @property
    def said(self) -> int:
        """The model's own top class for the full input; -1 where it is not known."""
        return -1 if self.predicted is None else int(self.predicted[1, 0])

    @property
    def reach(self) -> tuple[float, float]:
        """Lowest and highest score that was measured on both curves; NaN where none was."""
        scores = np.concatenate((self.insertion, self.deletion))
        known = scores[np.isfinite(scores)]
        return (float(known.min()), float(known.max())) if len(known) else (float("nan"), float("nan"))

    @property
    def unit(self) -> float:
        """What scores are told apart by: 1 where all that was measured lie from 0 to 1, as probabilities do; else the
        span from the lowest to the highest, so that it does not matter in what units a model answers.
        """
        low, high = self.reach
        return high - low if low < 0 or high > 1 else 1.0

    @property
    def flat(self) -> bool:
        """Whether nothing decides: the score stays within 0.02 of one value along both curves, relative to the largest
        score where that is above 1.
        """
        low, high = self.reach
        return not high - low > FLAT * max(1.0, abs(low), abs(high))

    def values(self, kind: str = "auto") -> Values:
        """What each region did. [n], float64, signed, in units of the score.

        Args:
            kind: "gain": g[o_k] = ((I_k - I_(k-1)) + (D_(k-1) - D_k)) / 2 for the region at place k, I and D the
                insertion and deletion curves; 0 for regions not ordered, NaN where a point was not measured. Along a
                full order they add up to the full input's score less the empty one's. "attribution": the method's own.
                "auto": the attribution where there is one, else the gain.

        Raises:
            ValueError: no such kind, or an attribution of a method that gives none.
        """
        if kind not in KINDS:
            raise one_of("kind", kind, KINDS)
        if kind == "attribution" and self.attribution is None:
            raise ValueError(f"kind must be gain or auto: {self.notes.get('search')} gives no attribution")
        if kind == "gain" or self.attribution is None:
            return gains(self.order, self.insertion, self.deletion, self.n)
        return self.attribution.astype(np.float64)

    def by_group(self, values: Values | None = None) -> dict[str, float]:
        """Values added up by group, in the order in which the groups come first.

        Args:
            values: One a region [n]; None: :meth:`values`. NaN counts as 0.

        Raises:
            ValueError: the regions have no groups, or there are more or fewer values.
        """
        return grouped(self.groups, self.values() if values is None else values)

    def value_map(
        self, kind: str = "auto", positive: bool = False, density: bool = True, size: tuple[int, int] | None = None
    ) -> Values:
        """:meth:`values` as a map: each point carries its region's. [*grid]; always shown points carry 0.

        Args:
            kind: As in :meth:`values`; a value that is not known counts as 0.
            positive: Negative values count as 0.
            density: Divide each value by its region's points, so that the map adds up to the values.
            size: (height, width) of an image to lay the map on, by the nearest point; 0 outside the frame. None: the
                regions' own grid.

        Raises:
            ValueError: as :meth:`values`, or a size where the regions divide no image.
        """
        values, size = self.values(kind), None if size is None else image_size("size", size)
        positive, density = yes_or_no("positive", positive), yes_or_no("density", density)
        if self.covers is not None:
            return self._covered(np.maximum(values, 0) if positive else values, density, size)
        labels = self.labels if size is None else labels_at(self._image_labels("value_map(size=)"), size, self.frame)
        return spread(np.maximum(values, 0) if positive else values, labels, density)

    def _covered(self, values: Values, density: bool, size: tuple[int, int] | None) -> Values:
        """The map of regions that overlap: a point carries the sum over those that cover it."""
        assert self.covers is not None
        flat = self.covers.reshape(len(values), -1)
        shared = np.nan_to_num(values) / (flat.sum(1) if density else 1.0)
        found: Values = (shared @ flat).reshape(self.labels.shape)
        if size is None:
            return found
        self._image_labels("value_map(size=)")
        own = np.arange(found.size, dtype=np.int32).reshape(found.shape)
        points = labels_at(own, size, self.frame)
        return np.where(points < 0, 0.0, found.ravel()[points])

    def saliency(self) -> Floats:
        """The papers' picture: ranks, not what regions did (:meth:`value_map`). [*grid], 0 to 1; always shown points
        get 0.

        With s_k = insertion + 1 - deletion after k regions: v_k = v_(k-1) - |s_k - s_(k-1)|, region k gets v_k,
        min-max scaled; all zeros where s is constant. So early places are hot whatever they did. Regions that were not
        ordered get the least. Where a point was never measured (a search cut short), s counts as unchanged.
        """
        return ranks(self.order, self.insertion, self.deletion, self.n)[self.labels]

    def overlay(self, size: tuple[int, int] | None = None) -> Floats:
        """:meth:`saliency` at the image's own size, or any other (height, width); nearest point. [H, W].

        Raises:
            ValueError: the regions divide no image, but a grid of another number of axes.
        """
        labels = self._image_labels("overlay()")
        own = self.pixels.shape[:2] if self.pixels is not None else labels.shape
        height, width = own if size is None else image_size("size", size)
        shown = labels_at(labels, (height, width), self.frame)
        return ranks(self.order, self.insertion, self.deletion, self.n)[shown]

    def _image_labels(self, what: str) -> Ints:
        if self.labels.ndim != 2:
            shape = list(self.labels.shape)
            raise ValueError(f"{what} is of images; these regions divide a grid {shape}: use saliency() or value_map()")
        return self.labels

    def _auc(self, curve: Floats) -> float:
        reached = float(self.area[-1])
        return float(np.trapezoid(curve, self.area) / reached) if reached > 0 else float(curve[0])


def counted(count: int, called: str) -> str:
    """So many of what players are called, which is a word in the plural."""
    return f"{count} {called[:-1] if count == 1 else called}"


def _highest(curve: Floats) -> float:
    """Of the points that were measured; NaN where none was."""
    return float(np.nanmax(curve)) if np.isfinite(curve).any() else float("nan")
