"""A seeded fuzz of the extension's border: a call answers or raises, and a share of the answers is held to NumPy's.

`python tests/fuzz_native.py --calls 200000`; `make sanitize` runs it under the sanitizers. It needs no torch.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import definitions
import numpy as np
from forging import Rng, alive, floats, laid_out, spoilt, whole

import pysmdl
from pysmdl import _C
from pysmdl.search.plain_surrogate import Plain
from pysmdl.search.surrogate import GAIN, Fitted


def alone(path: str) -> Any:
    """A module of pysmdl without its package, which would bring torch."""
    spec = spec_from_file_location(Path(path).stem, Path(pysmdl.__file__).parent / path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DictCache = alone("engine/requests/subsets.py").DictCache

REFUSALS = (ValueError, TypeError, BufferError, MemoryError)
CHECKED = 0.3  # of the answers
Case = tuple[Callable[[], Any], Callable[[], Any]]  # the call, and what it must be equal to

# One case of each op


def given(rng: Rng, arrays: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The arrays as a caller may give them, and whether they are arrays still."""
    honest = True
    for name, array in arrays.items():
        arrays[name] = laid_out(rng, array)
    while rng.random() < 0.2:
        name = str(rng.choice(list(arrays)))
        if isinstance(arrays[name], np.ndarray):
            arrays[name] = spoilt(rng, arrays[name])
            honest &= isinstance(arrays[name], np.ndarray)
    if rng.random() < 0.03:
        arrays["out"], honest = arrays[str(rng.choice(list(arrays)))], False
    return arrays, honest


def threads(rng: Rng) -> int:
    return int(rng.choice([1, 1, 1, 2, 3, 0, -1, 2**31 - 1], p=[0.3, 0.3, 0.2, 0.1, 0.04, 0.02, 0.02, 0.02]))


def a_compose(rng: Rng) -> Case:
    inputs, channels, rows, words = (int(each) for each in rng.integers((1, 0, 0, 0), (4, 4, 40, 4)))
    points = int(rng.choice([0, 1, 7, 16, 33, 300, 2100], p=[0.03, 0.12, 0.25, 0.2, 0.3, 0.08, 0.02]))
    dtype = rng.choice([np.float32, np.float16])
    arrays, honest = given(rng, {
        "x": floats(rng, inputs, channels, points, dtype=dtype),
        "baseline": floats(rng, inputs, channels, points, dtype=dtype),
        "labels": whole(rng, -2, 32 * words + 2, inputs, points),
        "rows": rng.integers(-(2**31), 2**31, (rows, words)).astype(np.int32),
        "source": np.sort(whole(rng, -1, inputs, rows)),
        "out": np.full((rows, channels, points), np.nan, dtype),
    })  # fmt: skip
    return of(_C.compose, definitions.compose, arrays, honest, threads=threads(rng))


def a_blend(rng: Rng) -> Case:
    inputs, channels, rows, regions = (int(each) for each in rng.integers((1, 0, 0, 0), (4, 4, 40, 20)))
    points = int(rng.choice([0, 1, 7, 16, 33, 300, 2100], p=[0.03, 0.12, 0.25, 0.2, 0.3, 0.08, 0.02]))
    arrays, honest = given(rng, {
        "x": floats(rng, inputs, channels, points),
        "baseline": floats(rng, inputs, channels, points),
        "labels": whole(rng, -2, regions + 2, inputs, points),
        "weights": floats(rng, rows, regions),
        "source": whole(rng, -1, inputs, rows),
        "out": np.full((rows, channels, points), np.nan, np.float32),
    })  # fmt: skip
    return of(_C.blend, definitions.blend, arrays, honest, threads=threads(rng))


def a_class_scores(rng: Rng) -> Case:
    rows, traced = (int(each) for each in rng.integers(0, 5, 2))
    classes = int(rng.choice([0, 1, 2, 15, 16, 17, 300], p=[0.02, 0.1, 0.2, 0.2, 0.2, 0.2, 0.08]))
    arrays, honest = given(rng, {
        "logits": floats(rng, rows, classes, dtype=rng.choice([np.float32, np.float16])),
        "targets": whole(rng, -2, classes, rows, traced),
        "out": np.full((rows, 2 + traced), np.nan, np.float32),
    })  # fmt: skip
    more = {"entropy": bool(rng.integers(0, 2))}
    return of(_C.class_scores, definitions.class_scores, arrays, honest, more, threads=threads(rng))


