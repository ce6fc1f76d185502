"""The wheel: what it installs, what it links to, and that it works without the source tree."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A CPU-only wheel of this tree, warnings as errors."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "-w", folder, ROOT,
         f"--config-settings=build-dir={folder}/build"],
        check=True, env={**os.environ, "PYSMDL_CUDA": "OFF", "PYSMDL_WERROR": "ON"},
    )  # fmt: skip
    (made,) = folder.glob("*.whl")
    return made


def linked(extension) -> list[str]:
    """The file names of the shared libraries that an extension is loaded with."""
    lines = subprocess.run(["ldd", extension], capture_output=True, text=True, check=True).stdout.splitlines()
    names = [Path(line.split()[0]).name for line in lines]
    assert any(name.startswith("libc.so") for name in names)
    return names


@pytest.mark.slow
def test_it_installs_one_package(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"pysmdl", f"pysmdl-{version('pysmdl')}.dist-info"}
    assert "pysmdl/kernels/reference.py" in names
    assert "pysmdl/py.typed" in names
    assert "pysmdl/builtin/digits.safetensors" in names
    assert {f"pysmdl/reporting/page.{kind}" for kind in ("html", "css", "js")} <= set(names)
    assert not any("test" in Path(name).parts[-1] and name != "pysmdl/testing.py" for name in names)


@pytest.mark.slow
def test_it_links_to_neither_torch_nor_cuda(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    (extension,) = (tmp_path / "pysmdl").glob("_C*.so")
    assert not any(name.startswith(("libtorch", "libc10", "libcuda")) for name in linked(extension))


def test_the_installed_extension_links_to_neither():
    from pysmdl import _C

    assert not any(name.startswith(("libtorch", "libc10", "libcuda")) for name in linked(_C.__file__))


@pytest.mark.slow
def test_it_works_from_elsewhere(wheel, tmp_path):
    """The wheel's own files explain, without a global `kernels` and without the source tree on the path."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import sys; sys.meta_path = [f for f in sys.meta_path if 'editable' not in type(f).__module__]\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import numpy as np, pysmdl, pysmdl.kernels, importlib.util\n"
        f"assert pysmdl.kernels.__file__.startswith({str(tmp_path)!r}), pysmdl.kernels.__file__\n"
        "image, model = np.zeros((4, 4, 3), np.uint8), lambda batch: batch.mean((2, 3))\n"
        "found = pysmdl.explain(image, model, 0, regions='grid:4', progress=False)\n"
        "assert sorted(found.order) == [0, 1, 2, 3]\n"
        "from pysmdl import _native\n"
        "assert _native.extension().build_info()['cuda'] == 'not built'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_stubs_match_the_extension():
    from pysmdl import _C

    stubs = (ROOT / "pysmdl" / "_C.pyi").read_text()
    for name in dir(_C):
        if not name.startswith("__"):
            assert name in stubs, f"{name} is missing in _C.pyi"
    for name in ("compose", "class_scores", "distance_gains", "match_boxes"):
        arguments = stubs.split(f"def {name}(")[1].split(")")[0]
        in_stub = [part.split(":")[0].strip() for part in arguments.split(",") if part.strip()]
        in_binary = getattr(_C, name).__doc__.split("(")[1].split(")")[0]
        assert in_stub == [part.split(":")[0].strip() for part in in_binary.split(",")]
