"""A job: many inputs, explained into a store; begun again it goes on. Resume is a set difference by id."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

from pysmdl.errors import number, whole_number, yes_or_no
from pysmdl.explainer import Explainer
from pysmdl.jobs import parts, schema, sources, writer
from pysmdl.jobs.asked import agree
from pysmdl.jobs.entries import Choice, Entry
from pysmdl.jobs.places import Place, place_of
from pysmdl.jobs.state import State
from pysmdl.jobs.stopping import Stop
from pysmdl.jobs.task import Keeping, RayOptions, Task
from pysmdl.jobs.telling import telling
from pysmdl.jobs.workers import InProcess, Workers
from pysmdl.settings import spelt_out

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pysmdl.settings import Settings

log = logging.getLogger("pysmdl")

ORPHANS = 60.0  # seconds
PORTS = 65535


@dataclass(frozen=True)
class Outcome:
    """How a run of a job ended.

    Attributes:
        explained: Inputs explained in this run, and stored.
        failed: Inputs that failed in it.
        before: Inputs that were in the store when it began.
        stopped: Whether it was stopped before all inputs had their turn.
    """

    explained: int
    failed: int
    before: int
    stopped: bool


@spelt_out(Explainer)
def run(
    inputs: Any,
    model: Any,
    store: str | PathLike[str],
    *,
    workers: int = 1,
    ray: RayOptions | None = None,
    target: Any = None,
    limit: int | None = None,
    shuffle: int | None = None,
    shard: tuple[int, int] = (1, 1),
    retry_failed: bool = False,
    pictures: bool = False,
    rows: int = writer.ROWS,
    seconds: float = writer.SECONDS,
    patience: float = writer.PATIENCE,
    progress: bool = True,
    metrics_port: int | None = None,
    stop: Stop | None = None,
    **settings: Unpack[Settings],
) -> Outcome:
    """Explain inputs into a store. The same call again goes on where it was: what has an id in the store is not
    explained anew.

    Args:
        inputs: A path or several (images, folders, patterns, manifests in CSV, JSON lines or Parquet, WebDataset's
            tars, folders of Hugging Face's datasets), or an iterable of items as :func:`pysmdl.explain_many` takes
            them. Where the model reads texts, a string that is no file is one. What has no id of its own gets one of
            its place: the same as long as it lies there.
        model: As in :func:`pysmdl.explain`.
        store: A folder, or an address of fsspec's ("s3://...").
        workers: 1: this process; more: so many actors of Ray, which is started here on the loopback interface
            (`pip install 'pysmdl[ray]'`). The model reaches them pickled, or as a :class:`pysmdl.jobs.Factory`.
        ray: What else Ray is to know: a cluster's address, cores and GPUs of a worker, when one is given up.
        target: Of inputs that name none.
        limit: At most so many inputs in this run.
        shuffle: A seed of their order.
        shard: (3, 8): the third of eight parts that are the same for every run, for schedulers.
        retry_failed: Whether inputs that failed before are tried again.
        pictures: Keep a small picture of each image, up to 30 kB, so that what is stored can draw itself.
        rows, seconds: A part is written when it has so many rows, or its first has waited so long.
        patience: Seconds that a store which cannot be written to is tried again.
        progress: Whether it is shown how far it is: a table on a terminal, lines in a log.
        metrics_port: Where Prometheus finds that, on 127.0.0.1.
        stop: Asked from another thread or a signal, it ends the run early.
        **settings: As in :func:`pysmdl.explain`.

    Returns:
        How it ended. An input that fails takes no other along; it is in the store's failures.

    Raises:
        ValueError: an argument is out of range, an id is there twice.
        StoreError: the store was made with other settings, another run is at work on it, or it cannot be written to.
        OSError: the store or a manifest cannot be read.
        MissingPackageError: pyarrow, or fsspec for an address, is not installed.
        KeyboardInterrupt: Ctrl-C; all that was explained is stored.
    """
    whole_number("workers", workers, 1)
    whole_number("rows", rows, 1)
    number("seconds", seconds, above=0)
    number("patience", patience, least=0)
    retry_failed, pictures = yes_or_no("retry_failed", retry_failed), yes_or_no("pictures", pictures)
    progress = yes_or_no("progress", progress)
    _check(ray, stop, metrics_port)
    schema.arrow()  # else it is loaded, or missed, when the first part is written, beside the engine
    choice, place = Choice(limit, shuffle, shard), place_of(store)
    share, stop = f"{shard[0]}-of-{shard[1]}", stop or Stop()
    task = Task(model, settings, target, Keeping(os.fspath(store), share, rows, seconds, patience, pictures))
    made = workers_of(task, workers, ray, stop)
    place.ready()
    with place.held(share), made:
        with place.held(f"{share}-workers", seconds=ORPHANS):  # workers that outlived a killed run have stored by then
            wanted = made.asked()
            agree(place, wanted)
            before, left = remaining(inputs, place, choice, wanted["explains"], retry_failed)
        state = State(total=len(left) if isinstance(left, Sized) else None, before=before)
        with telling(state, place, share, progress, metrics_port):
            try:
                made.work(left, state)
            except BaseException as error:
                state.end("stopped" if isinstance(error, KeyboardInterrupt) else "failed")
                raise
            state.end("stopped" if stop.asked else "done")
    return Outcome(state.stored, state.failed, before, stop.asked)


def _check(ray: Any, stop: Any, port: Any) -> None:
    for name, given, kind in (("ray", ray, RayOptions), ("stop", stop, Stop)):
        if given is not None and not isinstance(given, kind):
            raise ValueError(f"{name} must be a pysmdl.jobs.{kind.__name__}; got {given!r}")
    if port is not None and whole_number("metrics_port", port, 1) > PORTS:
        raise ValueError(f"metrics_port must be {PORTS} at most; got {port}")


def workers_of(task: Task, workers: int, options: RayOptions | None, stop: Stop) -> Workers:
    """This process, or Ray's."""
    if workers == 1 and options is None:
        return InProcess(task, stop)
    from pysmdl.jobs.ray_driver import RayWorkers

    return RayWorkers(task, workers, options or RayOptions(), stop)


def remaining(
    inputs: Any, place: Place, choice: Choice, kind: str, retry_failed: bool = False
) -> tuple[int, Iterable[Entry]]:
    """How many inputs the store has, and those that are left, of the kind that the model reads: a list, where their
    number is known.

    Raises:
        ValueError, OSError: the inputs cannot be read.
    """
    done, failed = ids(place, "parts"), attempts(place)
    given = sources.entries_of(inputs, kind)
    if not retry_failed:
        done |= set(failed)
    elif isinstance(given, list):
        given = [_again(each, failed) for each in given]
    else:
        given = (_again(each, failed) for each in given)
    before = sum(each.id in done and choice.mine(each.id) for each in given) if isinstance(given, list) else len(done)
    return before, choice.of(given, done)


def ids(place: Place, folder: str) -> set[str]:
    """Those in a store's parts: one column of each is read."""
    return {id for _, table in parts.read_all(place, folder, ["id"]) for id in table["id"].to_pylist()}


def attempts(place: Place) -> dict[str, int]:
    """How often each input failed that ever did."""
    found: dict[str, int] = {}
    for _, table in parts.read_all(place, "failures", ["id", "attempts"]):
        for id, count in zip(table["id"].to_pylist(), table["attempts"].to_pylist(), strict=True):
            found[id] = max(count, found.get(id, 0))
    return found


def _again(entry: Entry, failed: Mapping[str, int]) -> Entry:
    return replace(entry, attempts=failed[entry.id]) if entry.id in failed else entry
