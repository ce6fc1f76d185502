"""Each op on each backend against its plain reference: dtypes, awkward sizes, strides, batching, bad arguments."""

from __future__ import annotations

import itertools

import definitions
import numpy as np
import pytest
import torch
from conftest import RUNNABLE
from torch import Tensor

from pysmdl import bitrows
from pysmdl.kernels import class_scores, compose, distance_gains

from toys import WORDS, poisoned


def compose_inputs(n=33, inputs=2, channels=3, grid=(13, 17), rows=5, dtype=torch.float32, device="cpu", seed=0):
    rng = np.random.default_rng(seed)
    scale = 1.0 if dtype.is_floating_point else torch.iinfo(dtype).max / 8  # ids of all bits
    x = torch.from_numpy(scale * rng.normal(size=(inputs, channels, *grid))).to(device, dtype)
    baseline = torch.from_numpy(scale * rng.normal(size=(inputs, channels, *grid))).to(device, dtype)
    labels = torch.from_numpy(rng.integers(-1, n, (inputs, *grid)).astype(np.int32)).to(device)
    member = rng.random((rows, n)) < 0.5
    source = torch.from_numpy(rng.integers(0, inputs, rows).astype(np.int32)).to(device)
    return x, baseline, labels, torch.from_numpy(bitrows.pack(member)).to(device), source


def compose_by_hand(x, baseline, labels, rows, source) -> Tensor:
    """The docstring's loop, point by point."""
    out = torch.empty((len(rows), *x.shape[1:]), dtype=x.dtype)
    for b in range(len(rows)):
        i = int(source[b])
        for place in itertools.product(*map(range, labels.shape[1:])):
            label = int(labels[(i, *place)])
            keep = label < 0 or bool(int(rows[b, label // 32]) >> (label % 32) & 1)
            out[(b, slice(None), *place)] = (x if keep else baseline)[(i, slice(None), *place)]
    return out


@pytest.mark.parametrize("dtype", WORDS, ids=str)
def test_reference_compose_is_its_docstring(dtype):
    given = compose_inputs(n=40, grid=(3, 4), rows=3, dtype=dtype)
    assert torch.equal(compose(*given, backend="reference"), compose_by_hand(*given))


@pytest.mark.parametrize("dtype", WORDS, ids=str)
@pytest.mark.parametrize("n", [1, 31, 32, 33, 100, 5000])
def test_compose_is_bit_equal(backend_device, dtype, n):
    backend, device = backend_device
    given = compose_inputs(n=n, dtype=dtype, device=device, rows=7)
    out = compose(*given, out=poisoned((7, 3, 13, 17), dtype, device), backend=backend)
    assert torch.equal(out, compose(*given, backend="reference"))


@pytest.mark.parametrize("rows", [1, 2, 31, 32, 33, 70])
@pytest.mark.parametrize(
    ("channels", "grid"), [(1, (1, 1)), (3, (1, 1025)), (4, (33, 31)), (2, (2047,)), (1, (2, 3, 5))]
)
def test_compose_shapes(backend_device, rows, channels, grid):
    backend, device = backend_device
    given = compose_inputs(inputs=3, channels=channels, grid=grid, rows=rows, device=device)
    out = compose(*given, out=poisoned((rows, channels, *grid), device=device), backend=backend)
    assert torch.equal(out, compose(*given, backend="reference"))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64], ids=str)
@pytest.mark.parametrize(("channels", "grid"), [(1, (17,)), (3, (9,)), (17, (3, 9)), (1, (1025,)), (2, (33, 31))])
def test_ids_are_composed_like_numbers(backend_device, dtype, channels, grid):
    """At places that no vector of 16 or 32 bytes begins at, with ids of all bits."""
    backend, device = backend_device
    given = compose_inputs(inputs=3, channels=channels, grid=grid, rows=7, dtype=dtype, device=device)
    out = poisoned((8, channels, *grid), dtype, device)[1:]
    assert torch.equal(compose(*given, out=out, backend=backend), compose_by_hand(*(t.cpu() for t in given)).to(device))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64], ids=str)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels_last"])
def test_compose_of_a_batch_beyond_caches(backend_device, dtype, layout):
    """Over 8 MiB: several threads, written past the caches, rows that begin anywhere."""
    backend, device = backend_device
    if backend == "triton" and device == "cpu":
        pytest.skip("minutes under the interpreter")
    given = compose_inputs(n=49, inputs=1, grid=(223, 225), rows=70, dtype=dtype, device=device)
    out = poisoned((71, 3, 223, 225), dtype, device).contiguous(memory_format=layout)[1:]
    assert torch.equal(compose(*given, out=out, backend=backend), compose(*given, backend="reference"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64], ids=str)