def a_distance_gains(rng: Rng) -> Case:
    n, members, candidates = (int(each) for each in rng.integers((1, 0, 0), (20, 9, 9)))
    arrays, honest = given(rng, {
        "distances": floats(rng, n, n),
        "nearest": floats(rng, members),
        "members": whole(rng, 0, n, members),
        "candidates": whole(rng, 0, n, candidates),
        "out": np.full(candidates, np.nan, np.float32),
    })  # fmt: skip
    return of(_C.distance_gains, definitions.distance_gains, arrays, honest)


def a_match_boxes(rng: Rng) -> Case:
    rows, queries, classes, listed = (int(each) for each in rng.integers((0, 0, 0, 0), (4, 9, 5, 4)))
    corners = floats(rng, rows, queries, 2, 2)
    arrays, honest = given(rng, {
        "boxes": (np.sort(corners, 2) if rng.random() < 0.8 else corners).reshape(rows, queries, 4),
        "confidences": floats(rng, rows, queries, classes, dtype=rng.choice([np.float32, np.float16])),
        "target": np.sort(floats(rng, rows, 2, 2), 1).reshape(rows, 4),
        "labels": whole(rng, -2, classes, rows, listed),
        "mode": whole(rng, 0, 3, rows),
        "out": np.full((rows, 7), np.nan, np.float32),
    })  # fmt: skip
    more = {"floor": float(rng.choice([0, 0.5, np.inf, -0.5, np.nan, 1e300], p=[0.5, 0.3, 0.05, 0.05, 0.05, 0.05]))}
    return of(_C.match_boxes, definitions.match_boxes, arrays, honest, more, threads=threads(rng))


def a_pack_tokens(rng: Rng) -> Case:
    inputs, tokens, width = (int(each) for each in rng.integers((1, 0, 0), (4, 9, 5)))
    rows, words, room = (int(each) for each in rng.integers(0, (5, 3, 3)))
    labels, source = whole(rng, -2, 32 * words + 2, inputs, tokens), whole(rng, 0, inputs, rows)
    bits = rng.integers(-(2**31), 2**31, (rows, words)).astype(np.int32)
    inside = source.clip(0, inputs - 1)
    kept = [int(definitions.kept(labels[i], row).sum()) for i, row in zip(inside, bits, strict=True)]
    offsets = np.append(0, np.cumsum(kept)).astype(np.int32)
    if rng.random() < 0.1:
        offsets[int(rng.integers(0, rows + 1))] += rng.integers(-9, 9)
    total = max(0, int(offsets[-1])) + room - int(rng.random() < 0.05)
    arrays, honest = given(rng, {
        "x": floats(rng, inputs, tokens, width), "labels": labels, "rows": bits, "source": source, "offsets": offsets,
        "out": np.full((max(0, total), width), np.nan, np.float32),
    })  # fmt: skip
    room_of = {"room": np.shape(arrays["out"])[0] if np.ndim(arrays["out"]) else 0} if honest else {}
    call, definition = of(_C.pack_tokens, definitions.pack_tokens, arrays, honest, threads=threads(rng), **room_of)
    return call, definition


def a_inverse_haar(rng: Rng) -> Case:
    levels = int(rng.choice([-1, 0, 1, 2, 3, 8, 9], p=[0.02, 0.02, 0.3, 0.3, 0.3, 0.03, 0.03]))
    step = 1 << min(max(levels, 1), 4)  # which does not fit where levels are many
    planes = tuple(int(each) for each in rng.integers(0, (4, 4)))
    sides = tuple(step * int(each) for each in rng.integers((0, 1), (4, 5)))
    below = [int(rng.integers(0, step + (rng.random() < 0.05))) for _ in sides]
    room = tuple(max(0, side - less) for side, less in zip(sides, below, strict=True))
    packed, out = floats(rng, *planes, *sides), np.full((*planes, *room), np.nan, np.float32)
    arrays, honest = given(rng, {"packed": packed, "out": out})
    shown = {"room": np.shape(arrays["out"])[2:]} if honest else {}
    return of(
        _C.inverse_haar, definitions.inverse_haar, arrays, honest, {"levels": levels}, threads=threads(rng), **shown
    )


