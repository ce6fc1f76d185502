"""An explanation as a notebook shows it: the picture, and what it says in words."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING

from pysmdl.explanation import text_sheets
from pysmdl.explanation.data import ExplanationData
from pysmdl.explanation.parts import part
from pysmdl.explanation.views import view
from pysmdl.explanation.words import line, verbalise

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 90
LONGEST = 60  # seconds of a sound that is put into a notebook


def html(explanation: ExplanationData) -> str:
    """A piece of HTML that stands by itself. Where there is no picture to draw on, the curves."""
    from pysmdl.explanation.plotting import figure

    kind = "row" if explanation.pixels is not None or explanation.modality != "image" else "curves"
    drawn = figure(explanation, kind=kind)
    return framed(drawn, line(explanation), [verbalise(explanation)], _beside(explanation))


def framed(drawn: Figure, alt: str, words: Sequence[str], beside: str = "") -> str:
    """A picture with words below it, a line each, and a piece of HTML after them."""
    buffer = BytesIO()
    drawn.savefig(buffer, format="png", dpi=DPI)
    picture = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<figure style="margin:0"><img style="max-width:100%;background:#fff" alt="{escape(alt)}" '
        f'src="data:image/png;base64,{picture}"><figcaption style="max-width:60em;line-height:1.5">'
        f"{'<br>'.join(map(escape, words))}</figcaption>{beside}</figure>"
    )


def _beside(explanation: ExplanationData) -> str:
    """What can be read or listened to, of each input."""
    each = [part(explanation, name) for name in explanation.inputs] or [explanation]
    return "".join(_text(one) + _players(one) for one in each)


def _text(explanation: ExplanationData) -> str:
    """Of a text the text itself, coloured."""
    return text_sheets.html(explanation) if text_sheets.is_text(explanation) else ""


def _players(explanation: ExplanationData) -> str:
    """Of a sound at hand what is enough, and the whole, to be listened to."""
    e = explanation
    if e.modality != "sound" or e.rate is None or e.shown is None or e.shown.shape != e.labels.shape:
        return ""
    if len(e.shown) > LONGEST * e.rate:
        return ""
    from pysmdl.inputs.sound import wav

    found = ""
    for words, samples in (("what is enough", view(e)), ("all of it", e.shown)):
        sound = base64.b64encode(wav(samples, e.rate)).decode()
        found += f'<div>{words} <audio controls src="data:audio/wav;base64,{sound}"></audio></div>'
    return found
