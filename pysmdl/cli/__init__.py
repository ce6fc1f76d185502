"""The command line: `pysmdl explain | report | eval | profile | demo | env`. Arguments here, work in `commands`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pysmdl.cli.console import Lines, out, printable
from pysmdl.cli.ending import ending
from pysmdl.cli.options import Debug, Images, ModelOptions, SearchOptions, SetOptions, TargetOptions, command

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def common(debug: Debug = False) -> None:
    """Which input regions made the model decide."""
    ending.debug = debug
    logger = logging.getLogger("pysmdl")
    if not any(isinstance(handler, Lines) for handler in logger.handlers):
        logger.addHandler(Lines())


@app.command()
@command
def env() -> None:
    """Versions, compiler, devices and backends, for bug reports."""
    from pysmdl.cli.environment import report

    for name, value in report().items():
        out.print(f"{name + ':':34}{value}", soft_wrap=True)


@app.command(name="demo")
@command
def show_demo(folder: Annotated[Path, typer.Option("--out", help="Folder for the pictures.")] = Path("demo")) -> None:
    """Explain what ships with pysmdl: right and wrong predictions, and a detected face."""
    from pysmdl.cli.demo import run

    run(folder, out)


@app.command()
@command
def explain(
    images: Images,
    model: ModelOptions,
    what: TargetOptions,
    of: SetOptions,
    search: SearchOptions,
    trace: Annotated[list[int] | None, typer.Option(help="Other classes whose curves are wanted too.")] = None,
    names: Annotated[Path | None, typer.Option(help="Class names, one a line.")] = None,
    folder: Annotated[Path, typer.Option("--out", help="Folder for PNG, npz and JSON.")] = Path("explanations"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how many evaluations and about how long.")
    ] = False,
) -> None:
    """Explain images: which regions carry the model's decision, in order."""
    from pysmdl.cli import arguments, commands
    from pysmdl.explainer import Explainer

    explainer = Explainer(_scorer(model), trace=trace or (), **asdict(of), **asdict(search))
    items = _items(images, what)
    if dry_run:
        commands.estimate(explainer, items, out)
    elif commands.explain(explainer, items, arguments.class_names(model.model, names), folder, out) < len(images):
        raise typer.Exit(1)


@app.command(name="report")
@command
def make_report(
    folders: Annotated[
        list[Path], typer.Argument(help="Folders that explain has written, or .npz files.", show_default=False)
    ],
    page: Annotated[Path, typer.Option("--out", help="The page.")] = Path("report.html"),
    title: Annotated[str | None, typer.Option(help="Its title.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Show explanations as one page of HTML, region by region; those of one image side by side."""
    from pysmdl.reporting.page import write

    shown, skipped = write(folders, page, title)
    out.print(f"{shown} explanations are in {printable(page)}", soft_wrap=True)
    if show:
        typer.launch(page.resolve().as_uri())
    if skipped:
        raise typer.Exit(1)


@app.command(name="eval")
@command
def compare(
    images: Images,
    model: ModelOptions,
    what: TargetOptions,
    of: SetOptions,
    methods: Annotated[
        str, typer.Option(help="Searches and methods, comma-separated; NAME:EVALUATIONS sets a budget.")
    ] = "exact,bidirectional",
    mufidelity: Annotated[int, typer.Option(help="Random subsets for MuFidelity, evaluated on top; 0: none.")] = 0,
    folder: Annotated[Path, typer.Option("--out", help="Folder for the CSV and Parquet tables.")] = Path("evaluation"),
) -> None:
    """Compare methods on images: every metric, with evaluations and seconds."""
    from pysmdl.cli.evaluate import evaluate
    from pysmdl.studies.evaluation import methods_named

    named = methods_named([name.strip() for name in methods.split(",")])
    if evaluate(_items(images, what), _scorer(model), named, folder, out, mufidelity, asdict(of)):
        raise typer.Exit(1)


@app.command()
@command
def profile(
    images: Images,
    model: ModelOptions,
    what: TargetOptions,
    of: SetOptions,
    search: SearchOptions,
    repeat: Annotated[int, typer.Option(min=1, help="Run this many times and report on the one of median time.")] = 1,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for trace.json (a Chrome trace) and profile.json.")
    ] = None,
) -> None:
    """Explain images and say where the time went: stages, batches, memo, the model's FLOPs, memory."""
    from pysmdl.cli import commands
    from pysmdl.explainer import Explainer

    explainer = Explainer(_scorer(model), **asdict(of), **asdict(search))
    commands.profile(explainer, _items(images, what), repeat, folder, out)


def _scorer(given: ModelOptions) -> Any:
    from pysmdl.cli import arguments

    return arguments.load_model(spec=given.model, **{k: v for k, v in asdict(given).items() if k != "model"})


def _items(images: Sequence[Path], given: TargetOptions) -> list[dict[str, Any]]:
    """An item an image; its name is one that every file and stream can hold."""
    from pysmdl.cli import arguments

    target = arguments.target(given.target, given.box, given.label)
    return [{"image": path, "target": target, "id": printable(path)} for path in images]


def main() -> None:
    """Entry point of the `pysmdl` command."""
    app()
