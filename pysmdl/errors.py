"""Every error a user can cause. All derive from :class:`PysmdlError`; the message names the argument and the remedy."""

from __future__ import annotations

from operator import index
from typing import Any


class PysmdlError(Exception):
    """Base of pysmdl's own errors."""


class ImageError(PysmdlError, ValueError):
    """An image cannot be read or has a form nobody can explain."""


class RegionError(PysmdlError, ValueError):
    """A label map or a set of masks does not describe regions of the input."""


class BackendError(PysmdlError, RuntimeError):
    """The named backend of an op cannot run here."""


class MissingPackageError(PysmdlError, ImportError):
    """An optional package is needed; the message says what to install."""


class StoreError(PysmdlError, ValueError):
    """A file is not a saved explanation, or is of a schema this version cannot read."""


class ScorerError(PysmdlError, RuntimeError):
    """The model failed or answered nonsense.

    Attributes:
        partial: The explanations of the inputs in flight, as far as they had come. Nothing computed is lost.
    """

    def __init__(self, message: str, partial: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.partial = partial


def described(error: BaseException) -> str:
    """An error as a log says it: pysmdl's own by their message, any other with its type, as its message may be none."""
    text = str(error)
    if isinstance(error, PysmdlError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def one_of(argument: str, value: object, known: object) -> ValueError:
    """The error for a name that does not exist: it lists the names that do."""
    names = ", ".join(repr(name) for name in sorted(map(str, known)))  # type: ignore[call-overload]
    return ValueError(f"{argument} must be one of {names}; got {value!r}")


def whole(argument: str, value: Any, least: int) -> int:
    """A whole number, Python's or NumPy's, of at least so much.

    Raises:
        ValueError: it is none.
    """
    try:
        found = least - 1 if isinstance(value, bool) else index(value)
    except TypeError:
        found = least - 1
    if found < least:
        raise ValueError(f"{argument} must be a whole number of at least {least}; got {value!r}")
    return found


def need(package: str, what: str, install: str) -> MissingPackageError:
    """The error for an optional package that is not installed."""
    return MissingPackageError(f"{what} needs {package}, which is not installed: pip install '{install}'")
