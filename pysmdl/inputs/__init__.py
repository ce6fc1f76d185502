"""Inputs: what is explained, one module a modality: its content, its tensors, how a person looks at it.

READERS are asked in turn; the last one takes whatever is left and says what is wrong with it. An input of your own is
one more reader: see docs/extending.md.
"""

from __future__ import annotations

from typing import Any

from pysmdl.inputs.base import Input, Reader
from pysmdl.inputs.clips import ClipReader
from pysmdl.inputs.held import HeldReader
from pysmdl.inputs.image import InputSpec, input_spec
from pysmdl.inputs.lazy import Opener
from pysmdl.inputs.pictures import ImageReader
from pysmdl.inputs.sound import SoundReader
from pysmdl.inputs.tensors import TensorReader

__all__ = ["READERS", "Input", "InputSpec", "Opener", "Reader", "input_spec", "reader_of"]

READERS: list[Reader] = [TensorReader(), SoundReader(), HeldReader(), ClipReader(), ImageReader()]


def reader_of(given: Any) -> Reader:
    """The first reader that takes it."""
    return next(reader for reader in READERS if reader.takes(given))
