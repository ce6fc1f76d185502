"""Letters of any script on a picture: a font that has each, what is drawn of those that no font has, and where they
stand where they are read from the right.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from PIL import ImageFont

MISSING = "\N{WHITE SQUARE}"  # stands for a letter that no font has
UNSEEN = ("Cc", "Cf", "Mn", "Me", "Zl", "Zp", "Zs")  # categories of what leaves no mark by itself
NOWHERE = "\U0010fffe"  # no font has it: what is drawn for it is drawn for all that is missing
FROM_THE_RIGHT = ("R", "AL")


@cache
def font_of(letter: str, size: int) -> Any:
    """The first font that has a letter, with its marks: Pillow's own, the one that comes with matplotlib, one of this
    machine's; the first of these where none has.
    """
    own = ImageFont.load_default(size)
    missing = bytes(own.getmask(NOWHERE))
    if not letter.strip() or all(bytes(own.getmask(each)) != missing for each in letter):
        return own
    path = _path_of(letter)
    return own if path is None else ImageFont.truetype(path, size)


def drawable(texts: Sequence[str]) -> list[str]:
    """Texts for a matplotlib figure, a square for each letter that no font of this machine has.

    Warns:
        UserWarning: there are such letters.
    """
    lost = {each for text in texts for each in text if _mark(each) and _path_of(each) is None}
    if lost:
        warnings.warn(
            f"no font of this machine has {' '.join(sorted(lost))}: a picture shows a square for each. Install a font "
            "that has them, as Debian's fonts-noto-cjk, or fonts-symbola for emoji",
            stacklevel=2,
        )
    return ["".join(MISSING if each in lost else each for each in text) for text in texts]


def _mark(letter: str) -> bool:
    """Whether a letter leaves one by itself."""
    return unicodedata.category(letter) not in UNSEEN


def with_fonts(figure: Any) -> None:
    """Let a figure's texts fall back on fonts that have their letters, where matplotlib's own has not all."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.text import Text

    ticks = [label for axes in figure.axes for label in axes.get_xticklabels() + axes.get_yticklabels()]
    for text in {*figure.findobj(Text), *ticks}:
        paths = dict.fromkeys(_path_of(each) for each in text.get_text() if each.isprintable())
        others = [FontProperties(fname=path).get_name() for path in paths if path not in (None, _shipped())]
        if others:
            text.set_fontfamily([*text.get_fontfamily(), *others])


@cache
def _shipped() -> str:
    """The font that comes with matplotlib, and that it draws with."""
    from matplotlib import get_data_path

    return str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


@cache
def _path_of(letter: str) -> str | None:
    from matplotlib import font_manager

    fonts = {each.fname for each in font_manager.fontManager.ttflist if "Last Resort" not in each.name}
    found = (path for path in (_shipped(), *sorted(fonts)) if _letters_of(path).issuperset(map(ord, letter)))
    return next(found, None)


@cache
def _letters_of(path: str) -> frozenset[int]:
    """The letters that a font has; none of one that was removed, or is broken."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


def with_marks(letters: list[str]) -> list[str]:
    """Letters with the marks that stand on them, which are "" then."""
    found = list(letters)
    base = 0
    for place, letter in enumerate(letters):
        if place and unicodedata.combining(letter):
            found[base], found[place] = found[base] + letter, ""
        else:
            base = place
    return found


def placed(letters: list[str], ends: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Where the letters of a line begin and end, those that are read from the right in that order.

    Runs of such letters, with what has no direction between them, are mirrored; numbers and all others stay.

    Args:
        letters: In the order of the text.
        ends: Where each begins and ends, from left to right.
    """
    found = list(ends)
    sides = [unicodedata.bidirectional(letter[:1] or " ") for letter in letters]
    strong = [place for place, side in enumerate(sides) if side in (*FROM_THE_RIGHT, "L", "EN", "AN")]
    turned = [place for place in strong if sides[place] in FROM_THE_RIGHT]
    for mirrored, run in groupby(strong, key=set(turned).__contains__):
        inside = list(run)
        if mirrored:
            left, right = ends[inside[0]][0], ends[inside[-1]][1]
            for place in range(inside[0], inside[-1] + 1):
                found[place] = left + right - ends[place][1], left + right - ends[place][0]
    return found
