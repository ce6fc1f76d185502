"""An explanation as a notebook shows it: the picture, and what it says in words."""

from __future__ import annotations

import base64
from html import escape
from io import BytesIO

from pysmdl.explanation.data import ExplanationData
from pysmdl.explanation.words import line, verbalise

DPI = 90


def html(explanation: ExplanationData) -> str:
    """A piece of HTML that stands by itself. Where there is no picture to draw on, the curves."""
    from pysmdl.explanation.plotting import figure

    buffer = BytesIO()
    kind = "row" if explanation.pixels is not None else "curves"
    figure(explanation, kind=kind).savefig(buffer, format="png", dpi=DPI)
    picture = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<figure style="margin:0"><img style="max-width:100%;background:#fff" alt="{escape(line(explanation))}" '
        f'src="data:image/png;base64,{picture}"><figcaption style="max-width:60em;line-height:1.5">'
        f"{escape(verbalise(explanation))}</figcaption></figure>"
    )
