"""Who may import whom, and what a bare import may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pysmdl

ROOT = Path(pysmdl.__file__).parent
KERNELS = Path(__file__).parents[1] / "kernels"

# Module (or package, its modules included) -> what it may import of pysmdl. docs/architecture.md shows the same table.
BASE = {"errors", "types", "bitrows"}
ALLOWED = {
    "errors": set(),
    "bitrows": set(),
    "types": {"bitrows"},
    "config": {"errors"},
    "_native": {"errors"},
    "kernels": {"_native", *BASE},
    "subsets": {"_native", *BASE},
    "images": BASE,
    "surrogate": {"_native", *BASE},
    "guided": {"surrogate", *BASE},
    "lazy": BASE,
    "search": {"guided", "lazy", *BASE},
    "regions": {"images", *BASE},
    "removal": BASE,
    "objective": {"kernels", *BASE},
    "targets": {"errors"},
    "profiling": set(),
    "profile_report": {"scorers"},
    "scorers": {"images", "kernels", "profiling", "targets", *BASE},
    "result": {*BASE, "plotting"},
    "plotting": {"images", "result"},
    "progress": set(),
    "engine": {
        "config", "kernels", "objective", "profiling", "progress", "result", "scorers", "search", "subsets", *BASE,
    },
    "preparation": {"engine", "images", "regions", "removal", "scorers", "targets", *BASE},
    "explainer": {
        "config", "engine", "methods", "objective", "preparation", "profile_report", "profiling", "progress", "result",
        "scorers", "search", *BASE,
    },
    "api": {"engine", "explainer", "profiling", "progress", "result"},
    "game": {"explainer", *BASE},
    "compat": {"api", "result", "scorers"},
    "evaluation": {"explainer", "game", "metrics", "preparation", "profiling", "progress", "result", *BASE},
    "methods": {"search", *BASE},
    "metrics": {"api", "result", "search", *BASE},
    "testing": {"search", *BASE},
    "builtin": {"errors", "images", "scorers"},
    "loading": {"builtin", "scorers", "targets"},
    "environment": {"_native", "kernels"},
    "demo": {"api", "builtin", "objective", "plotting", "result", "targets"},
    "commands": {"evaluation", "explainer", "plotting", "profile_report", "profiling", "progress", "result", "scorers"},
    "cli": {"commands", "demo", "environment", "errors", "evaluation", "explainer", "loading"},
    "__main__": {"cli"},
}  # fmt: skip


def modules() -> list[tuple[str, Path]]:
    own = [(path.relative_to(ROOT).parts[0].removesuffix(".py"), path) for path in ROOT.rglob("*.py")]
    return [(name, path) for name, path in own if name not in ("__init__", "kernels")] + [
        ("kernels", path) for path in KERNELS.glob("*.py")
    ]


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "pysmdl":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("pysmdl.")}
    return found - {"_C"}


@pytest.mark.parametrize(("name", "path"), modules(), ids=lambda value: value if isinstance(value, str) else value.stem)
def test_imports_go_downwards(name, path):
    extra = imported(path) - ALLOWED[name] - {name}
    assert not extra, f"{path.name} imports {sorted(extra)}"


@pytest.mark.parametrize("name", ["search", "guided", "lazy", "surrogate", "types", "bitrows"])
def test_searches_see_no_torch(name):
    tree = ast.parse((ROOT / f"{name}.py").read_text())
    top = {alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    top |= {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert not top & {"torch", "triton"}


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
)


def test_a_bare_import_loads_nothing_heavy_and_says_nothing():
    code = f"import sys, pysmdl; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert fresh(code).strip() == "[]"


def test_a_bare_import_is_quick():
    code = "import time; t = time.perf_counter(); import pysmdl; print(time.perf_counter() - t)"
    assert min(float(fresh(code)) for _ in range(3)) < 0.3


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
