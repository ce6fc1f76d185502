"""What Python code loads, read off its bytecode name by name, of every version from 3.10."""

from __future__ import annotations

import dis
import functools
from dataclasses import dataclass
from types import CodeType
from typing import Any

ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD"}
CONSTANTS = {"LOAD_CONST", "LOAD_SMALL_INT"}
SILENT = {"PUSH_NULL", "CACHE", "EXTENDED_ARG", "NOP"}  # instructions between a load and what is done with it
NONE = object()


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


@functools.lru_cache(maxsize=1024)
def loads(code: CodeType) -> tuple[Load, ...]:
    """What code loads, in its order; then what the functions do that are written inside it."""
    found: list[Load] = []
    constant: Any = NONE
    going_on = False  # whether the last load is what the next attribute or item is of
    for each in dis.get_instructions(code):
        name = each.opname
        if name in SILENT:
            continue
        if going_on and name in ATTRIBUTES and constant is NONE:
            found[-1] = _longer(found[-1], (True, each.argval))
        elif going_on and name in CONSTANTS and constant is NONE:
            constant = each.argval
            continue
        elif going_on and constant is not NONE and (name == "BINARY_SUBSCR" or "[" in each.argrepr):
            found[-1] = _longer(found[-1], (False, constant))
        else:
            going_on = False
            if (globally := name in ("LOAD_GLOBAL", "LOAD_NAME")) or _is_local(each, code):
                names = each.argval if isinstance(each.argval, tuple) else (each.argval,)
                found += [Load(one, globally) for one in names]
                going_on = True
        constant = NONE
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
