"""Who may import whom, and what a bare import may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import pysmdl

ROOT = Path(pysmdl.__file__).parent
KERNELS = Path(__file__).parents[1] / "kernels"

# Each line may import the lines above it, of its own line nothing but itself: sideways never. A line of packages is a
# floor of the house; docs/architecture.md shows the same table.
FLOORS = (
    "errors disk",
    "checks types bitrows profiling progress session",
    "_native config",
    "kernels search inputs targets",
    "models testing",
    "methods objective regions explanation",
    "scorers",
    "removal metrics builtin adapters",
    "engine",
    "preparation",
    "explainer",
    "settings",
    "scales",
    "api",
    "jobs",
    "interop reporting",
    "studies",
    "cli",
    "__main__",
)
FLOOR = {name: height for height, names in enumerate(FLOORS) for name in names.split()}
# What a package keeps out: metrics read explanations and never make one; nobody needs the command line.
GROUND = {name for names in FLOORS[:3] for name in names.split()}


@cache
def modules() -> dict[str, Path]:
    """Every file by its dotted name below pysmdl; a package's __init__ by the package's."""
    own = [
        (path.relative_to(ROOT).with_suffix("").parts, path) for path in ROOT.rglob("*.py") if path.parent != KERNELS
    ]
    kernels = [(("kernels", path.stem), path) for path in KERNELS.glob("*.py")]
    return {".".join(part for part in parts if part != "__init__"): path for parts, path in (*own, *kernels)}


def imported(path: Path) -> set[str]:
    """What a file imports of pysmdl, by dotted name, names for type checkers alone included."""
    tree, found = ast.parse(path.read_text()), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "pysmdl":
            below = node.module.removeprefix("pysmdl").removeprefix(".")
            for alias in node.names:
                inner = f"{below}.{alias.name}".removeprefix(".")
                found.add(inner if inner in modules() else below)
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("pysmdl.") for alias in node.names if alias.name.startswith("pysmdl.")}
    return {name for name in found if name and name != "_C"}


ALL = {name: path for name, path in modules().items() if name}
EDGES = {name: imported(path) - {name} for name, path in ALL.items()}


def test_imports_go_downwards():
    wrong = [
        f"{name} imports {other}"
        for name, others in EDGES.items()
        for other in others
        if (own := name.split(".")[0]) != (theirs := other.split(".")[0]) and FLOOR[theirs] >= FLOOR[own]
    ]
    assert not wrong


def test_no_file_imports_in_a_circle():
    left = {name: {other for other in others if other in ALL} for name, others in EDGES.items()}
    while free := [name for name, others in left.items() if not others]:
        left = {name: others - set(free) for name, others in left.items() if name not in free}
    assert not left, f"these import each other, or what does: {sorted(left)}"


def test_the_root_has_few_modules():
    assert len(list(ROOT.glob("*.py"))) <= 18


@pytest.mark.parametrize("package", ["search", "engine.requests", "explanation"])
def test_what_decides_and_what_reads_sees_no_torch(package):
    for name, path in ALL.items():
        if name == package or name.startswith(f"{package}."):
            nodes = list(ast.walk(ast.parse(path.read_text())))
            top = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
            top |= {node.module.split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
            assert not top & {"torch", "triton"}, name


def test_metrics_explain_nothing():
    allowed = {"metrics", "explanation", "search", "inputs", *GROUND}
    for name, others in EDGES.items():
        if name.split(".")[0] == "metrics":
            assert {other.split(".")[0] for other in others} <= allowed, name


def fresh(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


HEAVY = (
    "torch",
    "triton",
    "ray",
    "transformers",
    "cv2",
    "matplotlib",
    "skimage",
    "scipy",
    "numba",
    "rich",
    "typer",
    "PIL",
    "importlib.metadata",
)


def test_a_bare_import_loads_nothing_heavy_and_says_nothing():
    code = f"import sys, pysmdl; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert fresh(code).strip() == "[]"


def test_a_bare_import_is_quick():
    code = "import time; t = time.perf_counter(); import pysmdl; print(time.perf_counter() - t)"
    assert min(float(fresh(code)) for _ in range(3)) < 0.3


@pytest.mark.slow
def test_an_explanation_loads_no_optional_package():
    code = (
        "import sys, numpy as np, pysmdl\n"
        "pysmdl.explain(np.zeros((4, 4, 3), np.uint8), lambda b: b.mean((2, 3)), 0, regions='grid:4', progress=False)\n"
        "print([name for name in ('cv2', 'matplotlib', 'typer', 'sklearn', 'ray', 'triton') if name in sys.modules])"
    )
    assert fresh(code).strip() == "[]"


def test_every_public_name_is_there():
    for name in pysmdl.__all__:
        assert getattr(pysmdl, name) is not None
    assert set(pysmdl.__all__) <= set(dir(pysmdl))
    with pytest.raises(AttributeError, match="no attribute 'explian'"):
        _ = pysmdl.explian
