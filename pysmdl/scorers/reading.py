"""What a scorer's ``read`` must give, looked at once for scorers of the caller's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

NEEDED = ("score", "decided", "traced")


def check_reading(reading: Any, rows: int) -> None:
    """Look once at what a scorer of the caller's own reads off its values.

    Raises:
        TypeError: it is no mapping of arrays with a row each, or lacks one that is needed; the message names it.
    """
    if not isinstance(reading, Mapping):
        raise TypeError(f"a scorer's read() must return arrays by name; got {type(reading).__name__}")
    missing = [name for name in NEEDED if name not in reading]
    if missing:
        raise TypeError(
            f"a scorer's read() must give {', '.join(NEEDED)}, an array each with a row per subset; it lacks "
            f"{', '.join(missing)} and gives {', '.join(map(str, reading)) or 'nothing'}"
        )
    for name, values in reading.items():
        shape = np.shape(values)
        flat = name not in ("score", "decided") or len(shape) == 1
        if not isinstance(values, np.ndarray) or shape[:1] != (rows,) or not flat:
            raise TypeError(
                f"a scorer's read() must give {name!r} as a NumPy array with a row for each of {rows} subsets; got "
                f"{type(values).__name__} {list(shape)}"
            )
