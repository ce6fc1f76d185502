"""The main job on what ships with pysmdl: right and wrong predictions by SMDL and LiMA, a detected face by VPS."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from pysmdl import builtin, disk
from pysmdl.api import explain, explain_many
from pysmdl.builtin.haar import portrait
from pysmdl.cli.console import printable
from pysmdl.cli.results import picture
from pysmdl.explanation import Explanation, files
from pysmdl.objective.presets import lima, smdl
from pysmdl.targets import Box

FACE = (39, 31, 90, 82)  # where the cascade finds the face on the portrait at 128 x 128

SYSTEMS: dict[str, dict[str, Any]] = {
    "SMDL": {"objective": smdl(), "search": "exact"},
    "LiMA": {"objective": lima(), "search": "bidirectional"},
}


def run(folder: Path, out: Console) -> None:
    """Explain every shipped scene towards the digit that is written there; save pictures, print what was found."""
    disk.ready(folder)
    columns = ("scene", "written", "read as", "system", "enough", "insertion", "deletion", "rows")
    table = Table(*columns, title="which regions decide?")
    began = time.perf_counter()
    stories = _scenes(folder, table)
    table.add_section()
    try:
        stories.append(_face(folder, table))
    except ImportError as missing:  # OpenCV is an extra
        stories.append(f"portrait, VPS: left out; {missing}")
    seconds = time.perf_counter() - began
    out.print(table)
    out.print('"enough": regions that alone bring the target\'s score within 0.02 of the highest it reaches\n')
    for story in stories:
        out.print(story)
    out.print(f"\n{table.row_count} explanations in {seconds:.1f} s; pictures and arrays are in {printable(folder)}/")


def _scenes(folder: Path, table: Table) -> list[str]:
    """Each scene by each system, a row each; returns what there is to say of those read wrong."""
    scenes, model = builtin.images(), builtin.load("digits")
    stories = []
    for system, settings in SYSTEMS.items():
        items = [{"image": scene["path"], "target": scene["truth"], "id": scene["file"]} for scene in scenes]
        for found in explain_many(items, model, trace=["predicted"], ordered=True, **settings):
            stem = Path(found.id or "").stem
            _save(found, folder, f"{stem}-{system.lower()}", builtin.CLASS_NAMES)
            said, best = _said(found), found.enough()
            table.add_row(
                stem, str(found.target), str(said), system, f"{best} of {found.n}", f"{found.insertion_auc:.3f}",
                f"{found.deletion_auc:.3f}", str(found.evaluations), style=None if said == found.target else "yellow",
            )  # fmt: skip
            if said != found.target:
                stories.append(_story(found, stem, system))
    return stories


def _face(folder: Path, table: Table) -> str:
    """The portrait's row, and what there is to say of it."""
    face = explain_face(folder)
    table.add_row(
        "portrait", "a face", "-", "VPS", f"{face.enough()} of {face.n}", f"{face.insertion_auc:.3f}",
        f"{face.deletion_auc:.3f}", str(face.evaluations),
    )  # fmt: skip
    kept, removed = face.reading["iou"]
    seen, lost = int(np.argmax(kept > 0.5)), int(np.argmax(removed <= 0.5))
    return (
        f"portrait, VPS: OpenCV's Haar cascade, a black box without gradients, finds the face once {seen} of "
        f"{face.n} regions are shown, and loses it once {lost} of them are hidden"
    )


def explain_face(folder: Path) -> Explanation:
    """Why OpenCV's Haar cascade finds a face in scikit-image's portrait: forward-backward, evaluations capped."""
    picture, model = portrait(), builtin.load("haar-face")
    box = Box(FACE, labels=0)
    found = explain(
        picture, model, box, regions="slico:36", baseline="mean", search="forward_backward", evaluations=1500
    )
    _save(found, folder, "portrait-vps")
    return found


def _save(found: Explanation, folder: Path, stem: str, names: Sequence[str] | None = None) -> None:
    """Picture and arrays."""
    drawn = {f"{stem}.png": picture(found, dpi=130), f"{stem}.npz": files.packed(found)}
    disk.write_together(folder, drawn)


def _said(found: Explanation) -> int:
    assert found.predicted is not None
    return int(found.predicted[1, 0])


def _story(found: Explanation, stem: str, system: str) -> str:
    """What the wrong prediction turns on: how few regions alone give the right answer."""
    assert found.predicted is not None
    right = np.flatnonzero(found.predicted[0] == found.target)
    said = _said(found)
    if len(right) == 0:
        return f"{stem}, {system}: no set of its first regions makes the model read {found.target} instead of {said}"
    few = int(right[0])
    hidden = 100 * (1 - found.area[few])
    return (
        f"{stem}, {system}: read as {said}, but shown only its first {few} of {found.n} regions the model reads "
        f"{found.target}: the other {hidden:.0f} % of the picture misled it"
    )
