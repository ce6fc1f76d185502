"""Explanation: what a search found for one input, with the curves that prove it, as a picture and as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

from pysmdl.explanation import authors, files
from pysmdl.explanation.data import ExplanationData
from pysmdl.explanation.stored import LIMIT, read

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Explanation", "load"]


@dataclass(eq=False)
class Explanation(ExplanationData):
    __doc__ = ExplanationData.__doc__

    def plot(self, pixels: Any = None, names: Sequence[str] | None = None) -> Figure:
        """Heat map, best subset, insertion and deletion curves, as one matplotlib figure. The curves alone where the
        regions divide no image.

        Args:
            pixels: The image, as :func:`pysmdl.explain` takes it; needed for explanations that were loaded from disk.
            names: Class names, for the titles. A class of which it has none, or empty text, keeps its number.

        Raises:
            ValueError: there is no image, of a loaded explanation or of an input that was given as a tensor.
        """
        from pysmdl.explanation.plotting import figure

        return figure(self, pixels, names)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the pixels, as plain values. NaN becomes None. The label map is given as its shape and runs:
        label, points, label, points ... in the order of its rows.
        """
        return files.to_dict(self)

    def to_json(self, indent: int | None = None) -> str:
        """:meth:`to_dict` as JSON."""
        return files.to_json(self, indent)

    def to_authors_json(self) -> dict[str, Any]:
        """The keys that the published evaluators of SMDL, LiMA, VPS and EAGLE read, step by step.

        Of a box also IoU, confidence and box of the best prediction in each view, of tokens each one's probability.
        """
        return authors.to_authors_json(self)

    def save(self, path: str | PathLike[str], picture: bool = True) -> None:
        """Write a compressed .npz: arrays and one JSON text, no pickle. Where that fails, the file that stood there
        stays.

        Args:
            path: The file.
            picture: Keep a small picture of the image too, 30 kB at most, so that what is loaded can draw itself.
        """
        files.write(self, path, picture)


def load(path: str | PathLike[str], limit_bytes: int = LIMIT) -> Explanation:
    """Read what :meth:`Explanation.save` wrote.

    Args:
        path: The file.
        limit_bytes: Most that may be unpacked: a forged file of 1 MB unpacks to 1 GB.

    Raises:
        FileNotFoundError: there is no such file.
        StoreError: not such a file, damaged, of a newer schema, or larger than the limit.
    """
    return Explanation(**read(path, limit_bytes))
