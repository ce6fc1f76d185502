"""The ops in plain torch: the definition, the fallback and the oracle of every other backend.

On a GPU nothing is read back to be checked: numbers out of range are brought into it, as the kernels do.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

CACHED = 1 << 18  # points of rows that a cache holds


def compose_reference(x: Tensor, baseline: Tensor, labels: Tensor, rows: Tensor, source: Tensor, out: Tensor) -> None:
    padding = (source < 0) | (source >= x.shape[0])
    input = source.long().masked_fill(padding, 0)
    keep = _kept(labels.flatten(1), rows, input).view(source.shape[0], 1, *x.shape[2:])  # [B, 1, *grid]
    out.copy_(torch.where(keep, x[input], baseline[input]))
    out[padding] = 0


def _kept(labels: Tensor, rows: Tensor, input: Tensor) -> Tensor:
    """Whether each row keeps each point of its input. labels [M, points], rows [B, W], input [B] to [B, points]."""
    bit = torch.arange(32, dtype=torch.int32, device=rows.device)
    kept = ((rows[:, :, None] >> bit) & 1).flatten(1).bool()  # [B, 32 W]
    kept = torch.nn.functional.pad(kept, (0, 1))  # one more: labels beyond the rows are in no row
    label = labels[input].long()
    return (label < 0) | kept.gather(1, label.clamp(0, kept.shape[1] - 1))


def blend_reference(x: Tensor, baseline: Tensor, labels: Tensor, weights: Tensor, source: Tensor, out: Tensor) -> None:
    """On a CPU a few rows at a time, that a cache holds."""
    step = len(out) if out.is_cuda else max(1, CACHED // max(1, x[0].numel()))
    table = torch.nn.functional.pad(torch.nn.functional.pad(weights, (1, 0), value=1.0), (0, 1))  # label -1 first
    place = (labels.clamp(-1, weights.shape[1]) + 1).flatten(1)
    for part, given, inputs in zip(out.split(step), table.split(step), source.split(step), strict=True):
        padding = (inputs < 0) | (inputs >= len(x))
        chosen = inputs.long().masked_fill(padding, 0)
        if len(x) == 1:
            own, hidden, shown = x.float(), baseline.float(), given.index_select(1, place[0])
        else:
            own, hidden, shown = x[chosen].float(), baseline[chosen].float(), given.gather(1, place[chosen].long())
        w = shown.view(len(part), 1, *part.shape[2:])
        part.copy_(w * own + (1 - w) * hidden)
        part.masked_fill_(padding.view(-1, *[1] * (part.dim() - 1)), 0)


def class_scores_reference(logits: Tensor, targets: Tensor, entropy: bool, out: Tensor) -> None:
    classes = logits.shape[1]
    p = logits.float().softmax(1)
    top = logits.argmax(1)  # the first maximum; NaN counts as one
    index = torch.where(targets < 0, top[:, None], targets.clamp(max=classes - 1))
    out[:, 2:] = p.gather(1, index)
    if entropy and classes > 1:
        out[:, 0] = 1 + (p * (p + 1e-7).log()).sum(1) / math.log(classes)
    else:
        out[:, 0] = 0
    out[:, 1] = top.float()


def match_boxes_reference(
    boxes: Tensor, confidences: Tensor, target: Tensor, labels: Tensor, mode: Tensor, floor: float, out: Tensor
) -> None:
    labels = torch.nn.functional.pad(labels, (0, 1), value=-1)[:, None]  # one more: there may be none
    wanted = labels.long().clamp(0, confidences.shape[2] - 1).expand(-1, boxes.shape[1], -1)  # [B, Q, L]
    listed = confidences.float().gather(2, wanted).masked_fill(labels < 0, 0)
    confidence = listed.amax(2)  # [B, Q]
    confidence = torch.where(confidence <= floor, 0, confidence)
    iou = _iou(boxes, target[:, None])
    rank = torch.where(mode[:, None] == 2, iou, iou * confidence)
    by_class = torch.where(rank.isnan(), rank, torch.where(iou > 0.5, confidence, 0))
    best = rank.argmax(1)  # the first maximum; NaN counts as one
    row = torch.arange(len(boxes), device=boxes.device)
    out[:, 0] = torch.where(mode[:, None] == 1, by_class, rank).amax(1)
    out[:, 1:3] = torch.stack((iou, confidence), 2)[row, best]
    out[:, 3:] = boxes[row, best]


def _iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of xyxy boxes; 0 where they do not meet or either has no area, NaN of NaN."""
    common = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    size_a, size_b = a[..., 2:] - a[..., :2], b[..., 2:] - b[..., :2]
    meet = (torch.cat((common, size_a, size_b.expand_as(size_a)), -1) > 0).all(-1)
    inside = common.prod(-1)
    iou = torch.where(meet & (inside > 0), inside / (size_a.prod(-1) + size_b.prod(-1) - inside), 0)
    return iou.masked_fill((a.isnan() | b.isnan()).any(-1), torch.nan)


