"""match_boxes as a Triton kernel: a program scans one row's predictions in tiles and keeps the first maximum."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from pysmdl.kernels.class_scores_triton import LOWEST, ranked


@triton.jit
def _match_boxes_kernel(
    boxes, confidences, target, labels, mode, out, queries, classes, listed, floor, TILE: tl.constexpr
):
    b = tl.program_id(0).to(tl.int64)
    goal = target + 4 * b + tl.zeros([TILE], tl.int32)  # once a prediction: the interpreter has no logic of scalars
    tx0, ty0, tx1, ty1 = tl.load(goal), tl.load(goal + 1), tl.load(goal + 2), tl.load(goal + 3)
    real = (tx1 > tx0) & (ty1 > ty0)
    target_sound = (tx0 == tx0) & (ty0 == ty0) & (tx1 == tx1) & (ty1 == ty1)
    how = tl.load(mode + b)
    best, most, best_iou, best_confidence, wrong = LOWEST, -1.0, 0.0, 0.0, 0
    place = 0
    for start in range(0, queries, TILE):
        q = start + tl.arange(0, TILE)
        inside = q < queries
        box = boxes + (b * queries + q) * 4
        x0, y0 = tl.load(box, mask=inside, other=0.0), tl.load(box + 1, mask=inside, other=0.0)
        x1, y1 = tl.load(box + 2, mask=inside, other=0.0), tl.load(box + 3, mask=inside, other=0.0)
        width = tl.minimum(x1, tx1) - tl.maximum(x0, tx0)
        height = tl.minimum(y1, ty1) - tl.maximum(y0, ty0)
        common = width * height
        union = (x1 - x0) * (y1 - y0) + (tx1 - tx0) * (ty1 - ty0) - common
        overlap = (width > 0) & (height > 0) & (common > 0) & (x1 > x0) & (y1 > y0) & real
        iou = tl.where(overlap, tl.div_rn(common, tl.where(overlap, union, 1.0)), 0.0)  # plain division: 2 ulp off
        sound = (x0 == x0) & (y0 == y0) & (x1 == x1) & (y1 == y1) & target_sound
        iou = tl.where(sound, iou, float("nan"))

        confidence = tl.zeros([TILE], tl.float32)
        seen = 0
        for j in range(listed):
            label = tl.load(labels + b * listed + j)
            used = tl.where(label < 0, 0, 1)
            label = tl.minimum(tl.maximum(label, 0), classes - 1)
            value = tl.load(confidences + (b * queries + q) * classes + label, mask=inside, other=0.0).to(tl.float32)
            higher = (value > confidence) | (value != value)
            first = tl.where(seen == 0, value, tl.where(higher, value, confidence))
            confidence = tl.where(used == 1, first, confidence)
            seen = seen + used
        confidence = tl.where(confidence <= floor, 0.0, confidence)

        by_class = tl.where(iou > 0.5, confidence, 0.0)
        value = tl.where(how == 2, iou, iou * confidence)  # by which one is the best, also where the class is scored
        match = tl.where(how == 1, by_class, value)
        most = tl.maximum(most, tl.max(tl.where(inside & (value == value), match, -1.0), 0))
        rank = tl.where(inside, ranked(value), LOWEST)
        highest = tl.max(rank, 0)
        at = tl.argmax(rank, 0, tie_break_left=True)
        chosen = tl.arange(0, TILE) == at
        better = highest > best
        best_iou = tl.where(better, tl.sum(tl.where(chosen, iou, 0.0), 0), best_iou)
        best_confidence = tl.where(better, tl.sum(tl.where(chosen, confidence, 0.0), 0), best_confidence)
        nan = tl.sum(tl.where(chosen & (value != value), 1, 0), 0)
        wrong = tl.where(better, nan, wrong)
        place = tl.where(better, start + at, place)
        best = tl.maximum(best, highest)
    row = out + 7 * b
    tl.store(row, tl.where(wrong == 1, float("nan"), most))
    tl.store(row + 1, best_iou)
    tl.store(row + 2, best_confidence)
    for c in range(4):
        tl.store(row + 3 + c, tl.load(boxes + (b * queries + place) * 4 + c))


def match_boxes_triton(
    boxes: Tensor, confidences: Tensor, target: Tensor, labels: Tensor, mode: Tensor, floor: float, out: Tensor
) -> None:
    if boxes.shape[0] == 0:
        return
    queries = boxes.shape[1]
    _match_boxes_kernel[(boxes.shape[0],)](
        boxes.detach().contiguous(), confidences.detach().contiguous(), target.contiguous(), labels.contiguous(),
        mode.contiguous(), out, queries, confidences.shape[2], labels.shape[1], floor,
        TILE=min(triton.next_power_of_2(queries), 1024),
    )  # fmt: skip
