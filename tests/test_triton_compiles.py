"""Triton's kernels through its compiler, for a GPU that need not be here: the interpreter takes more than it does."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from pysmdl.kernels import (
    class_scores_triton, compose_triton, distance_gains_triton, match_boxes_triton, pack_tokens_triton,
    varlen_attention_triton,
)

CASES = [
    (compose_triton._compose_kernel, "x baseline out", "labels rows source", "", "", {"TILE": 1024}),
    (class_scores_triton._class_scores_kernel, "logits", "targets", "out", "", {"ENTROPY": True, "TILE": 1024}),
    (distance_gains_triton._distance_gains_kernel, "", "members candidates", "distances nearest out", "", {"TILE": 64}),
    (match_boxes_triton._match_boxes_kernel, "confidences", "labels mode", "boxes target out", "floor", {"TILE": 512}),
    (varlen_attention_triton._varlen_attention_kernel, "q k v out", "offsets", "", "scale",
     {"WIDTH": 64, "HEAD": 64, "QUERIES": 64, "KEYS": 32, "EXACT": False}),
    (pack_tokens_triton._pack_tokens_kernel, "x out", "labels rows source offsets", "", "", {"TILE": 32, "WIDE": 256}),
]
CASES.append((compose_triton._compose_kernel, "", "labels rows source x baseline out", "", "", {"TILE": 1024}))
for kernel, of_model, whole, single, number, constants in CASES:
    signature = dict.fromkeys(kernel.arg_names, "i32") | dict.fromkeys(constants, "constexpr")
    for names, kind in ((of_model, "*bf16"), (whole, "*i32"), (single, "*fp32"), (number, "fp32")):
        signature |= dict.fromkeys(names.split(), kind)
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32))
    print(kernel.__name__, len(made.asm["cubin"]))
    assert kernel is not match_boxes_triton._match_boxes_kernel or "div.full" not in made.asm["ptx"]  # rounded once
"""


@pytest.mark.slow
def test_every_kernel_compiles(tmp_path):
    pytest.importorskip("triton")
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path)}
    environment.pop("TRITON_INTERPRET", None)
    done = subprocess.run([sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == 7
