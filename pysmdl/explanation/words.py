"""An explanation in words: a line for people who print it, and sentences each number of which is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pysmdl.checks import legible
from pysmdl.explanation.data import ExplanationData
from pysmdl.targets import title

LARGE = 1e6


def line(explanation: ExplanationData) -> str:
    """What it explains and what it found, in one line."""
    e = explanation
    found = [_short(title(e.target, e.names)) + f" {_number(e.deletion[0])}", "nothing decides" if e.flat else _few(e)]
    places = ".3f" if max(abs(e.insertion_auc), abs(e.deletion_auc)) < LARGE else ".3g"
    found.append(f"insertion {e.insertion_auc:{places}}, deletion {e.deletion_auc:{places}}")
    found.append(f"{e.evaluations} rows")
    if "stopped" in e.notes:
        found.append(_short(str(e.notes["stopped"])))
    name = "" if e.id is None else f"{_short(e.id)!r}, "
    return f"Explanation({name}{'; '.join(found)})"


def verbalise(
    explanation: ExplanationData, names: Sequence[str] | Mapping[int, str] | None = None, top: int = 3
) -> str:
    """What decides, in sentences.

    The first says how the model scores the target on the full input, and its own class where that is another. The
    second, which regions are enough: how far they bring the score alone, and what is left of it without them. The
    third, what the regions of most value add, by their numbers in the order, and their share of all that is added.

    Args:
        explanation: Of any input.
        names: Of the classes; None: its own.
        top: Regions that are named, of those that add something.
    """
    e = explanation
    known = e.names if names is None else names
    what = _short(title(e.target, known))
    full = f"The model gives {what} {_number(e.deletion[0])}"
    full += "." if e.said in (e.target, -1) else f", and says {_short(title(e.said, known))}."
    if e.flat:
        low, high = e.reach
        return f"{full} Nothing decides: whatever is shown, the score stays between {_number(low)} and {_number(high)}."
    return " ".join(filter(None, (full, _alone(e), _added(e, top))))


def _few(e: ExplanationData) -> str:
    """How many are enough, and what they give."""
    best = e.enough()
    if best == 0:
        return f"without any of {e.n} {e.called} {_number(e.insertion[0])}"
    return f"{best} of {e.n} {e.called} {'gives' if best == 1 else 'give'} {_number(e.insertion[best])}"


def _alone(e: ExplanationData) -> str:
    """How far those that are enough bring the score, and what is left of it without them."""
    best = e.enough()
    kept, removed, share = _number(e.insertion[best]), _number(e.deletion[best]), round(100 * float(e.area[best]))
    if best == 0:
        return f"Without any of the {e.n} {e.called} it gives {kept}."
    if best == 1:
        return f"The first of {e.n} {e.called}, {share} % of the {e.extent}, alone gives {kept}; without it {removed}."
    return (
        f"The first {best} of {e.n} {e.called}, {share} % of the {e.extent}, alone give {kept}; "
        f"without them it gives {removed}."
    )


def _added(e: ExplanationData, top: int) -> str:
    """What the regions of most value add, by their numbers: their places in the order, as pictures have them."""
    values = np.nan_to_num(e.values())
    total, placed = float(np.maximum(values, 0).sum()), values[e.order]
    best = [place for place in np.argsort(-placed, kind="stable")[:top].tolist() if placed[place] > 0]
    if not best:
        return ""
    share = round(100 * float(placed[best].sum()) / total)
    word = "Most is added by" if e.attribution is None else "Most is attributed to"
    listed = [f"{_called(e, place)} ({_number(placed[place])})" for place in best]
    several = ", ".join(listed[:-1]) + " and " + listed[-1] if len(listed) > 1 else listed[0]
    return f"{word} {several}: {share} % of what all add."


def _called(e: ExplanationData, place: int) -> str:
    """The player at a place of the order: by its name, where it has one."""
    return f'"{_short(e.players[int(e.order[place])])}"' if e.players else f"number {place + 1}"


def _number(value: float) -> str:
    """Two digits after the point, or so many that two count; three digits of what is large."""
    value = float(value)
    if abs(value) >= LARGE:
        return f"{value:.3g}"
    if not np.isfinite(value) or value == 0 or abs(value) >= 0.1:
        return f"{value:.2f}"
    return f"{value:.2g}" if abs(value) >= 1e-3 else f"{value:.1e}"


def _short(text: str) -> str:
    """On one line, and no longer than a line."""
    plain = " ".join(legible(text).split())
    return plain if len(plain) <= 80 else plain[:77] + "..."