def of(
    op: Callable[..., None],
    definition: Callable[..., Any],
    arrays: dict[str, Any],
    honest: bool,
    more: dict[str, Any] | None = None,
    room: Any = None,
    **other: Any,
) -> Case:
    """A call of an op, and its definition: None where what is given is no arrays."""
    more = more or {}
    inputs = {name: array for name, array in arrays.items() if name != "out"}

    def call() -> Any:
        op(**arrays, **more, **other)
        return arrays["out"]

    last = {} if room is None else {"room": room}
    return call, (lambda: definition(**inputs, **more, **last)) if honest else lambda: None


def a_cache(rng: Rng) -> Case:
    words = int(rng.choice([-1, 0, 1, 2, 3], p=[0.02, 0.02, 0.32, 0.32, 0.32]))
    if words < 1:
        return lambda: _C.SubsetCache(words), lambda: in_range(DictCache(words), 0, 1)
    native = _C.SubsetCache(words)
    twin = DictCache(words)
    for _ in range(int(rng.integers(0, 3))):
        rows = rng.integers(0, 3, (int(rng.integers(0, 400)), words)).astype(np.int32)
        np.testing.assert_array_equal(native.intern(rows), twin.intern(rows))
    rows = laid_out(rng, rng.integers(0, 3, (5, words)).astype(np.int32))
    if rng.random() < 0.4:
        rows = spoilt(rng, rows)
        return lambda: native.intern(rows), lambda: None
    start, stop = (int(each) for each in rng.choice([-1, 0, 1, len(twin), len(twin) + 1, 2**62], 2))
    if rng.random() < 0.5:
        return lambda: native.rows(start, stop), lambda: in_range(twin, start, stop)
    return lambda: native.find(rows), lambda: twin.find(rows)


def in_range(cache: Any, start: int, stop: int) -> Any:
    if not 0 <= start <= stop <= len(cache):
        raise IndexError("rows that are not there")
    return cache.rows(start, stop)


def a_surrogate(rng: Rng) -> tuple[Fitted, int]:
    n, count = int(rng.integers(1, 8)), int(rng.integers(0, 12))
    weight = rng.integers(1, 127, n)
    flip = np.where(rng.random((n, count)) < 0.5, weight[:, None], -weight[:, None]).astype(np.int8)
    pull, reach, bounded = rng.normal(size=count), float(rng.choice([0.3, 1.0])), bool(rng.random() < 0.5)
    fitted = Fitted(flip, pull, rng.normal(size=n), rng.random(n), 4.0, reach, 0.2, 0.02, 1.0, 1.0, bounded)
    if rng.random() < 0.3:
        name = str(rng.choice(Fitted._fields))
        value: Any = getattr(fitted, name)
        if isinstance(value, (bool, float)):
            value = [np.nan, np.inf, 0.0, -1.0, 1e-300, "x", None][int(rng.integers(0, 7))]
        else:
            value = spoilt(rng, laid_out(rng, value))
        fitted = fitted._replace(**{name: value})
    return fitted, n


def is_told(fitted: Fitted, *others: Any) -> bool:
    """Whether the twin can say what these give: arrays of something, and no sums of which only rounding is left."""
    numbers = fitted.pull, fitted.effect, fitted.area
    arrays = all(isinstance(each, np.ndarray) and each.size for each in (fitted.flip, *numbers, *others))
    return arrays and all(np.abs(np.asarray(each, np.float64)).max() < 1e3 for each in numbers)


