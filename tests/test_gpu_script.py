"""What make gpu would run, in which order, and what it leaves out: said by its dry run, which needs no device."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression

ROOT = Path(__file__).parent.parent
PARTS = ["tests", "fill", "latency", "mixed", "dropping", "compose", "large", "images", "rest"]


def dry(**environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYSMDL_")}
    command = ["bash", str(ROOT / "benchmarks" / "gpu.sh"), "--dry-run"]
    return subprocess.run(command, capture_output=True, text=True, env={**kept, **environment}, check=False)


def names(**environment: str) -> list[str]:
    return [line.partition(":")[0] for line in dry(**environment).stdout.splitlines()]


def test_what_matters_most_comes_first():
    assert names() == PARTS


def test_parts_are_left_out_by_name():
    assert names(PYSMDL_SKIP="tests rest") == PARTS[1:-1]
    assert names(PYSMDL_ONLY="images mixed") == ["mixed", "images"]
    assert names(PYSMDL_ONLY="images mixed", PYSMDL_SKIP="mixed") == ["images"]


def test_a_part_that_does_not_exist_is_refused():
    done = dry(PYSMDL_SKIP="speed")
    assert done.returncode == 2
    assert done.stderr.startswith("make gpu: no part speed; there are: tests fill latency")


@pytest.mark.parametrize("line", dry().stdout.splitlines(), ids=PARTS)
def test_a_part_names_files_and_tests_that_there_are(line):
    _, _, said = line.partition(": pytest ")
    said, _, chosen = said.partition(" -k ")
    if chosen:
        Expression.compile(chosen)
    for path in (each for each in shlex.split(said) if each.startswith(("benchmarks/", "tests"))):
        file, _, test = path.partition("::")
        assert (ROOT / file).exists()
        assert not test or f"def {test}(" in (ROOT / file).read_text()


def test_every_file_with_tests_on_a_device_is_named_and_no_other():
    """Others may import what the machine lacks."""
    fixtures = ("backend_device", "attention_backend", "mark.gpu")
    tests = [path for path in (ROOT / "tests").glob("test_*.py") if path != Path(__file__)]
    on_device = {f"tests/{path.name}" for path in tests if any(each in path.read_text() for each in fixtures)}
    (line,) = dry(PYSMDL_ONLY="tests").stdout.splitlines()
    assert {each for each in shlex.split(line) if each.startswith("tests/")} == on_device
