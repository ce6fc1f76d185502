"""Which images a command line means: files, folders of them, patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from pysmdl.inputs import clips, sound
from pysmdl.inputs.image_files import SUFFIXES

KINDS = (SUFFIXES, sound.ENDINGS, clips.ENDINGS, (".txt",))  # of a folder's files the first that it has any of


def names_file(given: str) -> bool:
    """Whether a text is the path of a picture, a sound or a clip, by its ending, or of any file with an ending that is
    there.
    """
    ending = os.path.splitext(given)[1].lower()
    return any(ending in kind for kind in KINDS[:3]) or (ending not in ("", ".txt") and os.path.isfile(given))


def images(given: Sequence[str], frames: bool = False) -> list[Path]:
    """The images, in the order given: a file is itself; a folder, all images in it and its folders, by name, or its
    sounds where it has none, or its clips, or its texts; a pattern, what it matches, by name (``**`` is any number of
    folders). An image that is named twice counts twice.

    Args:
        given: Files, folders and patterns.
        frames: Whether a folder is looked through for clips first: files of them, GIFs, and folders of frames.

    Raises:
        ValueError: a folder or a pattern holds none.
    """
    found: list[Path] = []
    for each in given:
        path = Path(each)
        if path.is_dir():
            here = _clips_in(path) if frames else _in_folder(path)
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


def _in_folder(folder: Path) -> list[Path]:
    """A folder's files of the first kind that it has any of; where its only pictures are GIFs beside clips, these are
    clips too.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found = next(filter(None, ([path for path in files if _of(path, kind)] for kind in KINDS)), [])
    moving = [path for path in files if _of(path, (*clips.ENDINGS, ".gif"))]
    return moving if len(moving) > len(found) and set(found) <= set(moving) else found


def _clips_in(folder: Path) -> list[Path]:
    """Clips, and folders that hold frames, or else what a folder holds."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    moving = {path for path in files if _of(path, clips.ENDINGS) or clips.moves(path)}
    moving |= {path.parent for path in files if _of(path, SUFFIXES) and path not in moving}
    return sorted(moving) or _in_folder(folder)


def _of(path: Path, kind: tuple[str, ...]) -> bool:
    return path.suffix.lower() in kind
