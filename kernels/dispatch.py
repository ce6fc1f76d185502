"""Which implementation of an op runs: by device when asked for "auto", else exactly the one that was named."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec

import torch

from pysmdl import _native
from pysmdl.errors import BackendError, one_of
from pysmdl.kernels.checks import Launcher, checked

BACKENDS = ("cpu", "cuda", "triton", "reference")
# As measured: compose in CUDA C++ is up to 1.2 times as fast as Triton's, and nothing is compiled at its first call.
AUTO = {"cpu": ("cpu", "reference"), "cuda": ("cuda", "triton", "reference")}


@dataclass(frozen=True)
class Impl:
    """One implementation of an op: where it can run and where its launcher is."""

    devices: tuple[str, ...]
    module: str
    launcher: str

    def load(self, op: str) -> Launcher:
        loaded: Launcher = getattr(import_module(f"pysmdl.kernels.{self.module}"), self.launcher)
        return loaded if self.module == "native" else checked(op, loaded)


def _op(name: str) -> dict[str, Impl]:
    return {
        "cpu": Impl(("cpu",), "native", f"{name}_native"),
        "cuda": Impl(("cuda",), "native", f"{name}_native"),
        "triton": Impl(("cuda",), f"{name}_triton", f"{name}_triton"),
        "reference": Impl(("cpu", "cuda"), "reference", f"{name}_reference"),
    }


NAMES = (
    "compose", "blend", "class_scores", "distance_gains", "match_boxes", "pack_tokens", "varlen_attention",
    "inverse_haar",
)  # fmt: skip
OPS = {name: _op(name) for name in NAMES}
# What drops tokens has no third kernel beside Triton's and the CPU's; attention there is torch's own, by sequence.
OPS["varlen_attention"]["cpu"] = Impl(("cpu",), "reference", "varlen_attention_cpu")
for name in ("pack_tokens", "varlen_attention", "inverse_haar", "blend"):
    del OPS[name]["cuda"]
for name in ("inverse_haar", "blend"):
    del OPS[name]["triton"]  # sums of whole tensors, which torch does on a GPU


def interpreted() -> bool:
    """Whether Triton's kernels run under its interpreter, on CPU tensors."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def why_not(backend: str, device: str) -> str | None:
    """Why `backend` cannot serve tensors on `device` here; None where it can."""
    if backend == "reference":
        return None
    if backend == "triton":
        if find_spec("triton") is None:
            return "triton is not installed: pip install 'pysmdl[triton]'"
        if device == "cpu" and not interpreted():
            return "triton runs on GPU tensors (on CPU tensors only under TRITON_INTERPRET=1)"
        return None
    if backend != device:
        return f"it runs on {backend} tensors, these are on {device}"
    if _native.extension() is None:
        return "pysmdl's compiled extension is not here: run `pip install .` in the source tree"
    return _why_not_cuda() if backend == "cuda" else None


@cache
def _why_not_cuda() -> str | None:
    """Why the extension's CUDA part cannot run on the devices here; where there are none, why it could not."""
    extension = _native.require()
    built = extension.build_info()
    if built["cuda"] == "not built":
        return "the extension was built without CUDA: rebuild with PYSMDL_CUDA=ON"
    if not torch.cuda.is_available():
        return None
    if extension.cuda_device_count() == 0:
        return f"the driver here is older than CUDA {built['cuda']}, with which the extension was built: rebuild it"
    here = min(map(torch.cuda.get_device_capability, range(torch.cuda.device_count())))
    compiled = [divmod(int(number), 10) for number in re.findall(r"\d+", built["cuda_architectures"])]
    if compiled and here < min(compiled):
        return f"the extension was built for devices from sm_{''.join(map(str, min(compiled)))} on: rebuild it here"
    return None


def backends_for(device: str) -> dict[str, str | None]:
    """Each backend with why it cannot run on `device`, or None where it can."""
    return {name: why_not(name, device) for name in BACKENDS}


@cache
def resolved(op: str, device: str) -> str:
    """The backend that "auto" means for an op on a kind of device."""
    asked = os.environ.get("PYSMDL_BACKEND")
    if asked:
        if asked not in BACKENDS:
            raise one_of("PYSMDL_BACKEND", asked, BACKENDS)
        if asked in OPS[op]:
            return asked
    return next(name for name in AUTO.get(device, ("reference",)) if name in OPS[op] and why_not(name, device) is None)


@cache
def serves(op: str, backend: str, device: str) -> str:
    """The backend of an op in an engine's run of `backend`, for tensors on a kind of device: what to give the op.

    The named one where it has the op for such tensors, else what "auto" takes: CUDA C++ neither packs tokens nor
    attends, and distances lie on the host, whatever the run is on. A run is named after its `compose`, which every
    backend has: that one is given the name itself, and refuses where it cannot run.

    Raises:
        ValueError: no such backend.
    """
    if backend not in ("auto", *BACKENDS):
        raise one_of("backend", backend, ("auto", *BACKENDS))
    found = OPS[op].get(backend)
    if found is not None and (device in found.devices or (backend == "triton" and interpreted())):
        return backend
    return resolved(op, device)


@cache
def launcher(op: str, backend: str, device: str) -> Launcher:
    """The launcher of `op` for tensors on a kind of device. Cached, so that asking again costs no call in Python.

    Raises:
        ValueError: no such backend.
        BackendError: it cannot run here; the message says why and what can.
    """
    if backend == "auto":
        backend = resolved(op, device)
    if backend not in BACKENDS:
        raise one_of("backend", backend, ("auto", *BACKENDS))
    reason = why_not(backend, device) if backend in OPS[op] else f"{op} has no such implementation"
    if reason is not None:
        here = [name for name, problem in backends_for(device).items() if problem is None and name in OPS[op]]
        raise BackendError(f"{op}: backend {backend!r} cannot run here: {reason}. Available: {', '.join(here)}.")
    return OPS[op][backend].load(op)
