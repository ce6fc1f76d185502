"""Every error a user can cause. All derive from :class:`PysmdlError`; the message names the argument and the remedy."""

from __future__ import annotations

import difflib
import math
import re
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


class SearchError(PysmdlError, ValueError):
    """A search, or a set function, of the caller's own breaks what was agreed: a region that is none, say."""


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


class Interrupted(KeyboardInterrupt):
    """Ctrl-C inside :func:`pysmdl.explain`.

    Attributes:
        partial: The explanation as far as it was settled, in a tuple; empty where the model had answered nothing yet.
    """

    def __init__(self, partial: tuple[Any, ...] = ()) -> None:
        super().__init__("interrupted")
        self.partial = partial


def storable(text: str) -> str:
    """Text as UTF-8 has it: half an emoji (``\\ud83d``) and bytes of a name that is none (``\\xff``) are spelt out."""
    return re.sub(r"[\ud800-\udfff]", escaped, text)


def escaped(found: re.Match[str]) -> str:
    """A character as an escape: ``\\x1b``, ``\\ud83d``; a byte of a file's name that is not UTF-8 as that byte."""
    code = ord(found[0])
    byte = code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code  # as Python holds bytes that are not UTF-8
    return f"\\x{byte:02x}" if byte < 256 else f"\\u{byte:04x}"


def described(error: BaseException) -> str:
    """An error as a log says it: pysmdl's own by their message, any other with its type, as its message may be none.
    As :func:`storable` has it, for logs are files.
    """
    text = storable(str(error))
    if isinstance(error, PysmdlError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def one_of(argument: str, value: object, known: object) -> ValueError:
    """The error for a name that does not exist: it lists the names that do, and says which one may be meant."""
    names = sorted(map(str, known))  # type: ignore[call-overload]
    lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(value.lower(), lower, 1) if isinstance(value, str) else []
    meant = f": {lower[near[0]]!r}?" if near else ""
    return ValueError(f"{argument} must be one of {', '.join(map(repr, names))}; got {value!r}{meant}")


def whole_number(argument: str, value: Any, least: int) -> int:
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


def yes_or_no(argument: str, value: Any) -> bool:
    """True or False, Python's or NumPy's.

    Raises:
        ValueError: it is something else, of which not even Python's idea of truth is taken.
    """
    if not isinstance(value, bool) and (type(value).__module__, type(value).__name__.rstrip("_")) != ("numpy", "bool"):
        raise ValueError(f"{argument} must be True or False; got {value!r}")
    return bool(value)


def number(
    argument: str,
    value: Any,
    *,
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    infinite: bool = False,
) -> float:
    """A number, Python's or NumPy's or an array of one, within its bounds.

    Args:
        argument: Its name, for the error.
        least: The lower bound, where it is allowed itself.
        above, below: Bounds that are not.
        infinite: Whether infinity is a number here.

    Raises:
        ValueError: it is none, NaN, or out of bounds.
    """
    try:
        found = math.nan if isinstance(value, (str, bytes)) else float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        found = math.nan
    within = (least is None or found >= least) and (above is None or found > above) and (below is None or found < below)
    if math.isnan(found) or (math.isinf(found) and not infinite) or not within:
        words = {"of at least": least, "above": above, "below": below}
        bounds = " and ".join(f"{word} {bound:g}" for word, bound in words.items() if bound is not None)
        kind = "a number" if infinite else "a finite number"
        raise ValueError(f"{argument} must be {kind} {bounds}".rstrip() + f"; got {value!r}")
    return found


def share(argument: str, value: Any, what: str = "") -> float:
    """A number above 0 and at most 1.

    Args:
        argument: Its name, for the error.
        what: What it is a share of, likewise: ", a share of the area".

    Raises:
        ValueError: it is none.
    """
    try:
        found = number(argument, value, above=0)
    except ValueError:
        found = math.inf
    if found > 1:
        raise ValueError(f"{argument} must be above 0 and at most 1{what}; got {value!r}")
    return found


def need(package: str, what: str, install: str) -> MissingPackageError:
    """The error for an optional package that is not installed."""
    return MissingPackageError(f"{what} needs {package}, which is not installed: pip install '{install}'")
