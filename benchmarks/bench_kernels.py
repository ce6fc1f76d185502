"""Each op on each backend, against a plain copy that moves as many bytes: the share of memory bandwidth it reaches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pysmdl import bitrows, kernels
from pysmdl.kernels.dispatch import OPS

from measuring import DEVICE, calls_in, interleaved, over, seconds

BACKENDS = [name for name, problem in kernels.backends_for(DEVICE).items() if problem is None]
BACKENDS = [name for name in BACKENDS if DEVICE == "cuda" or name != "triton"]  # its interpreter is no backend to time
ROWS = 512 if DEVICE == "cuda" else 64  # more than the GPU's cache holds
Made = tuple[tuple[Any, ...], dict[str, Any], Tensor]  # arguments, keywords, out


def on_device(*arrays: np.ndarray) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(np.ascontiguousarray(array)).to(DEVICE) for array in arrays)


def compose(rows: int, inputs: int, height: int, width: int, n: int, dtype: torch.dtype) -> Made:
    rng = np.random.default_rng(0)
    side = round(n**0.5)
    row, column = np.arange(height) * side // height, np.arange(width) * side // width
    labels = np.repeat((row[:, None] * side + column).astype(np.int32)[None], inputs, 0)
    words = -(-n // 32)
    bits = rng.integers(-(2**31), 2**31, (rows, words)).astype(np.int32)
    source = np.sort(rng.integers(0, inputs, rows)).astype(np.int32)
    x = torch.randn(inputs, 3, height, width, device=DEVICE, dtype=dtype)
    baseline = torch.zeros(inputs, 3, 1, 1, device=DEVICE, dtype=dtype).expand(x.shape)
    return (x, baseline, *on_device(labels, bits, source)), {}, torch.empty((rows, *x.shape[1:]), device=DEVICE,
                                                                            dtype=dtype)  # fmt: skip


def blend(rows: int, side: int, n: int, dtype: torch.dtype) -> Made:
    (x, baseline, labels, _, source), more, out = compose(rows, 1, side, side, n, dtype)
    return (x, baseline, labels, torch.rand(rows, n, device=DEVICE), source), more, out


def pack_tokens(rows: int, inputs: int, side: int, width: int, n: int, dtype: torch.dtype) -> Made:
    """Subsets of every size, tokens of a class and of side x side patches."""
    rng = np.random.default_rng(0)
    labels = np.concatenate(([-1], rng.integers(0, n, side * side))).astype(np.int32)
    member = rng.random((rows, n)) < np.linspace(0, 1, rows)[:, None]
    kept = 1 + member[:, labels[1:]].sum(1)
    source = np.sort(rng.integers(0, inputs, rows)).astype(np.int32)
    offsets = np.append(0, kept.cumsum()).astype(np.int32)
    x = torch.randn(inputs, len(labels), width, device=DEVICE, dtype=dtype)
    arrays = on_device(np.repeat(labels[None], inputs, 0), bitrows.pack(member), source, offsets)
    return (x, *arrays), {}, torch.empty((int(offsets[-1]), width), device=DEVICE, dtype=dtype)


def inverse_haar(rows: int, side: int, dtype: torch.dtype) -> Made:
    packed = torch.randn(rows, 3, side, side, device=DEVICE, dtype=dtype)
    return (packed, 3), {}, torch.empty_like(packed)


def class_scores(rows: int, classes: int, traced: int, dtype: torch.dtype) -> Made:
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(0, 3, (rows, classes))).to(DEVICE, dtype)
    (targets,) = on_device(rng.integers(0, classes, (rows, traced)).astype(np.int32))
    return (logits, targets), {}, torch.empty((rows, 2 + traced), device=DEVICE)


def distance_gains(n: int, members: int) -> Made:
    rng = np.random.default_rng(0)
    d = rng.random((n, n)).astype(np.float32)
    d = np.minimum(d, d.T)
    order = rng.permutation(n).astype(np.int32)
    chosen, left = order[:members], order[members:]
    apart = d[np.ix_(chosen, chosen)] + np.where(np.eye(members, dtype=bool), np.float32(np.inf), np.float32(0))
    return on_device(d, apart.min(1), chosen, left), {}, torch.empty(n - members, device=DEVICE)


def match_boxes(rows: int, boxes: int, classes: int, wanted: int) -> Made:
    rng = np.random.default_rng(0)
    corners = np.sort(rng.random((rows, boxes, 2, 2)).astype(np.float32), axis=2).reshape(rows, boxes, 4)
    arrays = (
        corners,
        rng.random((rows, boxes, classes)).astype(np.float32),
        np.tile(np.array([0.2, 0.2, 0.7, 0.7], np.float32), (rows, 1)),
        rng.integers(0, classes, (rows, wanted)).astype(np.int32),
        np.zeros(rows, np.int32),
    )
    return on_device(*arrays), {"floor": 0.05}, torch.empty((rows, 7), device=DEVICE)


CASES: dict[str, tuple[str, Callable[[], Made], str]] = {
    "compose, typical": (
        "compose", lambda: compose(ROWS, 1, 224, 224, 49, torch.float32),
        f"{ROWS} rows of 1 input, 3 x 224 x 224 float32, N = 49",
    ),
    "compose, crowd": (
        "compose", lambda: compose(ROWS, 32, 224, 224, 100, torch.float32),
        f"{ROWS} rows of 32 inputs, 3 x 224 x 224 float32, N = 100",
    ),
    "compose, awkward": (
        "compose", lambda: compose(ROWS - 27, 3, 223, 225, 196, torch.bfloat16),
        f"{ROWS - 27} rows of 3 inputs, 3 x 223 x 225 bfloat16, N = 196",
    ),
    "pack_tokens, typical": (
        "pack_tokens", lambda: pack_tokens(ROWS, 1, 14, 768, 49, torch.bfloat16),
        f"{ROWS} rows of 1 input, 197 tokens of 768 bfloat16, N = 49",
    ),
    "pack_tokens, awkward": (
        "pack_tokens", lambda: pack_tokens(ROWS - 27, 3, 37, 383, 196, torch.float32),
        f"{ROWS - 27} rows of 3 inputs, 1370 tokens of 383 float32, N = 196",
    ),
    "blend, typical": (
        "blend", lambda: blend(ROWS, 224, 64, torch.float32), f"{ROWS} rows of 1 input, 3 x 224 x 224 float32, N = 64",
    ),
    "inverse_haar, typical": (
        "inverse_haar", lambda: inverse_haar(ROWS, 224, torch.float32),
        f"{ROWS} rows of 3 x 224 x 224 float32, 3 levels",
    ),
    "class_scores, typical": (
        "class_scores", lambda: class_scores(8 * ROWS, 1000, 1, torch.float32), f"{8 * ROWS} x 1000 float32",
    ),
    "class_scores, awkward": (
        "class_scores", lambda: class_scores(97, 21843, 3, torch.bfloat16), "97 x 21843 bfloat16, 3 targets",
    ),
    "distance_gains, typical": ("distance_gains", lambda: distance_gains(49, 25), "N = 49, 25 members"),
    "distance_gains, awkward": ("distance_gains", lambda: distance_gains(1001, 333), "N = 1001, 333 members"),
    "match_boxes, typical": (
        "match_boxes", lambda: match_boxes(ROWS, 300, 80, 1), f"{ROWS} rows of 300 boxes, 80 classes",
    ),
    "match_boxes, awkward": (
        "match_boxes", lambda: match_boxes(37, 901, 13, 5), "37 rows of 901 boxes, 13 classes, 5 labels",
    ),
}  # fmt: skip


def moved(op: str, arguments: tuple[Any, ...], out: Tensor) -> int:
    """Bytes an op cannot avoid: everything it reads once, and what it writes."""
    if op == "match_boxes":  # of each prediction only the wanted confidences
        boxes, confidences, target, labels, mode = arguments
        wanted = confidences[:, :, : labels.shape[1]]
        return sum(each.numel() * each.element_size() for each in (boxes, wanted, target, labels, mode, out))
    if op == "distance_gains":
        return 4 * (len(arguments[2]) * len(arguments[3]) + 2 * len(arguments[2]) + 2 * len(out))
    stored = sum(each.untyped_storage().nbytes() for each in arguments if isinstance(each, Tensor))
    return stored + out.numel() * out.element_size()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_op(benchmark, report, case, backend):
    op, make, parameters = CASES[case]
    if backend not in OPS[op]:
        pytest.skip(f"{op} has no {backend} implementation")
    arguments, keywords, out = make()
    function = getattr(kernels, op)
    wanted = function(*arguments, **keywords, out=torch.empty_like(out), backend="reference")
    function(*arguments, **keywords, out=out, backend=backend)
    exact = op in ("compose", "blend", "distance_gains", "pack_tokens", "inverse_haar")
    torch.testing.assert_close(out, wanted, atol=0 if exact else 2e-6, rtol=0)

    def run() -> None:
        function(*arguments, **keywords, out=out, backend=backend)

    half = max(1, moved(op, arguments, out) // 2)
    read, written = (torch.zeros(half, dtype=torch.uint8, device=DEVICE) for _ in range(2))
    often, copies = calls_in(run), calls_in(lambda: written.copy_(read))
    bare, ours = interleaved(
        benchmark, lambda i: seconds(lambda: written.copy_(read), copies), lambda i: seconds(run, often)
    )
    target = ">= 0.8" if DEVICE == "cuda" and op == "compose" and backend in ("triton", "cuda") else ""
    report(
        f"kernels: {case}", [1e6 * t for t in ours], over(bare, ours), backend=backend, unit="us",
        parameters=f"{parameters}; {2 * half / 2**20:.3g} MiB moved", target=target,
    )  # fmt: skip
