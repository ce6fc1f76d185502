"""Entries: what a job explains, one by one: an id, and how to come by the input when its turn comes."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pysmdl.errors import ImageError, storable, whole_number
from pysmdl.inputs import Opener


@dataclass(frozen=True)
class Bad(Opener):
    """An input that is known to be none: a row of a manifest that cannot be read, say."""

    why: str

    def open(self) -> Any:
        raise ImageError(self.why)


@dataclass(frozen=True)
class Entry:
    """An input of a job.

    Attributes:
        id: Its own, unique in the job; as :func:`storable` has it.
        image: As explain takes it, or an :class:`Opener`.
        rest: What else an item of explain_many may have: target, regions, baseline.
        source: Where it is from, in words.
        group: Of the caller's.
        attempts: How often it failed before.
    """

    id: str
    image: Any
    rest: Mapping[str, Any] = field(default_factory=dict)
    source: str | None = None
    group: str | None = None
    attempts: int = 0

    def __post_init__(self) -> None:
        for name in ("id", "source", "group"):
            said = getattr(self, name)
            object.__setattr__(self, name, None if said is None else storable(said))

    def item(self, target: Any = None) -> dict[str, Any]:
        """As explain_many takes it; the image may still be one that is opened at its turn.

        Raises:
            OSError, ValueError: the regions cannot be read.
        """
        given = {"target": target} if target is not None else {}
        rest = {name: each.open() if isinstance(each, Opener) else each for name, each in self.rest.items()}
        return {**given, **rest, "image": self.image, "id": self.id}


@dataclass(frozen=True)
class Choice:
    """Which entries a run takes, and in what order.

    Attributes:
        limit: So many, of those that are not done.
        shuffle: A seed of their order; None: as they come.
        shard: (3, 8): the third of eight parts, which are the same whatever the order.

    Raises:
        ValueError: a shard that there is none of, a limit below 1.
    """

    limit: int | None = None
    shuffle: int | None = None
    shard: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        if self.limit is not None:
            whole_number("limit", self.limit, 1)
        if self.shuffle is not None:
            whole_number("shuffle", self.shuffle, 0)
        pair = isinstance(self.shard, (tuple, list)) and len(self.shard) == 2
        if not (pair and all(isinstance(each, int) for each in self.shard) and 1 <= self.shard[0] <= self.shard[1]):
            raise ValueError(f"shard must be (i, n) with 1 <= i <= n; got {self.shard!r}")

    def mine(self, id: str) -> bool:
        """Whether an entry is of this shard: by its id, so it is whatever else there is."""
        number, count = self.shard
        return zlib.crc32(id.encode()) % count == number - 1

    def of(self, entries: Iterable[Entry], done: set[str]) -> Iterable[Entry]:
        """The entries that are left; a list where their number is known.

        Raises:
            ValueError: an id is there twice; where they are a stream, at its turn.
        """
        left = (each for each in unique(entries) if self.mine(each.id) and each.id not in done)
        if not isinstance(entries, Sequence) and self.shuffle is None:
            return left if self.limit is None else _first(left, self.limit)
        found = list(left)
        if self.shuffle is not None:
            random.Random(self.shuffle).shuffle(found)
        return found[: self.limit]


def _first(entries: Iterator[Entry], limit: int) -> Iterator[Entry]:
    for _, each in zip(range(limit), entries, strict=False):
        yield each


def unique(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The same.

    Raises:
        ValueError: an id is there twice.
    """
    seen: set[str] = set()
    for each in entries:
        if each.id in seen:
            raise ValueError(f"ids must be unique; {each.id!r} is there twice: name it once, or give each an id")
        seen.add(each.id)
        yield each
