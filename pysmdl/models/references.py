"""Which modules a function runs, as far as its code shows.

What a function loads is read off its bytecode, name by name: ``self.net`` is that attribute of that object, whatever
global bears the name. What it loads is looked into in turn: functions, methods, partials, objects, containers.
"""

from __future__ import annotations

import dis
import functools
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

from torch import nn

DEPTH = 8  # how far it is looked: a function or method on the way costs 2, a partial, container or object 1
MOST = 256  # things looked into, and within one container
LIBRARIES = {"torch", "numpy", *sys.stdlib_module_names}  # whose code runs no model but one that it is given
CONTAINERS = (dict, list, tuple, set, frozenset)
INDEXED = (dict, list, tuple, nn.ModuleDict, nn.ModuleList, nn.Sequential)
ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD"}
SILENT = {"PUSH_NULL", "CACHE", "EXTENDED_ARG", "NOP"}  # instructions between a load and what is done with it
MISSING = object()


@dataclass(frozen=True)
class Load:
    """Something that code loads: a name, and the attributes and constant items that it goes on to.

    Attributes:
        name: Of a global, or of a local, argument or variable of an outer function.
        globally: Whether it is a global.
        steps: (True, attribute) and (False, key) in turn.
    """

    name: str
    globally: bool
    steps: tuple[tuple[bool, Any], ...] = ()


def modules_of(function: Any) -> list[nn.Module]:
    """The modules that a callable runs: itself, its owner, or what its code refers to.

    The one that meets the function's argument first comes first, then the others in the order in which they are named.
    """
    found: dict[int, nn.Module] = {}
    _look(function, found, {}, DEPTH)
    return list(found.values())


def _look(value: Any, found: dict[int, nn.Module], seen: dict[Any, Any], depth: int) -> None:
    """Add the modules that run where `value` is called or handed on. `seen` also keeps what is in it alive."""
    if isinstance(value, nn.Module):
        module = getattr(value, "_orig_mod", value)  # of torch.compile
        found.setdefault(id(module), module)
        return
    method = isinstance(value, MethodType)
    key = (id(value.__self__), id(value.__func__)) if method else id(value)
    if depth <= 0 or key in seen or len(seen) == MOST or isinstance(value, (type, ModuleType)):
        return
    seen[key] = value
    cost, before = 2 if method or isinstance(value, FunctionType) else 1, len(found)
    for inner in _within(value):
        _look(inner, found, seen, depth - cost)
    if len(found) == before and not method and not isinstance(value, FunctionType):  # its code, if any, shows none
        for inner in getattr(value, "__dict__", {}).values():
            if isinstance(inner, nn.Module):
                _look(inner, found, seen, depth)


def _within(value: Any) -> Iterator[Any]:
    """What a callable refers to, and what a container holds."""
    if isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, MethodType):
        if isinstance(value.__self__, nn.Module):
            yield value.__self__
        elif isinstance(value.__func__, FunctionType):
            yield from _referred(value.__func__, (value.__self__,))
        else:
            yield value.__func__
    elif isinstance(value, FunctionType):
        yield from _referred(value, ())
    elif isinstance(value, CONTAINERS):
        held = list(value.values() if isinstance(value, dict) else value)
        yield from held[:MOST]
    elif isinstance(call := inspect.getattr_static(type(value), "__call__", None), FunctionType):
        yield MethodType(call, value)
    for name in ("__wrapped__", "_torchdynamo_orig_callable"):  # of decorators, and of torch.compile
        if (inner := getattr(value, "__dict__", {}).get(name)) is not None:
            yield inner


def _referred(function: FunctionType, bound: tuple[Any, ...]) -> list[Any]:
    """The values that a function's code loads, that which is loaded last before its argument first."""
    if _of_library(function):
        return []
    code, known = function.__code__, _known(function, bound)
    batch = next(iter(code.co_varnames[len(bound) : code.co_argcount]), None)
    values: list[Any] = []
    first = 0
    for load in loads(code):
        space = function.__globals__ if load.globally else known
        if load.name in space:
            values.append(_follow(space[load.name], load.steps))
        elif load.name == batch and not first and values and _runs(values[-1]):
            first = len(values) - 1
    values.insert(0, values.pop(first)) if values else None
    return values


