"""The stub of the extension says what is in it: type checkers and readers know it by that alone."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import pysmdl

_C = pytest.importorskip("pysmdl._C")

STUB = Path(pysmdl.__file__).with_name("_C.pyi")
OF_ARGUMENTS = {"self", "/", "*"}


def stubbed(body: list[ast.stmt], prefix: str = "") -> dict[str, list[str]]:
    """Each function and method by its path, with the names of its arguments; classes and constants with none."""
    found: dict[str, list[str]] = {}
    for node in body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = []
            found |= stubbed(node.body, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            every = [*node.args.args, *node.args.kwonlyargs]
            optional = len(node.args.defaults)
            names = [each.arg for each in every]
            found[prefix + node.name] = [
                name + "=" * (place >= len(names) - optional) for place, name in enumerate(names) if name != "self"
            ]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[prefix + node.target.id] = []
    return found


def arguments(function: object) -> list[str]:
    """The names in the signature that pybind11 writes on a docstring's first line."""
    signature = (inspect.getdoc(function) or "").splitlines()[0]
    within = signature[signature.index("(") + 1 : signature.rindex(") ->")]
    parts = re.split(r", (?=\w+: )", within)
    names = [part.split(":")[0] + "=" * (" = " in part) for part in parts if part]
    return [name for name in names if name not in OF_ARGUMENTS]


def compiled() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in vars(_C).items():
        if inspect.isclass(value):
            found[name] = []
            if not issubclass(value, Exception):
                names = [key for key in vars(value) if key in ("__init__", "__len__") or key[0] != "_"]
                found |= {f"{name}.{key}": arguments(getattr(value, key)) for key in names}
        elif callable(value):
            found[name] = arguments(value)
        elif name == "__version__" or not name.startswith("_"):
            found[name] = []
    return found


def test_the_stub_is_of_this_extension():
    assert stubbed(ast.parse(STUB.read_text()).body) == compiled()
