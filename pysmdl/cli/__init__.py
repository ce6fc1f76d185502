"""The command line: `pysmdl explain | eval | profile | demo | env`. Arguments here, work in `commands`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import Console
from rich.text import Text

WIDE = 10_000  # columns of what is no terminal: nothing is cut or wrapped there


def _console(stderr: bool) -> Console:
    """For text as it is: names of files and messages of models are no markup."""
    made = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not made.file.isatty():
        made.width = WIDE
    return made


app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
out, err = _console(stderr=False), _console(stderr=True)

Images: TypeAlias = Annotated[list[Path], typer.Argument(help="Images.", show_default=False)]
Model: TypeAlias = Annotated[
    str, typer.Option(help="builtin:NAME, package.module:attribute, or a TorchScript or .pt2 file.")
]
Target: TypeAlias = Annotated[
    int | None, typer.Option(help="Class to explain; the model's own top class if not given.")
]
BoxText: TypeAlias = Annotated[
    str | None, typer.Option("--box", help="x0,y0,x1,y1 in the image's pixels, for detectors.")
]
Labels: TypeAlias = Annotated[list[int] | None, typer.Option("--label", help="Class of the box; several may be given.")]
Regions: TypeAlias = Annotated[str, typer.Option(help="slico, slico-opencv, seeds, grid; NAME:COUNT sets the count.")]
Baseline: TypeAlias = Annotated[str, typer.Option(help="black, zero, mean or blur.")]
Objective: TypeAlias = Annotated[
    str | None, typer.Option(help="smdl, lima, vps, eagle; the scorer's own if not given.")
]
SearchName: TypeAlias = Annotated[
    str, typer.Option("--search", help="A search (exact, bidirectional, guided ...) or a method (lime, rise ...).")
]
Removal: TypeAlias = Annotated[str, typer.Option(help="baseline, or token-drop for vision transformers.")]
Count: TypeAlias = Annotated[int | None, typer.Option(help="Stop after this many regions.")]
Budget: TypeAlias = Annotated[int | None, typer.Option(help="Budget of model evaluations an image.")]
Mean: TypeAlias = Annotated[str | None, typer.Option(help="Normalisation, comma-separated; not for builtin models.")]
Std: TypeAlias = Annotated[str | None, typer.Option(help="Likewise.")]
Size: TypeAlias = Annotated[str | None, typer.Option(help="Model input, 224 or HEIGHTxWIDTH.")]
Order: TypeAlias = Annotated[str | None, typer.Option("--channel-order", help="rgb or bgr.")]
MaskAt: TypeAlias = Annotated[str | None, typer.Option(help="model: mask after the resize; image: before it.")]
Names: TypeAlias = Annotated[Path | None, typer.Option(help="Class names, one a line.")]
BatchSize: TypeAlias = Annotated[int | None, typer.Option(help="Rows of a forward pass; found by itself if not given.")]
Device: TypeAlias = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 ...")]
Seed: TypeAlias = Annotated[int, typer.Option(help="Of the searches that draw samples.")]


@app.callback()
def common() -> None:
    """Which input regions made the model decide."""
    logger = logging.getLogger("pysmdl")
    if not any(isinstance(handler, _Lines) for handler in logger.handlers):
        logger.addHandler(_Lines())


class _Lines(logging.Handler):
    """Each record as a line on standard error, as a command's own errors are."""

    def emit(self, record: logging.LogRecord) -> None:
        _say(record.levelname.lower(), record.getMessage())


def _say(level: str, text: str) -> None:
    colour = {"warning": "yellow"}.get(level, "red")
    err.print(Text.assemble((f"{level}:", colour), " ", text), soft_wrap=True)


@app.command()
def env() -> None:
    """Versions, compiler, devices and backends, for bug reports."""
    from pysmdl.cli.environment import report

    for name, value in report().items():
        out.print(f"{name + ':':34}{value}", soft_wrap=True)


@app.command(name="demo")
def show_demo(folder: Annotated[Path, typer.Option("--out", help="Folder for the pictures.")] = Path("demo")) -> None:
    """Explain what ships with pysmdl: right and wrong predictions, and a detected face."""
    from pysmdl.cli.demo import run

    with _errors():
        run(folder, out)


