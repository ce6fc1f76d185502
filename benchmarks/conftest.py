"""Collects bench_*.py, hands out `report`, prints the rows at the end and keeps them with --record."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import measuring

ROWS: list[measuring.Row] = []


class Plain:
    """The part of pytest-benchmark's fixture that the benchmarks use, for machines without it."""

    def __init__(self) -> None:
        self.extra_info: dict[str, Any] = {}

    def pedantic(
        self, target: Callable[[], Any], setup: Callable[[], Any], rounds: int, iterations: int, warmup_rounds: int
    ) -> None:
        assert iterations == 1
        for _ in range(warmup_rounds + rounds):
            setup()
            target()


class PlainPlugin:
    @pytest.fixture
    def benchmark(self) -> Plain:
        return Plain()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help="append rows to benchmarks/results (or PYSMDL_RECORD=1)")


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.hasplugin("benchmark"):
        config.pluginmanager.register(PlainPlugin())


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    if file_path.match("bench_*.py") and not parent.session.isinitpath(file_path):
        return pytest.Module.from_parent(parent, path=file_path)
    return None  # a file that was named is collected anyway


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if measuring.DEVICE != "cuda":
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture
def report(benchmark: Any, request: pytest.FixtureRequest) -> Callable[..., None]:
    """Takes what :func:`measuring.row` takes, once the parity gate is passed."""

    def add(*args: Any, **kwargs: Any) -> None:
        row = measuring.row(*args, **kwargs)
        ROWS.append(row)
        benchmark.extra_info[row.name] = {"ratio": row.ratio, "target": row.target, "met": row.met}
        if request.config.getoption("--record") or os.environ.get("PYSMDL_RECORD") == "1":
            row.append(Path(__file__).parent / "results" / ("gpu.csv" if measuring.DEVICE == "cuda" else "cpu.csv"))

    return add


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not ROWS:
        return
    write = terminalreporter.write_line
    terminalreporter.section(f"ratios: {measuring.machine()}, torch {ROWS[0].torch}, commit {ROWS[0].commit}")
    for row in ROWS:
        absolute = f"{row.median:.4g} {row.unit}"
        shown = absolute if row.ratio is None else f"{row.ratio:.3f} ({absolute})"
        verdict = {None: "", True: f"target {row.target}: met", False: f"target {row.target}: MISSED"}[row.met]
        write(f"{row.name} [{row.backend}] {shown}, {row.low:.3g} .. {row.high:.3g}; {row.parameters}; {verdict}")
