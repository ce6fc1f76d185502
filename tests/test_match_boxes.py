"""match_boxes on each backend against its plain reference."""

from __future__ import annotations

import itertools

import definitions
import numpy as np
import pytest
import torch

from pysmdl.kernels import match_boxes

from toys import DTYPES, poisoned

# match_boxes


def box_inputs(rows=6, queries=65, classes=7, listed=3, dtype=torch.float32, device="cpu", seed=0):
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(0, 40, (rows, queries, 2)), rng.uniform(-2, 30, (rows, queries, 2))
    boxes = np.concatenate((corner, corner + size), 2).astype(np.float32)
    target = np.stack([[10, 12, 10 + 5 * b + 1, 40] for b in range(rows)]).astype(np.float32)
    confidences = torch.from_numpy(rng.random((rows, queries, classes))).to(device, dtype)
    labels = rng.integers(-1, classes, (rows, listed)).astype(np.int32)
    mode = np.arange(rows, dtype=np.int32) % 3
    boxes, target, labels, mode = (torch.from_numpy(each).to(device) for each in (boxes, target, labels, mode))
    return boxes, confidences, target, labels, mode


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("queries", [1, 63, 64, 65, 300, 2000])
def test_match_boxes(backend_device, queries, dtype):
    backend, device = backend_device
    given = box_inputs(queries=queries, dtype=dtype, device=device)
    for floor in (0.0, 0.6):
        out = match_boxes(*given, floor=floor, out=poisoned((6, 7), device=device), backend=backend)
        torch.testing.assert_close(out, match_boxes(*given, floor=floor, backend="reference"), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("mode", "wanted"), [(0, (0.36, 0.9, 0.4)), (1, (0.4, 0.9, 0.4)), (2, (0.9, 0.9, 0.4))])
def test_match_boxes_by_hand(backend_device, mode, wanted):
    backend, device = backend_device
    boxes = [[0, 0, 9, 10], [0, 0, 10, 3], [4, 4, 4, 9], [0, 0, 10, 9]]  # IoU 0.9, 0.3, no area, 0.9
    confidences = [[0.4, 0.9], [1.0, 0.1], [1.0, 0.1], [0.4, 0.3]]
    out = match_boxes(
        torch.tensor([boxes], dtype=torch.float32, device=device),
        torch.tensor([confidences], device=device),
        torch.tensor([[0, 0, 10, 10]], dtype=torch.float32, device=device),
        torch.tensor([[-1, 0]], dtype=torch.int32, device=device),
        torch.tensor([mode], dtype=torch.int32, device=device),
        backend=backend,
    )[0].cpu()
    np.testing.assert_allclose(out[:3], wanted, atol=1e-6)
    assert out[3:].tolist() == boxes[0]  # the first of the equal ones


def test_match_boxes_tells_of_the_best_by_iou_and_confidence_where_the_class_alone_is_scored(backend_device):
    backend, device = backend_device
    boxes = [[0, 0, 6, 10], [0, 0, 9, 10], [0, 0, 4, 10], [0, 0, 10, 2]]  # IoU 0.6, 0.9, 0.4, 0.2
    confidences = [[0.8], [0.7], [0.95], [1.0]]  # products 0.48, 0.63, 0.38, 0.2
    out = match_boxes(
        torch.tensor([boxes] * 3, dtype=torch.float32, device=device),
        torch.tensor([confidences, confidences, [[0.8], [torch.nan], [0.95], [1.0]]], device=device),
        torch.tensor([[0, 0, 10, 10]] * 3, dtype=torch.float32, device=device),
        torch.zeros((3, 1), dtype=torch.int32, device=device),
        torch.tensor([1, 0, 1], dtype=torch.int32, device=device),
        backend=backend,
    ).cpu()
    np.testing.assert_allclose(out[:2, :3], [[0.8, 0.9, 0.7], [0.63, 0.9, 0.7]], atol=1e-6)
    assert out[:, 3:].tolist() == [boxes[1]] * 3
    assert out[2, [0, 2]].isnan().all(), "a NaN in the row shows"


def test_match_boxes_in_extremes(backend_device):
    backend, device = backend_device
    boxes, confidences, target, labels, mode = box_inputs(device=device)
    labels[0] = -1  # no label: nothing matches but by IoU
    target[1, 2:] = target[1, :2]  # a target without area
    confidences[2, 5] = torch.nan
    labels[2, 0], mode[2] = 0, 0
    boxes[3, 7, 1] = torch.nan
    out = match_boxes(boxes, confidences, target, labels, mode, backend=backend).cpu()
    assert out[0, 0] == out[1, 0] == 0
    assert out[2, 0].isnan()
    assert out[3, 0].isnan()
    assert out[4:, 0].isfinite().all()


