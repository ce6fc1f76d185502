"""Trouble: what an error of a batch means, and what is said of it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from pysmdl.engine.batch import Part
from pysmdl.errors import PysmdlError, ScorerError
from pysmdl.scorers.base import ModelError
from pysmdl.types import Floats

CLIP = "; it was given a clip, which a list or a folder of pictures is: explain_many explains each by itself"


def out_of_memory(error: Exception) -> bool:
    """torch raises its own type on a GPU, and a plain RuntimeError on the CPU and for a GPU's libraries."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    said = ("out of memory", "can't allocate memory", "alloc_failed")
    return isinstance(error, RuntimeError) and any(each in text for each in said)


def named(error: Exception, part: Part, row: tuple[int, ...] | None = None) -> Exception:
    """A model's failure as a ScorerError that says on what; errors about the user's arguments as they are.

    Args:
        row: Shape of one row that the model was given, where all have one.
    """
    own = isinstance(error, ModelError)
    if isinstance(error, (PysmdlError, ValueError)) and not own:
        return error
    text = str(error) if own else f"{type(error).__name__}: {error}"
    clip = CLIP if row is not None and len(row) == 4 and row[0] == 3 else ""
    wrapped = ScorerError(f"the model failed on {part.owner.name}: {text}{clip}")
    wrapped.__cause__ = error
    return wrapped


def unsound(part: Part, finite: NDArray[np.bool_], features: Floats | None, exact: bool) -> ScorerError | None:
    """The error for what of a part is no number; None where all is well that was asked for.

    Args:
        finite: Which of its values are. [r, V].
        features: Of the rows wanted.
        exact: Whether the model ran in its own precision.
    """
    bad = int((~np.delete(finite, part.ahead, 0).all(1)).sum())
    wrong = 0 if features is None else int((~np.isfinite(features).all(1)).sum())
    if not bad and not wrong:
        return None
    where = f"for {bad} of {len(finite)} rows" if bad else f"in the features of {wrong} rows"
    half = "" if exact else ', in half precision; with precision="model" it runs in its own'
    return ScorerError(f"the model returned NaN or infinity {where} of {part.owner.name}{half}")
