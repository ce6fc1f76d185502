"""The engine's ops. Each is one public function with ``backend="auto"``; reference.py defines what it computes.

What has no right answer is refused, by every backend: shapes, dtypes and devices that disagree, memory that is written
and read at once, and, where they lie on the CPU, numbers that are out of range. A GPU's are not read back for that.

``B`` rows, ``M`` resident inputs, ``n`` regions, ``W`` words a row, ``C`` channels, ``K`` classes, ``T`` targets,
``*grid`` the input's grid (height and width of an image).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pysmdl.errors import whole_number
from pysmdl.kernels.checks import FLOATS
from pysmdl.kernels.dispatch import BACKENDS, backends_for, launcher, serves

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "BACKENDS",
    "MATCH_MODES",
    "backends_for",
    "blend",
    "class_scores",
    "compose",
    "distance_gains",
    "inverse_haar",
    "match_boxes",
    "pack_tokens",
    "serves",
    "varlen_attention",
]

MATCH_MODES = ("object", "cls", "iou")
"""What match_boxes maximises, by number: IoU x confidence, [IoU > 0.5] x confidence, IoU alone."""

WIDTH = {"rows": "W", "weights": "n"}  # what the second axis of rows is called
MOST_CLASSES = 1 << 24  # float32 holds the top one's number


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
        x: Resident inputs in model space, or ids. [M, C, *grid], float32, float16, bfloat16, int32 or int64.
        baseline: What an absent region looks like. Same shape, dtype and device as x; may be expanded (stride 0).
        labels: Region of each grid point; negative: always shown; beyond the rows: never. [M, *grid], int32.
        rows: Kept regions, 32 to a word: region j is bit j % 32 of word j // 32. [B, W], int32.
        source: Which input each row shows, below M; negative is padding and is filled with zeros. [B], int32.
        out: Where to write. [B, C, *grid]; allocated when None. Written in full; no two elements in one place.
        backend: "auto", "cpu", "cuda", "triton" or "reference".

    Returns:
        out.

    Raises:
        ValueError: shapes, dtypes or devices disagree (the message gives both), out overlaps itself or what is read,
            or (on the CPU; elsewhere it is padding) a source is not below M.
        BackendError: the named backend cannot run here.
    """
    out = _shown(x, baseline, labels, "rows", rows, source, out)
    launcher("compose", backend, out.device.type)(x, baseline, labels, rows, source, out)
    return out


def _shown(
    x: Tensor, baseline: Tensor, labels: Tensor, name: str, rows: Tensor, source: Tensor, out: Tensor | None
) -> Tensor:
    """Where the rows of inputs are written, after their shapes are found to agree."""
    if x.dim() < 3 or x.shape[0] == 0:
        raise ValueError(f"x must be [M, C, *grid] with M at least 1; got {list(x.shape)}")
    grid = x.shape[2:]
    if baseline.shape != x.shape:
        raise ValueError(f"baseline must have the shape of x, {list(x.shape)}; got {list(baseline.shape)}")
    if labels.shape != x.shape[:1] + grid:
        raise ValueError(f"labels must be [M, *grid] = {[x.shape[0], *grid]}; got {list(labels.shape)}")
    if rows.dim() != 2 or source.shape != rows.shape[:1]:
        wanted = f"{name} must be [B, {WIDTH[name]}] and source [B]"
        raise ValueError(f"{wanted}; got {list(rows.shape)} and {list(source.shape)}")
    shape = (rows.shape[0], x.shape[1], *grid)
    if out is None:
        return torch.empty(shape, dtype=x.dtype, device=x.device)
    if out.shape != shape:
        raise ValueError(f"out must be [B, C, *grid] = {list(shape)}; got {list(out.shape)}")
    return out


