"""Writes the tables of benchmarks/README.md from the recorded rows, the latest of each name and backend.

    python benchmarks/tables.py

A table stands between `<!-- table: cpu engine -->` and `<!-- end -->`: the file in results/ and what names begin with.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from recording import rows

HOME = Path(__file__).parent
README = HOME / "README.md"
MARKED = re.compile(r"(<!-- table: (\w+) ([\w -]+) -->\n).*?(<!-- end -->)", re.DOTALL)
GPU = {  # what a GPU is to show, by name and backend, with its target
    **{(f"kernels: compose, {shape}", backend): ">= 0.8"
       for shape in ("typical", "crowd", "awkward") for backend in ("triton", "cuda")},
    ("efficiency: built-in CNN, N = 49, 32 in flight, graphs", "auto"): "",
    ("efficiency: ResNet-50 bf16, N = 49, 32 in flight", "auto"): ">= 0.85",
    ("efficiency: ViT-L/14 bf16, N = 49, 1 in flight", "auto"): ">= 0.90",
    ("efficiency: ViT-L/14 bf16, N = 49, 32 in flight", "auto"): ">= 0.97",
    ("gpu: ViT-L/14 bf16, exact, both views", "auto"): "<= 1.2",
    ("gpu: ViT-L/14 bf16, LiMA, token dropping", "auto"): "<= 0.35",
    ("gpu: ViT-B/16 bf16, LiMA, token dropping, one image alone", "auto"): "<= 0.1",
    ("gpu: images from disk, loaded in turn over loaded ahead", "auto"): "",
    ("gpu: float32 over mixed precision, ViT-S/16", "auto"): "",
    ("token dropping: evaluations a second over masking's", "auto"): "",
}  # fmt: skip
Rows = dict[tuple[str, str], dict[str, str]]


def latest(file: str) -> dict[str, Rows]:
    """By card (a CPU has no name here) the last row of each name and backend, in the order in which they first came."""
    path = HOME / "results" / f"{file}.csv"
    found: dict[str, Rows] = {}
    for row in rows(path):
        card = row["machine"].partition(",")[0] if file == "gpu" else ""
        found.setdefault(card, {})[row["name"], row["backend"]] = row
    return found


def reached(target: str, value: float) -> bool | None:
    """Whether a target, ">= 0.8" or "<= 2.0", is reached; None where there is none."""
    if not target:
        return None
    sign, bound = target.split()
    return value >= float(bound) if sign == ">=" else value <= float(bound)


def line(name: str, backend: str, row: dict[str, str] | None, target: str, absolute: bool) -> str:
    """One line of a table. Times are shown where they were taken on a GPU, or where there is no ratio."""
    shown = name.split(": ", 1)[1] + ("" if backend in ("auto", "host") else f" ({backend})")
    if row is None:
        return f"| {shown} | not measured | | {target} | | | |"
    value = f"{float(row['ratio']):.3g}" if row["ratio"] else ""
    if absolute or not value:
        measured = f"{float(row['median']):.3g} {row['unit']}"
        value = f"{value} ({measured})" if value else measured
    met = {None: "", True: "yes", False: "**no**"}[reached(row["target"], float(row["ratio"] or row["median"]))]
    spread = f"{float(row['low']):.3g} to {float(row['high']):.3g}"
    return f"| {shown} | {value} | {spread} | {row['target']} | {met} | {row['parameters']} | {row['commit']} |"


def table(file: str, group: str) -> str:
    """The rows of a group, those of each card by themselves; what a card has not shown is named where there is one."""
    cards = latest(file)
    return "\n".join(of_card(found, file, group) for found in cards.values() or [{}])


def of_card(found: Rows, file: str, group: str) -> str:
    keys = [*dict.fromkeys((*(GPU if file == "gpu" else ()), *found))]
    keys = [key for key in keys if key[0].startswith(f"{group}: ")]
    lines = ["| what | median | spread | target | met | parameters | commit |", "|" + " --- |" * 7]
    for key in keys:
        lines.append(line(*key, found.get(key), GPU.get(key, ""), file == "gpu"))
    marks = {f"{row['machine']}; torch {row['torch']}; commit {row['commit']}; {row['date']}"
             for key, row in found.items() if key in keys}  # fmt: skip
    if not keys:
        return "Not measured.\n"
    return "\n".join([*lines, "", *(f"Measured on {mark}." for mark in sorted(marks))]).rstrip() + "\n"


def fill(page: Path, make: Callable[[str, str], str]) -> None:
    """Write the tables of a page anew, each made from the two words of its mark."""
    page.write_text(MARKED.sub(lambda m: f"{m[1]}\n{make(m[2], m[3].strip())}\n{m[4]}", page.read_text()))


def main() -> None:
    fill(README, table)


if __name__ == "__main__":
    main()
