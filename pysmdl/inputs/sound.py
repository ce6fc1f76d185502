"""Sound as an input: WAV by itself, FLAC and the rest by soundfile; one channel, at the model's rate."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from math import gcd
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from pysmdl.checks import as_array
from pysmdl.errors import ImageError, MissingPackageError, number
from pysmdl.inputs.base import Input
from pysmdl.inputs.image import InputSpec
from pysmdl.types import Floats

ENDINGS = (
    ".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64",
    ".rf64", ".m4a", ".aac", ".wma",
)  # fmt: skip
HELD = {"array", "sampling_rate"}  # as Hugging Face's data sets have sounds
DECODES = "get_all_samples"  # of what these data sets have in their newer versions
CHANNELS = 8
SAMPLES = (np.int16, np.int32, np.float16, np.float32, np.float64)
MAGIC = re.compile(rb"RIFF....WAVE|fLaC|OggS|ID3|FORM....AIF[FC]|\.snd|\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff]", re.DOTALL)


class SoundReader:
    """Sounds as files have them: paths, dicts of array and sampling_rate, decoders of Hugging Face's data sets, NumPy
    arrays of several channels [C, N] or [N, C]. The model is given a signal [N] in -1..1, the mean of the channels.
    """

    def takes(self, given: Any) -> bool:
        if isinstance(given, Mapping):
            return set(given) >= HELD
        if isinstance(given, np.ndarray):
            return given.ndim == 2 and given.dtype in SAMPLES and _channels(given.shape) is not None
        named = isinstance(given, (str, os.PathLike)) and os.fsdecode(given).lower().endswith(ENDINGS)
        return named or callable(getattr(given, DECODES, None))

    def read(self, given: Any, spec: InputSpec, computed: bool) -> Input:
        samples, rate = _samples(given, spec)
        _check(samples, f"the sound {os.fsdecode(given)}" if isinstance(given, (str, os.PathLike)) else "a sound")
        if spec.rate is not None and rate is not None and spec.rate != rate:
            samples, rate = resampled(samples, rate, spec.rate), spec.rate
        shown, known = samples.copy(), None if rate is None else float(rate)
        return Input(
            torch.from_numpy(samples), None, None, modality="sound", shown=shown, rate=known, divided="time:20"
        )

    def lend(self, given: Any) -> tuple[Any, bool]:
        if isinstance(given, np.ndarray):
            return given.copy(), True
        return (given if not isinstance(given, Mapping) else {**given, "array": np.array(given["array"])}), True


def _check(samples: Floats, what: str) -> None:
    """ImageError where these are no finite samples of one channel."""
    if samples.ndim != 1 or not len(samples):
        got = "none" if samples.ndim == 1 else list(samples.shape)
        raise ImageError(f"{what} must hold samples [N], or of {CHANNELS} channels at most [C, N] or [N, C]; got {got}")
    wrong = np.flatnonzero(~np.isfinite(samples))
    if len(wrong):
        raise ImageError(
            f"{what} must hold finite samples; {len(wrong)} are NaN or infinite, the first number {wrong[0]}"
        )


def _samples(given: Any, spec: InputSpec) -> tuple[Floats, int | None]:
    """One channel, and samples a second: an array's are the model's."""
    if isinstance(given, (str, os.PathLike)):
        return load(given)
    if isinstance(given, np.ndarray):
        array, rate = given, spec.rate
    elif isinstance(given, Mapping):
        array, rate = given["array"], int(number("sampling_rate", given["sampling_rate"], least=1))
    else:
        decoded = getattr(given, DECODES)()
        array, rate = decoded.data, int(decoded.sample_rate)
    samples = _from_whole(as_array("array", array, ImageError))
    axis = _channels(samples.shape)
    return (samples if axis is None else samples.mean(axis, dtype=np.float32)), rate


def _channels(shape: Sequence[int]) -> int | None:
    """The axis of the channels, of which there are few and fewer than samples; None where there is none."""
    if len(shape) != 2 or not 0 < min(shape) <= CHANNELS or shape[0] == shape[1]:
        return None
    return 0 if shape[0] < shape[1] else 1


def _from_whole(samples: NDArray[Any]) -> Floats:
    """Samples in -1..1: floats as they are, whole numbers by their width, as files have them; of 8 bits from 128.

    Raises:
        ImageError: whole numbers of another width, which no sound is kept in.
    """
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    if samples.dtype not in (np.uint8, np.int16, np.int32):
        raise ImageError(f"a sound's array must be floats in -1..1, or uint8, int16 or int32; got {samples.dtype}")
    middle, highest = (128, 128) if samples.dtype == np.uint8 else (0, 2.0 ** (8 * samples.itemsize - 1))
    return ((samples.astype(np.float64) - middle) / highest).astype(np.float32)


def load(path: str | os.PathLike[str]) -> tuple[Floats, int]:
    """A sound file as samples in -1..1 [N], the mean of its channels, and their number a second.

    Raises:
        ImageError: there is no such file, or it is damaged.
        MissingPackageError: soundfile is needed for it (``pip install 'pysmdl[audio]'``).
    """
    name = os.fsdecode(path)
    if not Path(name).is_file():
        raise ImageError(f"no sound at {name}")
    return _decoded(name, lambda: open(name, "rb"))


def from_bytes(content: bytes, name: str) -> tuple[Floats, int]:
    """A file's content, as :func:`load` reads the file. Raises likewise; `name` says what it was."""
    return _decoded(name, lambda: BytesIO(content))


