"""A batch as a value: what the device needs of some rows, and whose they are. The device half knows nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from pysmdl.engine.item import Kind
from pysmdl.types import Floats, Ints


@dataclass(slots=True, eq=False)
class Part:
    """Rows of one input.

    Attributes:
        owner: Whose they are. The device hands it back, and asks it for a name where something fails.
        place: Of the input in the pool of its kind.
        bits: Kept regions of each row, [r, W], int32; of a soft search each one's weight, [r, n], float32 as int32.
        target: Row of Scorer.encode.
        wanted: Rows whose features are wanted, as offsets into bits, ascending.
        host: What the removal's plan reads of the input.
        ahead: Rows that nobody has asked for yet, as offsets into bits: what is no number there is nobody's loss.
    """

    owner: Any
    place: int
    bits: Ints
    target: NDArray[Any]
    wanted: Ints
    host: Any
    ahead: Ints

    def cut(self, start: int, stop: int) -> Part:
        """Rows start..stop-1 of it."""
        wanted, ahead = (each[(each >= start) & (each < stop)] - start for each in (self.wanted, self.ahead))
        return Part(self.owner, self.place, self.bits[start:stop], self.target, wanted, self.host, ahead)


@dataclass(slots=True, eq=False)
class Batch:
    """Rows of one forward pass, of one or many inputs of one kind, in one precision.

    Attributes:
        kind: Of the inputs.
        exact: Whether in the model's own precision.
        parts: In the order of the rows.
        rows: Of all parts together.
    """

    kind: Kind
    exact: bool
    parts: list[Part]
    rows: int

    def pieces(self, most: int) -> list[Batch]:
        """The batch in order, cut into batches of at most so many rows."""
        pieces = [Batch(self.kind, self.exact, [], 0)]
        for part in self.parts:
            start, count = 0, len(part.bits)
            while start < count:
                if pieces[-1].rows == most:
                    pieces.append(Batch(self.kind, self.exact, [], 0))
                stop = min(count, start + most - pieces[-1].rows)
                pieces[-1].parts.append(part.cut(start, stop))
                pieces[-1].rows += stop - start
                start = stop
        return pieces

    def apart(self) -> list[Batch]:
        """Each input's rows in a batch of its own."""
        return [Batch(self.kind, self.exact, [part], len(part.bits)) for part in self.parts]


@dataclass(slots=True)
class Answer:
    """Batches answered.

    Attributes:
        parts: (part, whether exact, values [r, V], features of the rows wanted or None) of those that went well, in
            the order in which they were sent.
        failed: The owners whose rows failed, with why; none of their parts is above.
        rows: Rows answered.
    """

    parts: list[tuple[Part, bool, Floats, Floats | None]] = field(default_factory=list)
    failed: dict[Any, Exception] = field(default_factory=dict)
    rows: int = 0
