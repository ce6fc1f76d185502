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
from pysmdl.kernels import class_scores, compose, distance_gains, match_boxes

from toys import DTYPES, WORDS, poisoned

SCORE_TOLERANCE = 2e-6  # worst seen: 4e-7 (cpu), 3e-7 (triton, interpreted), on softmax and entropy in float32


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
