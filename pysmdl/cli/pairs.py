"""Files and texts on one command line, for a model of both: each file with each text, as several inputs at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def paired(files: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> list[dict[str, Any]]:
    """An item for each file and text: its inputs are called image and text, and it has the file's name, numbered where
    there are several texts.
    """
    numbers = [f"-{i}" for i in range(1, len(texts) + 1)] if len(texts) > 1 else [""]
    found: list[dict[str, Any]] = []
    for item in files:
        path = Path(item["id"])
        for text, number in zip(texts, numbers, strict=True):
            named = str(path.with_name(f"{path.stem}{number}{path.suffix}"))
            found.append({**item, "image": {"image": item["image"], "text": text}, "id": named})
    return found


def players_of_each(regions: str | None, players: str | None) -> dict[str, str]:
    """How a file and its text are divided: --regions is of the file, --players of the text."""
    return {name: how for name, how in (("image", regions), ("text", players)) if how is not None}
