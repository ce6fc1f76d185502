"""A comparison that goes on where it was: a store for each method, so an explanation is found by method and id."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

from pysmdl.errors import storable
from pysmdl.explainer import Explainer
from pysmdl.explanation import Explanation
from pysmdl.jobs.asked import agree, asked
from pysmdl.jobs.entries import Entry
from pysmdl.jobs.job import attempts
from pysmdl.jobs.places import place_of
from pysmdl.jobs.rows import failure_of
from pysmdl.jobs.stopping import STORING
from pysmdl.jobs.store import open_store
from pysmdl.jobs.writer import PATIENCE, Writer

ROWS, SECONDS = 64, 2.0  # of a part: less than a job's, as a table is watched while it grows


@dataclass(frozen=True)
class Kept:
    """Where a comparison is kept.

    Attributes:
        store: A folder, or an address of fsspec's, with a store for each method by its name.
        target: Of inputs that name none; what else the explanations of a store have in common beside their settings.
        words: Likewise what the model is told in words.
    """

    store: str | PathLike[str]
    target: Any = None
    words: Mapping[str, Any] = field(default_factory=dict)


class Shelf:
    """The store of one method: a context manager, which keeps other runs from it meanwhile.

    Args:
        kept: Where.
        method: Its name.
        explainer: What it is.
        mufidelity: Subsets of its MuFidelity.

    Raises:
        ValueError: the name cannot be a folder's.
    """

    def __init__(self, kept: Kept, method: str, explainer: Explainer, mufidelity: int = 0) -> None:
        if "/" in method or method in ("", ".", ".."):
            raise ValueError(f"methods must have names that folders can have, to be kept in a store; got {method!r}")
        self._path = os.path.join(os.fspath(kept.store), method)
        self._place = place_of(self._path)
        self._wanted = asked(explainer, kept.target, kept.words)
        self._wanted["settings"]["mufidelity"] = mufidelity
        self._stack = ExitStack()

    def __enter__(self) -> Shelf:
        with ExitStack() as stack:
            self._place.ready()
            stack.enter_context(self._place.held("1-of-1"))
            agree(self._place, self._wanted)
            self._there, self._attempts = open_store(self._path), attempts(self._place)
            self._writer = Writer(self._place, ROWS, SECONDS, PATIENCE, "eval")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._stack:
            if kind is not None and not issubclass(kind, Exception):
                self._writer.hurry(STORING)
            self._writer.close()

    def __contains__(self, id: object) -> bool:
        """Whether an input was explained before."""
        return id in self._there

    def __getitem__(self, id: str) -> Explanation:
        """Its explanation."""
        return self._there[id]

    def put(self, found: Explanation) -> None:
        """Keep an explanation, by its id."""
        self._writer.put(found, Entry(str(found.id), None))

    def fail(self, id: str, error: Exception) -> None:
        """Keep a failure; the input is tried again next time."""
        self._writer.fail(failure_of(id, error, attempts=self._attempts.get(id, 0) + 1))


def id_of(item: Mapping[str, Any], number: int) -> str:
    """An item's own, else its path, else its number: the same next time."""
    image, given = item["image"], item.get("id")
    if given is None:
        given = os.fsdecode(image) if isinstance(image, (str, os.PathLike)) else f"#{number}"
    return storable(str(given))
