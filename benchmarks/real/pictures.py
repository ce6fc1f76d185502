"""Two pictures of docs/pictures: why a quokka is a cat to NanoDet, and why "Rear Right" is "We're right" to Whisper."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import pysmdl
from pysmdl.explanation.plotting.palette import colours

from real import nanodet
from real.files import there
from real.whisper import Whisper

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
SAID = 30144  # Whisper's token of "Rear"
SHOWN = 1.6  # seconds of the clip


def quokka() -> None:
    """Maps of the box as a cat and as a bear, in one scale."""
    photograph, scorer = there("photos/quokka.jpg"), nanodet.scorer()
    found = {each.name: each for each in scorer.detections(photograph, 0.3)}
    explained = [
        pysmdl.explain(photograph, scorer, found[name].box, regions="slico:49", progress=False)
        for name in ("cat", "bear")
    ]
    titles = ["NanoDet takes the quokka for a cat", "and nearly as much for a bear"]
    save(pysmdl.plot(explained, titles=titles), "quokka.png")


def misheard() -> None:
    """The spectrogram of a clip, and below it what each tenth of a second adds to three words."""
    whisper, clip = Whisper(), there("voices/Rear_Right.wav")
    mel, regions = whisper.spectrogram(clip), whisper.spans(clip)
    said = whisper.hear(mel)
    (first, heard), (second, rest) = whisper.words(said)
    words = {f"“{first}”": heard, "“Rear”": pysmdl.Tokens([0], [SAID]), f"“{second}”": rest}
    settings: dict[str, Any] = {"regions": regions, "baseline": float(mel.min()), "evaluations": 110}
    found = {
        word: pysmdl.explain(mel, whisper.scorer(said), target, progress=False, **settings)
        for word, target in words.items()
    }
    title = f"The clip says “Rear Right”, Whisper tiny.en hears “{whisper.text(said)}”"
    for tenth in found[f"“{first}”"].order.tolist():
        without = mel.masked_fill(torch.from_numpy(regions == tenth), float(mel.min()))
        text = whisper.text(whisper.hear(without))
        if first not in text:
            break
    note = f"silence in this tenth alone,\nand it hears “{text}”"
    save(spectrogram(mel[0].numpy(), found, title, (tenth, note)), "misheard.png")


def spectrogram(mel: NDArray[Any], found: dict[str, pysmdl.Explanation], title: str, marked: tuple[int, str]) -> Any:
    """A figure: the log mel spectrogram over time, a row of tinted tenths of a second for each word."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.2), dpi=110, layout="constrained")
    above, *below = figure.subplots(1 + len(found), 1, sharex=True, height_ratios=[5] + [0.9] * len(found))
    above.imshow(mel[:, : int(SHOWN * 100)], origin="lower", aspect="auto", cmap="gray_r", extent=(0, SHOWN, 0, 80))
    above.set_ylabel("mel band")
    above.set_title(title, fontsize=13, parse_math=False)
    start, note = marked[0] / 10, marked[1]
    above.axvspan(start, start + 0.1, facecolor="none", edgecolor="#b23a00", linewidth=2)
    above.annotate(note, (start + 0.1, 66), (start + 0.35, 66), fontsize=10, color="#b23a00", va="center",
                   arrowprops={"arrowstyle": "->", "color": "#b23a00"}, parse_math=False,
                   bbox={"facecolor": "white", "edgecolor": "none"})  # fmt: skip
    most = max(float(np.abs(each.values()).max()) for each in found.values())
    for axes, (word, each) in zip(below, found.items(), strict=True):
        values = each.values()
        axes.imshow(values[None], aspect="auto", cmap=colours(True), vmin=-most, vmax=most,
                    extent=(0, each.n / 10, 0, 1))  # fmt: skip
        for place, region in enumerate(each.order[:3].tolist(), 1):
            axes.text(region / 10 + 0.05, 0.5, str(place), ha="center", va="center", fontweight="bold")
        axes.set_yticks([])
        axes.set_ylabel(f"{word}\n{each.insertion[-1]:.2f}", rotation=0, ha="right", va="center", fontsize=11)
    below[-1].set_xlabel("seconds; orange: this tenth speaks for the word, blue: against it; numbers: the order")
    return figure


def save(figure: Any, name: str) -> None:
    """As a PNG of at most 255 colours."""
    content = BytesIO()
    figure.savefig(content, dpi=110)
    picture = Image.open(content).convert("RGB")
    picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=255).save(PICTURES / name, optimize=True)
