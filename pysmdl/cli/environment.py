"""What is here: versions, compiler, devices, backends. For `pysmdl env` and bug reports."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from pysmdl import _native
from pysmdl.kernels import backends_for

PACKAGES = ("pysmdl", "torch", "triton", "numpy", "numba", "scikit-image", "opencv-contrib-python-headless", "pillow")


def report() -> dict[str, str]:
    """One line a fact, in the order to print."""
    import torch

    found = {"python": platform.python_version(), "platform": platform.platform(), "cores": str(os.cpu_count())}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    extension = _native.extension()
    if extension is None:
        found["extension"] = "not built"
    else:
        found["extension"] = extension.__version__
        found |= {f"extension {name}": value for name, value in extension.build_info().items()}
    found["threads"] = str(_native.threads())
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    found["torch cuda"] = torch.version.cuda or "no"
    found["devices"] = ", ".join(["cpu", *gpus])
    for device in ("cpu", "cuda") if gpus else ("cpu",):
        for backend, problem in backends_for(device).items():
            found[f"{backend} on {device}"] = "ready" if problem is None else problem
    return found
