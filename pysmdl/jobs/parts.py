"""Parts: rows as Parquet, written in one piece, with a checksum for each page; read by columns."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

from pysmdl.errors import StoreError, described
from pysmdl.jobs import schema
from pysmdl.jobs.places import Place

REPEATED = ("group", "target", "notes", "names", "frame", "size", "provenance")  # much the same in each row
READERS = 8  # threads: what is far away answers many at once


def named(folder: str, who: str = "") -> str:
    """A name that nobody else has; names sort by when they were made."""
    when = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    return f"{folder}/{when}-{who or os.getpid()}-{uuid.uuid4().hex[:8]}.parquet"


def content_of(rows: Sequence[Mapping[str, Any]], columns: Any) -> bytes:
    """Rows as Parquet. Numbers that nobody measured are NaN; columns that a row lacks are null."""
    arrow = schema.arrow()
    return table_bytes(arrow.Table.from_pylist(list(rows), schema=columns))


def table_bytes(table: Any) -> bytes:
    """A table as Parquet."""
    buffer = BytesIO()
    repeated = [name for name in REPEATED if name in table.column_names]
    schema.arrow().parquet.write_table(
        table, buffer, compression="zstd", use_dictionary=repeated, write_page_checksum=True, write_statistics=["id"]
    )
    return buffer.getvalue()


def read(place: Place, name: str, columns: Sequence[str] | None = None, verify: bool = False) -> Any:
    """A part as a table.

    Raises:
        StoreError: it is damaged, or of another schema.
    """
    right = schema.part() if name.startswith("parts/") else schema.failure()
    try:
        with place.opened(name) as file:
            part = schema.arrow().parquet.ParquetFile(file, page_checksum_verification=verify)
            if not part.schema_arrow.equals(right):
                raise StoreError(f"{place}/{name} has other columns than this pysmdl's store, version {schema.VERSION}")
            return part.read(columns=columns)
    except (StoreError, FileNotFoundError):
        raise
    except Exception as error:  # of many types, as the file is damaged
        raise StoreError(
            f"{place}/{name} is no part of a store: {described(error).strip()}; take it away, and the same command "
            "explains its inputs anew"
        ) from error


def read_all(place: Place, folder: str, columns: Sequence[str]) -> Iterable[tuple[str, Any]]:
    """Some columns of all parts of a folder, by name, in their order."""
    names = place.names(folder)
    with ThreadPoolExecutor(READERS, "pysmdl-store") as pool:
        yield from zip(names, pool.map(lambda name: read(place, name, columns), names), strict=True)