def test_small_batches_in_the_place_of_one_beyond_caches(backend_device, dtype):
    """The first of them goes past the caches as well, the next one does not."""
    backend, device = backend_device
    if backend == "triton" and device == "cpu":
        pytest.skip("minutes under the interpreter")
    many = (17 << 20) // (4097 * dtype.itemsize)
    x, baseline, labels, rows, source = compose_inputs(channels=1, grid=(4097,), rows=many, dtype=dtype, device=device)
    out = poisoned((many, 1, 4097), dtype, device)
    for few in (many, 5, 3):
        given = x, baseline, labels, rows[-few:], source[-few:]
        assert torch.equal(compose(*given, out=out[:few], backend=backend), compose(*given, backend="reference"))


@pytest.mark.parametrize("dtype", WORDS, ids=str)
@pytest.mark.parametrize(
    "layout", ["channels_last", "channels_last_out", "crop", "crop_out", "constant", "constant_last", "rows"]
)
def test_compose_strides(backend_device, layout, dtype):
    backend, device = backend_device
    x, baseline, labels, rows, source = compose_inputs(dtype=dtype, device=device)
    wanted = compose(x, baseline, labels, rows, source, backend="reference")
    out = poisoned(wanted.shape, dtype, device)
    last = torch.channels_last
    if layout.startswith("constant"):
        baseline = baseline[:, :, :1, :1].expand(x.shape)
        wanted = compose(x, baseline, labels, rows, source, backend="reference")
    if layout in ("channels_last", "constant_last"):
        x, out = x.contiguous(memory_format=last), out.contiguous(memory_format=last)
    elif layout == "channels_last_out":
        out = out.contiguous(memory_format=last)
    elif layout == "crop":
        big = [poisoned((2, 3, 20, 30), dtype, device) for _ in range(2)]
        for each, small in zip(big, (x, baseline), strict=True):
            each[:, :, 3:16, 5:22] = small
        x, baseline = (each[:, :, 3:16, 5:22] for each in big)
        labels = torch.nn.functional.pad(labels, (4, 4))[..., 4:-4]
    elif layout == "crop_out":
        out = poisoned((5, 3, 20, 30), dtype, device)[:, :, 2:15, 1:18]
    elif layout == "rows":
        rows = torch.nn.functional.pad(rows, (0, 1))[:, :-1]
        source = source.repeat_interleave(2)[::2]
    assert compose(x, baseline, labels, rows, source, out=out, backend=backend) is out
    assert torch.equal(out, wanted)


def test_compose_padding_is_zero_and_touches_nobody(backend_device):
    backend, device = backend_device
    x, baseline, labels, rows, source = compose_inputs(device=device)
    alone = compose(x, baseline, labels, rows, source, backend=backend)
    source[2] = -1
    out = compose(x, baseline, labels, rows, source, out=poisoned(alone.shape, device=device), backend=backend)
    assert not out[2].any()
    rest = [0, 1, 3, 4]
    assert torch.equal(out[rest], alone[rest])


def test_compose_row_alone_is_row_in_company(backend_device):
    backend, device = backend_device
    x, baseline, labels, rows, source = compose_inputs(device=device, rows=9)
    together = compose(x, baseline, labels, rows, source, backend=backend)
    for b in range(9):
        alone = compose(x, baseline, labels, rows[b : b + 1], source[b : b + 1], backend=backend)
        assert torch.equal(alone[0], together[b])


def test_complement_rows_share_out_the_input(backend_device):
    backend, device = backend_device
    x, _, labels, rows, source = compose_inputs(device=device, n=37)
    zero = torch.zeros_like(x)
    labels = labels.clamp(min=0)
    rest = torch.from_numpy(bitrows.complement(rows.cpu().numpy(), 37)).to(device)
    kept, removed = (compose(x, zero, labels, each, source, backend=backend) for each in (rows, rest))
    assert torch.equal(kept + removed, x[source.long()])


def test_labels_beyond_the_rows_are_never_shown(backend_device):
    backend, device = backend_device
    x, baseline, labels, rows, source = compose_inputs(device=device, n=64)
    assert rows.shape[1] == 2
    out = compose(x, baseline, torch.full_like(labels, 64), rows, source, backend=backend)
    assert torch.equal(out, baseline[source.long()])


