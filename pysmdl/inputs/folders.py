"""Which images a command line means: files, folders of them, patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from pysmdl.inputs import clips, sound

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".avif")
KINDS = (SUFFIXES, sound.ENDINGS, clips.ENDINGS, (".txt",))  # of a folder's files the first that it has any of


def names_file(given: str) -> bool:
    """Whether a text is the path of a picture, a sound or a clip, by its ending, or of any file with an ending that is
    there.
    """
    ending = os.path.splitext(given)[1].lower()
    return any(ending in kind for kind in KINDS[:3]) or (ending not in ("", ".txt") and os.path.isfile(given))


def images(given: Sequence[str]) -> list[Path]:
    """The images, in the order given: a file is itself; a folder, all images in it and its folders, by name, or its
    sounds where it has none, or its clips, or its texts; a pattern, what it matches, by name (``**`` is any number of
    folders). An image that is named twice counts twice.

    Raises:
        ValueError: a folder or a pattern holds none.
    """
    found: list[Path] = []
    for each in given:
        path = Path(each)
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.is_file())
            of_kinds = ([p for p in files if p.suffix.lower() in kind] for kind in KINDS)
            here = next(filter(None, of_kinds), [])
            what = f"a folder with images in it ({', '.join(SUFFIXES)}), sounds, clips or texts (.txt)"
        elif glob.has_magic(each) and not path.exists():
            here = sorted(p for p in map(Path, glob.glob(each, recursive=True)) if p.is_file())
            here = here if here or "*" in each or "?" in each else [path]  # a name with brackets in it
            what = "a pattern that matches files"
        else:
            here, what = [path], ""
        if not here:
            raise ValueError(f"images must be files, folders or patterns; {each!r} is not {what}")
        found += here
    return found