def a_chain(rng: Rng) -> Case:
    fitted, n = a_surrogate(rng)
    k = int(rng.integers(1, n + 1)) if rng.random() < 0.9 else int(rng.choice([-1, 0, n + 1, 2**62]))
    passes, within = min(3, int(rng.integers(-1, 9))), int(rng.choice([-1, 0, 1, 9, 2**62]))
    order = laid_out(rng, whole(rng, 0, n, n) if rng.random() < 0.2 else rng.permutation(n).astype(np.int32))
    if rng.random() < 0.2:
        order = spoilt(rng, order)
    if rng.random() < 0.3:
        return lambda: sorted(_C.greedy_chain(fitted)), lambda: np.arange(len(fitted.flip))
    told = is_told(fitted, order)

    def improve() -> Any:
        worth, unsure = _C.improve_chain(fitted, order, k, passes, within, GAIN)
        return np.concatenate((np.sort(order), [worth], unsure.ravel())) if told else None

    def plain() -> Any:  # of the order that was found
        if not told:
            return None
        worth, unsure = Plain.improve_chain(fitted, np.array(order), k, 0, 0, GAIN)
        return np.concatenate((np.arange(len(order)), [worth], unsure.ravel()))

    return improve, plain


def a_prediction(rng: Rng) -> Case:
    fitted, n = a_surrogate(rng)
    member = laid_out(rng, rng.random((int(rng.integers(0, 9)), n)) < 0.5)
    if rng.random() < 0.2:
        member = spoilt(rng, member)
    told = is_told(fitted, member)

    def predict() -> Any:
        return np.concatenate(_C.predict(fitted, member))

    return predict, lambda: np.concatenate(Plain.predict(fitted, np.array(member))) if told else None


def an_influence(rng: Rng) -> Case:
    fitted, _ = a_surrogate(rng)
    return lambda: _C.influences(fitted), lambda: Plain.influences(fitted) if is_told(fitted) else None


def a_kernel(rng: Rng) -> Case:
    n, count, room = (int(each) for each in rng.integers((1, 0, 0), (8, 40, 3)))
    weight, first = rng.integers(1, 127, n), int(rng.integers(-1, count + 2))
    sides = rng.random((n, count)) < 0.5
    arrays, honest = given(rng, {
        "flip": np.where(sides, weight[:, None], -weight[:, None]).astype(np.int8),
        "alike": rng.normal(size=(n, n)) / np.outer(weight, weight),  # as flips weigh them: around 1
        "table": rng.random(int(weight.sum()) + 1),
        "kernel": np.full((count + room,) * 2, np.nan, np.float32),
    })  # fmt: skip
    arrays.pop("out", None)

    def rows(op: Callable[..., None], given: dict[str, Any]) -> Any:
        op(**given, first=first)
        return np.tril(given["kernel"][:count, :count])[max(0, first) :]

    read = {"flip": np.int8}  # what the op reads of arrays of any type, so that the twin rounds no more than it
    twins = {name: np.array(array, read.get(name, np.float64)) for name, array in arrays.items()} if honest else {}
    return lambda: rows(_C.kernel_rows, arrays), lambda: rows(Plain.kernel_rows, twins) if honest and count else None


def a_factor(rng: Rng) -> Case:
    size = int(rng.integers(0, 40))
    known, count = (int(each) for each in np.sort(rng.integers(-1, size + 2, 2)))
    root = rng.normal(size=(size, size))
    factor = (root @ root.T + np.eye(size)).astype(np.float32)
    if rng.random() < 0.5:
        x = rng.normal(size=int(rng.integers(0, size + 2)))
        lower = np.tril(np.linalg.cholesky(factor)) if size else factor
        shape = (max(0, size - int(rng.integers(0, 2))), max(0, size - int(rng.integers(0, 2))))
        arrays, honest = given(rng, {"factor": lower[: shape[0], : shape[1]].copy(), "x": x})
        arrays.pop("out", None)
        wanted = np.array(arrays["x"]) if honest else x

        def solve() -> Any:
            _C.solve_cholesky(**arrays)
            return arrays["x"]

        def solved() -> Any:
            part = arrays["factor"][: len(wanted), : len(wanted)] if honest else np.zeros((1, 1))
            if not np.array_equal(part, np.tril(part)) or np.abs(np.diag(part)).min(initial=1) < 0.1:
                return None
            Plain.solve_cholesky(part, wanted)
            return wanted

        return solve, solved
    known = min(known, 0)
    matrix = laid_out(rng, factor)
    if matrix is not factor and rng.random() < 0.3:
        matrix = spoilt(rng, matrix)
        return lambda: _C.extend_cholesky(matrix, known, count, 0.1, threads(rng)), lambda: None
    same = matrix.copy()

    def extend() -> Any:
        _C.extend_cholesky(matrix, known, count, 0.1, threads(rng))
        return np.tril(matrix[:count, :count])

    def plain() -> Any:
        part = np.tril(same[:count, :count])
        return np.linalg.cholesky(part + np.tril(part, -1).T + 0.1 * np.eye(count))

    return extend, plain


