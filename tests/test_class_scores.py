"""class_scores on each backend against its plain reference."""

from __future__ import annotations

import definitions
import numpy as np
import pytest
import torch

from pysmdl.kernels import class_scores

from toys import DTYPES, poisoned

SCORE_TOLERANCE = 2e-6  # worst seen: 4e-7 (cpu), 3e-7 (triton, interpreted), on softmax and entropy in float32


# class_scores


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("classes", [1, 2, 10, 15, 16, 17, 1000, 5000])
def test_class_scores(backend_device, dtype, classes):
    backend, device = backend_device
    rng = np.random.default_rng(classes)
    logits = torch.from_numpy(rng.normal(0, 5, (5, classes))).to(device, dtype)
    targets = torch.from_numpy(rng.integers(-1, classes, (5, 3)).astype(np.int32)).to(device)
    out = class_scores(logits, targets, out=poisoned((5, 5), device=device), backend=backend)
    worst = (out - class_scores(logits, targets, backend="reference")).abs().max().item()
    assert worst <= SCORE_TOLERANCE, worst


def test_class_scores_by_hand(backend_device):
    backend, device = backend_device
    logits = torch.tensor([[1.0, 3.0, 3.0], [0.0, 0.0, 0.0]], device=device)
    out = class_scores(
        logits, torch.tensor([[2, -1], [0, -1]], dtype=torch.int32, device=device), backend=backend
    ).cpu()
    p = np.exp([1, 3, 3]) / np.exp([1, 3, 3]).sum()
    confidence = 1 + (p * np.log(p + 1e-7)).sum() / np.log(3)
    np.testing.assert_allclose(out[0], [confidence, 1, p[2], p[1]], atol=1e-6)  # the first of two maxima
    np.testing.assert_allclose(out[1], [0, 0, 1 / 3, 1 / 3], atol=1e-6)


def test_class_scores_in_extremes(backend_device):
    backend, device = backend_device
    logits = torch.tensor(
        [[1e4, -1e4, 0], [-np.inf, 0, 0], [88, -88, 0], [np.nan, 0, 1], [0, np.nan, 1]], device=device
    )
    out = class_scores(logits.float(), torch.zeros((5, 1), dtype=torch.int32, device=device), backend=backend).cpu()
    np.testing.assert_allclose(out[:3, 2], [1, 0, 1], atol=1e-6)
    assert out[3:, 2].isnan().all()


NUMBERS = (0.0, -0.0, 1.0, -2.0, 88.0, -104.0, 2.0**31, 3e9, -3e38, 3.4e38, np.inf, -np.inf, np.nan)


@np.errstate(all="ignore")  # Triton's interpreter is NumPy
@pytest.mark.parametrize("classes", [1, 2, 3, 17, 40])
def test_class_scores_of_any_numbers(backend_device, classes, rng):
    """No padding counts as a class, however large the logits are; NaN is the top class where it is first."""
    backend, device = backend_device
    rows = [np.roll(NUMBERS * 4, shift)[:classes] for shift in range(2 * len(NUMBERS))]
    rows += [rng.choice(NUMBERS[: -1 - each % 4], classes) for each in range(40)]
    logits = np.array(rows, np.float32)
    targets = rng.integers(-2, classes, (len(rows), 4)).astype(np.int32)
    given = (torch.from_numpy(each).to(device) for each in (logits, targets))
    out = class_scores(*given, out=poisoned((len(rows), 6), device=device), backend=backend).cpu()
    wanted = definitions.class_scores(logits, targets, entropy=True)
    np.testing.assert_allclose(out, wanted, atol=SCORE_TOLERANCE)


def test_a_class_that_is_ruled_out_has_no_probability(backend_device):
    backend, device = backend_device
    logits = torch.tensor([[-np.inf, 2.0, -np.inf], [-1e9, 5.0, 5.0]], device=device)
    targets = torch.tensor([[0], [0]], dtype=torch.int32, device=device)
    assert class_scores(logits, targets, backend=backend)[:, 2].tolist() == [0, 0]


def test_logits_of_other_dtypes_are_taken_as_float32(backend_device):
    backend, device = backend_device
    targets = torch.tensor([[0], [-1]], dtype=torch.int32, device=device)
    for dtype in (torch.float64, torch.int64, torch.uint8, torch.bool):
        logits = torch.tensor([[2, 0, 1], [0, 1, 1]], device=device).to(dtype)
        assert torch.equal(
            class_scores(logits, targets, backend=backend), class_scores(logits.float(), targets, backend=backend)
        )
    near = torch.tensor([[1.0, 1.0 + 1e-12]], dtype=torch.float64, device=device)
    assert class_scores(near, targets[:1], backend=backend)[0, 1] == 0  # the same in float32
    with pytest.raises(ValueError, match=r"logits must be real numbers; got torch\.complex64"):
        class_scores(near.to(torch.complex64), targets[:1], backend=backend)


def test_class_scores_without_rows_or_targets(backend_device):
    backend, device = backend_device
    for rows, traced in ((0, 2), (3, 0), (0, 0)):
        targets = torch.zeros(rows, traced, dtype=torch.int32, device=device)
        out = class_scores(torch.zeros(rows, 5, device=device), targets, backend=backend)
        assert out.shape == (rows, 2 + traced)


def test_class_scores_strides_and_options(backend_device):
    backend, device = backend_device
    logits = torch.randn(6, 24, generator=torch.Generator().manual_seed(0)).to(device)
    targets = torch.arange(12, dtype=torch.int32, device=device).view(6, 2)
    wanted = class_scores(
        logits[::2, ::2].contiguous(), targets[::2].contiguous() % 12, entropy=False, backend="reference"
    )
    out = class_scores(logits[::2, ::2], targets[::2] % 12, entropy=False, backend=backend)
    torch.testing.assert_close(out, wanted, atol=SCORE_TOLERANCE, rtol=0)
    assert not out[:, 0].any()
