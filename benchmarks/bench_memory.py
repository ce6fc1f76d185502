"""What 256 inputs in flight cost in resident memory, beyond one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import pysmdl

HOME = Path(__file__).parent
INPUTS = 256


def peak(in_flight: int) -> tuple[float, int]:
    """GiB that a fresh process had resident at most while it explained so many inputs at once, and its evaluations."""
    done = subprocess.run(
        [sys.executable, __file__, str(in_flight)], capture_output=True, text=True, check=True, cwd=HOME
    )
    kibibytes, evaluations = done.stdout.split()
    return int(kibibytes) / 2**20, int(evaluations)


def main(in_flight: int) -> None:
    """In the fresh process: as many searches at once, from a generator, so that only live inputs are held."""
    from bench_engine import NullModel
    from measuring import picture

    images = ({"image": picture(seed), "target": 1} for seed in range(in_flight))
    found = pysmdl.explain_many(
        images, NullModel().scorer, regions="grid:49", search="exact", k=3, progress=False,
        objective=pysmdl.smdl(0, 0, 1, 1), config=pysmdl.EngineConfig(max_searches=in_flight),
    )  # fmt: skip
    evaluations = sum(each.evaluations for each in found)
    status = Path("/proc/self/status").read_text()  # getrusage's peak would start at that of the parent
    print(status.split("VmHWM:")[1].split()[0], evaluations)


@pytest.mark.skipif(torch.cuda.is_available(), reason="counts the host's memory, which CUDA fills by itself")
def test_inputs_in_flight(benchmark, report):
    from measuring import interleaved

    one_rows, many_rows = peak(1)[1], peak(INPUTS)[1]
    assert many_rows == INPUTS * one_rows, "each input takes as many evaluations as alone"
    one, many = interleaved(benchmark, lambda i: peak(1)[0], lambda i: peak(INPUTS)[0])
    report(
        f"memory: {INPUTS} inputs in flight beyond one", [b - a for a, b in zip(one, many, strict=True)], unit="GiB",
        parameters="peak resident memory, 224 x 224, N = 49, exact, k = 3, null model, a process each",
        target="<= 1.0",
    )  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]))