def blend(
    x: Tensor,
    baseline: Tensor,
    labels: Tensor,
    weights: Tensor,
    source: Tensor,
    *,
    out: Tensor | None = None,
    backend: str = "auto",
) -> Tensor:
    """Show of each point the share of its region, and of the baseline the rest: compose with weights in place of bits.

        for b, c, p in all rows, channels, grid points:
            i = source[b]
            w = 1 if labels[i, p] < 0 else weights[b, labels[i, p]]
            out[b, c, p] = w * x[i, c, p] + (1 - w) * baseline[i, c, p]

    In float32, each product and sum rounded once, and bit-equal on every backend. Weights of 0 and 1 are bits: of
    finite numbers the baseline, or the input, itself.

    Args:
        x: Resident inputs in model space. [M, C, *grid], float32, float16 or bfloat16.
        baseline: What stands in their place. Same shape, dtype and device as x; may be expanded (stride 0).
        labels: Region of each grid point; negative: always shown; n and more: never. [M, *grid], int32.
        weights: Each region's share in each row. [B, n], float32.
        source: Which input each row shows, below M; negative is padding and is filled with zeros. [B], int32.
        out: Where to write. [B, C, *grid] of x's dtype; allocated when None. Written in full.
        backend: "auto", "cpu" or "reference".

    Returns:
        out.

    Raises:
        ValueError: shapes, dtypes or devices disagree (the message gives both), out overlaps itself or what is read,
            or (on the CPU; elsewhere it is padding) a source is not below M.
        BackendError: the named backend cannot run here.
    """
    out = _shown(x, baseline, labels, "weights", weights, source, out)
    launcher("blend", backend, out.device.type)(x, baseline, labels, weights, source, out)
    return out


