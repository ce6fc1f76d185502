"""The engine's ops. Each is one public function with ``backend="auto"``; reference.py defines what it computes.

``B`` rows, ``M`` resident inputs, ``n`` regions, ``W`` words a row, ``C`` channels, ``K`` classes, ``T`` targets,
``*grid`` the input's grid (height and width of an image).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pysmdl.kernels.dispatch import BACKENDS, backends_for, pick

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BACKENDS", "backends_for", "class_scores", "compose", "distance_gains"]


def compose(
    x: Tensor,
    baseline: Tensor,
    labels: Tensor,
    rows: Tensor,
    source: Tensor,
    *,
    out: Tensor | None = None,
    backend: str = "auto",
) -> Tensor:
    """Show each row's kept regions of its input and the baseline elsewhere.

        for b, c, p in all rows, channels, grid points:
            i = source[b]
            keep = labels[i, p] < 0 or bit labels[i, p] of rows[b] is set
            out[b, c, p] = x[i, c, p] if keep else baseline[i, c, p]

    A select: bit-equal on every backend. The complement of a subset is just another row.

    Args:
        x: Resident inputs in model space. [M, C, *grid], float32, float16 or bfloat16.
        baseline: What an absent region looks like. Same shape, dtype and device as x; may be expanded (stride 0).
        labels: Region of each grid point, -1 for "always shown". [M, *grid], int32.
        rows: Kept regions, 32 to a word: region j is bit j % 32 of word j // 32. [B, W], int32.
        source: Which input each row shows; negative is padding and is filled with zeros. [B], int32.
        out: Where to write. [B, C, *grid]; allocated when None. Written in full.
        backend: "auto", "cpu", "cuda", "triton" or "reference".

    Returns:
        out.

    Raises:
        ValueError: shapes, dtypes or devices disagree (the message gives both).
        BackendError: the named backend cannot run here.
    """
    grid = x.shape[2:]
    if baseline.shape != x.shape:
        raise ValueError(f"baseline must have the shape of x, {list(x.shape)}; got {list(baseline.shape)}")
    if labels.shape != x.shape[:1] + grid:
        raise ValueError(f"labels must be [M, *grid] = {[x.shape[0], *grid]}; got {list(labels.shape)}")
    if rows.dim() != 2 or source.shape != rows.shape[:1]:
        raise ValueError(f"rows must be [B, W] and source [B]; got {list(rows.shape)} and {list(source.shape)}")
    shape = (rows.shape[0], x.shape[1], *grid)
    if out is None:
        out = torch.empty(shape, dtype=x.dtype, device=x.device)
    elif out.shape != shape:
        raise ValueError(f"out must be [B, C, *grid] = {list(shape)}; got {list(out.shape)}")
    _same("dtype", baseline=baseline.dtype, out=out.dtype, x=x.dtype)
    _same("dtype", labels=labels.dtype, rows=rows.dtype, source=source.dtype, index=torch.int32)
    _same("device", x=x.device, baseline=baseline.device, labels=labels.device, rows=rows.device, source=source.device,
          out=out.device)  # fmt: skip
    pick("compose", backend, out.device)(x, baseline, labels, rows, source, out)
    return out


def class_scores(
    logits: Tensor, targets: Tensor, *, entropy: bool = True, out: Tensor | None = None, backend: str = "auto"
) -> Tensor:
    """Softmax of each row, read where it is needed: a few numbers a row leave the device, not K.

        for b in all rows:
            p = softmax(logits[b])                              # in float32
            out[b, 0] = 1 + sum(p * log(p + 1e-7)) / log(K)     # confidence, SMDL's entropy form
            out[b, 1] = argmax(logits[b])                       # first maximum
            out[b, 2:] = p[targets[b]]                          # target -1: the row's own top class

    Args:
        logits: [B, K], float32, float16 or bfloat16.
        targets: Classes to trace. [B, T], int32, each below K; negative: the top class.
        entropy: Whether the confidence is wanted; 0 is written otherwise (and where K is 1).
        out: [B, 2 + T], float32, contiguous; allocated when None.
        backend: "auto", "cpu", "cuda", "triton" or "reference".

    Returns:
        out. NaN in a row of logits gives NaN in its probabilities.

    Raises:
        ValueError: shapes, dtypes or devices disagree, or (on the CPU) a target is not a class.
        BackendError: the named backend cannot run here.
    """
    if logits.dim() != 2 or logits.shape[1] == 0:
        raise ValueError(f"logits must be [B, K] with K at least 1; got {list(logits.shape)}")
    if targets.dim() != 2 or targets.shape[0] != logits.shape[0]:
        raise ValueError(f"targets must be [B, T] with B = {logits.shape[0]}; got {list(targets.shape)}")
    shape = (logits.shape[0], 2 + targets.shape[1])
    if out is None:
        out = torch.empty(shape, dtype=torch.float32, device=logits.device)
    elif out.shape != shape or not out.is_contiguous():
        raise ValueError(f"out must be a contiguous [B, 2 + T] = {list(shape)}; got {list(out.shape)}")
    _same("dtype", out=out.dtype, scores=torch.float32)
    _same("dtype", targets=targets.dtype, index=torch.int32)
    _same("device", logits=logits.device, targets=targets.device, out=out.device)
    pick("class_scores", backend, out.device)(logits, targets, entropy, out)
    return out


def distance_gains(
    distances: Tensor,
    nearest: Tensor,
    members: Tensor,
    candidates: Tensor,
    *,
    out: Tensor | None = None,
    backend: str = "auto",
) -> Tensor:
    """Effectiveness of a subset after adding each candidate, in O(|S|) a candidate.

        for c, a in enumerate(candidates):
            out[c] = sum(min(nearest[i], distances[members[i], a]) for i) + min(distances[members, a])
            # 0 where there are no members: one region has no neighbour

    Sums are float64 in member order and rounded once, so every backend gives the same bits.

    Args:
        distances: Distance of every pair of regions. [n, n], float32, symmetric, contiguous.
        nearest: Distance of each member to its nearest other member, infinity for a lone one. [m], float32.
        members: The regions of S. [m], int32.
        candidates: Regions to add, none of them a member. [c], int32.
        out: [c], float32; allocated when None.
        backend: "auto", "cpu", "cuda", "triton" or "reference".

    Returns:
        out.

    Raises:
        ValueError: shapes, dtypes or devices disagree, or (on the CPU) a region is out of range.
        BackendError: the named backend cannot run here.
    """
    if distances.dim() != 2 or distances.shape[0] != distances.shape[1]:
        raise ValueError(f"distances must be [n, n]; got {list(distances.shape)}")
    if members.dim() != 1 or nearest.shape != members.shape:
        raise ValueError(f"nearest and members must be [m]; got {list(nearest.shape)} and {list(members.shape)}")
    if out is None:
        out = torch.empty(candidates.shape, dtype=torch.float32, device=distances.device)
    elif out.shape != candidates.shape:
        raise ValueError(f"out must be [c] = {list(candidates.shape)}; got {list(out.shape)}")
    _same("dtype", distances=distances.dtype, nearest=nearest.dtype, out=out.dtype, scores=torch.float32)
    _same("dtype", members=members.dtype, candidates=candidates.dtype, index=torch.int32)
    _same("device", distances=distances.device, nearest=nearest.device, members=members.device,
          candidates=candidates.device, out=out.device)  # fmt: skip
    pick("distance_gains", backend, out.device)(distances, nearest, members, candidates, out)
    return out


def _same(what: str, **values: object) -> None:
    first = next(iter(values.values()))
    if any(value != first for value in values.values()):
        found = ", ".join(f"{name} {value}" for name, value in values.items())
        raise ValueError(f"{', '.join(values)} must share one {what}; got {found}")
