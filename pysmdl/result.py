"""Explanation: what a search found for one input, with the curves that prove it. Arrays and plain values only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import StoreError
from pysmdl.types import Floats, Ints

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA = 1


@dataclass(eq=False)
class Explanation:
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
        pixels: The image as given, uint8 [H, W, 3], for pictures; kept in memory, not on disk.
        reading: The scorer's other numbers at each curve point, kept and removed, by name (boxes, IoU, per-token
            scores). [2, k + 1, ...] each.
        attribution: A value for each region, of methods that give one. [n], float32, or None.
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

    @property
    def n(self) -> int:
        """Number of regions of the input."""
        return int(self.labels.max()) + 1

    @property
    def insertion_auc(self) -> float:
        """Area under the insertion curve over the area reached, divided by it. Higher is better."""
        return self._auc(self.insertion)

    @property
    def deletion_auc(self) -> float:
        """Area under the deletion curve, likewise. Lower is better."""
        return self._auc(self.deletion)

    def highest_confidence(self, area: float = 1.0) -> float:
        """Highest target score of the insertion curve within this share of the area (SMDL's table 2).

        Raises:
            ValueError: area is not above 0 and at most 1.
        """
        if not 0 < area <= 1:
            raise ValueError(f"area must be above 0 and at most 1; got {area}")
        return _highest(self.insertion[self.area <= area + 1e-6])

    def best_step(self, within: float = 0.0) -> int:
        """The fewest regions whose target score comes `within` this much of the highest on the insertion curve."""
        return int(np.argmax(self.insertion >= _highest(self.insertion) - within))

    def saliency(self) -> Floats:
        """Importance of each grid point, 0 to 1. [*grid]; always shown points get 0.

        With s_k = insertion + 1 - deletion after k regions: v_k = v_(k-1) - |s_k - s_(k-1)|, region k gets v_k,
        min-max scaled; all zeros where s is constant. Regions that were not ordered get the least. Where a point was
        never measured (a search cut short), s counts as unchanged.
        """
        s = self.insertion + 1 - self.deletion
        v = -np.nan_to_num(np.abs(np.diff(s.astype(np.float64)))).cumsum()
        values = np.zeros(self.n + 1, np.float32)  # the last entry serves label -1
        span = v.max() - v.min() if len(v) else 0.0
        if span > 0:
            values[self.order] = (v - v.min()) / span
        return values[self.labels]

    def overlay(self, size: tuple[int, int] | None = None) -> Floats:
        """Saliency at the image's own size (or any other), nearest point. [H, W]."""
        height, width = size or (self.pixels.shape[:2] if self.pixels is not None else self.labels.shape)
        rows = np.arange(height) * self.labels.shape[0] // height
        columns = np.arange(width) * self.labels.shape[1] // width
        return self.saliency()[np.ix_(rows, columns)]

    def plot(self, pixels: NDArray[np.uint8] | None = None, names: Sequence[str] | None = None) -> Figure:
        """Heat map, best subset, insertion and deletion curves, as one matplotlib figure.

        Args:
            pixels: The image [H, W, 3]; needed for explanations that were loaded from disk.
            names: Class names, for the titles.
        """
        from pysmdl.plotting import figure

        return figure(self, pixels, names)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the label map and the pixels, as plain values. NaN becomes None."""
        plain: dict[str, Any] = {"schema": SCHEMA, **self._meta(), "n": self.n}
        for name, array in self._arrays().items():
            if name != "labels":
                plain[name] = _plain(array)
        plain |= {"insertion_auc": _plain(self.insertion_auc), "deletion_auc": _plain(self.deletion_auc)}
        return plain

    def to_json(self, indent: int | None = None) -> str:
        """:meth:`to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=indent, default=_number)

    def to_authors_json(self) -> dict[str, Any]:
        """The keys that the published evaluators of SMDL, LiMA, VPS and EAGLE read, step by step."""
        steps = {
            "smdl_score": self.score,
            "insertion_score": self.insertion[1:],
            "deletion_score": self.deletion[1:],
            "consistency_score": self.insertion[1:],
            "collaboration_score": 1 - self.deletion[1:],
            "region_area": self.area[1:],
        }
        for name in ("confidence", "effectiveness"):
            if name in self.terms:
                steps[f"{name}_score"] = self.terms[name]
        return {
            **{name: _plain(values) for name, values in steps.items()},
            "baseline_score": _plain(float(self.insertion[0])),
            "org_score": _plain(float(self.deletion[0])),
            "target_label": self.target,
            "indices": self.order.tolist(),
        }

    def save(self, path: str | PathLike[str]) -> None:
        """Write a compressed .npz: arrays and one JSON text, no pickle. Pixels are left out."""
        meta = json.dumps({"schema": SCHEMA, **self._meta()}, default=_number)
        with Path(path).open("wb") as file:
            arrays: dict[str, Any] = {"meta": np.array(meta), **self._arrays()}
            np.savez_compressed(file, **arrays)

    def _auc(self, curve: Floats) -> float:
        reached = float(self.area[-1])
        return float(np.trapezoid(curve, self.area) / reached) if reached > 0 else float(curve[0])

    def _meta(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "index": self.index,
            "target": self.target,
            "evaluations": self.evaluations,
            "asked": self.asked,
            "seconds": self.seconds,
            "violations": self.violations,
            "notes": self.notes,
        }

    def _arrays(self) -> dict[str, NDArray[Any]]:
        small = np.int16 if self.n < 1 << 15 else np.int32
        arrays: dict[str, NDArray[Any]] = {
            "order": self.order,
            "score": self.score,
            "insertion": self.insertion,
            "deletion": self.deletion,
            "area": self.area,
            "labels": self.labels.astype(small),
        }
        optional = {"predicted": self.predicted, "attribution": self.attribution}
        arrays |= {name: values for name, values in optional.items() if values is not None}
        arrays |= {f"terms.{name}": values for name, values in self.terms.items()}
        arrays |= {f"traced.{name}": values for name, values in self.traced.items()}
        arrays |= {f"reading.{name}": values for name, values in self.reading.items()}
        return arrays


def load(path: str | PathLike[str]) -> Explanation:
    """Read what :meth:`Explanation.save` wrote.

    Raises:
        StoreError: not such a file, damaged, or of a newer schema.
    """
    try:
        with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = dict(file)
            meta = json.loads(str(arrays.pop("meta")))
        schema = meta.pop("schema")
    except FileNotFoundError:
        raise
    except Exception as error:
        raise StoreError(f"{path} is not a saved explanation: {error}") from error
    if schema > SCHEMA:
        raise StoreError(f"{path} was written by a newer pysmdl: this one reads schema {SCHEMA} at most")
    try:
        return _from_arrays(arrays, meta)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} is not a whole explanation: {error}") from error


def _from_arrays(arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> Explanation:
    found: dict[str, Any] = {"terms": {}, "traced": {}, "reading": {}, **meta}
    for name, array in arrays.items():
        group, dot, key = name.partition(".")
        if dot:
            found[group][int(key) if group == "traced" else key] = array
        else:
            found[name] = array
    found["labels"] = found["labels"].astype(np.int32)
    return Explanation(**found)


def _highest(curve: Floats) -> float:
    """Of the points that were measured; NaN where none was."""
    return float(np.nanmax(curve)) if np.isfinite(curve).any() else float("nan")


def _number(value: Any) -> Any:
    """A NumPy number as Python's, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"notes must hold plain values; got {type(value).__name__}")


def _plain(value: Any) -> Any:
    """Arrays and floats as JSON has them: lists, and None for NaN."""
    if isinstance(value, np.ndarray):
        return [_plain(each) for each in value.tolist()]
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
