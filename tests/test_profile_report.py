"""The profile as it is read: its table, and the command that prints and writes it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from pysmdl import builtin
from pysmdl.cli import app, profile_table
from pysmdl.profiling import STAGES

from toys import numpy_model, profiled


def rendered(report) -> str:
    from rich.console import Console

    console = Console(width=120, force_terminal=False)
    with console.capture() as captured:
        console.print(profile_table.table(report))
    return captured.get()


def test_a_gpu_has_a_column_of_its_own():
    stages = {name: {"seconds": 0.1, "share": 0.125} for name in (*STAGES, "other")}
    stages["model"]["device_seconds"] = 1.5
    report = {**profiled()[0].notes["profile"], "stages": stages, "peak_bytes_of": "device"}
    text = rendered(report)
    assert "on the GPU" in text
    assert "1.500 s" in text
    assert "allocated by torch" in text


def test_the_table_says_it_all():
    report = profiled()[0].notes["profile"]
    text = rendered(report)
    for word in (*STAGES, "other", "wall", f"{report['evaluations']}, ", "% full", "rows asked for were known", "MiB"):
        assert word in text
    assert "3.46 kFLOP a row (matmul and convolution)" in text
    assert "on the GPU" not in text
    assert "FLOPs not counted" in rendered(profiled(numpy_model)[0].notes["profile"])


@pytest.mark.slow
def test_the_command_prints_and_writes(tmp_path):
    scenes = [scene["path"] for scene in builtin.images()[:2]]
    arguments = ["profile", *scenes, "--regions", "grid:9", "--repeat", "3", "--out", str(tmp_path / "new")]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "new" / "profile.json").read_text())
    assert report["images"] == 2
    assert report["seconds"] == sorted(report["run_seconds"])[1]
    assert 0 < report["memo_hits"] == report["asked"] - report["evaluations"]
    assert report["flops_per_row"] > 1e6
    trace = json.loads((tmp_path / "new" / "trace.json").read_text())["traceEvents"]
    assert {event["name"] for event in trace} == {"run", *STAGES} - {"idle"}
    for word in ("partition", "model", "% full", "MFLOP a row", "trace.json"):
        assert word in result.output


def test_the_command_names_bad_arguments(tmp_path):
    scene = builtin.images()[0]["path"]
    for arguments, message in ((["--repeat", "0"], "repeat"), (["--search", "best"], "search must be one of")):
        result = CliRunner().invoke(app, ["profile", scene, *arguments], env={"COLUMNS": "200", "NO_COLOR": "1"})
        assert result.exit_code == 2
        assert message in result.output
