"""Programs of torch.export (.pt2), taken as data. torch.export.load() by itself runs what a file says: it unpickles
objects, evaluates sizes as Python, writes names into Python, and calls whatever a graph names.

Here tensors are unpickled by torch's restricted unpickler alone, and a program's sizes, names and operators must be
what torch.export.save() writes.
"""

from __future__ import annotations

import ast
import inspect
import json
import logging
import os
import pickle
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

REFUSED = {"data/aotinductor/": "compiled code", "data/constants/opaque_obj_": "pickled objects"}  # beginnings of names
NAME = re.compile(r"[\w.+\-:# ]*")  # neither quotes nor brackets, without which text that becomes code calls nothing
OPERATOR = re.compile(r"math\.[a-z]+|torch\._?sym_[a-z]+|_operator\.\w+")
CALLS = {f"_operator.{name}" for name in ("attrgetter", "call", "itemgetter", "methodcaller")}
FREE = {"metadata", "as_string", "as_strings", "guards_code"}  # text that stays text: see module_of
NESTED = {"in_spec", "out_spec", "context"}  # JSON in JSON, or a name
IMPORTS = {"default_factory_module", "__enum__"}  # of a nested one: a module to import
SIZES = (
    ast.Expression, ast.Call, ast.Name, ast.Load, ast.Constant, ast.keyword, ast.UnaryOp, ast.BinOp, ast.BoolOp,
    ast.Compare, ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip
LOCK = threading.Lock()


def load_program(path: Path) -> ExportedProgram:
    """The program in a .pt2 file.

    Raises:
        ValueError: it is no such file, is damaged, or holds what would run code.
    """
    try:
        _check_archive(path)
        with _tensors_only():
            return torch.export.load(path)
    except (_Unsafe, pickle.UnpicklingError) as error:
        what = str(error) if isinstance(error, _Unsafe) else "pickled objects beside tensors"
        raise ValueError(f"{path} is not loaded, as it could run code: it holds {what}") from error
    except Exception as error:  # of many types, as the file is damaged
        raise ValueError(f"{path} is no program of torch.export, or is damaged: {error}") from error


def module_of(program: ExportedProgram) -> nn.Module:
    """A program as a module, without what it says of its inputs as Python text, which torch would execute."""
    known = inspect.signature(program.module).parameters
    found: nn.Module = program.module(**{"check_guards": False} if "check_guards" in known else {})
    return found


class _Unsafe(Exception):
    """What a program holds and must not."""


@contextmanager
def _tensors_only() -> Iterator[None]:
    """torch.load() makes nothing but tensors, whatever its caller asks for; torch.export logs no tracebacks."""
    force, log = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", logging.getLogger("torch.export")
    with LOCK:
        before, log.disabled = os.environ.get(force), True
        os.environ[force] = "1"
        try:
            yield
        finally:
            log.disabled = False
            os.environ.pop(force)
            if before is not None:
                os.environ[force] = before


def _check_archive(path: Path) -> None:
    """Look at a file as torch reads it, before it does."""
    reader = torch._C.PyTorchFileReader(str(path))
    names = reader.get_all_records()
    for name in names:
        for beginning, what in REFUSED.items():
            if name.startswith(beginning):
                raise _Unsafe(what)
    programs = [name for name in names if name.startswith("models/")]
    if not programs:
        raise ValueError("it holds no program as torch 2.8 and newer write it")
    for name in programs:
        _check(json.loads(reader.get_record(name)))


def _check(value: Any, key: str = "") -> None:
    """Look at everything that a program says, from its JSON down."""
    if key in IMPORTS:
        raise _Unsafe("the name of a module to import")
    if key in FREE:
        return
    if isinstance(value, dict):
        for inner, each in value.items():
            _check_name(inner)
            _check(each, inner)
    elif isinstance(value, list):
        for each in value:
            _check(each, key)
    elif isinstance(value, str):
        _check_text(value, key)


def _check_text(text: str, key: str) -> None:
    if key == "expr_str":
        _check_size(text)
    elif key == "target":
        _check_operator(text)
    elif key in NESTED and text[:1] in '[{"':
        _check(json.loads(text))
    else:
        _check_name(text)


def _check_name(text: str) -> None:
    if not NAME.fullmatch(text):
        raise _Unsafe(f"a name of other characters than those of names: {text[:80]!r}")


def _check_operator(target: str) -> None:
    """One of torch's own operators by its full name, or arithmetic on sizes."""
    if OPERATOR.fullmatch(target) and target not in CALLS:
        return
    found: Any = torch
    for part in target.split(".")[1:]:
        found = getattr(found, part, None)
    if not target.startswith("torch.ops.") or not isinstance(
        found, (torch._ops.OpOverload, torch._ops.HigherOrderOperator)
    ):
        raise _Unsafe(f"a call of {target[:80]!r}, which is no operator of torch here")


def _check_size(text: str) -> None:
    """Arithmetic on symbols: Symbol('s0', integer=True) + FloorDiv(s1, 2)."""
    for node in ast.walk(ast.parse(text, mode="eval")):
        called = node.func if isinstance(node, ast.Call) else None
        unsafe = not isinstance(node, SIZES)
        unsafe |= called is not None and not (isinstance(called, ast.Name) and called.id[:1].isupper())
        unsafe |= isinstance(node, ast.Name) and node.id.startswith("_")
        unsafe |= isinstance(node, ast.Constant) and not _is_plain(node.value)
        if unsafe:
            raise _Unsafe(f"a size that is no arithmetic: {text[:80]!r}")


def _is_plain(value: Any) -> bool:
    """A number, or the name of a symbol: S('...') would evaluate any other text."""
    return isinstance(value, (int, float)) or (isinstance(value, str) and value.isidentifier())
