"""What the page holds of an explanation: plain values, at most 60 kB of them as JSON."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pysmdl.explanation import Explanation, thumbnails
from pysmdl.explanation.files import plain, runs
from pysmdl.explanation.sheets import cornered, with_sheet
from pysmdl.explanation.values import labels_at
from pysmdl.explanation.views import parts_of_covers
from pysmdl.metrics import summary
from pysmdl.reporting.making import made_by, parts_of
from pysmdl.targets import kind, outline, title, why
from pysmdl.types import Ints

MOST = 60_000  # bytes of an entry
PICTURE = 30_000  # bytes of its picture, before base64 makes 4 of 3
LABELS = 14_000  # bytes of its label map, which is taken at fewer points until it is no larger
SIDES = (256, 192, 128, 96, 64, 32)
PLACES = 1000  # regions of which the page knows more than where they are
NAMED = 60  # players whose names it knows
TEXT = 300  # characters of an id or a name
FILES = ("onnx", "pt", "pt2", "pth", "ts")  # endings of models' files


def entry(explanation: Explanation, number: int) -> dict[str, Any]:
    """An explanation for the page: text, numbers, curves, label map and picture. Curves and values by place."""
    shown = min(len(explanation.order), PLACES)
    found: dict[str, Any] = {
        "number": number,
        **_identity(explanation, number),
        "n": explanation.n,
        "called": explanation.called,
        "extent": explanation.extent,
        "shown": shown,
        "best": min(explanation.enough(), shown),
        "order": explanation.order[:shown],
        "values": rounded(explanation.values()[explanation.order[:shown]]),
        **{name: rounded(getattr(explanation, name)[: shown + 1]) for name in ("insertion", "deletion", "area")},
        "metrics": {name: rounded(value) for name, value in _metrics(explanation).items()},
        "words": explanation.verbalise(),
        "evaluations": explanation.evaluations,
        "seconds": rounded(explanation.seconds),
        "made": made_by(explanation),
    }
    if explanation.players:
        found["players"] = [_name(explanation.players[player]) for player in explanation.order[:NAMED].tolist()]
    drawn = with_sheet(explanation)
    if drawn.pictured:
        found |= _picture(drawn, len(json.dumps(plain(found))))
    checked: dict[str, Any] = plain(found)
    return checked


def _name(text: str) -> str:
    """A player's, on a line of the table."""
    plain_text = " ".join(text.split())
    return plain_text if len(plain_text) <= 40 else f"{plain_text[:39]}…"


def index_row(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What cards are sorted and filtered by, and what they say."""
    names = (
        "number", "id", "named", "title", "why", "says", "wrong", "flat", "n", "evaluations", "seconds", "method",
        "model",
    )  # fmt: skip
    found = {name: entry[name] for name in names}
    found["score"] = entry["deletion"][0]
    found["aspect"] = entry["aspect"] if "picture" in entry else None
    return found | {"metrics": entry["metrics"]}


def rounded(values: ArrayLike) -> Any:
    """Numbers with four significant digits, which no eye tells from all of them; None for what is not known."""
    if isinstance(values, np.ndarray):
        return [rounded(value) for value in values.tolist()]
    value = float(values)  # type: ignore[arg-type]
    return float(f"{value:.4g}") if math.isfinite(value) else None


def short(text: str) -> str:
    """Text of at most 300 characters, its middle left out: a name's ends tell it from others."""
    return text if len(text) <= TEXT else f"{text[: TEXT // 2]}…{text[-TEXT // 2 + 1 :]}"


def _identity(explanation: Explanation, number: int) -> dict[str, Any]:
    """What was explained, by which method, and what the model says of it."""
    target, names = explanation.target, explanation.names
    of_class = kind(target) == "class"
    said = explanation.said
    search = explanation.notes.get("search")
    return {
        "id": short(explanation.id or f"input {number}"),
        "named": explanation.id is not None,
        "title": short(title(target, names)),
        "why": f"W{short(why(target, names))[1:]}",
        "says": short(title(said, names)) if said >= 0 else None,
        "wrong": bool(said != target) if of_class and said >= 0 else None,
        "flat": explanation.flat,
        "method": short(str(search)) if search else None,
        "model": _model(explanation.provenance.get("model")),
    }


def _model(name: Any) -> str | None:
    """Which model it was: a class or a function by its own name, a file by its; None where it has none."""
    if not isinstance(name, str) or not name or name.endswith("<lambda>"):
        return None
    code, weights = parts_of(name)
    own = code.rpartition(".")[2]
    if own in FILES:
        return short(PurePath(name).name)
    return short((own if all(map(str.isidentifier, code.split("."))) else code) + weights)


def _metrics(explanation: Explanation) -> dict[str, float]:
    """All that it gives by itself; of one whose target and answers do not go together, which only a scorer of
    somebody's own or a forged file has, those of its curves.
    """
    try:
        return summary(explanation)
    except ValueError:
        return {"insertion_auc": explanation.insertion_auc, "deletion_auc": explanation.deletion_auc}


def _picture(explanation: Explanation, spent: int) -> dict[str, Any]:
    """The image, as large as the rest leaves room for, its regions and where they lie in it."""
    assert explanation.pixels is not None
    height, width = explanation.size or explanation.pixels.shape[:2]
    labels, parts = _overlapping(explanation) if explanation.covers is not None else (explanation.labels, {})
    found: dict[str, Any] = {
        "aspect": rounded(width / height),
        "labels": _labels(labels),
        **parts,
        "sheet": explanation.modality != "image",
        "corner": cornered(explanation),
        "frame": explanation.frame and [rounded(share) for share in explanation.frame],
    }
    corners = outline(explanation.target)
    if corners is not None:
        found["box"] = [rounded(at / side) for at, side in zip(corners, (width, height) * 2, strict=True)]
    room = MOST - 500 - spent - len(json.dumps(plain(found)))
    picture = thumbnails.encode(explanation.pixels, max(min(PICTURE, room * 3 // 4), 0))
    kind = "webp" if picture[:4] == b"RIFF" else "png"
    return found | {"picture": f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"}


def _overlapping(explanation: Explanation) -> tuple[Ints, dict[str, Any]]:
    """Labels of parts, and the regions that cover each, the smallest first."""
    covers = explanation.covers
    assert covers is not None
    sizes = covers.reshape(len(covers), -1).sum(1)
    labels, members = parts_of_covers(covers)
    parts = [sorted(np.flatnonzero(each).tolist(), key=lambda region: int(sizes[region])) for each in members.T]
    return labels, {"parts": parts, "cover": explanation.cover}


def _labels(labels: Ints) -> dict[str, Any]:
    """The label map as its shape and runs; taken at fewer points, the nearest ones, where it is large."""
    for side in SIDES:
        scale = max(1.0, max(labels.shape) / side)
        height, width = (max(1, round(points / scale)) for points in labels.shape)
        found = runs(labels_at(labels, (height, width))).tolist()
        if len(json.dumps(found, separators=(",", ":"))) <= LABELS:
            break
    return {"height": height, "width": width, "runs": found}
