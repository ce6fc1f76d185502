"""The extension's edges: DLPack in and out, the subset index against a dict, threads, what the binary is."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from importlib.metadata import version
from types import SimpleNamespace

import definitions
import numpy as np
import pytest
import torch

from pysmdl import _C, _native, bitrows
from pysmdl.engine.requests.subsets import DictCache, subset_cache
from pysmdl.kernels import compose
from pysmdl.search.surrogate import Fitted


def test_binary_is_of_this_version():
    assert _C.__version__ == version("pysmdl")


def test_build_info_is_for_bug_reports():
    info = _C.build_info()
    assert set(info) >= {"compiler", "build_type", "cpu_features", "cuda"}
    assert _C.cuda_device_count() == torch.cuda.device_count()


@pytest.mark.parametrize("n", [1, 31, 32, 33, 100])
def test_subset_cache_is_a_dict(n, rng):
    native, twin = subset_cache(bitrows.words(n)), DictCache(bitrows.words(n))
    assert type(native) is _C.SubsetCache
    for _ in range(40):
        rows = bitrows.pack(rng.random((int(rng.integers(0, 60)), n)) < 0.5)
        np.testing.assert_array_equal(native.find(rows), twin.find(rows))
        np.testing.assert_array_equal(native.intern(rows), twin.intern(rows))
        assert len(native) == len(twin)
    middle = len(twin) // 2
    np.testing.assert_array_equal(native.rows(middle, len(twin)), twin.rows(middle, len(twin)))


def test_subset_cache_refuses():
    cache = _C.SubsetCache(2)
    for wrong in (np.zeros((3, 1), np.int32), np.zeros(2, np.int32), np.zeros((2, 2, 1), np.int32)):
        with pytest.raises(ValueError, match=r"rows must be int32 \[n, 2\]"):
            cache.intern(wrong)
    for dtype in (np.int64, np.float32, np.uint32):
        with pytest.raises(TypeError, match="incompatible function arguments"):
            cache.find(np.zeros((3, 2), dtype))
    for start, stop in ((0, 1), (-1, 0), (1, 0), (0, 2**62)):
        with pytest.raises(ValueError, match=f"rows {start} to {stop} of 0"):
            cache.rows(start, stop)
    for words in (0, -1, -(2**62)):
        with pytest.raises(ValueError, match=f"words must be at least 1, got {words}"):
            _C.SubsetCache(words)


def test_subset_cache_reads_rows_in_any_memory():
    rows = np.arange(24, dtype=np.int32).reshape(6, 4)
    cache = _C.SubsetCache(2)
    cache.intern(np.ascontiguousarray(rows[::-1, ::-2]))
    unaligned = np.frombuffer(b"." + rows[:, 1::2].tobytes(), np.int32, 12, 1).reshape(6, 2)
    for same, ids in (
        (rows[::-1, ::-2], range(6)),
        (rows[::2, 1::2][:, ::-1], (5, 3, 1)),
        (rows[::-1, ::-2].astype(">i4"), range(6)),
        (unaligned[:, ::-1], range(5, -1, -1)),
        (np.broadcast_to(rows[5:, ::-2], (3, 2)), (0, 0, 0)),
    ):
        assert cache.find(same).tolist() == list(ids)


def tiny():
    x = torch.ones(1, 1, 4)
    return (
        x,
        torch.zeros_like(x),
        torch.zeros(1, 4, dtype=torch.int32),
        torch.ones(1, 1, dtype=torch.int32),
        torch.zeros(1, dtype=torch.int32),
    )


def test_numpy_arrays_cross_read_only_ones_too():
    x, baseline, labels, rows, source = (each.numpy() for each in tiny())
    for each in (x, baseline, labels, rows, source):
        each.setflags(write=False)
    out = np.full((1, 1, 4), np.nan, np.float32)
    _C.compose(x, baseline, labels, rows, source, out, 1)
    np.testing.assert_array_equal(out, np.ones((1, 1, 4)))


def test_read_only_output_is_refused():
    out = np.empty((1, 1, 4), np.float32)
    out.setflags(write=False)
    with pytest.raises(ValueError, match="out is read-only"):
        _C.compose(*(each.numpy() for each in tiny()), out, 1)


def test_input_that_requires_grad_is_detached():
    x, *rest = tiny()
    out = compose(x.requires_grad_(), *rest, backend="cpu")
    assert not out.requires_grad
    assert torch.equal(out, torch.ones(1, 1, 4))


def test_memory_is_returned_to_its_owner():
    x, *rest = tiny()
    before = sys.getrefcount(x)
    for _ in range(100):
        compose(x, *rest, backend="cpu")
    assert sys.getrefcount(x) == before


BACKWARDS = np.arange(12, dtype=np.float32).reshape(1, 1, 12)[:, :, ::-3]
TWO_ROWS = {"rows": np.ones((2, 1), np.int32), "source": np.zeros(2, np.int32)}
MISALIGNED = np.frombuffer(b"." + bytes(16), np.float32, 4, 1).reshape(1, 1, 4)


@pytest.mark.parametrize(
    "change",
    [
        {"x": BACKWARDS},
        {"baseline": BACKWARDS, "rows": np.zeros((1, 1), np.int32)},
        {"x": np.broadcast_to(np.float32(3), (1, 1, 4))},
        {"labels": np.array([[-1, 5, 0, 7]], np.int32)[:, ::-1], "rows": np.array([[33]], np.int32)},
        {"labels": np.broadcast_to(np.int32(-7), (1, 4)), "rows": np.zeros((1, 1), np.int32)},
        {"labels": np.full((1, 4), 2**31 - 1, np.int32)},
        {"out": np.empty((1, 1, 8), np.float32)[:, :, ::-2]},
        {"out": np.empty((1, 4, 1), np.float32).transpose(0, 2, 1)[:, ::-1]},
    ],
)
def test_strides_of_zero_and_below_are_followed(change):
    names = ("x", "baseline", "labels", "rows", "source")
    arguments = {name: each.numpy() for name, each in zip(names, tiny(), strict=True)}
    arguments |= {"out": np.empty((1, 1, 4), np.float32), **change}
    out = arguments["out"]
    _C.compose(**arguments, threads=1)
    wanted = definitions.compose(*(arguments[name] for name in names))
    np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"out": np.broadcast_to(np.float32(0), (1, 1, 4))}, "out is read-only"),
        ({"out": torch.zeros(1, 1, 1).expand(1, 1, 4)}, r"out must not overlap itself, got shape \[1, 1, 4\] with str"),
        ({"out": torch.zeros(9).as_strided((2, 1, 4), (3, 1, 1)), **TWO_ROWS}, "out must not overlap itself"),
        ({"x": MISALIGNED}, "x must be aligned to its elements of 4 bytes"),
        ({"x": torch.zeros(1).expand(1 << 30, 1 << 30, 2)}, "x is larger than any memory"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"x": np.float32(1)}, r"x must (have 3 dimensions, got shape \[\]|be a DLPack capsule)"),
        ({"x": torch.zeros(1, 1, 4, dtype=torch.complex64)}, "x must be float32, .* DLPack type code 5 with 64 bits"),
        ({"source": np.array([1], np.int32)}, r"source\[0\] is 1, x holds 1 inputs"),
        ({"out": np.empty((1, 4), np.float32)}, r"out must have 3 dimensions, got shape \[1, 4\]"),
        ({"out": np.empty((2, 1, 4), np.float32)}, r"out has shape \[2, 1, 4\]: dimension 0 must be 1"),
        ({"labels": np.zeros((1, 4), np.int64)}, "labels must be int32, got int64"),
        ({"x": np.zeros((1, 1, 4), np.float64)}, "x must be float32, float16, bfloat16, int32 or int64"),
        ({"x": "no tensor"}, "x must be a DLPack capsule or have __dlpack__, got str"),
    ],
)
def test_bad_tensors_are_named(change, message):
    names = ("x", "baseline", "labels", "rows", "source")
    arguments = {name: each.numpy() for name, each in zip(names, tiny(), strict=True)}
    arguments |= {"out": np.empty((1, 1, 4), np.float32), "threads": 1, **change}
    with pytest.raises((ValueError, TypeError), match=message):
        _C.compose(**arguments)


def test_an_output_is_not_what_is_read():
    x, baseline, labels, rows, source = (each.numpy() for each in tiny())
    memory = np.ones((3, 1, 4), np.float32)
    for first, second in ((0, 0), (1, 1)):
        with pytest.raises(ValueError, match="out must not share memory with x"):
            _C.compose(memory[first : first + 1], baseline, labels, rows, source, memory[second : second + 1], 1)
    with pytest.raises(ValueError, match="out must not share memory with baseline"):
        _C.compose(x, memory[2:], labels, rows, source, memory[2:], 1)
    _C.compose(memory[:1], memory[2:], labels, rows, source, memory[1:2], 1)


def test_a_capsule_is_read_until_it_is_consumed():
    x, *rest = (each.numpy() for each in tiny())
    out = np.full((1, 1, 4), np.nan, np.float32)
    capsule = x.__dlpack__()
    for _ in range(2):
        _C.compose(capsule, *rest, out, 1)
    np.testing.assert_array_equal(out, x)
    consumed = torch.zeros(1, 1, 4).__dlpack__()
    torch.from_dlpack(consumed)
    with pytest.raises(ValueError, match="x must be a fresh DLPack capsule or have __dlpack__"):
        _C.compose(consumed, *rest, out, 1)


def test_a_copy_is_no_output():
    class Copied:
        def __dlpack__(self, **asked):
            return np.zeros((1, 1, 4), np.float32).__dlpack__(max_version=(1, 0), copy=True)

    with pytest.raises(ValueError, match="out is read-only"):
        _C.compose(*(each.numpy() for each in tiny()), Copied(), 1)


def test_what_solves_checks_both_dimensions():
    for shape, count in (((40, 1), 40), ((1, 40), 2), ((3, 4), 4), ((0, 0), 1)):
        with pytest.raises(ValueError, match="x must be no longer than either side of factor"):
            _C.solve_cholesky(np.ones(shape, np.float32), np.ones(count))
    factor = np.eye(3, dtype=np.float32)
    with pytest.raises(ValueError, match="x must be aligned"):
        _C.solve_cholesky(factor, np.frombuffer(bytearray(25), np.float64, 3, 1))
    for wrong in (np.ones(3, np.float32), np.ones(3, ">f8"), np.ones(6)[::2]):
        with pytest.raises(TypeError, match="incompatible function arguments"):
            _C.solve_cholesky(factor, wrong)  # never a copy, which nobody would see
    with pytest.raises(ValueError, match=r"factor must be float32 \[size, size\]"):
        _C.extend_cholesky(np.ones((3, 2), np.float32), 0, 2, 0.1, 1)
    flip = np.ones((2, 3), np.int8)
    for alike, pull, message in (
        (np.eye(3), np.ones(3), r"alike must be float64 \[2, 2\]"),
        (np.eye(2), np.ones(2), r"pull must be float64 \[3\]"),
        (np.eye(2), np.ones((3, 1)), r"pull must be float64 \[3\]"),
    ):
        with pytest.raises(ValueError, match=message):
            _C.effects(flip, alike, pull)
    for known, count in ((-1, 2), (2, 1), (0, 4)):
        with pytest.raises(ValueError, match="known and count must be 0 <= known <= count <= 3"):
            _C.extend_cholesky(factor, known, count, 0.1, 1)


FITTED = Fitted(
    np.array([[3, -3], [-5, 5]], np.int8), np.array([0.5, -1.0]), np.array([-0.2, 0.9]), np.full(2, 0.5),
    4.0, 0.3, 0.1, 0.02, 1.0, 1.0, True,
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flip": np.array([[3, -3], [-5, 4]], np.int8)}, r"flips of region 1 must be plus or minus 5, got 4"),
        ({"flip": np.zeros((2, 2), np.int8)}, "flips of a subset must add up to 1 to 32767, got 0"),
        ({"flip": np.full((300, 2), 127, np.int8)}, "flips of a subset must add up to 1 to 32767, got 38100"),
        ({"flip": np.zeros((0, 2), np.int8)}, r"flip must be int8 \[n, count\] with n at least 1"),
        ({"flip": np.ones((2, 2))}, "Cannot cast array data"),
        ({"pull": np.ones(3)}, r"pull must be \[2\], one a subset"),
        ({"pull": np.array([1, np.nan])}, "pull must be finite, got nan"),
        ({"area": np.ones(1)}, r"area must be \[2\], one a region"),
        ({"reach": 0.0}, r"reach must be at least 0\.05, got 0"),
        ({"offset": float("inf")}, "offset must be finite, got inf"),
        ({"kept": "1"}, "must be real number, not str"),
    ],
)
def test_a_fitted_surrogate_is_read_by_name_and_checked(change, message):
    order = np.arange(2, dtype=np.int32)
    assert sorted(_C.greedy_chain(SimpleNamespace(**FITTED._asdict()))) == [0, 1]
    with pytest.raises((ValueError, TypeError), match=message):
        _C.greedy_chain(FITTED._replace(**change))
    with pytest.raises((ValueError, TypeError), match=message):
        _C.improve_chain(FITTED._replace(**change), order, 1, 1, 1, 1e-6)


def test_a_move_gains_more_than_it_must():
    order = np.array([0, 1], np.int32)
    worth, _ = _C.improve_chain(FITTED, order, 2, 3, 2, 1e9)
    assert order.tolist() == [0, 1]
    better, unsure = _C.improve_chain(FITTED, order, 2, 3, 2, 1e-6)
    assert order.tolist() == [1, 0]
    assert better > worth
    subsets = np.array([[0, 0], [0, 1], [1, 1]], bool)
    np.testing.assert_allclose(unsure.sum(0), _C.predict(FITTED, subsets)[1], rtol=1e-12)


def test_callers_from_many_threads_do_not_mix():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(2, 3, 200, 211)).astype(np.float32))
    labels = torch.from_numpy(rng.integers(0, 40, (2, 200, 211)).astype(np.int32))
    rows = torch.from_numpy(bitrows.pack(rng.random((24, 40)) < 0.5))
    source = torch.arange(24, dtype=torch.int32) % 2
    wanted = compose(x, torch.zeros_like(x), labels, rows, source, backend="reference")
    wrong = []

    def work() -> None:
        for _ in range(10):
            if not torch.equal(compose(x, torch.zeros_like(x), labels, rows, source, backend="cpu"), wanted):
                wrong.append(1)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
    )


@pytest.mark.slow
@pytest.mark.parametrize("first", ["numpy", "torch"])
def test_a_forked_child_has_threads_of_its_own(first):
    """torch's threads, which ops run on where torch is loaded, do not survive a fork."""
    code = (
        f"import {first}\n"
        """
import os
import numpy as np
from pysmdl import _C
x = np.random.rand(1, 3, 160000).astype(np.float32)
labels = np.zeros((1, 160000), np.int32)

def go():
    out = np.empty((8, 3, 160000), np.float32)
    _C.compose(x, 0 * x, labels, np.ones((8, 1), np.int32), np.zeros(8, np.int32), out, 2)
    return out

first = go()
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(go(), first) else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_number_of_threads_is_the_callers(monkeypatch):
    done = run("from pysmdl import _native; print(_native.threads())", PYSMDL_NUM_THREADS="3")
    assert done.stdout.strip() == "3"
    done = run("from pysmdl import _native; _native.threads()", PYSMDL_NUM_THREADS="many")
    assert "PYSMDL_NUM_THREADS must be a whole number of at least 1; got 'many'" in done.stderr


@pytest.mark.slow
def test_without_the_extension_the_reference_serves_and_cpu_says_what_to_do():
    code = """
import sys
sys.modules["pysmdl._C"] = None
import torch
from pysmdl import _native
from pysmdl.errors import BackendError
from pysmdl.kernels import compose
assert _native.extension() is None
x, i, r, s = torch.ones(1, 1, 4), torch.zeros(1, 4).int(), torch.ones(1, 1).int(), torch.zeros(1).int()
assert torch.equal(compose(x, 0 * x, i, r, s), x)
try:
    compose(x, 0 * x, i, r, s, backend="cpu")
except BackendError as error:
    assert "pip install" in str(error), error
else:
    raise SystemExit("no error")
"""
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_threads_come_from_torch():
    assert _native.threads() == torch.get_num_threads()


@pytest.mark.parametrize("grid", [(5,), (2, 3, 4), (2, 1, 3, 2, 2), (1, 1, 1, 1, 1, 7)])
def test_a_grid_has_any_number_of_dimensions(grid, rng):
    x = torch.from_numpy(rng.normal(size=(2, 3, *grid)).astype(np.float32))
    baseline = torch.zeros(2, 3, *[1] * len(grid)).expand(x.shape)
    labels = torch.from_numpy(rng.integers(-1, 4, (2, *grid), dtype=np.int32))
    rows, source = torch.tensor([[5], [3], [9]], dtype=torch.int32), torch.tensor([0, 1, -1], dtype=torch.int32)
    found = [compose(x, baseline, labels, rows, source, backend=backend) for backend in ("cpu", "reference")]
    assert torch.equal(*found)


@pytest.mark.parametrize(("rows", "channels", "points"), [(0, 3, 20), (2, 0, 20), (2, 3, 0)])
def test_nothing_to_compose_is_no_trouble(rows, channels, points):
    x, labels = torch.zeros(1, channels, points), torch.zeros(1, points, dtype=torch.int32)
    bits, source = torch.zeros(rows, 1, dtype=torch.int32), torch.zeros(rows, dtype=torch.int32)
    assert compose(x, x, labels, bits, source, backend="cpu").shape == (rows, channels, points)
