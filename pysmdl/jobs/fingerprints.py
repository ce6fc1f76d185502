"""Which weights a model has, in a few letters: by these a store knows that it is the same model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from pysmdl.scorers import Scorer

SAMPLED = 1024  # numbers of each tensor of weights
DEPTH = 12  # of what an estimator is made of: pipelines of ensembles of trees have 7
ASIDE = ("n_jobs", "verbose", "_sklearn_version", "cv_results_", "refit_time_")  # how it was made, not what it answers


def fingerprint(scorer: Scorer) -> str | None:
    """Of the model's weights: names, shapes, and 1024 numbers of each tensor; all that an estimator was fitted to. None
    where it shows none.
    """
    digest, any_there = hashlib.blake2b(digest_size=16), False
    for module in scorer.model.modules:
        for name, tensor in module.state_dict().items():
            if not isinstance(tensor, torch.Tensor):
                continue
            any_there = True
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            flat = tensor.detach().reshape(-1)
            step = max(1, -(-flat.numel() // SAMPLED))
            digest.update(flat[::step].cpu().to(torch.float64).numpy().tobytes())
    if scorer.model.fitted is not None:
        any_there = True
        for part in _state(scorer.model.fitted, DEPTH):
            digest.update(part)
    return digest.hexdigest() if any_there else None


def _state(value: Any, depth: int) -> Iterator[bytes]:
    """All that something holds, in an order of its own, the same in each process."""
    if value is None or isinstance(value, (str, int, float, complex, np.generic, bytes, bytearray)):
        yield repr(value).encode("utf-8", "surrogatepass")
    elif hasattr(value, "__array__"):
        yield from _numbers(np.asarray(value), depth)
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            if key not in ASIDE:
                yield repr(key).encode("utf-8", "surrogatepass")
                yield from _state(value[key], depth - 1)
    elif isinstance(value, (set, frozenset)):
        yield repr(sorted(map(repr, value))).encode()
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _state(each, depth - 1)
    else:
        kind = value if hasattr(value, "__qualname__") else type(value)
        yield f"{kind.__module__}.{kind.__qualname__}".encode()
        if depth > 0 and kind is not value and not isinstance(value, np.random.RandomState):
            yield from _state(_held(value), depth - 1)


def _held(value: Any) -> Any:
    """What an object is made of: its attributes; of compiled code's own what is pickled by name, as a tree's nodes are.
    What is a tuple there counts calls too, of neighbours that the estimator has itself.
    """
    own = getattr(value, "__dict__", None)
    made = None if own else getattr(value, "__getstate__", lambda: None)()
    return own or (made if isinstance(made, dict) else None)


def _numbers(found: np.ndarray[Any, Any], depth: int) -> Iterator[bytes]:
    yield f"{found.dtype.kind} {found.shape}".encode()
    if found.dtype.names:  # bytes between the fields are anything
        for name in found.dtype.names:
            yield from _numbers(found[name], depth)
    elif found.dtype.kind == "O":
        yield from _state(found.tolist(), depth - 1)
    else:
        yield np.ascontiguousarray(found).tobytes()
