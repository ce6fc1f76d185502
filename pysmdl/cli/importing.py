"""Models in modules of the working folder, which is searched for these and for nothing else.

A folder of photographs may hold a file of any name; in front of Python's own path it would be run in place of a package
of that name, at once or whenever that is first needed.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from pysmdl.errors import described


def import_beside(name: str) -> ModuleType:
    """A module of the working folder, or an installed one.

    Raises:
        ValueError: there is none of that name, or importing it failed.
    """
    top, folder = name.partition(".")[0], os.getcwd()
    beside, loaded = _Named(top, folder), sys.modules.get(top)
    found = None if loaded is None else beside.find_spec(top, None)
    if found is not None and found.origin != getattr(loaded, "__file__", None):
        raise ValueError(f"{found.origin} has the name of a module that is in use: rename it")
    sys.meta_path.append(_OfFolder(top, folder))  # behind all others, and for good: functions may import, too
    try:
        with _first(beside):
            return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # whatever a module does that was made to be a script
        raise ValueError(f"cannot import {name}: {described(error)}") from error


class _Named(MetaPathFinder):
    """Finds one module of a folder: the one that was asked for goes before an installed one of its name."""

    def __init__(self, name: str, folder: str) -> None:
        self._name, self._folder = name, folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As :mod:`importlib` says."""
        found = PathFinder.find_spec(fullname, [self._folder]) if fullname == self._name else None
        return None if found is None or found.origin is None else found  # a mere folder yields to a package


class _OfFolder(MetaPathFinder):
    """Finds modules of a folder that nobody else has: the one that was asked for, and what these import in turn."""

    def __init__(self, name: str, folder: str) -> None:
        self._names, self._folder = {name}, folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As :mod:`importlib` says."""
        if path is not None or not self._names & {fullname, _importing()}:
            return None
        found = PathFinder.find_spec(fullname, [self._folder])
        if found is not None:
            self._names.add(fullname)
        return found


def _importing() -> str:
    """The module whose import statement is at work, by its first name."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(("importlib", "_frozen_import")):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


@contextmanager
def _first(finder: MetaPathFinder) -> Iterator[None]:
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
