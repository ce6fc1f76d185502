"""The command line: `pysmdl explain | run | store | report | eval | profile | demo | env`.

Arguments here, work in `commands`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from pysmdl.cli import jobs, stores
from pysmdl.cli.console import Lines, out, printable
from pysmdl.cli.ending import ending
from pysmdl.cli.options import (
    AnyImages,
    BoxOptions,
    CommonOptions,
    Debug,
    Images,
    InputOptions,
    ScaleOptions,
    SearchOptions,
    SetOptions,
    command,
)

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


def _version(wanted: bool) -> None:
    if wanted:
        out.print(version("pysmdl"))
        raise typer.Exit


@app.callback()
def common(
    debug: Debug = False,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and exit.")
    ] = False,
) -> None:
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
    images: AnyImages = None,
    *,
    common: CommonOptions,
    search: SearchOptions,
    of: SetOptions,
    input: InputOptions,
    box: BoxOptions,
    scales: ScaleOptions,
    kind: Annotated[
        str,
        typer.Option("--plot", help="row, map, order, steps, curves, bars, mistake or none.", rich_help_panel="Common"),
    ] = "row",
    folder: Annotated[
        Path, typer.Option("--out", help="Folder for PNG, npz and JSON.", rich_help_panel="Common")
    ] = Path("explanations"),
    text: Annotated[
        list[str] | None,
        typer.Option(
            help="A text, in place of files; or beside each of them, for a model of both.", rich_help_panel="Common"
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Show what was made.", rich_help_panel="Common")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how many evaluations, and how long.", rich_help_panel="Common")
    ] = False,
    trace: Annotated[
        list[str] | None,
        typer.Option(
            help='Another class whose curves are wanted; "predicted": the model\'s own.',
            rich_help_panel="The set function, and how it is evaluated",
        ),
    ] = None,
) -> None:
    """Explain images, sounds, clips, texts: which regions carry the model's decision, in order."""
    from pysmdl.cli import arguments, commands
    from pysmdl.cli import scales as several
    from pysmdl.cli.results import check_kind

    check_kind(kind)
    if not images and not text:
        raise ValueError("give files to explain, or --text for a text")
    traced = trace or (["predicted"] if kind == "mistake" else [])
    settings: dict[str, Any] = {"trace": list(map(arguments.class_of, traced)), **asdict(of), **asdict(search)}
    scorer = _scorer(common, input)
    files = _items(images or [], common, box, scorer)
    items, divided = _with_texts(files, text or [], scorer, common)
    if several.is_asked(common.regions, scales):
        settings |= {"preset": common.preset, "names": _names(common), **divided}
        if dry_run:
            several.estimate(items, scorer, settings.pop("regions"), scales, settings, out)
            return
        shown: dict[str, Any] = {"folder": folder, "out": out, "kind": kind}
        explained = several.explain(items, scorer, settings.pop("regions"), scales, settings, **shown)
    else:
        explainer = _explainer(scorer, common, **divided, **settings)
        if dry_run:
            commands.estimate(explainer, items, out)
            return
        explained = commands.explain(explainer, items, None, folder, out, kind)
    if show:
        _show(folder)
    if explained < len(items):
        raise typer.Exit(1)


