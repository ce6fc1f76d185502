"""Removal: what absence means. :class:`Removal` is the seam; "baseline" paints over, "token-drop" leaves a
picture's tokens out; "delete", "replace", "attention", "embedding", "soft" and "text" are of texts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pysmdl.errors import one_of
from pysmdl.removal.base import DeviceRows, Removal, Resident
from pysmdl.removal.baselines import BASELINES, baseline_of
from pysmdl.removal.fills import Fill, boundary_gaussian, local_mean, marginal, noise
from pysmdl.removal.gaussian import conditional_gaussian
from pysmdl.removal.paint import Paint
from pysmdl.removal.render import Rendered, render
from pysmdl.removal.text import (
    Attention,
    Delete,
    Embedding,
    Replace,
    Retokenized,
    Soft,
    attention,
    embedding,
    replace,
    soft,
)
from pysmdl.removal.token_drop import TokenDrop
from pysmdl.removal.wavelet import spatial_map, wavelet

__all__ = [
    "BASELINES",
    "REMOVALS",
    "DeviceRows",
    "Fill",
    "Paint",
    "Removal",
    "Rendered",
    "Resident",
    "TokenDrop",
    "attention",
    "baseline_of",
    "boundary_gaussian",
    "conditional_gaussian",
    "embedding",
    "fill_of",
    "local_mean",
    "marginal",
    "noise",
    "render",
    "replace",
    "resolve",
    "soft",
    "spatial_map",
    "wavelet",
]

REMOVALS: dict[str, Callable[[], Removal]] = {
    "baseline": Paint,
    "token-drop": TokenDrop,
    "delete": Delete,
    "replace": Replace,
    "attention": Attention,
    "embedding": Embedding,
    "soft": Soft,
    "text": Retokenized,
}


def fill_of(baseline: Any, scorer: Any) -> Fill | None:
    """A baseline that is drawn: a fill, or, of a table, background rows [N, F]; None where it is the same each time."""
    if isinstance(baseline, Fill):
        return baseline
    of_rows = hasattr(scorer.reader, "several") and len(getattr(baseline, "shape", ())) == 2 and len(baseline) > 1
    return marginal(baseline, None) if of_rows else None


def resolve(removal: str | Removal, fill: Fill | None = None) -> Removal:
    """A removal from its name, or as it is; the one that draws a fill, where there is one.

    Raises:
        ValueError: no such name; a fill beside a removal that paints nothing over.
    """
    if fill is not None:
        if removal != "baseline":
            raise ValueError(f'what is drawn is painted over, removal="baseline"; got {removal!r} with {fill.name}')
        return fill.removal()
    if isinstance(removal, Removal):
        return removal
    if not isinstance(removal, str) or removal not in REMOVALS:
        raise one_of("removal", removal, REMOVALS)
    return REMOVALS[removal]()
