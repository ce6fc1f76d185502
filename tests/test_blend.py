"""blend: each backend against the loop of its docstring, on odd sizes, in any memory."""

from __future__ import annotations

import definitions
import numpy as np
import pytest
import torch

from pysmdl import kernels
from pysmdl.errors import BackendError

from toys import DTYPES, poisoned

BACKENDS = ("cpu", "reference")
SHAPES = [(1, 1, 1), (2, 3, 5, 7), (3, 2, 2, 3, 4), (1, 1, 17), (1, 3, 61, 67), (2, 4, 1)]


def given(rng, shape, dtype=torch.float32, rows=9, regions=4):
    """x, baseline, labels with some beyond, weights with a row of 0 and one of 1, sources of which one is none."""
    inputs, _, *grid = shape
    x, baseline = (torch.from_numpy(rng.normal(size=shape).astype(np.float32)).to(dtype) for _ in range(2))
    labels = torch.from_numpy(rng.integers(-2, regions + 2, (inputs, *grid)).astype(np.int32))
    weights = torch.from_numpy(rng.random((rows, regions)).astype(np.float32))
    weights[0], weights[1] = 0, 1
    source = torch.from_numpy(rng.integers(0, inputs, rows).astype(np.int32))
    source[rows // 2] = -1
    return x, baseline, labels, weights, source


def defined(x, baseline, labels, weights, source):
    found = definitions.blend(
        *(each.float().numpy() for each in (x, baseline)), labels.numpy(), weights.numpy(), source
    )
    return torch.from_numpy(found).to(x.dtype)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_its_definition_to_the_bit(backend, dtype, shape, rng):
    read = given(rng, shape, dtype)
    before = [each.clone() for each in read]
    out = poisoned((9, *shape[1:]), dtype)
    assert kernels.blend(*read, out=out, backend=backend) is out
    assert torch.equal(out, defined(*read))
    assert all(map(torch.equal, read, before)), "it reads, and leaves what it reads"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_of_0_and_1_are_bits(backend, dtype, rng):
    x, baseline, labels, _, source = given(rng, (2, 3, 8, 9), dtype)
    weights = torch.from_numpy(rng.integers(0, 2, (9, 4)).astype(np.float32))
    bits = (weights.int() << torch.arange(4, dtype=torch.int32)).sum(1, keepdim=True, dtype=torch.int32)
    soft = kernels.blend(x, baseline, labels, weights, source, backend=backend)
    assert torch.equal(soft, kernels.compose(x, baseline, labels, bits, source))


@pytest.mark.parametrize("backend", BACKENDS)
def test_memory_may_be_laid_out_in_any_way(backend, rng):
    x, baseline, labels, weights, source = given(rng, (2, 3, 16, 20))
    plain = defined(x, baseline, labels, weights, source)
    room = poisoned((9, 3, 16, 26))
    kernels.blend(x, baseline, labels, weights, source, out=room[..., 3:23], backend=backend)
    assert torch.equal(room[..., 3:23], plain)
    assert room[..., :3].isnan().all()
    assert room[..., 23:].isnan().all()
    last = {"memory_format": torch.channels_last}
    strided = torch.from_numpy(rng.random((9, 8)).astype(np.float32))[:, ::2].copy_(weights)
    turned = labels.transpose(1, 2).contiguous().transpose(1, 2)
    for read in ((x.to(**last), baseline.to(**last)), (x.to(**last), baseline), (x, baseline.to(**last))):
        for out in (poisoned((9, 3, 16, 20)), poisoned((9, 3, 16, 20)).to(**last)):
            assert torch.equal(kernels.blend(*read, turned, strided, source, out=out, backend=backend), plain)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shown", [(2, 1, 1, 1), (1, 3, 1, 1), (1, 1, 1, 1)])
def test_a_baseline_may_be_one_number(backend, shown, rng):
    x, _, labels, weights, source = given(rng, (2, 3, 16, 20))
    baseline = torch.from_numpy(rng.normal(size=shown).astype(np.float32)).expand(x.shape)
    for memory in (torch.contiguous_format, torch.channels_last):
        out = poisoned((9, 3, 16, 20)).contiguous(memory_format=memory)
        kernels.blend(x.contiguous(memory_format=memory), baseline, labels, weights, source, out=out, backend=backend)
        assert torch.equal(out, defined(x, baseline, labels, weights, source))


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_rows_and_no_regions_are_served(backend, rng):
    x, baseline, labels, weights, source = given(rng, (1, 3, 4, 5))
    assert kernels.blend(x, baseline, labels, weights[:0], source[:0], backend=backend).shape == (0, 3, 4, 5)
    found = kernels.blend(x, baseline, labels, weights[:, :0], source, backend=backend)
    assert torch.equal(found, defined(x, baseline, labels, weights[:, :0], source))


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_does_not_fit_is_refused(backend, rng):
    x, baseline, labels, weights, source = given(rng, (2, 3, 4, 5))

    def refused(error, message, **changed):
        settings = {"x": x, "baseline": baseline, "labels": labels, "weights": weights, "source": source, **changed}
        with pytest.raises(error, match=message):
            kernels.blend(**settings)

    refused(ValueError, "baseline must have the shape of x", baseline=baseline[:1], backend=backend)
    refused(ValueError, r"labels must be \[M, \*grid\]", labels=labels[:, :3], backend=backend)
    refused(ValueError, r"weights must be \[B, n\] and source \[B\]", weights=weights[0], backend=backend)
    refused(ValueError, r"out must be \[B, C, \*grid\]", out=torch.zeros(9, 3, 4, 4), backend=backend)
    refused(ValueError, "weights must be float32", weights=weights.double(), backend=backend)
    refused(ValueError, "x must be float32", x=x.int(), baseline=baseline.int(), backend=backend)
    refused(ValueError, "baseline must be float32", baseline=baseline.half(), backend=backend)
    refused(ValueError, r"source\[\d\] is \d, x holds 2 inputs", source=source + 2, backend=backend)
    refused(ValueError, "out must not share memory", weights=weights[:2], source=source[:2], out=x, backend=backend)
    refused(ValueError, "overlap", out=torch.zeros(1).expand(9, 3, 4, 5), backend=backend)
    refused(BackendError, "blend has no such implementation", backend="triton")
