"""The main job on what is at hand: photographs and scenes that are read right and wrong, and a detected face."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from pysmdl import builtin, disk
from pysmdl.api import explain, explain_many
from pysmdl.builtin.haar import portrait
from pysmdl.cli.console import printable, tell
from pysmdl.cli.results import picture
from pysmdl.errors import MissingPackageError
from pysmdl.explanation import Explanation, files
from pysmdl.reporting import report
from pysmdl.scorers import Scorer
from pysmdl.targets import Box

FACE = (39, 31, 90, 82)  # where the cascade finds the face on the portrait at 128 x 128

# Of scikit-image, each with the class of ImageNet that is on it, or None where there is no such class.
PHOTOGRAPHS = {"coffee": "espresso", "camera": "tripod", "rocket": "missile", "chelsea": "tabby", "astronaut": None}

SYSTEMS: dict[str, dict[str, Any]] = {  # what explains the scenes that are read wrong, beside the default
    "SMDL": {"preset": "smdl"},
    "LiMA": {"preset": "lima"},
}
COLUMNS = ("image", "shows", "read as", "system", "enough", "insertion", "deletion", "rows")


@dataclass
class Findings:
    """What a demo has found so far.

    Attributes:
        folder: Where pictures and arrays go.
        table: A row for each explanation.
        stories: What there is to say in words.
        explanations: All of them, in the order of the rows.
    """

    folder: Path
    table: Table = field(default_factory=lambda: Table(*COLUMNS, title="which regions decide?"))
    stories: list[str] = field(default_factory=list)
    explanations: list[Explanation] = field(default_factory=list)

    def keep(self, found: Explanation, stem: str, shows: str, system: str) -> None:
        """Save picture and arrays, add the row; one whose answer is not what the image shows stands out."""
        file = f"{stem}-{system.lower()}"
        kind, said = ("row", "-") if found.predicted is None else ("mistake", _said(found))
        drawn = {f"{file}.png": picture(found, kind=kind, dpi=130), f"{file}.npz": files.packed(found)}
        disk.write_together(self.folder, drawn)
        self.table.add_row(
            stem, shows, said, system, f"{found.enough()} of {found.n}", f"{found.insertion_auc:.3f}",
            f"{found.deletion_auc:.3f}", str(found.evaluations), style=None if said in ("-", shows) else "yellow",
        )  # fmt: skip
        self.explanations.append(found)


def run(folder: Path, out: Console) -> None:
    """Explain photographs, scenes and a face towards what they show; save pictures, print what was found."""
    disk.ready(folder)
    findings, began = Findings(folder), time.perf_counter()
    for name, part in (("photographs", _photographs), ("scenes", _scenes), ("portrait, VPS", _face)):
        try:
            part(findings)
            findings.table.add_section()
        except ImportError as missing:  # their models come with extras
            findings.stories.append(f"{name}: left out; {missing}")
    seconds, count = time.perf_counter() - began, len(findings.explanations)
    tell(findings.table, out)
    out.print('"enough": the first regions that alone get, but for 0.02, what the whole image gets of what it shows;')
    out.print("where that is little, the most that any of the first regions get\n")
    for story in findings.stories:
        out.print(story)
    where = printable(folder)
    out.print(f"\n{count} explanations in {seconds:.1f} s; pictures and arrays are in {where}/")
    page = _page(findings)
    if page is not None:
        out.print(f"open {printable(page)} in a browser to see each of them region by region", soft_wrap=True)


def _page(findings: Findings) -> Path | None:
    """The report of all; none where Jinja2, which it is written with, is missing."""
    path = findings.folder / "report.html"
    try:
        report(findings.explanations, path, title="What made these models decide")
    except MissingPackageError:
        return None
    return path


def _photographs(findings: Findings) -> None:
    """Real ones, read by EfficientNet-Lite0, explained as everybody's are who gives no setting."""
    import skimage.data

    model = builtin.load("imagenet")
    items = [
        {"image": getattr(skimage.data, stem)(), "target": shows, "id": stem} for stem, shows in PHOTOGRAPHS.items()
    ]
    shown = {stem: shows or "no class of ImageNet" for stem, shows in PHOTOGRAPHS.items()}
    _classes(findings, model, items, shown, "default", {})


def _scenes(findings: Findings) -> None:
    """The scenes that ship, towards the digit that is written there; those read wrong by the published systems too."""
    model, scenes = builtin.load("digits"), builtin.images()
    shown = {Path(scene["file"]).stem: str(scene["truth"]) for scene in scenes}
    items = [{"image": each["path"], "target": each["truth"], "id": Path(each["file"]).stem} for each in scenes]
    wrong = _classes(findings, model, items, shown, "default", {})
    for system, settings in SYSTEMS.items():
        _classes(findings, model, [item for item in items if item["id"] in wrong], shown, system, settings)


def _classes(
    findings: Findings,
    model: Scorer,
    items: Iterable[Any],
    shown: dict[str, str],
    system: str,
    settings: dict[str, Any],
) -> set[str]:
    """Explain images of a classifier, a row each, and tell of those read wrong; returns which these are."""
    wrong = set()
    for found in explain_many(items, model, trace=["predicted"], ordered=True, **settings):
        stem = found.id or ""
        findings.keep(found, stem, shown[stem], system)
        if _said(found) != shown[stem]:
            wrong.add(stem)
            findings.stories.append(_story(found, f"{stem}, {system}"))
    return wrong


def _face(findings: Findings) -> None:
    """The portrait's row, and what there is to say of it."""
    face = explain_face()
    findings.keep(face, "portrait", "a face", "VPS")
    kept, removed = face.reading["iou"]
    seen, lost = int(np.argmax(kept > 0.5)), int(np.argmax(removed <= 0.5))
    findings.stories.append(
        f"portrait, VPS: OpenCV's Haar cascade, a black box without gradients, finds the face once {seen} of "
        f"{face.n} regions are shown, and loses it once {lost} of them {'is' if lost == 1 else 'are'} hidden"
    )


def explain_face() -> Explanation:
    """Why OpenCV's Haar cascade finds a face in scikit-image's portrait: forward-backward, evaluations capped."""
    return explain(
        portrait(), builtin.load("haar-face"), Box(FACE, labels=0),
        regions="slico:36", baseline="mean", search="forward_backward", evaluations=1500,
    )  # fmt: skip


def _said(found: Explanation) -> str:
    """What the model reads on the whole image."""
    return found.names[found.said]


def _story(found: Explanation, who: str) -> str:
    """What a wrong prediction turns on: how few regions alone give the right answer, or the wrong one."""
    assert found.predicted is not None
    said, target = _said(found), found.names[found.target]
    gives = np.flatnonzero(found.predicted[0] == found.target)
    if len(gives) == 0:
        return f"{who}: no set of its first regions makes the model read {target} instead of {said}"
    few = int(gives[0])
    first = f"the first {few} of its {found.n} regions" if few > 1 else f"the first of its {found.n} regions"
    alone = first if few else f"none of its {found.n} regions"
    if said == target:
        return f"{who}: shows nothing that the model knows; shown only {alone} it is read as {said}"
    hidden = 100 * (1 - found.area[few])
    return (
        f"{who}: read as {said}, but shown only {alone} the model reads {target}: the other {hidden:.0f} % of the "
        "picture misled it"
    )
