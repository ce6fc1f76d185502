"""What does each search find for a share of exact's evaluations? Four small models and four real ones, to the row.

    python benchmarks/share_study.py [--model NAME ...] [--search NAME ...] [--share 0.1 ...] [--anew]  # hours; resumes
    python benchmarks/search_study.py report        # docs/searches.md's tables and plots

One row an explanation goes to benchmarks/results/share_study.csv, the last of its kind counts: with --anew what another
commit has done is done again. Seconds are one core's CPU time as if nothing were remembered: the search's own, and what
a row of the model takes. The real models need make models, pip install 'pysmdl[demo,onnx]', transformers, scikit-image.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

import pysmdl
from pysmdl import methods, search
from pysmdl.regions import slico

from photo_study import photographs
from real import dinov2, lite0, nanodet, words
from real.files import scikit, there
from real_models import Case, pp_ocr
from recording import append, commit
from remembered import Remembered
from share_tables import WINDOW, Key, Row, latest
from study_models import MODELS as SMALL

RESULTS = Path(__file__).parent / "results" / "share_study.csv"
SHARES = ("", WINDOW, "0.05", "0.1", "0.2", "0.38", "1.0")
METHODS = ("rise", "lime", "kernel_shap", "sobol", "hsic")
SEARCHES = ("exact", "backward", "bidirectional", "scoped", "lazy", "phase_window", "guided")
REAL = {  # regions, and the papers' presets
    "EfficientNet-Lite0": (49, ("smdl", "lima")),
    "EfficientNet-Lite0, other photographs": (49, ()),  # never used for a choice
    "NanoDet": (25, ("vps", "vps-grounding")),
    "PP-OCR": (24, ("eagle", "eagle-scoped")),
    "DINOv2-small, tokens dropped": (25, ("smdl", "lima")),
}
OTHERS = (
    "quokka.jpg", "plant.jpg", "aloeL.jpg", "board.jpg", "building.jpg", "butterfly.jpg", "leuvenA.jpg", "stuff.jpg",
    "left.jpg", "smarties.png", "000.jpg", "001.jpg", "002.jpg",
)  # fmt: skip
FIELDS = (
    "model", "regions", "input", "n", "search", "share", "evaluations", "insertion_auc", "deletion_auc", "difference",
    "own_seconds", "row_seconds", "commit",
)  # fmt: skip


def cases(model: str, regions: int) -> Iterator[Case]:
    """The inputs of a model, divided into about so many regions, a word's picture into strips."""
    if model in SMALL:
        small = SMALL[model]
        for i, scene in enumerate(small.scenes(8)):
            settings = {"regions": slico(scene.image, regions), "baseline": small.baseline, "seed": i}
            yield Case(str(i), scene.image, small.scoring(small.forward), None, small.target(scene), settings)
    elif model == "PP-OCR":
        for case in pp_ocr():
            yield replace(case, settings={**case.settings, "regions": words.strips(case.scorer, regions)})
    else:
        for path, scorer in PHOTOGRAPHS[model]():
            yield Case(path.stem, path, scorer, None, None, {"regions": f"slico:{regions}"})  # black where it paints


def _lite0() -> Iterator[tuple[Path, pysmdl.scorers.Scorer]]:
    for path in photographs(None):
        yield path, lite0.exported()


def _others() -> Iterator[tuple[Path, pysmdl.scorers.Scorer]]:
    for path in (scikit("astronaut.png"), *(there(f"photos/{name}") for name in OTHERS)):
        yield path, lite0.exported()


def _nanodet() -> Iterator[tuple[Path, pysmdl.scorers.Scorer]]:
    seen = (there("photos/quokka.jpg"), scikit("motorcycle_left.png"), there("photos/messi5.jpg"),
            scikit("astronaut.png"), scikit("chelsea.png"), scikit("coffee.png"), there("photos/000.jpg"),
            there("photos/chicky_512.png"))  # fmt: skip
    for path in seen:
        yield path, nanodet.scorer(nanodet.onnx_file())


def _dinov2() -> Iterator[tuple[Path, pysmdl.scorers.Scorer]]:
    paths = [scikit("chelsea.png"), scikit("coffee.png"), scikit("rocket.jpg"), there("photos/baboon.jpg")]
    for path in paths:
        yield path, dinov2.scorer(paths)


PHOTOGRAPHS = {
    "EfficientNet-Lite0": _lite0,
    "EfficientNet-Lite0, other photographs": _others,
    "NanoDet": _nanodet,
    "DINOv2-small, tokens dropped": _dinov2,
}


def settings_of(name: str) -> dict[str, Any]:
    """A search or method with equal weights of both views, or a paper's preset."""
    found: Any = (search.SEARCHES | methods.METHODS).get(name)
    return {"preset": name} if found is None else {"search": found()}


def sensible(name: str, share: str) -> bool:
    """Whether a search is run for a share of the rows, "" as many as it takes itself."""
    if name in METHODS or name == "guided":
        return share != ""
    return share == "" or (name in SEARCHES and share not in (WINDOW, "1.0"))


def run(model: str, regions: int, searches: list[str], shares: list[str], inputs: int, anew: bool) -> None:
    known = latest()
    done = {wanted for wanted, row in known.items() if not anew or row["commit"] == commit()}
    for case in islice(cases(model, regions), inputs):
        memory = Remembered(case.scorer)
        for share in shares:
            for name in (name for name in searches if sensible(name, share)):
                wanted = (model, str(regions), case.input, name, share)
                if wanted not in done and (found := measured(case, memory, name, share, known, wanted)):
                    known[wanted] = found
                    append(RESULTS, FIELDS, found)
                    print(*found.values(), sep=", ", flush=True)


def measured(case: Case, memory: Remembered, name: str, share: str, known: dict[Key, Row], wanted: Key) -> Row | None:
    """The row of an explanation; None where so small a share is not enough for any order."""
    evaluations = None
    if share:
        window = known[(*wanted[:3], WINDOW, "")]  # says how many regions there are
        n = int(window["n"])
        evaluations = int(window["evaluations"]) if share == WINDOW else round(float(share) * n * (n + 1))
        if evaluations < 2 * n + 40:
            return None
    outside = time.process_time() - memory.inside
    try:
        found = pysmdl.explain(
            case.given, case.scorer, case.target, evaluations=evaluations, progress=False,
            **case.settings, **settings_of(name),
        )  # fmt: skip
    except ValueError:  # a method that needs more
        if not share:
            raise
        return None
    own = time.process_time() - memory.inside - outside
    values = (
        *wanted[:3], found.n, name, share, found.evaluations, f"{found.insertion_auc:.6f}", f"{found.deletion_auc:.6f}",
        f"{found.insertion_auc - found.deletion_auc:.6f}", f"{own:.3f}", f"{memory.row:.6f}", commit(),
    )  # fmt: skip
    return dict(zip(FIELDS, map(str, values), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", choices=[*SMALL, *REAL], default=[*SMALL, *REAL])
    parser.add_argument("--regions", type=int, help="36 for the small models, what it has here for a real one")
    parser.add_argument("--search", nargs="+", help="all, and a real model's presets")
    parser.add_argument("--share", nargs="+", default=SHARES)
    parser.add_argument("--inputs", type=int)
    parser.add_argument("--anew", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for model in chosen.model:
        regions, presets = REAL.get(model, (36, ()))
        searches = chosen.search or [*SEARCHES, *METHODS, *presets]
        run(model, chosen.regions or regions, searches, chosen.share, chosen.inputs, chosen.anew)


if __name__ == "__main__":
    main()
