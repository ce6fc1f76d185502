"""How good are the orders on a real network? EfficientNet-Lite0 on 13 photographs; the defaults on the built-in scenes.

    python benchmarks/photo_study.py photos [--methods guided exact ...] [--folder DIR]     # an hour; resumes
    python benchmarks/photo_study.py scenes                                                 # a minute
    python benchmarks/photo_study.py report                                                 # the tables

One row an explanation goes to benchmarks/results/photo_study.csv. Five photographs are scikit-image's, eight Debian's
(opencv-doc, which is fetched into build/photos); of a folder all are taken. Needs pip install 'pysmdl[demo]'.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import pysmdl
from pysmdl import builtin

from real.fetch import fetch
from real.files import scikit, there
from real.packages import PACKAGES
from recording import append, commit, rows

HOME = Path(__file__).parent
RESULTS = HOME / "results" / "photo_study.csv"
SCIKIT = ("coffee.png", "camera.png", "chelsea.png", "motorcycle_left.png", "rocket.jpg")
DEBIAN = (
    "fruits.jpg", "baboon.jpg", "apple.jpg", "orange.jpg", "squirrel_cls.jpg", "messi5.jpg", "home.jpg",
    "chicky_512.png",
)  # fmt: skip
EQUAL = pysmdl.smdl(confidence=0, effectiveness=0, consistency=1, collaboration=1)
METHODS: dict[str, dict[str, Any]] = {
    "guided": {"objective": EQUAL, "search": "guided"},
    "PhaseWin": {"preset": "phasewin"},
    "exact": {"objective": EQUAL, "search": "exact"},
    "LiMA": {"objective": pysmdl.lima(effectiveness=0), "search": "bidirectional"},
    "bidirectional": {"objective": EQUAL, "search": "bidirectional"},
    "SMDL": {"objective": pysmdl.smdl(), "search": "exact"},
    "backward": {"objective": EQUAL, "search": "backward"},
}
ON_SCENES: dict[str, dict[str, Any]] = {"default": {}, "guided": METHODS["guided"], "exact": METHODS["exact"]}
FIELDS = (
    "images", "image", "method", "n", "explained", "score", "evaluations", "insertion_auc", "deletion_auc",
    "difference", "first_region_in_box", "commit",
)  # fmt: skip


def photographs(folder: Path | None) -> list[Path]:
    """Those of a folder, or the study's own, fetched where they are missing."""
    if folder is not None:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    fetch(next(package for package in PACKAGES if package.name == "opencv-doc"))
    return [scikit(name) for name in SCIKIT] + [there(f"photos/{name}") for name in DEBIAN]


def study_photos(methods: list[str], folder: Path | None) -> None:
    scorer, paths = builtin.load("imagenet"), photographs(folder)
    known = done()
    for method in methods:
        for path in paths:
            if ("photos", path.stem, method) not in known:
                found = pysmdl.explain(
                    path, scorer, regions="slico:49", baseline="black", progress=False, **METHODS[method]
                )
                keep("photos", path.stem, method, found, scorer.names)


def study_scenes() -> None:
    scorer, known = builtin.load("digits"), done()
    for method, settings in ON_SCENES.items():
        for scene in builtin.images():
            if ("scenes", scene["file"], method) not in known:
                found = pysmdl.explain(scene["path"], scorer, progress=False, **settings)
                keep("scenes", scene["file"], method, found, scorer.names, scene["box"])


def keep(images: str, image: str, method: str, found: pysmdl.Explanation, names: Any, box: Any = None) -> None:
    """Append an explanation's row; whether its first region lies in the box where that is known."""
    inside: Any = ""
    if box is not None:
        y, x = np.argwhere(found.labels == found.order[0]).mean(0) + 0.5
        inside = int(box[0] <= x <= box[2] and box[1] <= y <= box[3])
    row = {
        "images": images, "image": image, "method": method, "n": found.n, "explained": names[found.target],
        "score": f"{found.insertion[-1]:.4f}", "evaluations": found.evaluations,
        "insertion_auc": f"{found.insertion_auc:.6f}", "deletion_auc": f"{found.deletion_auc:.6f}",
        "difference": f"{found.insertion_auc - found.deletion_auc:.6f}", "first_region_in_box": inside,
        "commit": commit(),
    }  # fmt: skip
    append(RESULTS, FIELDS, row)
    print(f"{image}, {method}: {row['difference']} with {found.evaluations} rows", flush=True)


def done() -> set[tuple[str, str, str]]:
    return {(row["images"], row["image"], row["method"]) for row in rows(RESULTS)}


def report() -> Iterator[str]:
    """The tables, a line each: means over the images that all methods shown have explained."""
    for images, methods in (("photos", METHODS), ("scenes", ON_SCENES)):
        of = {method: {row["image"]: row for row in rows(RESULTS) if (row["images"], row["method"]) == (images, method)}
              for method in methods}  # fmt: skip
        shown = {method: group for method, group in of.items() if group}
        if not shown:
            continue
        shared = [image for image in next(iter(shown.values())) if all(image in group for group in shown.values())]
        yield f"\n{images}, {len(shared)} that all of these have explained\n"
        yield "| method | rows | share of exact's | insertion | deletion | ins - del | worst | first region in box |"
        yield "|" + " --- |" * 8
        for method, group in shown.items():
            yield line(method, [group[image] for image in shared], [shown.get("exact", {}).get(i) for i in shared])


def line(method: str, group: list[dict[str, str]], exact: list[dict[str, str] | None]) -> str:
    def values(field: str, of: list[Any] = group) -> list[float]:
        return [float(row[field]) for row in of if row]

    shares = np.divide(values("evaluations"), values("evaluations", exact)) if all(exact) and exact else [np.nan]
    inside = values("first_region_in_box") if group and group[0]["first_region_in_box"] else []
    means = [f"{np.mean(values(name)):.3f}" for name in ("insertion_auc", "deletion_auc", "difference")]
    cells = (
        method, f"{np.mean(values('evaluations')):.0f}", f"{np.mean(shares):.0%}", *means,
        f"{min(values('difference')):.3f}", f"{sum(inside):.0f} of {len(inside)}" if inside else "",
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    photos = commands.add_parser("photos")
    photos.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    photos.add_argument("--folder", type=Path)
    commands.add_parser("scenes")
    commands.add_parser("report")
    chosen = parser.parse_args()
    if chosen.command == "photos":
        study_photos(chosen.methods, chosen.folder)
    elif chosen.command == "scenes":
        study_scenes()
    print(*report(), sep="\n")


if __name__ == "__main__":
    main()
