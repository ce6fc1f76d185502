"""Files that are held in memory, as Hugging Face's data sets have them undecoded: {bytes, path}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pysmdl.errors import ImageError
from pysmdl.inputs import image_files
from pysmdl.inputs.base import Input
from pysmdl.inputs.clips import ClipReader
from pysmdl.inputs.image import InputSpec
from pysmdl.inputs.pictures import ImageReader
from pysmdl.inputs.sound import SoundReader, from_bytes, is_sound

KEYS = {"bytes", "path"}


class HeldReader:
    """A file's bytes, or a dict of bytes and path, of which one may be None: an image, or what begins as a sound."""

    def takes(self, given: Any) -> bool:
        return isinstance(given, bytes) or (isinstance(given, Mapping) and set(given) == KEYS)

    def read(self, given: Any, spec: InputSpec, computed: bool) -> Input:
        content, path = (given, None) if isinstance(given, bytes) else (given["bytes"], given["path"])
        if content is None and path is None:
            raise ImageError("bytes and path must not both be None")
        found = path if content is None else content_of(content, str(path or "the bytes"))
        reader = next(each for each in (SoundReader(), ClipReader(), ImageReader()) if each.takes(found))
        return reader.read(found, spec, computed)

    def lend(self, given: Any) -> tuple[Any, bool]:
        return given if isinstance(given, bytes) else dict(given), True


def content_of(content: bytes, name: str) -> Any:
    """A file's content as an image, or, where it begins as one, as a sound."""
    if not is_sound(content):
        return image_files.from_bytes(content, name)
    samples, rate = from_bytes(content, name)
    return {"array": samples, "sampling_rate": rate}
