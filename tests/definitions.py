"""What the ops compute, in NumPy, as their docstrings say it; IndexError where a number is out of range."""

from __future__ import annotations

import warnings
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def kept(labels: Array, row: Array) -> Array:
    """Which points a row of bits keeps. labels [P], row [W] to bool [P]."""
    member = np.unpackbits(np.ascontiguousarray(row, "<i4").view(np.uint8), bitorder="little").astype(bool)
    beyond = labels >= len(member)
    return (labels < 0) | (~beyond & np.append(member, False)[np.where(beyond | (labels < 0), len(member), labels)])


def flattened(x: Array, baseline: Array, labels: Array) -> tuple[Array, Array, Array]:
    """Grids of points as one dimension: [M, C, P] twice, [M, P]."""
    points = prod(x.shape[2:])
    return (*(each.reshape(*x.shape[:2], points) for each in (x, baseline)), labels.reshape(len(x), points))


def compose(x: Array, baseline: Array, labels: Array, rows: Array, source: Array) -> Array:
    """x, baseline [M, C, *grid], labels [M, *grid], rows [B, W], source [B] to [B, C, *grid]."""
    shape, (x, baseline, labels) = (len(rows), *x.shape[1:]), flattened(x, baseline, labels)
    out = np.zeros((len(rows), *x.shape[1:]), x.dtype)
    for b, i in enumerate(source):
        if i >= 0:
            out[b] = np.where(kept(labels[i], rows[b]), x[i], baseline[i])
    return out.reshape(shape)


def blend(x: Array, baseline: Array, labels: Array, weights: Array, source: Array) -> Array:
    """x, baseline [M, C, *grid], labels [M, *grid], weights [B, n], source [B] to [B, C, *grid], in float32."""
    shape, (x, baseline, labels) = (len(weights), *x.shape[1:]), flattened(x, baseline, labels)
    out = np.zeros((len(weights), *x.shape[1:]), np.float32)
    for b, i in enumerate(source):
        if i >= 0:
            table = np.concatenate((np.float32([1]), weights[b], np.float32([0])))
            w = table[np.clip(labels[i], -1, weights.shape[1]) + 1]
            out[b] = w * x[i] + (1 - w) * baseline[i]
    return out.reshape(shape)


def class_scores(logits: Array, targets: Array, entropy: bool) -> Array:
    """logits [B, K], targets [B, T] to [B, 2 + T]."""
    out = np.zeros((len(logits), 2 + targets.shape[1]))
    classes = logits.shape[1]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for b, z in enumerate(logits.astype(np.float64)):
            p = np.exp(z - z.max())
            p /= p.sum()
            top = int(z.argmax())
            if entropy and classes > 1:
                out[b, 0] = 1 + (p * np.log(p + 1e-7)).sum() / np.log(classes)
            out[b, 1] = top
            out[b, 2:] = [p[top if t < 0 else t] for t in targets[b]]
    return out


def distance_gains(distances: Array, nearest: Array, members: Array, candidates: Array) -> Array:
    """distances [n, n], nearest, members [m], candidates [c] to [c], to the bit."""
    if min([0, *members, *candidates]) < 0:
        raise IndexError("a negative region")
    d = distances[members][:, candidates]
    if len(members) == 0:
        return np.zeros(len(candidates), np.float32)
    total = np.zeros(len(candidates))
    for each in np.minimum(nearest[:, None], d):
        total += each
    return (total + d.min(0)).astype(np.float32)


def match_boxes(boxes: Array, confidences: Array, target: Array, labels: Array, mode: Array, floor: float) -> Array:
    """boxes [B, Q, 4], confidences [B, Q, K], target [B, 4], labels [B, L], mode [B] to [B, 7]."""
    out = np.zeros((len(boxes), 7), np.float32)
    with np.errstate(all="ignore"):
        for b in range(len(boxes)):
            counted = confidences[b].astype(np.float32)[:, [c for c in labels[b] if c >= 0]]
            confidence = counted.max(1) if counted.shape[1] else np.zeros(len(counted), np.float32)
            confidence = np.where(confidence <= np.float32(floor), np.float32(0), confidence)
            iou = np.array([box_iou(each, target[b]) for each in boxes[b]], np.float32)
            if mode[b] < 0:
                raise IndexError("a negative mode")
            rank = (iou * confidence, iou * confidence, iou)[mode[b]]
            by_class = np.where(np.isnan(rank), rank, np.where(iou > 0.5, confidence, 0))
            best = int(rank.argmax())
            out[b] = (rank, by_class, rank)[mode[b]].max(), iou[best], confidence[best], *boxes[b, best]
    return out


def box_iou(a: Array, b: Array) -> np.float32:
    """IoU of two xyxy boxes in float32's arithmetic."""
    if np.isnan(a).any() or np.isnan(b).any():
        return np.float32(np.nan)
    common = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    inside = common[0] * common[1]
    if not ((a[2:] > a[:2]).all() and (b[2:] > b[:2]).all() and (common > 0).all() and inside > 0):
        return np.float32(0)
    area_a, area_b = ((each[2] - each[0]) * (each[3] - each[1]) for each in (a, b))
    return np.float32(inside / (area_a + area_b - inside))


def pack_tokens(x: Array, labels: Array, rows: Array, source: Array, offsets: Array, room: int) -> Array:
    """x [M, P, D], labels [M, P], rows [B, W], source [B], offsets [B + 1] to [room, D]."""
    if min([0, *source]) < 0:
        raise IndexError("a negative source")
    out = np.zeros((room, x.shape[2]), x.dtype)
    parts = [x[i][kept(labels[i], row)] for i, row in zip(source, rows, strict=True)]
    if list(offsets) != [0, *np.cumsum([len(part) for part in parts])] or offsets[-1] > room:
        raise IndexError("offsets are not those of the kept tokens")
    out[: offsets[-1]] = np.concatenate(parts) if parts else 0
    return out


def inverse_haar(packed: Array, levels: int, room: tuple[int, int]) -> Array:
    """packed [B, C, H, W] to [B, C, *room], in float32."""
    height, width = packed.shape[2:]
    average = packed[..., : height >> levels, : width >> levels]
    for level in range(levels, 0, -1):
        h, w = height >> level, width >> level
        along, across = packed[..., :h, w : 2 * w], packed[..., h : 2 * h, :w]
        both = packed[..., h : 2 * h, w : 2 * w]
        wider = np.empty((*packed.shape[:2], 2 * h, 2 * w), np.float32)
        wider[..., 0::2, 0::2] = (average + across) + (along + both)
        wider[..., 0::2, 1::2] = (average + across) - (along + both)
        wider[..., 1::2, 0::2] = (average - across) + (along - both)
        wider[..., 1::2, 1::2] = (average - across) - (along - both)
        average = wider
    return average[..., : room[0], : room[1]]