def class_scores(
    logits: Tensor, targets: Tensor, *, entropy: bool = True, out: Tensor | None = None, backend: str = "auto"
) -> Tensor:
    """Softmax of each row, read where it is needed: a few numbers a row leave the device, not K.

        for b in all rows:
            p = softmax(logits[b])                              # in float32
            out[b, 0] = 1 + sum(p * log(p + 1e-7)) / log(K)     # confidence, SMDL's entropy form
            out[b, 1] = argmax(logits[b])                       # first maximum; NaN before all, as in NumPy and torch
            out[b, 2:] = p[targets[b]]                          # negative: the row's own top class

    Args:
        logits: [B, K], K 1 to 2^24, float32, float16 or bfloat16; other real dtypes are taken as float32.
        targets: Classes to trace. [B, T], int32, each below K; negative: the top class.
        entropy: Whether the confidence is wanted; 0 is written otherwise (and where K is 1).
        out: [B, 2 + T], float32, contiguous; allocated when None.
        backend: "auto", "cpu", "cuda", "triton" or "reference".

    Returns:
        out. Where a row of logits holds NaN or infinity, or nothing but minus infinity, its probabilities are NaN.

    Raises:
        ValueError: shapes, dtypes or devices disagree, logits are complex, out shares memory with what is read, or (on
            the CPU) a target is not a class.
        BackendError: the named backend cannot run here.
    """
    if logits.dim() != 2 or not 1 <= logits.shape[1] <= MOST_CLASSES:
        raise ValueError(f"logits must be [B, K] with K 1 to {MOST_CLASSES}; got {list(logits.shape)}")
    if logits.dtype not in FLOATS:
        if logits.dtype.is_complex:
            raise ValueError(f"logits must be real numbers; got {logits.dtype}")
        logits = logits.float()
    if targets.dim() != 2 or targets.shape[0] != logits.shape[0]:
        raise ValueError(f"targets must be [B, T] with B = {logits.shape[0]}; got {list(targets.shape)}")
    shape = (logits.shape[0], 2 + targets.shape[1])
    if out is None:
        out = torch.empty(shape, dtype=torch.float32, device=logits.device)
    elif out.shape != shape or not out.is_contiguous():
        raise ValueError(f"out must be a contiguous [B, 2 + T] = {list(shape)}; got {list(out.shape)}")
    launcher("class_scores", backend, out.device.type)(logits, targets, entropy, out)
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

    Sums are float64 in member order and rounded once, so every backend gives the same bits. NaN in what is added up
    gives NaN.

    Args:
        distances: Distance of every pair of regions. [n, n], float32, n at least 1.
        nearest: Distance of each member to its nearest other member, infinity for a lone one. [m], float32.
        members: The regions of S. [m], int32.
        candidates: Regions to add, none of them a member. [c], int32.
        out: [c], float32; allocated when None.
        backend: "auto", "cpu", "cuda", "triton" or "reference".

    Returns:
        out.

    Raises:
        ValueError: shapes, dtypes or devices disagree, out overlaps itself or what is read, or (on the CPU) a region
            is out of range.
        BackendError: the named backend cannot run here.
    """
    if distances.dim() != 2 or distances.shape[0] != distances.shape[1] or distances.shape[0] == 0:
        raise ValueError(f"distances must be [n, n] with n at least 1; got {list(distances.shape)}")
    if members.dim() != 1 or nearest.shape != members.shape:
        raise ValueError(f"nearest and members must be [m]; got {list(nearest.shape)} and {list(members.shape)}")
    if candidates.dim() != 1:
        raise ValueError(f"candidates must be [c]; got {list(candidates.shape)}")
    if out is None:
        out = torch.empty(candidates.shape, dtype=torch.float32, device=distances.device)
    elif out.shape != candidates.shape:
        raise ValueError(f"out must be [c] = {list(candidates.shape)}; got {list(out.shape)}")
    launcher("distance_gains", backend, out.device.type)(distances, nearest, members, candidates, out)
    return out


def match_boxes(
    boxes: Tensor,
    confidences: Tensor,
    target: Tensor,
    labels: Tensor,
    mode: Tensor,
    *,
    floor: float = 0.0,
    out: Tensor | None = None,
    backend: str = "auto",
) -> Tensor:
    """The prediction of each row that matches its target best (VPS, equation 5): seven numbers a row leave the device.

        for b, q in all rows, predictions:
            confidence[q] = max(confidences[b, q, c] for c in labels[b] if c >= 0), 0 where that is <= floor
            iou[q] = IoU(boxes[b, q], target[b])                # 0 for boxes without area
            rank[q] = (iou * confidence, iou * confidence, iou)[mode[b]][q]
            match[q] = (rank[q], (iou[q] > 0.5) * confidence[q], rank[q])[mode[b]]      # NaN where rank[q] is
        best = argmax(rank)                                     # first maximum; NaN before all, as in NumPy and torch
        out[b] = max(match), iou[best], confidence[best], *boxes[b, best]

    What is told of a row is its best by IoU x confidence in mode "cls" too, as VPS records it.

    The arithmetic is float32's. So a box that is infinite, or whose area is, has IoU 0 with a finite target, and NaN
    with one whose area is infinite too.

    Args:
        boxes: [B, Q, 4], float32, x0, y0, x1, y1; Q at least 1.
        confidences: [B, Q, K], float32, float16 or bfloat16; K at least 1.
        target: [B, 4], float32.
        labels: Classes of which the most confident counts, below K. [B, L], int32; negative: padding.
        mode: [B], int32, an index of MATCH_MODES.
        floor: Confidences at or below it count as 0. At least 0, not NaN.
        out: [B, 7], float32, contiguous; allocated when None.
        backend: "auto", "cpu", "cuda", "triton" or "reference".

    Returns:
        out. NaN in a row's boxes, its target or, but for "iou", its confidences gives NaN.

    Raises:
        ValueError: shapes, dtypes or devices disagree, floor is below 0, out shares memory with what is read, or (on
            the CPU) a label is not a class or a mode none of MATCH_MODES.
        BackendError: the named backend cannot run here.
    """
    if not floor >= 0:
        raise ValueError(f"floor must be at least 0; got {floor}")
    if boxes.dim() != 3 or boxes.shape[2] != 4 or boxes.shape[1] == 0:
        raise ValueError(f"boxes must be [B, Q, 4] with Q at least 1; got {list(boxes.shape)}")
    rows = boxes.shape[0]
    if confidences.dim() != 3 or confidences.shape[:2] != boxes.shape[:2] or confidences.shape[2] == 0:
        raise ValueError(
            f"confidences must be [B, Q, K] with {list(boxes.shape[:2])} and K at least 1; got "
            f"{list(confidences.shape)}"
        )
    if target.shape != (rows, 4) or labels.dim() != 2 or labels.shape[0] != rows or mode.shape != (rows,):
        raise ValueError(
            f"target must be [B, 4], labels [B, L] and mode [B] with B = {rows}; "
            f"got {list(target.shape)}, {list(labels.shape)} and {list(mode.shape)}"
        )
    if out is None:
        out = torch.empty((rows, 7), dtype=torch.float32, device=boxes.device)
    elif out.shape != (rows, 7) or not out.is_contiguous():
        raise ValueError(f"out must be a contiguous [B, 7] = {[rows, 7]}; got {list(out.shape)}")
    launcher("match_boxes", backend, out.device.type)(boxes, confidences, target, labels, mode, floor, out)
    return out


def pack_tokens(
    x: Tensor, labels: Tensor, rows: Tensor, source: Tensor, offsets: Tensor, *, out: Tensor, backend: str = "auto"
) -> Tensor:
    """The tokens that each row keeps of its input, end to end: what compose is to pixels that are painted over.

        for b in all rows:
            i = source[b]
            kept = [p for p in tokens if labels[i, p] < 0 or bit labels[i, p] of rows[b] is set]
            out[offsets[b] : offsets[b + 1]] = x[i, kept]
        out[offsets[B]:] = 0

    Bit-equal on every backend. Nothing is read back from the device, so `offsets` are the caller's to count.

    Args:
        x: Resident inputs. [M, P, D], contiguous, float32, float16 or bfloat16; M and P at least 1.
        labels: Region of each token; negative: always shown. [M, P], int32, contiguous.
        rows: Kept regions, as in compose. [B, W], int32.
        source: Which input each row is of, 0..M-1. [B], int32.
        offsets: Where the tokens of each row start, from 0 on, and where those of the last end. [B + 1], int32.
        out: Where to write. [T, D], contiguous, T at least offsets[B]. Written in full.
        backend: "auto", "cpu", "triton" or "reference".

    Returns:
        out.

    Raises:
        ValueError: shapes, dtypes or devices disagree (the message gives both), out shares memory with what is read, or
            (on the CPU) a source is not an input or offsets are not those of the kept tokens. (Triton's interpreter
            does not count these; what is kept beyond a row's offsets is left out, as on a GPU.)
        BackendError: the named backend cannot run here.
    """
    if x.dim() != 3 or labels.shape != x.shape[:2] or labels.numel() == 0:
        raise ValueError(f"x must be [M, P, D] and labels [M, P]; got {list(x.shape)} and {list(labels.shape)}")
    if rows.dim() != 2 or source.shape != rows.shape[:1] or offsets.shape != (rows.shape[0] + 1,):
        raise ValueError(
            f"rows must be [B, W], source [B] and offsets [B + 1]; got {list(rows.shape)}, {list(source.shape)} "
            f"and {list(offsets.shape)}"
        )
    if out.dim() != 2 or out.shape[1] != x.shape[2]:
        raise ValueError(f"out must be [T, D] with D = {x.shape[2]}; got {list(out.shape)}")
    for name, given in (("x", x), ("labels", labels), ("out", out)):
        if not given.is_contiguous():
            raise ValueError(f"{name} must be contiguous; got strides {list(given.stride())}")
    launcher("pack_tokens", backend, out.device.type)(x, labels, rows, source, offsets, out)
    return out


def inverse_haar(packed: Tensor, levels: int, *, out: Tensor, backend: str = "auto") -> Tensor:
    """The images of Haar coefficients that are scaled already, by sums alone.

        average = packed[..., : H >> levels, : W >> levels]
        for level in levels, ..., 2, 1:
            h, w = H >> level, W >> level
            along, across, both = packed[..., :h, w : 2 w], packed[..., h : 2 h, :w], packed[..., h : 2 h, w : 2 w]
            wider[..., 0::2, 0::2] = (average + across) + (along + both)
            wider[..., 0::2, 1::2] = (average + across) - (along + both)
            wider[..., 1::2, 0::2] = (average - across) + (along - both)
            wider[..., 1::2, 1::2] = (average - across) - (along - both)
            average = wider
        out = average, without what was filled up of its sides

    In float32, and bit-equal on every backend.

    Args:
        packed: Coefficients as :func:`pysmdl.removal.wavelet` packs them, each times half a level's. [B, C, H, W],
            float32, float16 or bfloat16; 2^levels divides both sides.
        levels: How often the average was split, 1 to 8.
        out: Where to write. [B, C, h, w] of packed's dtype, h and w less than 2^levels below H and W. Written in full.
        backend: "auto", "cpu" or "reference".

    Returns:
        out.

    Raises:
        ValueError: shapes, dtypes or devices disagree (the message gives both), or out shares memory with packed.
        BackendError: the named backend cannot run here.
    """
    step = 1 << whole_number("levels", levels, 1)
    if packed.dim() != 4 or levels > 8 or packed.shape[2] % step or packed.shape[3] % step:
        raise ValueError(f"packed must be [B, C, H, W] of sides that 2^{levels} divides; got {list(packed.shape)}")
    short = [side - own for side, own in zip(packed.shape[2:], out.shape[2:], strict=False)]
    if out.dim() != 4 or out.shape[:2] != packed.shape[:2] or not all(0 <= each < step for each in short):
        raise ValueError(f"out must be {list(packed.shape)}, its sides less than {step} below; got {list(out.shape)}")
    if out.dtype != packed.dtype:
        raise ValueError(f"out must be {packed.dtype}, as packed is; got {out.dtype}")
    launcher("inverse_haar", backend, out.device.type)(packed, levels, out)
    return out


def varlen_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    offsets: Tensor,
    *,
    scale: float | None = None,
    longest: int | None = None,
    out: Tensor | None = None,
    backend: str = "auto",
) -> Tensor:
    """Attention within each of many sequences packed end to end: block-diagonal, without a mask.

        for s in sequences:
            i = offsets[s] : offsets[s + 1]
            out[i] = softmax(scale * q[i] @ k[i].T) @ v[i]       # for each head

    Args:
        q, k, v: Tokens of all sequences. [T, H, d], d at least 1, float32, float16 or bfloat16.
        offsets: Where each sequence starts, and the end of the last. [S + 1], int32, ascending, no empty sequence.
        scale: None: 1 / sqrt(d).
        longest: Tokens of the longest sequence or more, where the caller knows it; saves a read from the device.
        out: [T, H, d]; allocated when None. Tokens of no sequence are left as they are.
        backend: "auto", "cpu", "triton" or "reference".

    Returns:
        out.

    Raises:
        ValueError: shapes, dtypes or devices disagree, out overlaps itself or what is read, or (on the CPU) offsets are
            not those of sequences, or longest is too short.
        BackendError: the named backend cannot run here.
    """
    if q.dim() != 3 or q.shape[2] == 0 or k.shape != q.shape or v.shape != q.shape:
        raise ValueError(
            f"q, k and v must share one shape [T, H, d]; got {list(q.shape)}, {list(k.shape)} and {list(v.shape)}"
        )
    if offsets.dim() != 1 or offsets.numel() == 0:
        raise ValueError(f"offsets must be [S + 1]; got {list(offsets.shape)}")
    if out is None:
        out = torch.empty_like(q, memory_format=torch.contiguous_format)
    elif out.shape != q.shape:
        raise ValueError(f"out must have the shape of q, {list(q.shape)}; got {list(out.shape)}")
    if longest is None:
        longest = int(offsets.diff().max()) if offsets.numel() > 1 else 0
    how = q.shape[2] ** -0.5 if scale is None else scale
    launcher("varlen_attention", backend, out.device.type)(q, k, v, offsets, longest, how, out)
    return out
