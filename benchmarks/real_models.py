"""Real networks on real photographs, words, voices and texts, explained with the defaults: one row an explanation.

    make models                                                # what they are is fetched, once
    python benchmarks/real_models.py run [--only NanoDet ...]  # twenty minutes; resumes
    python benchmarks/real_models.py report                    # the table, into docs/models.md
    python benchmarks/real_models.py pictures                  # two of docs/pictures

Rows go to benchmarks/results/real_models.csv. Needs pip install 'pysmdl[demo,onnx]', transformers, scikit-image, SciPy.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pysmdl
from pysmdl.targets import title

from real import dinov2, faces, lite0, nanodet, pictures, topics, voices, whisper, words
from real.files import scikit, there
from recording import append, commit, rows

HOME = Path(__file__).parent
RESULTS = HOME / "results" / "real_models.csv"
PAGE = HOME.parent / "docs" / "models.md"
MARKED = re.compile(r"(<!-- table: real weights -->\n).*?(<!-- end -->)", re.DOTALL)
FIELDS = (
    "model", "input", "answer", "score", "n", "insertion_auc", "deletion_auc", "difference", "evaluations", "seconds",
    "commit",
)  # fmt: skip
TEXTS = {
    "sport": "The keeper saved the penalty and his team won the cup",
    "politics": "The senate passed the budget after a long debate",
    "cooking": "Simmer the onions gently until the sauce thickens",
    "astronomy": "The telescope found a faint comet beyond Jupiter",
}


@dataclass
class Case:
    """One thing to explain: what it is called, what is given to explain(), and what the model says of it."""

    input: str
    given: Any
    scorer: pysmdl.scorers.Scorer
    answer: str | None = None  # None: by the explanation's own words
    target: Any = None
    settings: dict[str, Any] = field(default_factory=lambda: {"regions": "slico:49", "baseline": "black"})


def photographs(scorer: pysmdl.scorers.Scorer, *paths: Path) -> Iterator[Case]:
    yield from (Case(path.stem, path, scorer) for path in paths)


def lite0_torch() -> Iterator[Case]:
    yield from photographs(lite0.scorer(), scikit("coffee.png"), scikit("chelsea.png"))


def lite0_onnx() -> Iterator[Case]:
    yield from photographs(
        lite0.exported(), scikit("coffee.png"), scikit("chelsea.png"), scikit("rocket.jpg"),
        there("photos/squirrel_cls.jpg"), there("photos/baboon.jpg"), there("photos/fruits.jpg"),
    )  # fmt: skip


def centerface() -> Iterator[Case]:
    yield from photographs(faces.scorer(), scikit("astronaut.png"), there("photos/messi5.jpg"))


def nanodet_() -> Iterator[Case]:
    found = there("photos/quokka.jpg"), scikit("motorcycle_left.png"), there("photos/messi5.jpg")
    yield from photographs(nanodet.scorer(), *found)


def pp_ocr() -> Iterator[Case]:
    reader = words.Reader()
    for number in range(1, 5):
        picture = there(f"photos/scenetext_word0{number}.jpg")
        scorer = reader.scorer(picture)
        said = reader.read(scorer, picture)
        settings = {"regions": words.strips(scorer, 12), "baseline": "black"}
        target = pysmdl.Tokens(*zip(*said, strict=True))
        yield Case(picture.stem, picture, scorer, reader.text(said), target, settings)


def whisper_() -> Iterator[Case]:
    net = whisper.Whisper()
    for clip in ("Front_Center", "Rear_Right"):
        path = there(f"voices/{clip}.wav")
        mel = net.spectrogram(path)
        said = net.hear(mel)
        for word, target in net.words(said):
            settings = {"regions": net.spans(path), "baseline": float(mel.min()), "evaluations": 110}
            yield Case(f"{clip}: {word}", mel, net.scorer(said), net.text(said), target, settings)


def silero() -> Iterator[Case]:
    silero = voices.Silero()
    for clip in ("Front_Center", "Rear_Left"):
        wave = voices.waveform(there(f"voices/{clip}.wav"))
        settings = {"regions": silero.spans(wave), "baseline": 0.0}
        yield Case(clip, wave, silero.scorer(), "speech", None, settings)


def minilm() -> Iterator[Case]:
    encoder = topics.MiniLM()
    scorer = encoder.scorer([f"a text about {topic}" for topic in TEXTS])
    for text in TEXTS.values():
        settings = {"regions": encoder.words(text)[0], "baseline": topics.PADDING}
        yield Case(text, encoder.ids(text), scorer, None, None, settings)


def dinov2_() -> Iterator[Case]:
    paths = [scikit("chelsea.png"), scikit("coffee.png"), scikit("rocket.jpg"), there("photos/baboon.jpg")]
    scorer = dinov2.scorer(paths)
    scorer.names = tuple(path.stem for path in paths)
    for path in paths[:2]:
        yield Case(path.stem, path, scorer, None, None, {"regions": "slico:49"})


MODELS: dict[str, Callable[[], Iterator[Case]]] = {
    "EfficientNet-Lite0": lite0_torch,
    "EfficientNet-Lite0, ONNX": lite0_onnx,
    "CenterFace": centerface,
    "NanoDet": nanodet_,
    "PP-OCR": pp_ocr,
    "Whisper tiny.en": whisper_,
    "Silero": silero,
    "MiniLM": minilm,
    "DINOv2-small, tokens dropped": dinov2_,
}


def run(models: list[str]) -> None:
    done = {(row["model"], row["input"]) for row in rows(RESULTS)}
    for model in models:
        for case in MODELS[model]():
            if (model, case.input) not in done:
                began = time.perf_counter()
                found = pysmdl.explain(case.given, case.scorer, case.target, progress=False, **case.settings)
                keep(model, case, found, time.perf_counter() - began)


def keep(model: str, case: Case, found: pysmdl.Explanation, seconds: float) -> None:
    row = {
        "model": model, "input": case.input, "answer": case.answer or title(found.target, found.names), "n": found.n,
        "score": f"{found.insertion[-1]:.4f}", "evaluations": found.evaluations, "seconds": f"{seconds:.1f}",
        "insertion_auc": f"{found.insertion_auc:.6f}", "deletion_auc": f"{found.deletion_auc:.6f}",
        "difference": f"{found.insertion_auc - found.deletion_auc:.6f}", "commit": commit(),
    }  # fmt: skip
    append(RESULTS, FIELDS, row)
    print(*row.values(), sep=", ", flush=True)


def report() -> Iterator[str]:
    """The table, a line each."""
    yield "| model | input | answer | its score | regions | insertion - deletion | rows | seconds |"
    yield "|" + " --- |" * 8
    order = list(MODELS)
    for row in sorted(rows(RESULTS), key=lambda row: order.index(row["model"])):
        cells = (
            row["model"], row["input"].replace("_", " "), row["answer"], f"{float(row['score']):.2f}", row["n"],
            f"{float(row['difference']):.3f}", row["evaluations"], f"{float(row['seconds']):.0f}",
        )  # fmt: skip
        yield "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run").add_argument("--only", nargs="+", choices=list(MODELS), default=list(MODELS))
    commands.add_parser("report")
    commands.add_parser("pictures")
    chosen = parser.parse_args()
    if chosen.command == "run":
        run(chosen.only)
    elif chosen.command == "pictures":
        pictures.quokka()
        pictures.misheard()
    else:
        table = "\n".join(report())
        PAGE.write_text(MARKED.sub(lambda found: f"{found[1]}{table}\n{found[2]}", PAGE.read_text()))


if __name__ == "__main__":
    main()
