"""`pysmdl explain` of several scales: each scale's files as of an input of its own, and a picture of all of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from rich.console import Console

from pysmdl import api, disk
from pysmdl.cli import commands
from pysmdl.cli.arguments import size_of
from pysmdl.cli.options import ScaleOptions
from pysmdl.cli.results import Results, paths_of, stems
from pysmdl.cli.stopping import held
from pysmdl.errors import ImageError, Interrupted, RegionError, ScorerError, described
from pysmdl.explainer import Explainer
from pysmdl.explanation import Explanation
from pysmdl.progress import reporting
from pysmdl.scales import Scales, resized
from pysmdl.scorers import Scorer

log = logging.getLogger("pysmdl")


def is_asked(regions: str | None, scales: ScaleOptions) -> bool:
    """Whether a command line says anything of several scales."""
    return "," in (regions or "") or scales != ScaleOptions()


def explain(
    items: Sequence[Mapping[str, Any]],
    scorer: Scorer,
    regions: str | None,
    scales: ScaleOptions,
    settings: Mapping[str, Any],
    *,
    folder: Path,
    out: Console,
    kind: str,
) -> int:
    """Explain each at all scales; write PNG, npz and JSON of each scale, and a PNG of all. Returns how many items were
    explained.
    """
    partitions, sizes = _each(regions, scales)
    asked: dict[str, Any] = {"regions": partitions if len(partitions) > 1 else partitions[0], **settings}
    asked |= {"fuse": scales.fuse, "resolutions": sizes, "nested": scales.nested}
    written = _Written(items, _labels(partitions, sizes), folder, kind)
    try:
        with reporting(True, lines=True) as report:
            for number, item in enumerate(items):
                try:
                    found = api.explain(item["image"], scorer, item["target"], progress=report or False, **asked)
                except Interrupted as stopped:
                    written.parts(number, stopped.partial)
                    raise
                except (ImageError, RegionError, ScorerError) as error:
                    log.error("input %r skipped: %s", item["id"], described(error))
                    continue
                assert isinstance(found, Scales)
                written.whole(number, found)
    finally:
        written.results.summary(out, written.count)
    return written.count


def estimate(
    items: Sequence[Mapping[str, Any]],
    scorer: Scorer,
    regions: str | None,
    scales: ScaleOptions,
    settings: Mapping[str, Any],
    out: Console,
) -> None:
    """Evaluations and time of each scale, as a dry run tells them.

    Raises:
        ValueError: nested scales, or none.
    """
    if scales.nested:
        raise ValueError("dry_run cannot say what nested scales divide, which depends on the first: leave --nested out")
    partitions, sizes = _each(regions, scales)
    if len(partitions) == 1 and sizes is None:
        raise ValueError(f"fuse={scales.fuse!r} needs several maps: give several --regions, or --resolutions")
    words = [""] if sizes is None else [f"{size[0]}x{size[1]} " for size in sizes]
    for named, seen in zip(words, [scorer] if sizes is None else resized(scorer, sizes), strict=True):
        of_each = [
            {**item, "regions": each, "id": f"{item['id']} {named}{each or 'regions'}"}
            for item in items
            for each in partitions
        ]
        commands.estimate(Explainer(seen, **settings), of_each, out)


def _each(regions: Any, scales: ScaleOptions) -> tuple[list[str | None], list[tuple[int, int]] | None]:
    """The partitions that are asked for, and the sizes.

    Raises:
        ValueError: of files that stand beside texts.
    """
    if isinstance(regions, Mapping):
        raise ValueError("several scales are of one input: drop --text, or --fuse, --nested and --resolutions")
    partitions: list[str | None] = [each.strip() for each in regions.split(",")] if regions else [None]
    return partitions, None if scales.resolutions is None else list(map(size_of, scales.resolutions.split(",")))


class _Written:
    """The files of a run: of each part under its item's name and its own, and of each item one picture."""

    def __init__(self, items: Sequence[Mapping[str, Any]], labels: Sequence[str], folder: Path, kind: str) -> None:
        self._items, self._labels, self._folder, self._kind = items, labels, folder, kind
        self._stems = stems(paths_of(items), folder)
        named = [Path(f"{stem}-{label}.png") for stem in self._stems for label in labels]
        self.results = Results(named, None, folder, kind)
        self.count = 0

    def parts(self, number: int, parts: Sequence[Explanation]) -> None:
        for place, (part, label) in enumerate(zip(parts, self._labels, strict=False)):
            part.index = number * len(self._labels) + place
            part.id = f"{self._items[number]['id']} {label}"
            self.results.keep(part)

    def whole(self, number: int, found: Scales) -> None:
        self.parts(number, found.parts)
        if self._kind != "none":
            buffer = BytesIO()
            found.plot().savefig(buffer, format="png", dpi=150)
            with held():
                disk.write(self._folder / f"{self._stems[number]}.png", buffer.getvalue())
        self.count += 1


def _labels(partitions: Sequence[str | None], sizes: Sequence[tuple[int, int]] | None) -> list[str]:
    """Of each part, in the order in which they come, as a file's name has it: "224x224-slico25"."""
    own = [(each or "regions").replace(":", "") for each in partitions]
    return own if sizes is None else [f"{size[0]}x{size[1]}-{each}" for size in sizes for each in own]
