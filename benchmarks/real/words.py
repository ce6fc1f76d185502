"""PP-OCR's reader of words: a picture of one word to a row of characters, which are the tokens of an answer (CTC).

The network gives a distribution over 6,625 characters, the first of them none, at each step along the word; it says a
character where the step before said another. (github.com/PaddlePaddle/PaddleOCR; the file by rapidocr-onnxruntime.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import pysmdl

from real.files import session, there

HEIGHT, NONE = 48, 0  # pixels; the token of no character


def strips(scorer: pysmdl.scorers.Scorer, count: int) -> NDArray[np.int32]:
    """A label map of a word's picture: upright strips, from left to right."""
    width = scorer.input.size[1]
    return np.tile((np.arange(width) * count // width).astype(np.int32), (HEIGHT, 1))


class Reader:
    """The network in its file, and its alphabet. A batch [B, 3, 48, W] to log probabilities [B, T, 6625]."""

    def __init__(self) -> None:
        self._session = session(there("models/pp-ocr/ch_PP-OCRv4_rec_infer.onnx"))
        alphabet = self._session.get_modelmeta().custom_metadata_map["character"].splitlines()
        self.alphabet = ["", *alphabet, " "]

    def __call__(self, batch: Any) -> Tensor:
        (p,) = self._session.run(None, {"x": batch})
        return torch.from_numpy(p).log()

    def scorer(self, picture: Path) -> pysmdl.scorers.Scorer:
        """As pysmdl takes it, for pictures of this one's proportions."""
        with Image.open(picture) as opened:
            width, height = opened.size
        size = HEIGHT, max(HEIGHT, round(HEIGHT * width / height))
        return pysmdl.scorers.tokens(self, mean=0.5, std=0.5, channel_order="bgr", size=size, takes="numpy")

    def read(self, scorer: pysmdl.scorers.Scorer, picture: Path) -> list[tuple[int, int]]:
        """The position and the token of each character that the network reads."""
        x = scorer.input.normalise(scorer.input.grid(pysmdl.inputs.image_files.load(picture)))
        top = scorer.model(x[None])[0].argmax(1).tolist()
        before = [NONE, *top]
        return [(t, token) for t, token in enumerate(top) if token not in (NONE, before[t])]

    def text(self, found: list[tuple[int, int]]) -> str:
        return "".join(self.alphabet[token] for _, token in found)