def pack_tokens_reference(
    x: Tensor, labels: Tensor, rows: Tensor, source: Tensor, offsets: Tensor, out: Tensor
) -> None:
    """No shape depends on what is kept, so a CUDA graph can hold it."""
    input = source.long().clamp(0, len(x) - 1)
    keep = _kept(labels, rows, input)  # [B, P]
    if out.device.type == "cpu":
        _expect_counted(keep.sum(1), offsets)
    place = torch.where(keep, offsets[:-1, None] + keep.cumsum(1) - 1, len(out))  # one more, for what is dropped
    place = place.clamp(0, len(out))
    token = input[:, None] * labels.shape[1] + torch.arange(labels.shape[1], device=out.device)
    index = torch.zeros(len(out) + 1, dtype=torch.int64, device=out.device)
    index.scatter_(0, place.flatten(), token.flatten())
    torch.index_select(x.flatten(0, 1), 0, index[:-1], out=out)
    out.masked_fill_((torch.arange(len(out), device=out.device) >= offsets[-1])[:, None], 0)


def inverse_haar_reference(packed: Tensor, levels: int, out: Tensor) -> None:
    """In float32. Each level's averages are put together where the level's coefficients lay."""
    work = packed.float().clone()
    height, width = work.shape[2:]
    for level in range(levels, 0, -1):
        rows, columns = height >> level, width >> level
        above, below = work[..., :rows, : 2 * columns], work[..., rows : 2 * rows, : 2 * columns]
        sums = torch.stack((above + below, above - below))  # [2, B, C, rows, 2 columns]
        average, details = sums[..., :columns], sums[..., columns:]
        lines = work[..., : 2 * rows, : 2 * columns].unflatten(2, (rows, 2)).movedim(3, 0)
        torch.add(average, details, out=lines[..., 0::2])
        torch.sub(average, details, out=lines[..., 1::2])
    out.copy_(work[..., : out.shape[2], : out.shape[3]])


def _expect_counted(kept: Tensor, offsets: Tensor) -> None:
    room = offsets.diff()
    if not torch.equal(kept, room.long()):
        b = int((kept != room).nonzero()[0])
        raise ValueError(f"offsets give row {b} room for {int(room[b])} tokens, it keeps {int(kept[b])}")


def varlen_attention_reference(
    q: Tensor, k: Tensor, v: Tensor, offsets: Tensor, longest: int, scale: float, out: Tensor
) -> None:
    for first, last in pairwise(offsets.tolist()):
        queries, keys, values = (each[first:last].transpose(0, 1).float() for each in (q, k, v))  # [H, length, d]
        weights = (queries @ keys.transpose(1, 2) * scale).softmax(2)
        out[first:last] = (weights @ values).transpose(0, 1).to(out.dtype)


def varlen_attention_cpu(
    q: Tensor, k: Tensor, v: Tensor, offsets: Tensor, longest: int, scale: float, out: Tensor
) -> None:
    """One fused call a sequence: it costs tens of microseconds, the attention itself hundreds."""
    attend = torch.nn.functional.scaled_dot_product_attention
    q, k, v = (each.transpose(0, 1)[None] for each in (q, k, v))  # [1, H, T, d]
    for first, last in pairwise(offsets.tolist()):
        mixed = attend(q[:, :, first:last], k[:, :, first:last], v[:, :, first:last], scale=scale)
        out[first:last] = mixed[0].transpose(0, 1)


def distance_gains_reference(
    distances: Tensor, nearest: Tensor, members: Tensor, candidates: Tensor, out: Tensor
) -> None:
    if members.numel() == 0:
        out.zero_()
        return
    last = distances.shape[0] - 1
    d = distances[members.long().clamp(0, last)][:, candidates.long().clamp(0, last)]  # [m, c]
    nearer = torch.minimum(nearest[:, None], d)
    out.copy_((nearer.double().sum(0) + d.amin(0).double()).float())