def a_difference(rng: Rng) -> Case:
    n, count, rows = (int(each) for each in rng.integers(0, (7, 9, 5)))
    flip = rng.integers(-128, 128, (n * int(rng.choice([1, 1, 60])), count)).astype(np.int8)
    arrays, honest = given(rng, {"flip": flip, "member": rng.random((rows, len(flip))) < 0.5})
    arrays.pop("out", None)
    return lambda: _C.differences(**arrays), lambda: Plain.differences(**arrays) if honest else None


def an_effect(rng: Rng) -> Case:
    n, count = (int(each) for each in rng.integers(0, (7, 70)))
    weight = rng.integers(1, 128, (n, 1))
    arrays, honest = given(rng, {
        "flip": np.where(rng.random((n, count)) < 0.5, weight, -weight).astype(np.int8),
        "alike": rng.random((n, n)), "pull": rng.normal(size=count),
    })  # fmt: skip
    arrays.pop("out", None)
    return lambda: _C.effects(**arrays), lambda: Plain.effects(**arrays) if honest else None


CASES: dict[str, tuple[Callable[[Rng], Case], float]] = {  # and what an answer may be off by
    "compose": (a_compose, 0),
    "class_scores": (a_class_scores, 2e-6),
    "distance_gains": (a_distance_gains, 0),
    "match_boxes": (a_match_boxes, 1e-6),
    "pack_tokens": (a_pack_tokens, 0),
    "inverse_haar": (a_inverse_haar, 0),
    "blend": (a_blend, 0),
    "cache": (a_cache, 0),
    "chain": (a_chain, 1e-5),  # of float32 terms of some tens around 1, which mostly cancel
    "prediction": (a_prediction, 1e-5),
    "influence": (an_influence, 5e-5),  # differences of two of these
    "kernel": (a_kernel, 1e-4),  # float32 sums of some ten numbers around 1
    "factor": (a_factor, 1e-3),  # float32, of numbers up to some tens
    "difference": (a_difference, 0),
    "effect": (an_effect, 1e-6),
}


def fuzz(calls: int, seed: int = 0) -> Counter[str]:
    """Make so many calls; how many of each kind were answered, checked and refused."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return _fuzz(calls, seed)


def _fuzz(calls: int, seed: int) -> Counter[str]:
    rng, found = np.random.default_rng(seed), Counter[str]()
    names = list(CASES)
    for number in range(calls):
        name = names[number % len(names)]
        make, tolerance = CASES[name]
        call, definition = make(rng)
        try:
            answer = call()
        except REFUSALS:
            found[f"{name} refused"] += 1
        else:
            found[f"{name} answered"] += 1
            if rng.random() < CHECKED and (wanted := definition()) is not None:
                found[f"{name} checked"] += 1
                message = f"{name}, call {number} of seed {seed}"
                answer, wanted = np.ravel(answer), np.ravel(wanted)  # a grid is read as one dimension
                np.testing.assert_allclose(answer, wanted, atol=tolerance, rtol=tolerance, err_msg=message)
        alive.clear()
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    began = time.perf_counter()
    counts = fuzz(asked.calls, asked.seed)
    for kind in sorted(counts):
        sys.stdout.write(f"{kind:24} {counts[kind]}\n")
    sys.stdout.write(f"{asked.calls} calls, seed {asked.seed}: {time.perf_counter() - began:.0f} s\n")
