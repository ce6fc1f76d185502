"""An explanation as a row of a part, and back: what :func:`pysmdl.load` gives of an .npz."""

from __future__ import annotations

import json
import traceback
import zlib
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import StoreError, described, storable
from pysmdl.explanation import Explanation, thumbnails, views
from pysmdl.explanation.files import meta_of, packed, plain, small
from pysmdl.explanation.stored import LIMIT, checked, unpacked
from pysmdl.explanation.stored_meta import SCHEMA
from pysmdl.explanation.stored_parts import arrays_of

CURVES = ("order", "score", "insertion", "deletion", "area")
COUNTS = ("index", "evaluations", "asked", "seconds", "violations")
OF_INPUT = ("players", "groups", "modality", "rate", "cover", "inputs")
TEXTS = ("notes", "names", "frame", "size", "provenance")


def row_of(
    found: Explanation, id: str, source: str | None = None, group: str | None = None, picture: bool = False
) -> dict[str, Any]:
    """The row of a part.

    Args:
        found: The explanation.
        id: Its input's.
        source: Where that is from; None: what the explanation says of it.
        group: Its input's, where it has one.
        picture: Whether a small picture of the image is kept.
    """
    texts = {**meta_of(found), "schema": SCHEMA}
    labels, others = small(found.labels), arrays_of(found.inputs, picture)
    if picture and found.shown is not None:
        others["shown"] = views.small(found.shown)
    if found.covers is not None:
        others["covers"] = found.covers
    shown = thumbnails.encode(found.pixels) if picture and found.pixels is not None else None
    row: dict[str, Any] = {name: getattr(found, name) for name in (*CURVES, *COUNTS, "attribution")}
    row |= {name: _json(texts[name]) for name in ("target", *TEXTS)}
    return row | {
        "id": id,
        "source": _storable(found.provenance.get("source") if source is None else source),
        "group": group,
        "target_class": found.target if isinstance(found.target, int) else None,
        "said": found.said if found.said >= 0 else None,
        "regions": found.n,
        "terms": list(found.terms.items()),
        "values": found.values().astype(np.float32),
        "predicted": None if found.predicted is None else found.predicted.ravel(),
        "traced": [(int(name), curves.ravel()) for name, curves in found.traced.items()],
        "insertion_auc": found.insertion_auc,
        "deletion_auc": found.deletion_auc,
        "labels": zlib.compress(labels.astype(labels.dtype.newbyteorder("<")).tobytes()),
        "labels_shape": list(labels.shape),
        "labels_bytes": labels.itemsize,
        "reading": _archive(found.reading),
        "picture": shown,
        "input": _json({name: texts[name] for name in OF_INPUT}),
        "shown": _archive(others),
    }


def explanation_of(row: Mapping[str, Any], place: str) -> Explanation:
    """The explanation of a row, each field checked: a part may come from anywhere.

    Raises:
        StoreError: it is none; `place` names the part.
    """
    try:
        meta = {name: json.loads(row[name]) for name in ("target", *TEXTS)}
        meta |= {name: row[name] for name in ("id", *COUNTS)} | {"schema": SCHEMA}
        kept = json.loads(row["input"])
        meta |= {name: kept[name] for name in OF_INPUT if name in kept}
        return Explanation(**checked(place, meta, _arrays(row)))
    except StoreError:
        raise
    except Exception as error:  # of many types, as the row is damaged
        raise StoreError(
            f"{place} holds no explanation of {row.get('id')!r}: {error or type(error).__name__}"
        ) from error


def failure_of(
    id: str, error: BaseException | str, source: str | None = None, group: str | None = None, attempts: int = 1
) -> dict[str, Any]:
    """The row of a failure; with what was settled when the model failed."""
    partial = getattr(error, "partial", ())
    return {
        "id": id,
        "source": source,
        "group": group,
        "error": described(error) if isinstance(error, BaseException) else storable(error),
        "traceback": storable("".join(traceback.format_exception(error))) if isinstance(error, BaseException) else None,
        "attempts": attempts,
        "settled": packed(partial[0], picture=False) if partial else None,
    }


def settled(kept: bytes | None, place: str) -> Explanation | None:
    """Likewise back.

    Raises:
        StoreError: it is no explanation.
    """
    if kept is None:
        return None
    try:
        return Explanation(**unpacked(place, BytesIO(kept)))
    except StoreError:
        raise
    except Exception as error:  # of many types, as it is damaged
        raise StoreError(f"{place} holds no explanation: {error or type(error).__name__}") from error


def _arrays(row: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """As an .npz has them."""
    arrays = {name: np.array(row[name], np.float32) for name in CURVES}
    arrays["order"] = small(np.array(row["order"], np.int64))
    arrays["labels"] = _labels(row)
    if row["predicted"] is not None:
        arrays["predicted"] = small(np.array(row["predicted"], np.int64).reshape(2, -1))
    if row["attribution"] is not None:
        arrays["attribution"] = np.array(row["attribution"], np.float32)
    if row["picture"] is not None:
        arrays["picture"] = np.frombuffer(row["picture"], np.uint8)
    arrays |= {f"terms.{name}": np.array(values, np.float32) for name, values in row["terms"]}
    arrays |= {f"traced.{name}": np.array(curves, np.float32).reshape(2, -1) for name, curves in row["traced"]}
    for column, prefix in (("reading", "reading."), ("shown", "")):
        if row[column] is not None:
            with np.load(BytesIO(row[column]), allow_pickle=False) as kept:
                arrays |= {f"{prefix}{name}": kept[name] for name in kept.files}
    return arrays


def _labels(row: Mapping[str, Any]) -> NDArray[Any]:
    shape, itemsize = tuple(row["labels_shape"]), row["labels_bytes"]
    if itemsize not in (1, 2, 4, 8) or min(shape, default=0) < 0:
        raise ValueError(f"labels must be numbers of 1, 2, 4 or 8 bytes; got {itemsize}")
    nbytes = int(np.prod(shape, dtype=np.float64)) * itemsize
    if nbytes > LIMIT:
        raise ValueError(f"labels unpack to {nbytes} bytes, more than {LIMIT}")
    content = zlib.decompressobj().decompress(row["labels"], nbytes + 1)
    return np.frombuffer(content, f"<i{itemsize}").reshape(shape)


def _archive(arrays: Mapping[str, NDArray[Any]]) -> bytes | None:
    if not arrays:
        return None
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _storable(text: str | None) -> str | None:
    return None if text is None else storable(text)


def _json(value: Any) -> str:
    return json.dumps(plain(value), allow_nan=False)
