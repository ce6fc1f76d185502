"""One method of a comparison: explains all images, but for those that its store has."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pysmdl.engine import OnError
from pysmdl.errors import described
from pysmdl.explainer import Explainer
from pysmdl.explanation import Explanation
from pysmdl.profiling import Profile
from pysmdl.progress import Report
from pysmdl.studies.comparison import Run
from pysmdl.studies.keeping import Shelf

log = logging.getLogger("pysmdl")


class Method:
    """One method on all images.

    Args:
        explainer: What it is.

    Attributes:
        shelf: Its store, where it has one.
    """

    def __init__(self, explainer: Explainer) -> None:
        self._explainer, self._profile = explainer, Profile()
        self.shelf: Shelf | None = None
        self._read = 0

    def has(self, id: str | None) -> bool:
        """Whether its store had the explanation of an input before."""
        return self.shelf is not None and id in self.shelf

    def explain(self, shared: Mapping[int, Any], progress: bool | Report, on_error: str) -> Iterator[Explanation]:
        """The explanations of some images as each is done; what Ctrl-C cuts short is none to compare."""
        numbers = []
        for number, item in shared.items():
            if self.shelf is None or item["id"] not in self.shelf:
                numbers.append(number)
                continue
            found = self.shelf[item["id"]]
            found.index, self._read = number, self._read + 1
            yield found
        left = [shared[number] for number in numbers]
        for found in self._explainer.run(left, progress, self._on_error(on_error, left), self._profile):
            if found.notes.get("stopped") == "interrupted":
                continue
            found.index = numbers[found.index]  # among all items, those left out included
            yield found

    def keep(self, found: Explanation) -> None:
        """Store it, where there is a store."""
        if self.shelf is not None and found.id not in self.shelf:
            self.shelf.put(found)

    def cost(self, explanations: Sequence[Explanation]) -> Run:
        """What these cost, which are all so far; times are not known where some were made before."""
        evaluations = sum(each.evaluations for each in explanations)
        if self._read:
            return Run(evaluations, float("nan"), float("nan"))
        return Run(evaluations, self._profile.seconds, self._profile.stages()["model"])

    def _on_error(self, on_error: str, items: Sequence[Mapping[str, Any]]) -> OnError:
        shelf = self.shelf
        if shelf is None or on_error == "raise":
            return on_error

        def failed(number: int, error: Exception) -> None:
            log.error("input %r skipped: %s", items[number]["id"], described(error))
            shelf.fail(items[number]["id"], error)

        return failed


@contextmanager
def tolerating(on_error: str, what: str) -> Iterator[None]:
    """Errors inside are logged instead of raised, where that was asked for."""
    try:
        yield
    except Exception as error:
        if on_error == "raise":
            raise
        log.error("%s: %s", what, described(error))