def _of_library(function: FunctionType) -> bool:
    return str(function.__globals__.get("__name__")).split(".")[0] in LIBRARIES


def _runs(value: Any) -> bool:
    """Whether it is something that may run a model."""
    if isinstance(value, FunctionType):
        return not _of_library(value)
    return isinstance(value, (nn.Module, MethodType, functools.partial))


def _known(function: FunctionType, bound: tuple[Any, ...]) -> dict[str, Any]:
    """Local names whose values are known before the call: outer functions', defaults, what a method is bound to."""
    code, known = function.__code__, dict(function.__kwdefaults__ or {})
    defaults = function.__defaults__ or ()
    known.update(zip(code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount], defaults, strict=True))
    known.update(zip(code.co_varnames, bound, strict=False))
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            known[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return known


@functools.lru_cache(maxsize=1024)
def loads(code: CodeType) -> tuple[Load, ...]:
    """What code loads, in its order; then what the functions do that are written inside it."""
    found: list[Load] = []
    constant: Any = MISSING
    going_on = False  # whether the last load is what the next attribute or item is of
    for each in dis.get_instructions(code):
        name = each.opname
        if name in SILENT:
            continue
        if going_on and name in ATTRIBUTES and constant is MISSING:
            found[-1] = _longer(found[-1], (True, each.argval))
        elif going_on and name in ("LOAD_CONST", "LOAD_SMALL_INT") and constant is MISSING:
            constant = each.argval
            continue
        elif going_on and constant is not MISSING and (name == "BINARY_SUBSCR" or "[" in each.argrepr):
            found[-1] = _longer(found[-1], (False, constant))
        else:
            going_on = False
            if (globally := name in ("LOAD_GLOBAL", "LOAD_NAME")) or _is_local(each, code):
                names = each.argval if isinstance(each.argval, tuple) else (each.argval,)
                found += [Load(one, globally) for one in names]
                going_on = True
        constant = MISSING
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    outer = (load for each in inner for load in loads(each) if load.globally or load.name not in each.co_varnames)
    return (*found, *outer)


def _longer(load: Load, step: tuple[bool, Any]) -> Load:
    return Load(load.name, load.globally, (*load.steps, step))


def _is_local(instruction: dis.Instruction, code: CodeType) -> bool:
    """Whether it loads a local name, an argument or an outer function's variable, and not its cell for an inner one."""
    name = instruction.opname
    if name.startswith(("LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF")):
        return True
    cells = {*code.co_cellvars, *code.co_freevars}
    return "LOAD_FAST" in name and instruction.argval not in cells


def _follow(value: Any, steps: tuple[tuple[bool, Any], ...]) -> Any:
    """What is reached from a value; where a step cannot be seen, what it was to be taken from."""
    for attribute, name in steps:
        reached = _attribute(value, name) if attribute else _item(value, name)
        if reached is MISSING:
            return value
        value = reached
        if isinstance(value, MethodType):
            return value
    return value


def _item(value: Any, key: Any) -> Any:
    try:
        return value[key] if isinstance(value, INDEXED) else MISSING
    except (IndexError, KeyError, TypeError):
        return MISSING


def _attribute(value: Any, name: str) -> Any:
    """An attribute, without running code of the object's; of a module only another module."""
    if isinstance(value, nn.Module):
        inner = getattr(getattr(value, "_orig_mod", value), "_modules", {})
        return inner[name] if name in inner and inner[name] is not None else MISSING
    found = inspect.getattr_static(value, name, MISSING)
    if isinstance(found, MemberDescriptorType):  # of __slots__
        return getattr(value, name, MISSING)
    if isinstance(found, (staticmethod, classmethod)):
        return found.__func__
    code = found.fget if isinstance(found, property) else getattr(found, "func", None)
    if isinstance(found, (property, functools.cached_property)):
        return MethodType(code, value) if isinstance(code, FunctionType) else MISSING
    own = isinstance(value, (type, ModuleType)) or name in getattr(value, "__dict__", {})
    return MethodType(found, value) if isinstance(found, FunctionType) and not own else found
