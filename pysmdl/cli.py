"""The command line: `pysmdl explain`, `pysmdl demo` and `pysmdl env`."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
out = Console()
err = Console(stderr=True)


@app.callback()
def common() -> None:
    """Which input regions made the model decide."""
    logger = logging.getLogger("pysmdl")
    if not any(isinstance(handler, RichHandler) for handler in logger.handlers):
        logger.addHandler(RichHandler(console=err, show_path=False, show_time=False))


@app.command()
def env() -> None:
    """Versions, compiler, devices and backends, for bug reports."""
    from pysmdl.environment import report

    for name, value in report().items():
        out.print(f"{name + ':':34}{value}", highlight=False, soft_wrap=True)


@app.command()
def demo(folder: Annotated[Path, typer.Option("--out", help="Folder for the pictures.")] = Path("demo")) -> None:
    """Explain the images that ship with pysmdl, right and wrong predictions, with SMDL and LiMA."""
    from pysmdl.demo import run

    run(folder, out)


@app.command()
def explain(
    images: Annotated[list[Path], typer.Argument(help="Images to explain.", show_default=False)],
    model: Annotated[
        str, typer.Option(help="builtin:NAME, package.module:attribute, or a TorchScript or .pt2 file.")
    ] = "builtin:digits",
    target: Annotated[
        int | None, typer.Option(help="Class to explain; the model's own top class if not given.")
    ] = None,
    trace: Annotated[list[int] | None, typer.Option(help="Other classes whose curves are wanted too.")] = None,
    regions: Annotated[
        str, typer.Option(help="slico, slico-opencv, seeds, grid; NAME:COUNT sets the count.")
    ] = "slico",
    baseline: Annotated[str, typer.Option(help="black, zero, mean or blur.")] = "black",
    objective: Annotated[str | None, typer.Option(help="smdl or lima; lima fitted to the scorer if not given.")] = None,
    search: Annotated[str, typer.Option(help="exact or bidirectional.")] = "bidirectional",
    k: Annotated[int | None, typer.Option(help="Stop after this many regions.")] = None,
    evaluations: Annotated[int | None, typer.Option(help="Budget of model evaluations.")] = None,
    save_to: Annotated[Path, typer.Option("--out", help="Folder for PNG, npz and JSON.")] = Path("explanations"),
    mean: Annotated[str | None, typer.Option(help="Normalisation, comma-separated; not for builtin models.")] = None,
    std: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    size: Annotated[str | None, typer.Option(help="Model input, 224 or HEIGHTxWIDTH.")] = None,
    channel_order: Annotated[str | None, typer.Option(help="rgb or bgr.")] = None,
    mask_at: Annotated[str | None, typer.Option(help="model: mask after the resize; image: before it.")] = None,
    names: Annotated[Path | None, typer.Option(help="Class names, one a line.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows of a forward pass.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 ...")] = None,
    seed: Annotated[int, typer.Option(help="Of the searches that draw samples.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how many evaluations and about how long.")
    ] = False,
) -> None:
    """Explain images: which regions carry the model's decision, in order."""
    from pysmdl.errors import PysmdlError
    from pysmdl.explainer import Explainer
    from pysmdl.loading import class_names, load_model

    try:
        scorer = load_model(model, device, mean, std, size, channel_order, mask_at)
        explainer = Explainer(
            scorer, regions=regions, baseline=baseline, objective=objective, search=search, trace=trace or (), k=k,
            evaluations=evaluations, batch_size=batch_size, seed=seed,
        )  # fmt: skip
        known = class_names(model, names)
        items = [{"image": path, "target": target, "id": str(path)} for path in images]
        if dry_run:
            _estimate(explainer, items)
            return
        done = _explain(explainer, items, known, save_to)
    except (PysmdlError, ValueError, OSError) as error:
        err.print(f"[red]error:[/] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        err.print("stopped; what was settled is saved")
        raise typer.Exit(130) from None
    if done < len(images):
        raise typer.Exit(1)


def _explain(explainer: Any, items: list[dict[str, Any]], names: tuple[str, ...] | None, folder: Path) -> int:
    """Run, save as each is done, and print a table. Returns how many were explained."""
    from pysmdl.plotting import NEARLY
    from pysmdl.progress import bar

    folder.mkdir(parents=True, exist_ok=True)
    table = Table("image", "target", "says", "insertion", "deletion", "highest", "best", "rows", title="explanations")
    stems = _stems([item["id"] for item in items])

    def name(index: int) -> str:
        return names[index] if names and 0 <= index < len(names) else str(index)

    done = 0
    try:
        with bar() as report:
            for found in explainer.run(items, report, on_error="skip"):
                stem = folder / stems[found.index]
                found.save(stem.with_suffix(".npz"))
                stem.with_suffix(".json").write_text(found.to_json(indent=1) + "\n")
                found.plot(names=names).savefig(stem.with_suffix(".png"), dpi=150)
                said = int(found.predicted[1, 0])
                best = found.best_step(NEARLY)
                table.add_row(
                    Path(found.id).name, name(found.target), name(said) if said >= 0 else "?",
                    f"{found.insertion_auc:.3f}", f"{found.deletion_auc:.3f}", f"{found.highest_confidence():.3f}",
                    f"{best} of {found.n}", str(found.evaluations),
                )  # fmt: skip
                done += 1
    finally:
        if done:
            out.print(table)
            out.print(f"{done} explained; pictures, arrays and JSON are in {folder}", highlight=False, soft_wrap=True)
    return done


def _stems(ids: list[str]) -> list[str]:
    """A file name for each image; images of the same name in different folders get numbers."""
    stems = [Path(each).stem for each in ids]
    return [stem if stems.count(stem) == 1 else f"{stem}-{number}" for number, stem in enumerate(stems)]


def _estimate(explainer: Any, items: list[dict[str, Any]]) -> None:
    """Evaluations by the searches' own count, time by a forward pass of each image's shape."""
    import torch

    from pysmdl.scorers import Wanted

    scorer, plan = explainer.scorer, explainer.plan
    table = Table("image", "regions", "evaluations at most", "about")
    total = 0.0
    for given in items:
        item = explainer.prepare(given)
        n = item.regions.n
        most = plan.rows(n)
        batch = item.x.to(scorer.device).expand(min(8, most), *item.x.shape).contiguous()
        targets = torch.from_numpy(item.target).to(scorer.device).expand(len(batch), -1).contiguous()
        seconds = []
        for _ in range(2):  # the first pass warms up
            began = time.perf_counter()
            with torch.no_grad():
                scorer.score(batch, targets, Wanted()).values.cpu()
            seconds.append(time.perf_counter() - began)
        about = most * seconds[-1] / len(batch)
        total += about
        table.add_row(Path(given["id"]).name, str(n), str(most), f"{about:.1f} s")
    out.print(table)
    out.print(f"about {total:.0f} s in all on {scorer.device}, before the memo saves any", highlight=False)


def main() -> None:
    """Entry point of the `pysmdl` command."""
    app()
