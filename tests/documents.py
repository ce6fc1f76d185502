"""What the documents hold: their pages, what they show in blocks, what they name between backticks, all docstrings."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = (ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "benchmarks" / "README.md", *sorted(ROOT.glob("docs/*.md")))
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in FILES}
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return [code for spoken, code in FENCED.findall(PAGES[page]) if spoken == language]


def spans(page: str) -> list[str]:
    """What a page's prose has between backticks."""
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", FENCED.sub("", PAGES[page]))]


def docstrings() -> list[str]:
    """Those of all modules, classes and functions of the package and of the examples."""
    found = []
    for path in (*ROOT.glob("pysmdl/**/*.py"), *ROOT.glob("kernels/*.py"), *ROOT.glob("examples/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                found.append(ast.get_docstring(node) or "")
    return found


def calls(page: str) -> list[ast.Call]:
    """What the prose shows as a call, or as keywords alone, which become those of a call of `_`."""
    found = []
    for span in spans(page):
        for code in (span, f"_({span})"):
            try:
                tree = ast.parse(code, mode="eval").body
            except SyntaxError:
                continue
            if isinstance(tree, ast.Call):
                found.append(tree)
                break
    return found


@cache
def functions_of(path: Path) -> set[str]:
    """The names of the functions that a file defines."""
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}
