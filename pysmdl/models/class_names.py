"""Names of classes: as a caller gives them, as a model carries them, and the class that somebody names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn

Names = Mapping[int, str]

PLACEHOLDER = re.compile(r"LABEL_\d+")  # what transformers calls the classes of a model that says nothing of them


def names_of(given: Any) -> Names | None:
    """Names by class: of a sequence, a mapping, or torchvision's weights. Empty ones name nothing.

    Raises:
        ValueError: it is none of these.
    """
    if given is None:
        return None
    meta = getattr(given, "meta", None)  # weights of torchvision
    listed = meta.get("categories") if isinstance(meta, Mapping) else given
    if isinstance(listed, Mapping):
        named = {int(index): str(name) for index, name in listed.items()}
    elif isinstance(listed, Iterable) and not isinstance(listed, (str, bytes)):
        named = dict(enumerate(map(str, listed)))
    else:
        raise ValueError(f"names must be a sequence, {{class: name}} or weights with meta['categories']; got {given!r}")
    return {index: name for index, name in named.items() if name}


def listed(given: Any) -> int | None:
    """How many classes a sequence, or torchvision's weights, name; None of a mapping, which may leave some out."""
    meta = getattr(given, "meta", None)
    names = meta.get("categories") if isinstance(meta, Mapping) else given
    return len(names) if isinstance(names, Sequence) else None


def names_in(modules: Sequence[nn.Module]) -> Names | None:
    """The names that a model carries: ``config.id2label`` (transformers) or ``pretrained_cfg`` (timm); else None."""
    for module in modules:
        labels = getattr(getattr(module, "config", None), "id2label", None)
        if isinstance(labels, Mapping) and not all(PLACEHOLDER.fullmatch(str(name)) for name in labels.values()):
            return names_of(labels)
        cfg = getattr(module, "pretrained_cfg", None)
        labels = cfg.get("label_names") if isinstance(cfg, Mapping) else None
        if isinstance(cfg, Mapping) and labels:
            described = cfg.get("label_descriptions") or {}
            return names_of([described.get(name, name) for name in labels])
    return None


def class_named(text: str, names: Names | None) -> int:
    """The class of that name, or of which that is one of several names ("tabby" of "tabby, tabby cat"); any case.

    Raises:
        ValueError: there is none, or more than one, or no names are known; the message has the nearest.
    """
    if not names:
        raise ValueError(f"target {text!r} is a name, and the model's classes have none: give names=")
    wanted = text.strip().casefold()
    whole = [index for index, name in names.items() if name.strip().casefold() == wanted]
    found = whole or [index for index, name in names.items() if wanted in _parts(name)]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(f"{index} ({names[index]})" for index in found)
        raise ValueError(f"target {text!r} is the name of several classes: {several}; give the number")
    parts = {part: name for name in names.values() for part in (*_parts(name), name.casefold())}
    near = dict.fromkeys(parts[part] for part in difflib.get_close_matches(wanted, parts, 5, 0.6))
    within = (name for name in names.values() if wanted and wanted in name.casefold())
    offered = [*dict.fromkeys([*near, *within])][:5]
    words = f"; there are {', '.join(map(repr, offered))}" if offered else f"; there are {len(names)} classes"
    raise ValueError(f"target {text!r} is the name of no class{words}")


def _parts(name: str) -> list[str]:
    return [part.strip().casefold() for part in name.split(",")]
