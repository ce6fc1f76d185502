"""Removal: what absence means. :class:`Removal` is the seam; "baseline" paints over, "token-drop" leaves tokens out."""

from __future__ import annotations

from collections.abc import Callable

from pysmdl.errors import one_of
from pysmdl.removal.base import DeviceRows, Removal, Resident
from pysmdl.removal.baselines import BASELINES, baseline_of
from pysmdl.removal.paint import Paint
from pysmdl.removal.token_drop import TokenDrop

__all__ = ["BASELINES", "REMOVALS", "DeviceRows", "Paint", "Removal", "Resident", "TokenDrop", "baseline_of", "resolve"]

REMOVALS: dict[str, Callable[[], Removal]] = {"baseline": Paint, "token-drop": TokenDrop}


def resolve(removal: str | Removal) -> Removal:
    """A removal from its name, or as it is."""
    if isinstance(removal, Removal):
        return removal
    if not isinstance(removal, str) or removal not in REMOVALS:
        raise one_of("removal", removal, REMOVALS)
    return REMOVALS[removal]()
