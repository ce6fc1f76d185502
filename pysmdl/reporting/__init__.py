"""The report: many explanations as one page of HTML that needs nothing but a browser."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import Any

from pysmdl.explanation import Explanation
from pysmdl.reporting.page import write

__all__ = ["report"]


def report(
    explanations: Explanation | str | PathLike[str] | Iterable[Any],
    path: str | PathLike[str],
    *,
    title: str | None = None,
) -> int:
    """Write explanations as one HTML page: a gallery, and each decision region by region. It asks nothing of the
    network, and is written whole or not at all.

    Args:
        explanations: One, several, or files: an ``.npz`` of :meth:`pysmdl.Explanation.save`, or a folder of them, as
            `pysmdl explain` leaves it. May be a generator; it is read one at a time. Those with the same id are shown
            side by side.
        path: The page.
        title: Its title; None: "What made the model decide".

    Returns:
        How many explanations the page shows. A file that is damaged is logged, named on the page, and left out.

    Raises:
        ValueError: there is nothing to show, or one of them is no explanation.
        FileNotFoundError: there is no such file or folder.
        MissingPackageError: Jinja2 is not installed.
        OSError: the page cannot be written.
    """
    if not isinstance(title, (str, type(None))):
        raise ValueError(f"title must be a text or None; got {title!r}")
    return write(explanations, path, title).shown
