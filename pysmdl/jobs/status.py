"""How far a job is, seen from elsewhere: the status files beside its store."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from os import PathLike
from typing import Any

from pysmdl.jobs.places import place_of

SILENT = 60.0  # seconds without a word after which a run is taken for dead


def states(store: str | PathLike[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The status of each run's share, by its name; "ended" of one that fell silent says so."""
    place = place_of(store)
    for name in place.names("", ".json"):
        if not name.startswith("status-"):
            continue
        with suppress(OSError, ValueError), place.opened(name) as file:
            found = json.loads(file.read())
            silent = time.time() - found["at"]
            if not found["ended"] and silent > SILENT:
                found["ended"] = f"silent for {silent:.0f} s"
            yield name.removeprefix("status-").removesuffix(".json"), found