BOXES = [
    [0, 0, 10, 10], [0, 0, 10, 5], [-np.inf, -np.inf, np.inf, np.inf], [0, 0, np.inf, 10], [np.inf, 0, np.inf, 10],
    [0, 0, 1e30, 1e30], [0, 0, 1e-30, 1e-30], [5, 5, 5, 9], [10, 10, 0, 0], [20, 20, 30, 30], [np.nan, 0, 10, 10],
    [0, np.nan, 10, 10], [0, 0, np.nan, 10], [0, 0, 10, np.nan], [20, 20, 30, np.nan],
]  # fmt: skip


@np.errstate(all="ignore")  # Triton's interpreter is NumPy
@pytest.mark.parametrize("mode", [0, 1, 2])
def test_match_boxes_of_any_numbers(backend_device, mode):
    """Every pair of boxes, infinite, tiny and NaN ones too, with confidences that are so."""
    backend, device = backend_device
    pairs = np.array(list(itertools.product(BOXES, BOXES)), np.float32)
    boxes, target = pairs[:, :1], pairs[:, 1]
    for confidence in (0.7, np.nan) if backend == "triton" else (0.7, 0.0, np.inf, np.nan):  # interpreted: slow
        confidences = np.full((len(boxes), 1, 2), confidence, np.float32)
        labels, modes = np.zeros((len(boxes), 1), np.int32), np.full(len(boxes), mode, np.int32)
        given = (boxes, confidences, target, labels, modes)
        out = match_boxes(*(torch.from_numpy(each).to(device) for each in given), backend=backend).cpu()
        np.testing.assert_allclose(out, definitions.match_boxes(*given, floor=0.0), atol=1e-6)
    nan = torch.from_numpy(np.isnan(pairs).any((1, 2)))
    assert out[nan, 0].isnan().all()


@np.errstate(all="ignore")
def test_the_first_nan_is_before_an_infinite_match(backend_device):
    backend, device = backend_device
    boxes = torch.tensor([[0.0, 0, 10, 10]], device=device).expand(1, 4, 4)
    confidences = torch.tensor([0.5, torch.inf, torch.nan, torch.nan], device=device).view(1, 4, 1)
    target, index = boxes[:, 0], torch.zeros(1, dtype=torch.int32, device=device)
    for mode in (0, 1):
        out = match_boxes(boxes, confidences, target, index[:, None], index + mode, backend=backend)
        assert out[0, 0].isnan()
        assert out[0, 2].isnan()


def test_match_boxes_without_labels(backend_device):
    """No label, or nothing but padding, whatever the negative number: only the IoU counts."""
    backend, device = backend_device
    boxes, confidences, target, _, mode = box_inputs(device=device)
    for labels in (np.zeros((6, 0)), np.full((6, 2), -1), np.full((6, 1), -(2**31))):
        padding = torch.from_numpy(labels.astype(np.int32)).to(device)
        out = match_boxes(boxes, confidences, target, padding, mode, backend=backend).cpu()
        assert not out[:, 2].any()
        assert (out[:, 0] > 0).tolist() == [False, False, True] * 2


@pytest.mark.parametrize("high", [2.0, 5.0])
def test_match_boxes_tells_high_confidences_from_nan(backend_device, high):
    """Nothing says that a detector's confidences end at 1."""
    backend, device = backend_device
    boxes, confidences, target, labels, mode = box_inputs(device=device)
    labels[:], mode[:] = 0, 0
    boxes[:, 7] = target
    confidences[:, 7] = high
    confidences[4:, 60] = torch.nan
    out = match_boxes(boxes, confidences, target, labels, mode, backend=backend).cpu()
    assert out[:4, 0].tolist() == [high] * 4
    assert out[4:, 0].isnan().all()


def test_match_boxes_refuses(backend_device):
    backend, device = backend_device
    boxes, confidences, target, labels, mode = box_inputs(device=device)
    for floor in (-2.0, float("nan")):
        with pytest.raises(ValueError, match=rf"floor must be at least 0; got {floor}"):
            match_boxes(boxes, confidences, target, labels, mode, floor=floor, backend=backend)
    with pytest.raises(ValueError, match=r"boxes must be \[B, Q, 4\] with Q at least 1"):
        match_boxes(boxes[:, :0], confidences[:, :0], target, labels, mode, backend=backend)
    with pytest.raises(ValueError, match="confidences must be"):
        match_boxes(boxes, confidences[:, 1:], target, labels, mode, backend=backend)
    with pytest.raises(ValueError, match=r"confidences must be \[B, Q, K\] with .* K at least 1"):
        match_boxes(boxes, confidences[:, :, :0], target, labels, mode, backend=backend)
    with pytest.raises(ValueError, match="confidences must be float32, float16 or bfloat16"):
        match_boxes(boxes, confidences.long(), target, labels, mode, backend=backend)
    if device == "cpu":
        with pytest.raises(ValueError, match="label 9 is out of range for 7 classes"):
            match_boxes(boxes, confidences, target, torch.full_like(labels, 9), mode, backend=backend)
        for wrong in (-1, 3, 2**31 - 1):
            mode[2] = wrong
            with pytest.raises(ValueError, match=rf"mode\[2\] is {wrong}, modes are 0 to 2"):
                match_boxes(boxes, confidences, target, labels, mode, backend=backend)
