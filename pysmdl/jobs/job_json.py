"""job.json: what a store's job was asked, as it is read."""

from __future__ import annotations

import json
from os import PathLike
from typing import Any

from pysmdl.errors import StoreError, described
from pysmdl.jobs import schema
from pysmdl.jobs.places import Place, place_of


def job_of(place: Place) -> dict[str, Any] | None:
    """job.json of a store; None where there is none.

    Raises:
        StoreError: it is damaged, or of a newer version.
    """
    try:
        with place.opened("job.json") as file:
            found = json.loads(file.read())
        version, asked = found["store"], [found.get(name, {}) for name in ("settings", "model")]
        if not all(isinstance(each, dict) for each in asked):
            raise ValueError("settings and model must be objects")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{place}/job.json is damaged, or of something else: {described(error)}") from error
    if not isinstance(version, int) or version > schema.VERSION:
        raise StoreError(f"{place} was written by a newer pysmdl: this one reads stores of version {schema.VERSION}")
    return dict(found)


def is_store(path: str | PathLike[str]) -> bool:
    """Whether there is a store."""
    try:
        return job_of(place_of(path)) is not None
    except OSError:
        return False
