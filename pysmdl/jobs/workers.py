"""Who does the work of a job: an interface, and this process."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from pysmdl.explainer import Explainer
from pysmdl.jobs.asked import asked
from pysmdl.jobs.entries import Entry
from pysmdl.jobs.here import Here
from pysmdl.jobs.places import place_of
from pysmdl.jobs.state import State
from pysmdl.jobs.stopping import Stop
from pysmdl.jobs.task import Keeping, Task
from pysmdl.jobs.writer import Writer


class Workers(AbstractContextManager["Workers"], Protocol):
    """Explain a job's entries into its store; a context manager around what they hold meanwhile."""

    def asked(self) -> dict[str, Any]:
        """What the job is asked, for job.json: model and settings, as those see them who have the model."""

    def work(self, entries: Iterable[Entry], state: State) -> None:
        """Explain all, or until the job is stopped; the state is told how far that is.

        Raises:
            StoreError: the store cannot be written to.
        """


def writer_of(keeping: Keeping, who: str, **more: Any) -> Writer:
    """The writer of a worker of this name."""
    place = place_of(keeping.store)
    return Writer(place, keeping.rows, keeping.seconds, keeping.patience, who, keeping.pictures, **more)


class InProcess(Workers):
    """One engine, in this thread."""

    def __init__(self, task: Task, stop: Stop) -> None:
        self._task, self._stop = task, stop
        self._explainer: Explainer = task.explainer()

    def __exit__(self, *_: object) -> None:
        pass

    def asked(self) -> dict[str, Any]:
        return asked(self._explainer, self._task.target, self._task.words)

    def work(self, entries: Iterable[Entry], state: State) -> None:
        kept = writer_of(self._task.keeping, self._task.keeping.share)
        try:
            Here(self._explainer, self._task.target, kept, state, self._stop).work(entries)
        finally:
            try:
                kept.close()
            finally:
                state.stored, state.failed = kept.stored, kept.failed
