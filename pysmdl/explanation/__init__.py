"""Explanation: what a search found for one input, with the curves that prove it, as a picture and as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

from pysmdl.errors import number, one_of, whole_number, yes_or_no
from pysmdl.explanation import authors, files, notebook, parts, views, words
from pysmdl.explanation.data import ExplanationData
from pysmdl.explanation.stored import LIMIT, read

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Explanation", "load"]


@dataclass(eq=False, repr=False)
class Explanation(ExplanationData):
    __doc__ = ExplanationData.__doc__

    def plot(
        self, pixels: Any = None, names: Sequence[str] | Mapping[int, str] | None = None, *, kind: str = "row"
    ) -> Figure:
        """A picture, as a matplotlib figure. The curves alone where the regions divide no image.

        Args:
            pixels: The image, as :func:`pysmdl.explain` takes it; needed where neither it nor a small picture is kept.
            names: Names of the classes, for the titles; None: those it has. A class of which there is none keeps its
                number.
            kind: "row": the order, what each region did, what is enough, the curves. "map", "order", "curves": one of
                these. "steps": the views kept and removed, step by step. "mistake": what speaks for the target and
                what for another class that was traced along.

        Raises:
            ValueError: no such kind; no image to draw on; no other class for "mistake".
        """
        from pysmdl.explanation.plotting import figure

        return figure(self, pixels, names, kind)

    def verbalise(self, names: Sequence[str] | Mapping[int, str] | None = None, top: int = 3) -> str:
        """What decides, in two or three sentences, each number of which is true.


        Args:
            names: As in :meth:`plot`.
            top: Regions that are named.
        """
        return words.verbalise(self, names, whole_number("top", top, 0))

    def view(self, k: int | None = None, fill: float = 0) -> Any:
        """What the first k regions alone show of the input: an image, a sound's samples to be played, a clip's frames,
        a text; of several inputs a dict of these, by name; of coefficients the image that they make.

        Args:
            k: How many; None: those that are enough.
            fill: What stands in the place of the rest.

        Raises:
            ValueError: the input is not at hand, as after a file was read, which keeps a small picture of what is no
                image.
        """
        return views.view(self, k, number("fill", fill))

    def part(self, name: str) -> Explanation:
        """Of several inputs at once, this one as if it were alone: its map, its picture, its view. Its players' places
        and values stay those among the players of all, and so do the curves.

        Raises:
            ValueError: there is no input of this name.
        """
        if not self.inputs:
            raise ValueError(f"name is of one of several inputs, and here there is one; got {name!r}")
        if name not in self.inputs:
            raise one_of("name", name, self.inputs)
        return parts.part(self, name)

    @property
    def each(self) -> list[Explanation]:
        """Of several inputs at once each as if it were alone; of one itself."""
        return [parts.part(self, name) for name in self.inputs] or [self]

    def __repr__(self) -> str:
        return words.line(self)

    def _repr_html_(self) -> str:
        """For notebooks: the picture, and what it says in words."""
        return notebook.html(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the pixels, as plain values. NaN becomes None. The label map is given as its shape and runs:
        label, points, label, points ... in the order of its rows.
        """
        return files.to_dict(self)

    def to_json(self, indent: int | None = None) -> str:
        """:meth:`to_dict` as JSON; indented by so many spaces."""
        if indent is not None:
            whole_number("indent", indent, 0)
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
        files.write(self, path, yes_or_no("picture", picture))


def load(path: str | PathLike[str], limit_bytes: int = LIMIT) -> Explanation:
    """Read what :meth:`Explanation.save` wrote.

    Args:
        path: The file.
        limit_bytes: Most that may be unpacked: a forged file of 1 MB unpacks to 1 GB.

    Raises:
        FileNotFoundError: there is no such file.
        StoreError: not such a file, damaged, of a newer schema, or larger than the limit.
    """
    return Explanation(**read(path, whole_number("limit_bytes", limit_bytes, 1)))