def test_labels_below_zero_are_always_shown(backend_device):
    backend, device = backend_device
    x, baseline, labels, rows, source = compose_inputs(device=device, n=64)
    for label in (-1, -2, -33, -(2**31)):
        out = compose(x, baseline, torch.full_like(labels, label), rows, source, backend=backend)
        assert torch.equal(out, x[source.long()])
    out = compose(x, baseline, torch.full_like(labels, 2**31 - 1), rows, source, backend=backend)
    assert torch.equal(out, baseline[source.long()])


@pytest.mark.parametrize("grid", [(64, 64), (40, 130), (7,)])
@pytest.mark.parametrize("expanded", ["points", "channels", "rows", "inputs"])
def test_compose_of_what_repeats(backend_device, expanded, grid):
    """Inputs, baseline and labels that are one number many times over, as expand() makes them."""
    backend, device = backend_device
    one = {"points": (2, 3, *[1] * len(grid)), "channels": (2, 1, *grid), "inputs": (1, 3, *grid)}
    shape = one.get(expanded, (2, 3, *grid[:-1], 1))
    x, baseline = (torch.randn(shape, device=device).expand(2, 3, *grid) for _ in range(2))
    of_labels = (shape[0], *shape[2:])
    labels = torch.randint(-1, 5, of_labels, dtype=torch.int32, device=device).expand(2, *grid)
    rows, source = torch.tensor([[9], [22], [0]], dtype=torch.int32), torch.tensor([0, 1, 1], dtype=torch.int32)
    given = (x, baseline, labels, rows.to(device), source.to(device))
    assert torch.equal(
        compose(*given, backend=backend), compose(*(each.clone() for each in given), backend="reference")
    )


def test_an_output_that_overlaps_is_refused(backend_device):
    backend, device = backend_device
    x, baseline, labels, rows, source = compose_inputs(device=device, rows=2)
    flat = torch.zeros(4 * x.numel(), device=device)
    overlapping = [flat[:1].view(1, 1, 1, 1).expand(x.shape), flat.as_strided(x.shape, (13 * 17, 13 * 17, 17, 1))]
    for out in [*overlapping, flat.as_strided(x.shape, (900, 300, 13, 1))]:
        with pytest.raises(ValueError, match=r"out must not overlap itself"):
            compose(x, baseline, labels, rows, source, out=out, backend=backend)
    for shared in (x, baseline):
        with pytest.raises(ValueError, match="out must not share memory with"):
            compose(x, baseline, labels, rows, source, out=shared, backend=backend)
    distances, index = torch.rand(3, 3, device=device), torch.zeros(1, dtype=torch.int32, device=device)
    with pytest.raises(ValueError, match="out must not share memory with"):
        distance_gains(distances, distances[1, :1], index, index, out=distances[0, :1], backend=backend)


# distance_gains


def effectiveness_by_hand(d: np.ndarray, subset: list[int]) -> float:
    return sum(min(d[i, j] for j in subset if j != i) for i in subset) if len(subset) > 1 else 0.0


@pytest.mark.parametrize(("n", "members"), [(2, 0), (2, 1), (3, 2), (33, 1), (33, 20), (65, 2), (65, 64), (4, 4)])
def test_distance_gains(backend_device, n, members):
    backend, device = backend_device
    rng = np.random.default_rng(n)
    d = rng.random((n, n)).astype(np.float32)
    d = np.minimum(d, d.T)
    order = rng.permutation(n)
    chosen, left = order[:members].tolist(), order[members:].tolist()
    nearest = [min((d[i, j] for j in chosen if j != i), default=np.inf) for i in chosen]
    arguments = (
        torch.from_numpy(d),
        torch.tensor(nearest, dtype=torch.float32),
        torch.tensor(chosen, dtype=torch.int32),
        torch.tensor(left, dtype=torch.int32),
    )
    arguments = tuple(each.to(device) for each in arguments)
    out = distance_gains(*arguments, out=poisoned((len(left),), device=device), backend=backend)
    assert torch.equal(out, distance_gains(*arguments, backend="reference"))
    np.testing.assert_allclose(out.cpu(), [effectiveness_by_hand(d, [*chosen, a]) for a in left], rtol=1e-6)


