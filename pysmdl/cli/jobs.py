"""`pysmdl run`: jobs of many inputs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from pysmdl.cli.console import out, printable
from pysmdl.cli.job_file import of_file
from pysmdl.cli.options import BoxOptions, CommonOptions, InputOptions, SearchOptions, SetOptions, command

log = logging.getLogger("pysmdl")

OF_RAY = ("cpus", "gpus", "timeout", "loading", "attempts")


@dataclass(frozen=True)
class JobOptions:
    """The job"""

    store: Annotated[str | None, typer.Option(help="Where explanations are kept: a folder, or s3://...")] = None
    workers: Annotated[int, typer.Option(help="Workers of Ray, started here; 1: this process.")] = 1
    ray: Annotated[str | None, typer.Option(help="A running Ray cluster's address.")] = None
    cpus: Annotated[float, typer.Option(help="Cores of a worker of Ray's.")] = 1.0
    gpus: Annotated[float, typer.Option(help="GPUs of a worker of Ray's; a fraction shares one.")] = 0.0
    timeout: Annotated[float, typer.Option(help="Seconds without an answer until a worker counts as dead.")] = 600.0
    loading: Annotated[float, typer.Option(help="Seconds that a worker may take to load its model.")] = 1800.0
    attempts: Annotated[int, typer.Option(help="Times that an input alone may take its worker along.")] = 2
    limit: Annotated[int | None, typer.Option(help="At most so many inputs now.")] = None
    shuffle: Annotated[int | None, typer.Option(help="A seed of their order.")] = None
    shard: Annotated[str, typer.Option(help="3/8: the third of eight parts, for schedulers.")] = "1/1"
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try again what failed before.")] = False
    pictures: Annotated[bool, typer.Option("--pictures", help="Keep a small picture of each image.")] = False
    metrics_port: Annotated[int | None, typer.Option(help="Serve the numbers to Prometheus, on 127.0.0.1.")] = None
    rows: Annotated[int, typer.Option(help="A part is written when it has so many rows ...")] = 256
    seconds: Annotated[float, typer.Option(help="... or its first has waited so long.")] = 10.0
    patience: Annotated[float, typer.Option(help="Seconds that a store which is away is waited for.")] = 60.0


@command
def run(
    here: typer.Context,
    common: CommonOptions,
    search: SearchOptions,
    of: SetOptions,
    input: InputOptions,
    box: BoxOptions,
    job: JobOptions,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Images, folders, patterns, texts, manifests, tars, data sets; or job.toml.", show_default=False
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how many evaluations, how long and how large.")
    ] = False,
    status: Annotated[
        str | None, typer.Option("--status", help="Say how far the job of a store is.", metavar="STORE")
    ] = None,
) -> None:
    """Explain many inputs into a store; the same command again goes on where it was."""
    if status is not None:
        _show_status(status)
        return
    groups: dict[str, Any] = {"common": common, "search": search, "of": of, "input": input, "box": box, "job": job}
    given = list(inputs or ())
    if any(each.endswith(".toml") for each in given):
        if len(given) > 1:
            raise ValueError(f"a job.toml names its inputs itself: give it alone; got {', '.join(given)}")
        sources = {name: here.get_parameter_source(name) for name in here.params}
        said = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
        given, groups = of_file(Path(given[0]), groups, said)
    if not given:
        raise ValueError("inputs must be images, folders, patterns, manifests or data sets, or a job.toml")
    if not groups["job"].store and not dry_run:
        raise ValueError("store must be a folder, or an address as s3://...: give --store")
    if _run(given, dry_run, **groups):
        raise typer.Exit(1)


def _run(
    inputs: list[str], dry_run: bool, common: CommonOptions, search: SearchOptions, of: SetOptions,
    input: InputOptions, box: BoxOptions, job: JobOptions,
) -> int:  # fmt: skip
    """Returns how many inputs failed."""
    from pysmdl import jobs
    from pysmdl.cli import arguments
    from pysmdl.cli.stopping import asking
    from pysmdl.jobs.stopping import GRACE

    paths = [*map(Path, inputs)]  # a string may be a text
    model = jobs.Factory(arguments.load_model, common.model, common.device, **asdict(input))
    target = arguments.target(common.target, box.box, box.label)
    names = arguments.class_names(common.model, common.names)
    shared = {"regions": common.regions, "players": common.players, "preset": common.preset, "names": names}
    settings = {**shared, **asdict(of), **asdict(search)}
    chosen = {name: each for name, each in asdict(job).items() if name not in (*OF_RAY, "store", "ray")}
    chosen |= {"shard": _shard(job.shard)}
    options = jobs.RayOptions(job.ray, **{name: getattr(job, name) for name in OF_RAY})
    if job.workers > 1 or job.ray is not None:
        chosen["ray"] = options
    if dry_run:
        _estimate(paths, model, target, job, settings)
        return 0
    stop = jobs.Stop()

    def ask(times: int) -> None:
        if times == 1:
            log.warning("stopping: what is in flight has %.0f s to be done; a second time stops at once", GRACE)
        stop(GRACE if times == 1 else 0.0)
        if times == 2 or (times == 0 and not stop.over):
            raise KeyboardInterrupt

    with asking(ask, GRACE + 1):
        outcome = jobs.run(paths, model, job.store or "", target=target, stop=stop, **chosen, **settings)
        before = f", {outcome.before} before" if outcome.before else ""
        text = f"{outcome.explained} explained{before}, {outcome.failed} failed; they are in {printable(job.store)}"
        out.print(text, soft_wrap=True)
    return outcome.failed


def _shard(text: str) -> tuple[int, int]:
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise ValueError(f"shard must be I/N with I from 1 to N, as 3/8; got {text!r}")
    return int(number), int(count)


def _estimate(inputs: list[Path], model: Any, target: Any, job: JobOptions, settings: Mapping[str, Any]) -> None:
    from pysmdl.cli.commands import seconds_a_row
    from pysmdl.jobs.entries import Choice
    from pysmdl.jobs.estimate import estimate
    from pysmdl.jobs.task import Keeping, Task

    choice = Choice(job.limit, job.shuffle, _shard(job.shard))
    keeping = Keeping(job.store or "", job.shard, job.rows, job.seconds, job.patience, job.pictures)
    found = estimate(inputs, Task(model, settings, target, keeping), choice, seconds_a_row, job.retry_failed)
    out.print(
        f"{found.inputs} inputs ({found.before} before, {found.bad} of {found.tried} tried failed), "
        f"{found.evaluations} evaluations at most, about {found.seconds:.0f} s on {found.device}, "
        f"{found.nbytes / 1e6:.1f} MB",
        soft_wrap=True,
    )


def _show_status(store: str) -> None:
    from pysmdl import jobs
    from pysmdl.jobs.state import line
    from pysmdl.jobs.status import states

    found = jobs.open_store(store)
    for name, state in states(store):
        out.print(f"{name}: {line(state)}", soft_wrap=True)
    out.print(f"{len(found)} explanations are in {printable(store)}", soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="run")(run)
