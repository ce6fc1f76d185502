"""`pysmdl store`: what a store holds, and its upkeep."""

from __future__ import annotations

import json
import logging
from typing import Annotated, TypeAlias

import typer

from pysmdl.cli.console import out, printable
from pysmdl.cli.options import command

stores = typer.Typer(no_args_is_help=True, help="What a store holds, and its upkeep.")
log = logging.getLogger("pysmdl")

Address: TypeAlias = Annotated[
    str, typer.Argument(help="The store: a folder, or an address as s3://...", show_default=False)
]


@stores.command()
@command
def verify(store: Address) -> None:
    """Read everything: checksums, columns, ids, each explanation."""
    from pysmdl import jobs

    found = jobs.open_store(store).verify()
    for problem in found.problems:
        log.error("%s", problem)
    out.print(f"{found.explanations} explanations and {found.failures} failures in {found.parts} parts", soft_wrap=True)
    if found.problems:
        raise typer.Exit(1)


@stores.command()
@command
def compact(store: Address) -> None:
    """Make few large parts of many small ones."""
    from pysmdl import jobs

    out.print(f"{jobs.open_store(store).compact()} parts remain in {printable(store)}", soft_wrap=True)


@stores.command()
@command
def show(store: Address) -> None:
    """What was asked, how much is there, what failed, and the means of the metrics."""
    from rich.table import Table

    from pysmdl import jobs

    found = jobs.open_store(store)
    out.print(json.dumps({name: found.job.get(name) for name in ("model", "settings")}, indent=1), soft_wrap=True)
    table = Table("metric", "mean", title=f"{len(found)} explanations, {len(found.failures)} failures")
    for name, mean in jobs.means(found).items():
        table.add_row(name, f"{mean:.4f}")
    out.print(table)
    for failure in list(found.failures.values())[:20]:
        out.print(f"{printable(failure.id)}: {printable(failure.error)}", soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(stores, name="store")
