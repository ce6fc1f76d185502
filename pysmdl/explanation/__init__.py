"""Explanation: what a search found for one input, with the curves that prove it, as a picture and as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import StoreError
from pysmdl.explanation import authors, files
from pysmdl.explanation.data import ExplanationData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Explanation", "load"]


@dataclass(eq=False)
class Explanation(ExplanationData):
    __doc__ = ExplanationData.__doc__

    def plot(self, pixels: NDArray[np.uint8] | None = None, names: Sequence[str] | None = None) -> Figure:
        """Heat map, best subset, insertion and deletion curves, as one matplotlib figure.

        Args:
            pixels: The image [H, W, 3]; needed for explanations that were loaded from disk.
            names: Class names, for the titles.
        """
        from pysmdl.explanation.plotting import figure

        return figure(self, pixels, names)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the label map and the pixels, as plain values. NaN becomes None."""
        return files.to_dict(self)

    def to_json(self, indent: int | None = None) -> str:
        """:meth:`to_dict` as JSON."""
        return files.to_json(self, indent)

    def to_authors_json(self) -> dict[str, Any]:
        """The keys that the published evaluators of SMDL, LiMA, VPS and EAGLE read, step by step.

        Of a box also IoU, confidence and box of the best prediction in each view, of tokens each one's probability.
        """
        return authors.to_authors_json(self)

    def save(self, path: str | PathLike[str]) -> None:
        """Write a compressed .npz: arrays and one JSON text, no pickle. Pixels are left out."""
        files.write(self, path)


def load(path: str | PathLike[str]) -> Explanation:
    """Read what :meth:`Explanation.save` wrote.

    Raises:
        StoreError: not such a file, damaged, or of a newer schema.
    """
    fields = files.read(path)
    try:
        return Explanation(**fields)
    except TypeError as error:
        raise StoreError(f"{path} is not a whole explanation: {error}") from error
