"""What a part holds: a row an explanation, a row a failure. The columns are pinned: others read them, too."""

from __future__ import annotations

from functools import cache
from typing import Any

from pysmdl.errors import need

VERSION = 1


def arrow() -> Any:
    """pyarrow with its Parquet.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise need("pyarrow", "A store", "pysmdl[jobs]") from None
    return pyarrow


@cache
def part() -> Any:
    """Columns of parts/*.parquet. Curves, terms and values are plain numbers; what has a shape of its own is packed."""
    pa = arrow()
    floats, wholes = pa.list_(pa.float32()), pa.list_(pa.int32())
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            ("source", pa.string()),
            ("group", pa.string()),
            pa.field("target", pa.string(), nullable=False),  # JSON
            ("target_class", pa.int64()),  # where it is a class
            ("said", pa.int64()),  # the model's own top class
            pa.field("regions", pa.int32(), nullable=False),
            ("order", wholes),
            ("score", floats),
            ("insertion", floats),
            ("deletion", floats),
            ("area", floats),
            ("terms", pa.map_(pa.string(), floats)),
            ("values", floats),
            ("predicted", wholes),  # [2, k + 1], kept and removed, one after the other
            ("traced", pa.map_(pa.int64(), floats)),  # likewise
            ("attribution", floats),
            ("insertion_auc", pa.float64()),
            ("deletion_auc", pa.float64()),
            ("index", pa.int64()),  # number of the input in its run
            ("evaluations", pa.int64()),
            ("asked", pa.int64()),
            ("seconds", pa.float64()),
            ("violations", pa.int64()),
            ("labels", pa.binary()),  # zlib of whole numbers, little-endian, row by row
            ("labels_shape", wholes),
            ("labels_bytes", pa.int8()),  # of a number
            ("reading", pa.binary()),  # .npz
            ("picture", pa.binary()),  # WebP or PNG
            ("notes", pa.string()),  # JSON, as the next ones
            ("names", pa.string()),
            ("frame", pa.string()),
            ("size", pa.string()),
            ("provenance", pa.string()),
            ("input", pa.string()),  # its players, groups, modality and rate
            ("shown", pa.binary()),  # .npz: what is shown of what is no image, and regions that overlap
        ],
        metadata={"pysmdl": str(VERSION)},
    )


@cache
def failure() -> Any:
    """Columns of failures/*.parquet."""
    pa = arrow()
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            ("source", pa.string()),
            ("group", pa.string()),
            pa.field("error", pa.string(), nullable=False),
            ("traceback", pa.string()),
            ("attempts", pa.int32()),
            ("settled", pa.binary()),  # .npz of what was settled when the model failed
        ],
        metadata={"pysmdl": str(VERSION)},
    )
