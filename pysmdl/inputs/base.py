"""What an input is: its content as the model sees it, and as a person looks at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from numpy.typing import NDArray
from torch import Tensor

from pysmdl.inputs.image import InputSpec
from pysmdl.inputs.image_files import Frame, Pixels
from pysmdl.types import Regions


@dataclass(frozen=True)
class Input:
    """One thing that is explained.

    Attributes:
        x: In model space. [C, *grid]; or plain [N], which the model gets as [B, N]: floats, or ids of int32 or int64.
        content: On the grid where regions are masked: what regions are computed from, uint8 [H, W, 3], of a clip
            [T, H, W, 3]. None: nothing to compute them from but the grid.
        picture: What a person looks at, at its own size, uint8 [H, W, 3], or None.
        scale: Width and height of the model's input over what it shows of the given one: targets in its points are
            scaled by it.
        doubt: What to warn of, if anything.
        frame: Where the grid lies in the picture: x0, y0, x1, y1 in its pixels. None: all of it.
        points: Of each point of x, the point of the content that it shows, counted row by row: where the model sees the
            content in parts, or twice, as tiles and a small view of all. [*grid]. None: x is the content's own grid.
        modality: "image", "sound", "spectrogram", "clip", "table", "text", "ids", "values", or one of your own; ""
            where it is nothing that one looks at.
        shown: What pictures of it are drawn from, where it is no image. [*grid] or [T, H, W, 3].
        rate: Points a second along the last axis, of a sound.
        divided: How it is divided where nobody says.
        divide: Its own ways to be divided, by name or whatever else says how, such as a text's words; gives None for
            what is none of them.
    """

    x: Tensor
    content: Pixels | None
    picture: Pixels | None
    scale: tuple[float, float] = (1.0, 1.0)
    doubt: str | None = None
    frame: Frame | None = None
    points: NDArray[Any] | None = None
    modality: str = "image"
    shown: NDArray[Any] | None = None
    rate: float | None = None
    divided: str = "slico"
    divide: Callable[[Any], Regions | None] | None = None

    def spread(self, of_content: NDArray[Any]) -> NDArray[Any]:
        """What is known of each point of the content, as that of each point of x."""
        return of_content if self.points is None else of_content.ravel()[self.points]

    def spread_regions(self, regions: Regions) -> Regions:
        """Regions of the content as those of x."""
        return regions if self.points is None else replace(regions, labels=self.spread(regions.labels))


class Reader(Protocol):
    """One modality: from what a caller gives to an :class:`Input`."""

    def takes(self, given: Any) -> bool:
        """Whether this is what it reads."""

    def read(self, given: Any, spec: InputSpec, computed: bool) -> Input:
        """The input, in memory of its own where it may be read later than now.

        Args:
            given: What `takes` said yes to.
            spec: How the model wants it.
            computed: Whether its regions are computed from its content.
        """

    def lend(self, given: Any) -> tuple[Any, bool]:
        """What may be read later in its place, as the caller may fill its memory anew by then; and whether a thread may
        read it.
        """
