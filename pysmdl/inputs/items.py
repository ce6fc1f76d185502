"""Items of a stream: what callers give for one input, as a dict with image and whatever else it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from pysmdl.types import Regions

NAMES = ("image", "target", "id", "regions", "baseline")
ALIASES = dict.fromkeys(("input", "text", "messages", "row"), "image") | {"label": "target", "players": "regions"}


def names_input(given: Mapping[Any, Any]) -> bool:
    """Whether a dict is an item, which names what is explained."""
    return any(ALIASES.get(name, name) == "image" for name in given)


def as_dict(given: Any) -> Mapping[str, Any]:
    """An item as a dict with image and whatever else it names; a data set's "label" is its target."""
    if isinstance(given, Mapping):
        item = {_known(name, given): value for name, value in given.items()}
        unknown = set(item) - set(NAMES)
        if unknown or "image" not in item or len(item) < len(given):
            names = ", ".join(NAMES[1:])
            raise ValueError(
                f"an item needs image (or input, text, messages, row) and may have {names} (or label for target, "
                f"players for regions), several inputs at once as its input; got {sorted(map(str, given))}"
            )
        return item
    if isinstance(given, tuple):
        if len(given) != 2:
            raise ValueError(f"an item given as a tuple must be (image, target); got {len(given)} entries")
        return {"image": given[0], "target": given[1]}
    return {"image": given}


def _known(name: str, given: Mapping[str, Any]) -> str:
    """A name of NAMES for one of the others that stand for it, unless both are there."""
    return ALIASES[name] if name in ALIASES and ALIASES[name] not in given else name


def on_device(value: Any) -> bool:
    """Whether it lies on a GPU, or a part of it does."""
    if isinstance(value, dict):
        value = list(value.values())
    return any(map(on_device, value)) if isinstance(value, (list, tuple)) else getattr(value, "is_cuda", False)


def copied(value: Any) -> Any:
    """The same in memory of our own: arrays, tensors and regions, also in lists and dicts."""
    if isinstance(value, dict):
        return {name: copied(each) for name, each in value.items()}
    if type(value) in (list, tuple):  # masks one by one, or SAM's dicts
        return type(value)(map(copied, value))
    if isinstance(value, Regions):
        return replace(value, labels=value.labels.copy())
    if isinstance(value, np.ndarray):
        return value.copy()
    return value.clone() if isinstance(value, Tensor) else value
