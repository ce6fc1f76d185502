"""inverse_haar: each backend against the loop of its docstring, on odd sizes, in any memory."""

from __future__ import annotations

import definitions
import numpy as np
import pytest
import torch

from pysmdl import kernels
from pysmdl.errors import BackendError

from toys import DTYPES, poisoned

BACKENDS = ("cpu", "reference")
SHAPES = [((1, 1, 2, 2), 1, (1, 2)), ((2, 3, 8, 24), 1, (8, 24)), ((3, 1, 16, 40), 3, (13, 33)),
          ((1, 2, 32, 16), 4, (32, 1)), ((2, 2, 256, 256), 8, (1, 255))]  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "levels", "sides"), SHAPES)
def test_it_is_its_definition_to_the_bit(backend, dtype, shape, levels, sides, rng):
    packed = torch.from_numpy(rng.normal(size=shape).astype(np.float32)).to(dtype)
    before, out = packed.clone(), poisoned((*shape[:2], *sides), dtype)
    assert kernels.inverse_haar(packed, levels, out=out, backend=backend) is out
    wanted = torch.from_numpy(definitions.inverse_haar(packed.float().numpy(), levels, sides)).to(dtype)
    assert torch.equal(out, wanted)
    assert torch.equal(packed, before), "it reads its coefficients, and leaves them"


@pytest.mark.parametrize("backend", BACKENDS)
def test_memory_may_be_laid_out_in_any_way(backend, rng):
    packed = torch.from_numpy(rng.normal(size=(4, 16, 24, 3)).astype(np.float32)).permute(0, 3, 1, 2)
    room = poisoned((4, 3, 16, 30))
    out = room[..., 3:27]
    kernels.inverse_haar(packed, 2, out=out, backend=backend)
    plain = kernels.inverse_haar(packed.contiguous(), 2, out=poisoned((4, 3, 16, 24)), backend="reference")
    assert torch.equal(out, plain)
    assert room[..., :3].isnan().all()
    assert room[..., 27:].isnan().all()
    channels_last = poisoned((4, 3, 16, 24)).to(memory_format=torch.channels_last)
    assert torch.equal(kernels.inverse_haar(packed, 2, out=channels_last, backend=backend), plain)


@pytest.mark.parametrize("backend", BACKENDS)
def test_many_planes_are_shared_out(backend, rng):
    packed = torch.from_numpy(rng.normal(size=(33, 3, 64, 64)).astype(np.float32))
    out = kernels.inverse_haar(packed, 3, out=poisoned(packed.shape), backend=backend)
    alone = [kernels.inverse_haar(row[None], 3, out=poisoned((1, 3, 64, 64)), backend="reference") for row in packed]
    assert torch.equal(out, torch.cat(alone))


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_rows_are_no_work(backend):
    out = torch.empty(0, 3, 8, 8)
    assert kernels.inverse_haar(torch.empty(0, 3, 8, 8), 3, out=out, backend=backend) is out


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("packed", "levels", "out", "message"),
    [
        ((1, 1, 8, 8), 0, (1, 1, 8, 8), "levels must be a whole number of at least 1"),
        ((1, 1, 512, 512), 9, (1, 1, 512, 512), r"packed must be \[B, C, H, W\]"),
        ((1, 1, 8, 12), 3, (1, 1, 8, 12), r"of sides that 2\^3 divides; got \[1, 1, 8, 12\]"),
        ((8, 8), 1, (8, 8), r"packed must be \[B, C, H, W\]"),
        ((1, 1, 8, 8), 1, (1, 1, 6, 8), "its sides less than 2 below"),
        ((1, 1, 8, 8), 1, (1, 1, 8, 9), "its sides less than 2 below"),
        ((2, 1, 8, 8), 1, (1, 1, 8, 8), r"out must be \[2, 1, 8, 8\]"),
    ],
)
def test_what_does_not_fit_is_refused(backend, packed, levels, out, message):
    with pytest.raises(ValueError, match=message):
        kernels.inverse_haar(torch.zeros(packed), levels, out=torch.zeros(out), backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_types_and_shared_memory_are_refused(backend):
    packed = torch.zeros(1, 1, 8, 8)
    with pytest.raises(ValueError, match=r"out must be torch\.float32"):
        kernels.inverse_haar(packed, 1, out=packed.half(), backend=backend)
    with pytest.raises(ValueError, match="out must not share memory"):
        kernels.inverse_haar(packed, 1, out=packed, backend=backend)
    with pytest.raises(ValueError, match="must be float32"):
        kernels.inverse_haar(packed.double(), 1, out=packed.double(), backend=backend)
    with pytest.raises(ValueError, match="out must not overlap itself"):
        kernels.inverse_haar(packed, 1, out=torch.zeros(1).expand(1, 1, 8, 8), backend=backend)
    with pytest.raises(BackendError, match="inverse_haar has no such implementation"):
        kernels.inverse_haar(packed, 1, out=torch.zeros(1, 1, 8, 8), backend="triton")