def is_sound(content: bytes) -> bool:
    """Whether a file's content begins as a sound's does."""
    return MAGIC.match(content) is not None


def _decoded(name: str, open_file: Callable[[], BinaryIO]) -> tuple[Floats, int]:
    with open_file() as file:
        found = _wave(file) if file.read(4) == b"RIFF" else None
    if found is not None:
        return found
    try:
        import soundfile
    except ImportError:
        raise MissingPackageError(f"{name} needs soundfile: pip install 'pysmdl[audio]'") from None
    try:
        with open_file() as file:
            samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except (RuntimeError, OSError) as error:
        raise ImageError(f"{name} is no sound that can be read: {error}") from error
    return np.ascontiguousarray(samples.mean(1)), int(rate)


def _wave(content: BinaryIO) -> tuple[Floats, int] | None:
    """Whole numbers of 8 to 32 bits; None of floats, and of what is compressed."""
    import wave  # when there is a sound: a model of somebody's may have that name

    content.seek(0)
    try:
        with wave.open(content, "rb") as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            raw = np.frombuffer(file.readframes(file.getnframes()), np.uint8)
    except (wave.Error, EOFError):
        return None
    raw = raw[: len(raw) // (width * channels) * width * channels].reshape(-1, width)
    if width == 1:
        values = (raw[:, 0].astype(np.int32) - 128) << 24
    else:
        padded = np.zeros((len(raw), 4), np.uint8)
        padded[:, 4 - width :] = raw  # the highest bytes of a little-endian number
        values = padded.view("<i4")[:, 0]
    samples: Floats = (values.reshape(-1, channels).mean(1) / 2.0**31).astype(np.float32)
    return samples, rate


def resampled(samples: NDArray[Any], rate: int, wanted: int) -> Floats:
    """The same sound at another rate, by a polyphase filter."""
    from scipy.signal import resample_poly

    common = gcd(rate, wanted)
    found: Floats = resample_poly(samples, wanted // common, rate // common).astype(np.float32)
    return found


def wav(samples: NDArray[Any], rate: float) -> bytes:
    """Samples in -1..1 [N] as a WAV file of 16 bits, for a player; louder ones are scaled to fit."""
    import wave

    loudest = max(1.0, float(np.abs(samples).max(initial=0)))
    buffer = BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(round(rate))
        file.writeframes((samples / loudest * 32767).round().astype("<i2").tobytes())
    return buffer.getvalue()
