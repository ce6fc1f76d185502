"""Voices: eight labelled clips, and Silero, which hears whether anything is said, frame by frame.

Clips of 48 kHz are resampled to 16 kHz. (Debian's alsa-utils; github.com/snakers4/silero-vad.)
"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

import pysmdl

from real import files
from real.files import session, there

RATE = 16000  # a second
FRAME, CONTEXT = 512, 64  # samples of Silero's frames, and of the frame before that it also hears


def clips() -> list[Path]:
    """Each says its own name, "Rear Right"."""
    there("voices/Rear_Right.wav")
    return sorted(path for path in (files.BUILD / "voices").glob("*.wav") if path.stem != "Noise")


def samples(clip: Path) -> NDArray[np.float32]:
    """At 16 kHz, -1 to 1."""
    from scipy.signal import resample_poly

    with wave.open(str(clip)) as file:
        rate, found = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return resample_poly(found / 32768, RATE, rate).astype(np.float32)


def spans(length: int, each: int, whole: int, rows: int) -> NDArray[np.int32]:
    """A label map [rows, whole]: spans of `each` points of time; what comes after `length` is no region."""
    points = np.arange(whole)
    return np.tile(np.where(points < length, points // each, -1).astype(np.int32), (rows, 1))


class Silero:
    """Batch [B, 1, 1, samples] to the probability of speech [B, frames], each frame hearing those before it."""

    def __init__(self) -> None:
        self._session = session(there("models/silero/silero_vad_16k_sequence.onnx"))

    def __call__(self, batch: Any) -> NDArray[np.float32]:
        return np.stack([self._clip(row[0, 0]) for row in batch])

    def _clip(self, row: NDArray[np.float32]) -> NDArray[np.float32]:
        frames = np.lib.stride_tricks.sliding_window_view(np.pad(row, (CONTEXT, 0)), FRAME + CONTEXT)[::FRAME]
        state = np.zeros((1, 1, 128), np.float32)
        return self._session.run(["speech_probs"], {"input": frames, "h": state, "c": state})[0]

    def spans(self, wave: Tensor) -> NDArray[np.int32]:
        """A label map [1, samples] of a clip: three frames each."""
        return spans(wave.shape[2], 3 * FRAME, wave.shape[2], 1)

    def scorer(self) -> pysmdl.scorers.Scorer:
        """As pysmdl takes it: the mean probability over the frames that are speech in the clip as it is."""

        def head(raw: Tensor, reference: Tensor, target: Tensor) -> Tensor:
            speech = (reference > 0.5).float()
            return (raw * speech).sum(1) / speech.sum(1).clamp_min(1)

        return pysmdl.scorers.custom(self, head, decided_at=0.5, mean=0.0, std=1.0, takes="numpy")


def waveform(clip: Path) -> Tensor:
    """A clip as Silero takes it, whole frames: [1, 1, samples]."""
    found = torch.from_numpy(samples(clip))
    return F.pad(found, (0, -len(found) % FRAME))[None, None]