@app.command(name="report")
@command
def make_report(
    folders: Annotated[
        list[Path],
        typer.Argument(help="Folders that explain has written, stores of run, or .npz files.", show_default=False),
    ],
    page: Annotated[Path, typer.Option("--out", help="The page.")] = Path("report.html"),
    title: Annotated[str | None, typer.Option(help="Its title.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Show explanations as one page of HTML, region by region; those of one image side by side."""
    from pysmdl.reporting.page import write

    page.parent.mkdir(parents=True, exist_ok=True)
    shown, skipped = write(folders, page, title)
    out.print(f"{shown} {'explanation is' if shown == 1 else 'explanations are'} in {printable(page)}", soft_wrap=True)
    if show:
        typer.launch(page.resolve().as_uri())
    if skipped:
        raise typer.Exit(1)


@app.command(name="eval")
@command
def compare(
    images: Images,
    common: CommonOptions,
    of: SetOptions,
    input: InputOptions,
    box: BoxOptions,
    methods: Annotated[
        str, typer.Option(help="Searches and methods, comma-separated; NAME:EVALUATIONS sets a budget.")
    ] = "guided,exact",
    mufidelity: Annotated[int, typer.Option(help="Random subsets for MuFidelity, evaluated on top; 0: none.")] = 0,
    folder: Annotated[Path, typer.Option("--out", help="Folder for the CSV and Parquet tables.")] = Path("evaluation"),
    store: Annotated[
        str | None, typer.Option(help="Keep each method's explanations in a store below this folder, and go on there.")
    ] = None,
) -> None:
    """Compare methods on images: every metric, with evaluations and seconds. Or stores of `pysmdl run`, as they are."""
    from pysmdl.cli.evaluate import evaluate, evaluate_stores
    from pysmdl.jobs.job_json import is_store
    from pysmdl.studies.evaluation import methods_named

    stores = [each for each in images if is_store(each)]
    if stores and len(stores) < len(images):
        raise ValueError(f"images must all be images, or all be stores; {stores[0]} is a store")
    if stores:
        evaluate_stores(images, folder, out)
        return
    if common.preset is not None:
        raise ValueError("preset says what search is; here --methods does: give --objective for the set function")
    named = methods_named([name.strip() for name in methods.split(",")])
    settings = {**asdict(of), "regions": common.regions, "players": common.players, "names": _names(common)}
    kept = None if store is None else _kept(store, common, input, box)
    scorer = _scorer(common, input)
    items = _items(images, common, box, scorer)
    if evaluate(items, scorer, named, folder, out, mufidelity, settings, kept):
        raise typer.Exit(1)


@app.command()
@command
def profile(
    images: Images,
    common: CommonOptions,
    search: SearchOptions,
    of: SetOptions,
    input: InputOptions,
    box: BoxOptions,
    repeat: Annotated[int, typer.Option(min=1, help="Run this many times and report on the one of median time.")] = 1,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Folder for trace.json (a Chrome trace) and profile.json.")
    ] = None,
) -> None:
    """Explain images and say where the time went: stages, batches, memo, the model's FLOPs, memory."""
    from pysmdl.cli import commands

    explainer = _explainer(_scorer(common, input), common, **_divided(common), **asdict(of), **asdict(search))
    commands.profile(explainer, _items(images, common, box, explainer.scorer), repeat, folder, out)


jobs.register(app)
stores.register(app)


def _scorer(common: CommonOptions, input: InputOptions) -> Any:
    from pysmdl.cli import arguments

    return arguments.load_model(common.model, common.device, **asdict(input))


def _kept(store: str, common: CommonOptions, input: InputOptions, box: BoxOptions) -> Any:
    from pysmdl.cli import arguments
    from pysmdl.jobs.task import WORDS
    from pysmdl.studies.keeping import Kept

    words = {name: each for name, each in asdict(input).items() if name in WORDS and each is not None}
    return Kept(store, arguments.target(common.target, box.box, box.label), words)


def _names(common: CommonOptions) -> Any:
    from pysmdl.cli import arguments

    return arguments.class_names(common.model, common.names)


def _divided(common: CommonOptions) -> dict[str, Any]:
    return {"regions": common.regions, "players": common.players}


def _explainer(scorer: Any, common: CommonOptions, **settings: Any) -> Any:
    from pysmdl.explainer import Explainer

    return Explainer(scorer, preset=common.preset, names=_names(common), **settings)


def _items(images: Sequence[str], common: CommonOptions, given: BoxOptions, scorer: Any) -> list[dict[str, Any]]:
    """An item a file, or a table's row; its name is one that every file and stream can hold."""
    from pysmdl.cli import arguments
    from pysmdl.cli.tables import is_table, rows_of
    from pysmdl.inputs import folders

    target = arguments.target(common.target, given.box, given.label)
    rows = [row for path in images if is_table(path) for row in rows_of(path)]
    files = [path for path in images if not is_table(path)]
    moving = scorer.input.frames is not None or getattr(scorer.reader, "frames", None) is not None
    found = folders.images(files, frames=moving) if files else []
    items: list[dict[str, Any]] = [{"image": path, "target": target, "id": printable(path)} for path in found]
    return items + [{"image": row, "target": target, "id": printable(name)} for name, row in rows]


def _with_texts(
    files: list[dict[str, Any]], texts: Sequence[str], scorer: Any, common: CommonOptions
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The items of files and texts, and how they are divided: a file and a text are one item where the model does not
    say itself what it reads.
    """
    from pysmdl.cli.arguments import class_of
    from pysmdl.cli.pairs import paired, players_of_each

    if files and texts and scorer.reader is None:
        return paired(files, texts), {"regions": players_of_each(**_divided(common))}
    target = None if common.target is None else class_of(common.target)
    own = [{"image": text, "target": target, "id": f"text {i}"} for i, text in enumerate(texts, 1)]
    return files + own, _divided(common)


def _show(folder: Path) -> None:
    """A folder's one picture, or the folder, as the desktop shows it."""
    pictures = sorted(folder.glob("*.png"))
    typer.launch(str(pictures[0] if len(pictures) == 1 else folder))


def main() -> None:
    """Entry point of the `pysmdl` command."""
    app()
