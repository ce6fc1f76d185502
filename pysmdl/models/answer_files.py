"""Answers of a server on disk, a file each: what was answered once is never asked again, by no later run."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pysmdl.types import Floats

log = logging.getLogger("pysmdl")


class AnswerFiles:
    """A folder of them, made where there is none.

    Raises:
        ValueError: it cannot be made.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        if not isinstance(folder, (str, os.PathLike)) or not str(folder):
            raise ValueError(f"cache must be a folder, or where one can be made; got {folder!r}")
        self._folder = Path(folder)
        self._told = False  # that they cannot be written
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            wrong = f"cache must be a folder, or where one can be made; got {str(folder)!r}: {error}"
            raise ValueError(wrong) from None

    def read(self, key: str) -> Floats | None:
        """The numbers of an answer; None where it is not there, or not whole."""
        try:
            found = np.array(json.loads(self._of(key).read_text()), np.float32)
        except (OSError, TypeError, ValueError):
            return None
        return found if found.ndim == 1 and found.size else None

    def keep(self, answers: Mapping[str, Floats]) -> None:
        """Write them. Where the disk is full, or may not be written, the run goes on without: that is said once."""
        try:
            for key, row in answers.items():
                _write(self._of(key), json.dumps(row.tolist()))
        except OSError as error:
            if not self._told:
                log.warning("answers cannot be kept in cache=%r, the run goes on without: %s", str(self._folder), error)
            self._told = True

    def _of(self, key: str) -> Path:
        return self._folder / f"{key}.json"


def _write(path: Path, text: str) -> None:
    """Whole or not at all; a crash of the machine may lose it, and then it is asked for again."""
    beside = path.with_name(f".{path.name}-{os.getpid()}")
    beside.write_text(text)
    os.replace(beside, path)
