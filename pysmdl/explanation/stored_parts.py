"""What is shown of several inputs, as a file has it: text of each, and arrays by their number, which are read back and
checked, as a file may come from anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.explanation import thumbnails, views
from pysmdl.explanation.parts import Part
from pysmdl.explanation.stored_meta import demand

KINDS = {"labels": "iu", "picture": "u", "shown": "fiu"}
PICTURE = 1 << 20  # bytes of a picture, or of what else is shown


def texts_of(inputs: Mapping[str, Part]) -> list[dict[str, Any]]:
    """Of each input what is no array."""
    return [
        {"name": name, "modality": part.modality, "size": part.size, "frame": part.frame, "rate": part.rate}
        for name, part in inputs.items()
    ]


def arrays_of(inputs: Mapping[str, Part], picture: bool) -> dict[str, NDArray[Any]]:
    """The arrays by name: "inputs.0.labels" ...; with small pictures, where these are wanted."""
    found: dict[str, NDArray[Any]] = {}
    for number, part in enumerate(inputs.values()):
        found[f"inputs.{number}.labels"] = part.labels
        if picture and part.pixels is not None:
            found[f"inputs.{number}.picture"] = np.frombuffer(thumbnails.encode(part.pixels), np.uint8)
        if picture and part.shown is not None:
            found[f"inputs.{number}.shown"] = views.small(part.shown)
    return found


def check_header(name: str, kind: str, nbytes: int) -> None:
    """ValueError where an array of this name cannot be one of these."""
    _, number, what = (*name.split(".", 2), "", "")[:3]
    demand(number.isascii() and number.isdecimal() and what in KINDS, f"it must not hold {name!r}")
    demand(kind in KINDS[what], f"{name} must hold numbers; got {kind!r}")
    demand(what == "labels" or nbytes <= PICTURE, f"{name} must be of at most {PICTURE} bytes; got {nbytes}")


def parts_from(texts: Sequence[Mapping[str, Any]], arrays: Mapping[str, NDArray[Any]], n: int) -> dict[str, Part]:
    """The inputs by name, of text that was checked and arrays whose headers were.

    Args:
        arrays: By their names without "inputs.".
        n: Players of all inputs together.
    """
    found = {}
    demand({name.partition(".")[0] for name in arrays} <= set(map(str, range(len(texts)))), "inputs must each be named")
    for number, text in enumerate(texts):
        labels = arrays.get(f"{number}.labels", np.zeros(0, np.int32))
        right = labels.size and labels.min() >= -1 and labels.max() < n
        demand(right, f"inputs.{number}.labels must be -1 or players from 0 to {n - 1}")
        picture = arrays.get(f"{number}.picture")
        pixels = None if picture is None else thumbnails.decode(picture.tobytes())
        own: dict[str, Any] = {name: None if text[name] is None else tuple(text[name]) for name in ("size", "frame")}
        own |= {"shown": arrays.get(f"{number}.shown"), "rate": text["rate"]}
        found[text["name"]] = Part(labels.astype(np.int32), text["modality"], pixels, **own)
    return found
