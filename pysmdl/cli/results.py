"""What `pysmdl explain` leaves in its folder: picture, arrays and JSON of each image, all of them or none."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import chain, count
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pysmdl import disk
from pysmdl.cli.console import printable, tell
from pysmdl.cli.stopping import held
from pysmdl.errors import StoreError, described, one_of
from pysmdl.explanation import Explanation, files, load
from pysmdl.explanation.plotting import KINDS, figure
from pysmdl.inputs.sound import wav
from pysmdl.targets import kind, title

log = logging.getLogger("pysmdl")

CUT_SHORT = ("interrupted", "the model failed")  # what an explanation's notes say of one that is not whole


def paths_of(items: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Where items lie, or what stands for it, as their files are called by."""
    return [item["image"] if isinstance(item["image"], Path) else Path(item["id"]) for item in items]


class Results:
    """The files of a run, written as each image is done, and the table of them.

    Args:
        images: Those that are explained.
        names: Of the classes; None: those that the explanations have.
        folder: Where the files go.
        kind: Of the pictures; "none": there are none.

    Attributes:
        table: A row for each explanation, whole or not.
        whole: How many are whole and written.

    Raises:
        OSError: the folder cannot be written to.
    """

    def __init__(self, images: Sequence[Path], names: Sequence[str] | None, folder: Path, kind: str = "row") -> None:
        disk.ready(folder)
        self._stems, self._names, self._folder, self._kind = stems(images, folder), names, folder, kind
        columns = ("input", "target", "says", "insertion", "deletion", "highest", "enough", "rows")
        self.table = Table(*columns, title="explanations")
        self.whole = 0
        # Times that drawing may be interrupted: then there are no more pictures.
        self._draws = 0 if kind == "none" else 2

    def keep(self, found: Explanation) -> None:
        """Write an explanation's files, and its row. One that was cut short takes no whole one's place.

        Raises:
            KeyboardInterrupt: it came meanwhile; the files are written.
        """
        stopped = None
        with held():
            stem, cut_short = self._stems[found.index], found.notes.get("stopped") in CUT_SHORT
            if cut_short and _is_whole(self._folder / f"{stem}.npz"):
                log.warning("%s.npz is a whole explanation, and stays; this one was cut short", self._folder / stem)
                return
            picture, stopped = self._picture(found)
            if self._written(found, stem, picture):
                self.table.add_row(*_row(found, self._names))
                self.whole += not cut_short
        if stopped is not None:
            raise stopped

    def summary(self, out: Console, count: int) -> None:
        """Print the table and how many inputs were explained, if there is anything to say."""
        if self.table.rows:
            tell(self.table, out)
            text = f"{count} explained; pictures, arrays and JSON are in {printable(self._folder)}"
            out.print(text, soft_wrap=True)

    def _picture(self, found: Explanation) -> tuple[bytes | None, KeyboardInterrupt | None]:
        """A PNG; none where it cannot be drawn, or drawing was interrupted twice. Nothing else is lost with it."""
        stopped = None
        while self._draws > 0:
            try:
                return picture(found, self._names, self._kind), stopped
            except KeyboardInterrupt as error:
                stopped = error
                self._draws -= 1
            except Exception as error:
                log.error("input %r has no picture: %s", found.id, described(error))
                break
        return None, stopped

    def _written(self, found: Explanation, stem: str, picture: bytes | None) -> bool:
        """Whether the files could be written."""
        text = found.to_json(indent=1).encode() + b"\n"
        contents = {".png": picture, ".json": text, ".npz": files.packed(found), ".wav": _kept(found)}
        drawn = {f"{stem}{suffix}": content for suffix, content in contents.items() if content is not None}
        try:
            disk.write_together(self._folder, drawn)
            if picture is None:
                (self._folder / f"{stem}.png").unlink(missing_ok=True)  # of another explanation
        except OSError as error:
            log.error("input %r is explained, but not written: %s", found.id, described(error))
            return False
        return True


def _kept(found: Explanation) -> bytes | None:
    """What is enough of a sound, or of the first one of several inputs, to be played."""
    for each in found.each:
        if each.modality == "sound" and each.rate is not None and each.shown is not None and each.labels.ndim == 1:
            return wav(each.view(), each.rate)
    return None


def picture(found: Explanation, names: Sequence[str] | None = None, kind: str = "row", dpi: int = 150) -> bytes:
    """An explanation's plot as PNG; a row where there is no mistake to show."""
    if kind == "mistake" and set(found.traced) <= {found.target}:
        kind = "row"
    buffer = BytesIO()
    figure(found, names=names, kind=kind).savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def check_kind(kind: str) -> None:
    """ValueError where there is no such kind of picture."""
    kinds = (*KINDS, "curves", "bars", "none")
    if kind not in kinds:
        raise one_of("plot", kind, kinds)


def stems(images: Sequence[Path], folder: Path) -> list[str]:
    """A name for the files of each image: its own, numbered where another has it, and never that of an image given."""
    given = {image.resolve() for image in images}

    def overwrites(stem: str) -> bool:
        return any((folder / f"{stem}{suffix}").resolve() in given for suffix in (".png", ".npz", ".json", ".wav"))

    own = [f"{image.stem}-explained" if overwrites(image.stem) else image.stem for image in images]
    found: dict[str, None] = {}  # in their order
    for stem in own:
        numbered = (each for each in (f"{stem}-{number}" for number in count(2)) if each not in own)
        found[next(each for each in chain([stem], numbered) if each not in found and not overwrites(each))] = None
    return list(found)


def _is_whole(path: Path) -> bool:
    """Whether a file holds an explanation that was not cut short."""
    try:
        return load(path).notes.get("stopped") not in CUT_SHORT
    except (StoreError, OSError):
        return False


def _row(found: Explanation, names: Sequence[str] | None) -> list[str]:
    known = found.names if names is None else dict(enumerate(names))

    def name(index: int) -> str:
        return printable(known.get(index, "")) or str(index)

    what = kind(found.target)
    if what == "own" or (what == "tokens" and "texts" in found.target):
        what = printable(title(found.target))
    target = name(found.target) if what == "class" else what
    enough = "nothing decides" if found.flat else f"{found.enough()} of {found.n}"
    return [
        printable(Path(found.id or "").name), target, name(found.said) if found.said >= 0 else "-",
        f"{found.insertion_auc:.3f}", f"{found.deletion_auc:.3f}", f"{found.highest_confidence():.3f}", enough,
        str(found.evaluations),
    ]  # fmt: skip
