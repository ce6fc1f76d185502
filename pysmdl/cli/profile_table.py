"""A profile's report as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType


def table(report: Mapping[str, Any]) -> RenderableType:
    """A report of :meth:`pysmdl.Profile.report` for a terminal: stages, then everything else."""
    from rich.console import Group
    from rich.table import Table

    on_device = any("device_seconds" in each for each in report["stages"].values())
    stages = Table("stage", title="profile", show_footer=True)
    stages.columns[0].footer = "wall"
    stages.add_column("time", _seconds(report["seconds"]), justify="right")
    stages.add_column("share", "100.0%", justify="right")
    if on_device:
        stages.add_column("on the GPU", justify="right")
    for name, each in report["stages"].items():
        row = [name, _seconds(each["seconds"]), f"{each['share']:.1%}"]
        stages.add_row(*row, *([_seconds(each.get("device_seconds", 0.0))] if on_device else []))
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(report).items():
        facts.add_row(name, value)
    return Group(stages, facts)


def _facts(report: Mapping[str, Any]) -> dict[str, str]:
    flops, share = report["flops_per_row"], report["peak_share"]
    full = "-" if report["fill"] is None else f"{report['fill']:.1%}"
    of = {"device": "allocated by torch on the GPU", "process": "resident, of the process since its start"}
    cost = report["overhead_seconds"] / report["events"] if report["events"] else 0.0
    return {
        "evaluations": f"{report['evaluations']}, {report['evaluations_per_second']:.0f} a second",
        "batches": f"{report['batches']}, {full} full, {report['padded']} padded rows",
        "memo": f"{report['memo_hits']} of {report['asked']} rows asked for were known",
        "model": "FLOPs not counted" if flops is None else f"{_scaled(flops)}FLOP a row (matmul and convolution)",
        "device": "-" if share is None else f"{share:.1%} of its measured {_scaled(report['peak_flops'])}FLOP/s",
        "peak memory": f"{report['peak_bytes'] / 2**20:.0f} MiB {of[report['peak_bytes_of']]}",
        "profiler": f"{report['events']} events of {cost * 1e6:.1f} µs, {report['overhead_share']:.2%} of the time",
    }


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds >= 1 else f"{seconds * 1e3:.2f} ms"


def _scaled(number: float) -> str:
    """With a unit's prefix: 2.5 G."""
    for power, prefix in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if number >= 10**power:
            return f"{number / 10**power:.3g} {prefix}"
    return f"{number:.3g} "