@app.command()
def explain(
    images: Images,
    model: Model = "builtin:digits",
    target: Target = None,
    trace: Annotated[list[int] | None, typer.Option(help="Other classes whose curves are wanted too.")] = None,
    box: BoxText = None,
    label: Labels = None,
    regions: Regions = "slico",
    baseline: Baseline = "black",
    removal: Removal = "baseline",
    objective: Objective = None,
    search: SearchName = "bidirectional",
    k: Count = None,
    evaluations: Budget = None,
    folder: Annotated[Path, typer.Option("--out", help="Folder for PNG, npz and JSON.")] = Path("explanations"),
    mean: Mean = None,
    std: Std = None,
    size: Size = None,
    channel_order: Order = None,
    mask_at: MaskAt = None,
    names: Names = None,
    batch_size: BatchSize = None,
    device: Device = None,
    seed: Seed = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how many evaluations and about how long.")
    ] = False,
) -> None:
    """Explain images: which regions carry the model's decision, in order."""
    from pysmdl.cli import arguments, commands
    from pysmdl.explainer import Explainer

    with _errors():
        scorer = arguments.load_model(model, device, mean, std, size, channel_order, mask_at)
        explainer = Explainer(
            scorer, regions=regions, baseline=baseline, removal=removal, objective=objective, search=search,
            trace=trace or (), k=k, evaluations=evaluations, batch_size=batch_size, seed=seed,
        )  # fmt: skip
        items = _items(images, arguments.target(target, box, label))
        if dry_run:
            commands.estimate(explainer, items, out)
        elif commands.explain(explainer, items, arguments.class_names(model, names), folder, out) < len(images):
            raise typer.Exit(1)


@app.command(name="eval")
def evaluate(
    images: Images,
    methods: Annotated[
        str, typer.Option(help="Searches and methods, comma-separated; NAME:EVALUATIONS sets a budget.")
    ] = "exact,bidirectional",
    model: Model = "builtin:digits",
    target: Target = None,
    box: BoxText = None,
    label: Labels = None,
    regions: Regions = "slico",
    baseline: Baseline = "black",
    objective: Objective = None,
    k: Count = None,
    mufidelity: Annotated[int, typer.Option(help="Random subsets for MuFidelity, evaluated on top; 0: none.")] = 0,
    folder: Annotated[Path, typer.Option("--out", help="Folder for the CSV and Parquet tables.")] = Path("evaluation"),
    mean: Mean = None,
    std: Std = None,
    size: Size = None,
    channel_order: Order = None,
    mask_at: MaskAt = None,
    batch_size: BatchSize = None,
    device: Device = None,
    seed: Seed = 0,
) -> None:
    """Compare methods on images: every metric, with evaluations and seconds."""
    from pysmdl.cli import arguments, commands
    from pysmdl.studies.evaluation import methods_named

    with _errors():
        scorer = arguments.load_model(model, device, mean, std, size, channel_order, mask_at)
        settings = {
            "regions": regions, "baseline": baseline, "objective": objective, "k": k, "batch_size": batch_size,
            "seed": seed,
        }  # fmt: skip
        items = _items(images, arguments.target(target, box, label))
        if commands.evaluate(items, scorer, methods_named(methods.split(",")), folder, out, mufidelity, settings):
            raise typer.Exit(1)


@app.command()
def profile(
    images: Images,
    model: Model = "builtin:digits",
    target: Target = None,
    box: BoxText = None,
    label: Labels = None,
    regions: Regions = "slico",
    baseline: Baseline = "black",
    removal: Removal = "baseline",
    objective: Objective = None,
    search: SearchName = "bidirectional",
    k: Count = None,
    evaluations: Budget = None,
    repeat: Annotated[int, typer.Option(min=1, help="Run this many times and report on the one of median time.")] = 1,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for trace.json (a Chrome trace) and profile.json.")
    ] = None,
    mean: Mean = None,
    std: Std = None,
    size: Size = None,
    channel_order: Order = None,
    mask_at: MaskAt = None,
    batch_size: BatchSize = None,
    device: Device = None,
    seed: Seed = 0,
) -> None:
    """Explain images and say where the time went: stages, batches, memo, the model's FLOPs, memory."""
    from pysmdl.cli import arguments, commands
    from pysmdl.explainer import Explainer

    with _errors():
        scorer = arguments.load_model(model, device, mean, std, size, channel_order, mask_at)
        explainer = Explainer(
            scorer, regions=regions, baseline=baseline, removal=removal, objective=objective, search=search,
            k=k, evaluations=evaluations, batch_size=batch_size, seed=seed,
        )  # fmt: skip
        commands.profile(explainer, _items(images, arguments.target(target, box, label)), repeat, folder, out)


@contextmanager
def _errors() -> Iterator[None]:
    """A user's errors in one line and exit code 2; Ctrl-C as 130."""
    from pysmdl.errors import PysmdlError

    try:
        yield
    except (PysmdlError, ValueError, TypeError, OSError) as error:
        _say("error", str(error))
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        err.print("stopped")
        raise typer.Exit(130) from None


def _items(images: list[Path], target: Any) -> list[dict[str, Any]]:
    return [{"image": path, "target": target, "id": str(path)} for path in images]


def main() -> None:
    """Entry point of the `pysmdl` command."""
    app()
