"""The documentation's pictures, but for those of real_models.py and of the studies: of what `pysmdl demo` has written,
and of small inputs that are made here. The report's need Chromium.

    pysmdl demo --out demo
    python benchmarks/doc_pictures.py demo
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import pysmdl

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
RATE, PITCHES = 8000, (500, 800, 1100)  # of the sounds, in Hz
KINDS = {"map": 80, "order": 80, "steps": 75, "curves": 80}  # each with its dots an inch


def bursts() -> np.ndarray[Any, Any]:
    """Three tones in noise, one after the other. float32 [16000]."""
    seconds = np.arange(2 * RATE) / RATE
    found = 0.05 * np.random.default_rng(0).normal(size=len(seconds))
    for pitch, at, loud in zip(PITCHES, (0.35, 0.95, 1.6), (0.7, 1.0, 0.9), strict=True):
        found += loud * np.sin(2 * np.pi * pitch * seconds) * np.exp(-(((seconds - at) / 0.1) ** 2))
    return found.astype(np.float32)


def powers(waves: torch.Tensor) -> torch.Tensor:
    """[B, N] to the power at each pitch, [B, 3]."""
    seconds = torch.arange(waves.shape[1]) / RATE
    turns = 2 * torch.pi * torch.tensor(PITCHES)[:, None] * seconds
    parts = waves.unfold(1, 800, 800)
    return sum(
        (parts * each.unfold(1, 800, 800)[:, None]).sum(-1).square().sum(-1).T for each in (turns.sin(), turns.cos())
    )


def sound() -> pysmdl.Explanation:
    """Why 800 Hz: the burst in the middle."""
    scorer = pysmdl.scorers.classifier(lambda waves: powers(waves) / 20000, rate=RATE)
    names = [f"{pitch} Hz" for pitch in PITCHES]
    return pysmdl.explain(bursts(), scorer, 1, players="time:20", names=names, progress=False)


def spectrogram() -> pysmdl.Explanation:
    """The same on its spectrogram, where another tone is louder."""
    wave = torch.from_numpy(bursts())
    heard = torch.stft(wave, 400, 125, window=torch.hann_window(400), return_complex=True).abs()[:80].log1p()
    centres = [round(pitch * 400 / RATE) for pitch in PITCHES]

    def loudest(batch: torch.Tensor) -> torch.Tensor:  # [B, 1, F, T]
        return torch.stack([batch[:, 0, low - 2 : low + 3].mean((1, 2)) for low in centres], 1) * 6

    names = [f"{pitch} Hz" for pitch in PITCHES]
    scorer = pysmdl.scorers.classifier(loudest)
    return pysmdl.explain(heard[None], scorer, 1, players="bands:8x10", names=names, progress=False)


def clip() -> pysmdl.Explanation:
    """A yellow ball that rolls through noise."""
    frames = np.random.default_rng(0).integers(130, 190, (12, 48, 64, 1)).repeat(3, 3).astype(np.uint8)
    y, x = np.mgrid[:48, :64]
    for number, frame in enumerate(frames):
        frame[(y - 28) ** 2 + (x - 8 - 4 * number) ** 2 < 49] = (240, 190, 50)
    yellow = pysmdl.scorers.classifier(
        lambda batch: torch.stack(
            (60 * (batch[:, 0] - batch[:, 2]).clamp_min(0).mean((1, 2, 3)), batch[:, 0, 0, 0, 0] * 0), 1
        )
    )
    return pysmdl.explain(frames, yellow, 0, players="tubes:3x20", names=["ball", "nothing"], progress=False)


def table() -> pysmdl.Explanation:
    """A row of scikit-learn's breast cancer data, of scaled columns."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = load_breast_cancer()
    net = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(data.data, data.target)
    scorer = pysmdl.scorers.table(
        net, data.feature_names, data=data.data, head=pysmdl.heads.log_odds(), names=data.target_names
    )
    return pysmdl.explain(data.data[19], scorer, 1, search="kernel_shap", progress=False)


def several() -> pysmdl.Explanation:
    """A photograph and a text, which have to fit."""
    import skimage.data

    def fits(batch: Any) -> torch.Tensor:
        photo = batch["photo"]  # [B, 3, H, W]
        height, width = photo.shape[2:]
        middle = photo[:, :, height // 4 : 3 * height // 4, width // 4 : 3 * width // 4]
        orange = 4 * (middle[:, 0] - middle[:, 2]).mean((1, 2))
        said = [("orange" in text) / 2 + ("cat" in text) - ("dog" in text) / 2 for text in batch["text"]]
        return orange * torch.tensor(said)

    pair = {"photo": skimage.data.chelsea(), "text": "An orange cat, sleeping beside a dog"}
    return pysmdl.explain(pair, pysmdl.scorers.scalar(fits), players={"photo": "slico:25"}, progress=False)


def save(figure: Any, path: Path, dpi: int = 110) -> None:
    """A figure as PNG."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    small(buffer.getvalue(), path)


def small(png: bytes, path: Path) -> None:
    """Written with 256 colours, one of them white, which paper is."""
    shown = Image.open(BytesIO(png)).convert("RGB")
    if "phone" in path.name:  # which has two points to a pixel
        shown = shown.reduce(2)
    colours = Image.new("P", (1, 1))
    colours.putpalette([255, 255, 255, *shown.quantize(255).getpalette()])
    found = shown.quantize(palette=colours, dither=Image.Dither.FLOYDSTEINBERG)
    white = Image.fromarray((np.asarray(shown) == 255).all(2))
    found.paste(0, mask=white)  # dithered, it would be a shade
    found.save(path, optimize=True)


def pages(demo: Path) -> Iterator[tuple[str, bytes]]:
    """The report, a decision, on a desk and on a phone; an explanation in a notebook."""
    sys.path.insert(0, str(ROOT / "tests"))
    from chromium import Chromium

    with tempfile.TemporaryDirectory() as folder:
        browser = Chromium(Path(folder) / "profile")
        for name, width, height in (("report.png", 1200, 860), ("report-phone.png", 390, 844)):
            browser.open((demo / "report.html").resolve(), width, height)
            browser.click(".card")
            browser.settle()
            yield name, browser.picture()
        notebook = Path(folder) / "notebook.html"
        shown = pysmdl.load(demo / "coffee-default.npz")._repr_html_()
        notebook.write_text(f'<body style="font: 15px sans-serif; margin: 8px">{shown}')
        browser.open(notebook, 1020, 255)
        browser.settle()
        yield "pictures/notebook.png", browser.picture()
        browser.close()


def main(demo: Path) -> None:
    """Draw them all."""
    coffee, chelsea = (pysmdl.load(demo / f"{name}-default.npz") for name in ("coffee", "chelsea"))
    save(coffee.plot(), DOCS / "explanation.png", 75)
    for kind, dpi in KINDS.items():
        save(coffee.plot(kind=kind), DOCS / "pictures" / f"{kind}.png", dpi)
    save(chelsea.plot(kind="mistake"), DOCS / "pictures" / "mistake.png", 85)
    for made in (sound, spectrogram, clip, table, several):
        save(made().plot(), DOCS / "pictures" / f"{made.__name__}.png", 90)
    for name, png in pages(demo):
        small(png, DOCS / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
