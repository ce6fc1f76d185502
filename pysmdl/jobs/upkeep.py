"""A store's upkeep: few large parts of many small ones, and whether all that is there is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pysmdl.errors import StoreError
from pysmdl.jobs import parts, schema
from pysmdl.jobs.places import Place
from pysmdl.jobs.rows import explanation_of, settled

ROWS = 4096  # of a part: about 20 MB
SHOWN = 20  # problems of a kind that are named


@dataclass(frozen=True)
class Verified:
    """What :meth:`Store.verify` found.

    Attributes:
        explanations, failures, parts: How many there are.
        problems: What is wrong, a line each.
    """

    explanations: int
    failures: int
    parts: int
    problems: tuple[str, ...]


def verify(place: Place) -> Verified:
    """Read everything there is."""
    problems: list[str] = []
    ids: Counter[str] = Counter()
    failed: set[str] = set()
    names = [*place.names("parts"), *place.names("failures")]
    for name in names:
        try:
            rows = parts.read(place, name, verify=True).to_pylist()
            for row in rows:
                if name.startswith("parts/"):
                    ids[row["id"]] += 1
                    explanation_of(row, f"{place}/{name}")
                else:
                    failed.add(row["id"])
                    settled(row["settled"], f"{place}/{name}")
        except StoreError as error:
            problems.append(str(error))
        except FileNotFoundError:
            problems.append(f"{place}/{name} is gone: what is compacted meanwhile is verified anew")
    twice = [id for id, count in ids.items() if count > 1]
    problems += [f"{id!r} is there {ids[id]} times; compact() keeps the first" for id in twice[:SHOWN]]
    return Verified(len(ids), len(failed - set(ids)), len(names), tuple(problems))


def compact(place: Place) -> int:
    """Write the small parts anew as large ones, then remove them. Killed in between, rows are there twice, which
    readers pass over. Returns how many parts there are then.

    Raises:
        StoreError: a part is damaged, or somebody else compacts.
    """
    with place.held("compact"):
        done = _merge(place, "parts", _explained(place))
        _merge(place, "failures", _failed(place, done))
    return len(place.names("parts"))


def _merge(place: Place, folder: str, tables: Iterator[tuple[str, Any]]) -> set[str]:
    """Returns the ids."""
    waiting: list[Any] = []
    old: list[str] = []
    ids: set[str] = set()
    for name, table in tables:
        fresh = [id not in ids for id in table["id"].to_pylist()]
        ids |= set(table["id"].to_pylist())
        if table.num_rows >= ROWS and all(fresh):
            continue
        waiting.append(table.filter(schema.arrow().array(fresh, type=schema.arrow().bool_())))
        old.append(name)
        if sum(each.num_rows for each in waiting) >= ROWS:
            _rewrite(place, folder, waiting, old)
    if len(old) > 1 or (waiting and not any(each.num_rows for each in waiting)):
        _rewrite(place, folder, waiting, old)
    return ids


def _rewrite(place: Place, folder: str, waiting: list[Any], old: list[str]) -> None:
    whole = schema.arrow().concat_tables(waiting)
    if whole.num_rows:
        content = parts.table_bytes(whole)
        place.write(parts.named(folder, content, "compact"), content)
    for name in old:
        place.remove(name)
    waiting.clear()
    old.clear()


def _explained(place: Place) -> Iterator[tuple[str, Any]]:
    for name in place.names("parts"):
        yield name, parts.read(place, name, verify=True)  # what is damaged gets no new checksum


def _failed(place: Place, done: set[str]) -> Iterator[tuple[str, Any]]:
    """Failures that still stand; of several of one id the last."""
    tables = [(name, parts.read(place, name, verify=True)) for name in place.names("failures")]
    last = {id: (name, number) for name, table in tables for number, id in enumerate(table["id"].to_pylist())}
    for name, table in tables:
        stands = [id not in done and last[id] == (name, number) for number, id in enumerate(table["id"].to_pylist())]
        yield name, table.filter(schema.arrow().array(stands, type=schema.arrow().bool_()))
