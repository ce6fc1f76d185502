"""Parts: rows as Parquet, written in one piece, with a checksum for each page; read by columns."""

from __future__ import annotations

import os
import re
import time
import uuid
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, BinaryIO

from pysmdl.errors import StoreError, described
from pysmdl.jobs import schema
from pysmdl.jobs.places import Place

REPEATED = ("group", "target", "notes", "names", "frame", "size", "provenance")  # much the same in each row
CHECKED = re.compile(r"-[0-9a-f]{8}-([0-9a-f]{8})\.parquet$")  # a part's name, where it says the checksum
COMPACTED = "-compact-"
TRIES = 5  # times that parts are listed anew when one is gone
READERS = 8  # threads: what is far away answers many at once


def named(folder: str, content: bytes, who: str = "") -> str:
    """A name that nobody else has, which ends with the content's checksum; names sort by when they were made."""
    when = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    return f"{folder}/{when}-{who or os.getpid()}-{uuid.uuid4().hex[:8]}-{zlib.crc32(content):08x}.parquet"


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
            if verify:
                _verify(file, f"{place}/{name}")
            return part.read(columns=columns)
    except (StoreError, FileNotFoundError):
        raise
    except Exception as error:  # of many types, as the file is damaged
        raise StoreError(
            f"{place}/{name} is no part of a store: {described(error).strip()}; take it away, and the same command "
            "explains its inputs anew"
        ) from error


def _verify(file: BinaryIO, place: str) -> None:
    """See that a file is as its name says; older ones have a checksum for each page alone."""
    said = CHECKED.search(place)
    file.seek(0)
    if said and zlib.crc32(file.read()) != int(said[1], 16):
        raise StoreError(
            f"{place} is not what was written; take it away, and the same command explains its inputs anew"
        )


def read_all(place: Place, folder: str, columns: Sequence[str], of: str = "") -> list[tuple[str, Any]]:
    """Some columns of all parts of a folder, by name, in their order. One that is compacted meanwhile is where its rows
    are then.

    Args:
        of: Where it is not "": only of parts whose names have this in them, or that were compacted.

    Raises:
        StoreError: one is damaged.
    """
    for left in reversed(range(TRIES)):
        names = [name for name in place.names(folder) if of in name or COMPACTED in name]
        try:
            with ThreadPoolExecutor(READERS, "pysmdl-store") as pool:
                found = pool.map(lambda name: read(place, name, columns), names)
                return list(zip(names, found, strict=True))
        except FileNotFoundError:
            if not left:
                raise
    return []