def test_distance_gains_reads_the_columns_of_its_candidates(backend_device, rng):
    """The definition needs no symmetry."""
    backend, device = backend_device
    for n, members, candidates in ((5, 2, 3), (40, 17, 23), (9, 0, 4), (9, 3, 0)):
        d, nearest = rng.random((n, n)).astype(np.float32), rng.random(members).astype(np.float32)
        index = [rng.integers(0, n, count).astype(np.int32) for count in (members, candidates)]
        wanted = definitions.distance_gains(d, nearest, *index)
        given = (torch.from_numpy(each).to(device) for each in (d, nearest, *index))
        assert np.array_equal(distance_gains(*given, backend=backend).cpu(), wanted)


@np.errstate(all="ignore")
def test_distance_gains_keeps_nan(backend_device):
    backend, device = backend_device
    members, candidates = (torch.tensor(each, dtype=torch.int32, device=device) for each in ([0, 1], [2, 3, 4]))
    for place in ((0, 3), (1, 3)):
        d = torch.ones(5, 5, device=device)
        d[place] = torch.nan
        for nearest in ([0.5, 0.5], [2.0, 2.0]):
            out = distance_gains(d, torch.tensor(nearest, device=device), members, candidates, backend=backend)
            assert out.isnan().tolist() == [False, True, False]
    nearest = torch.tensor([0.5, torch.nan], device=device)
    out = distance_gains(torch.ones(5, 5, device=device), nearest, members, candidates, backend=backend)
    assert out.isnan().all()


# bad arguments


BAD = {
    "baseline shape": (lambda a: a.update(baseline=a["baseline"][:1]), "baseline must have the shape of x"),
    "labels shape": (lambda a: a.update(labels=a["labels"][:, 1:]), "labels must be"),
    "labels dtype": (lambda a: a.update(labels=a["labels"].long()), "labels must be int32, got int64"),
    "source length": (lambda a: a.update(source=a["source"][1:]), "rows must be"),
    "baseline dtype": (lambda a: a.update(baseline=a["baseline"].half()), "baseline must be float32, got float16"),
    "rows dtype": (lambda a: a.update(rows=a["rows"].long()), "rows must be int32, got int64"),
    "x dtype": (lambda a: a.update(x=a["x"].double(), baseline=a["baseline"].double()), "x must be float32, float16"),
    "no grid": (lambda a: a.update(x=a["x"][:, :, 0, 0]), r"x must be \[M, C, \*grid\] with M at least 1"),
    "no input": (lambda a: a.update(x=a["x"][:0]), r"x must be \[M, C, \*grid\] with M at least 1"),
    "out shape": (lambda a: a.update(out=torch.empty(1, 3, 13, 17)), "out must be"),
}


@pytest.mark.parametrize("case", BAD)
def test_compose_refuses(backend_device, case):
    backend, device = backend_device
    arguments = dict(zip(("x", "baseline", "labels", "rows", "source"), compose_inputs(device=device), strict=True))
    BAD[case][0](arguments)
    with pytest.raises(ValueError, match=BAD[case][1]):
        compose(**arguments, backend=backend)


ON_THE_CPU = pytest.mark.parametrize("backend", [backend for backend, device in RUNNABLE if device == "cpu"])


@ON_THE_CPU
def test_compose_refuses_a_source_out_of_range(backend):
    x, baseline, labels, rows, source = compose_inputs()
    for wrong in (2, 2**31 - 1):
        source[1] = wrong
        with pytest.raises(ValueError, match=rf"source\[1\] is {wrong}, x holds 2 inputs"):
            compose(x, baseline, labels, rows, source, backend=backend)


@ON_THE_CPU
def test_class_scores_refuses_a_target_out_of_range(backend):
    for wrong in (3, 2**31 - 1):
        with pytest.raises(ValueError, match=f"target {wrong} is out of range for 3 classes"):
            class_scores(torch.zeros(1, 3), torch.tensor([[wrong]], dtype=torch.int32), backend=backend)


@ON_THE_CPU
def test_distance_gains_refuses_regions_out_of_range(backend):
    d, nearest = torch.ones(4, 4), torch.ones(2)
    right = torch.tensor([1, 2], dtype=torch.int32)
    for wrong in (4, -1, 2**31 - 1, -(2**31)):
        index = torch.tensor([1, wrong], dtype=torch.int32)
        with pytest.raises(ValueError, match=rf"members\[1\] is {wrong}, there are 4 regions"):
            distance_gains(d, nearest, index, right, backend=backend)
        with pytest.raises(ValueError, match=rf"candidates\[1\] is {wrong}, there are 4 regions"):
            distance_gains(d, nearest, right, index, backend=backend)
    with pytest.raises(ValueError, match=r"candidates must be \[c\]; got \[1, 2\]"):
        distance_gains(d, nearest, right, right[None], backend=backend)
