"""An explanation as the evaluators of the published systems read it: their keys, step by step."""

from __future__ import annotations

from typing import Any

from pysmdl.explanation.data import ExplanationData
from pysmdl.explanation.files import plain

KEPT, REMOVED = 0, 1  # the two views of a reading


def to_authors_json(explanation: ExplanationData) -> dict[str, Any]:
    """The keys that the evaluators of SMDL, LiMA, VPS and EAGLE read. Plain values; None where nothing was measured.

    A list has an entry for each region placed. Boxes are in pixels of the model's input.
    """
    insertion, deletion = explanation.insertion, explanation.deletion
    found: dict[str, Any] = {
        "smdl_score": explanation.score,
        "insertion_score": insertion[1:],
        "deletion_score": deletion[1:],
        "consistency_score": insertion[1:],
        "collaboration_score": 1 - deletion[1:],
        "region_area": explanation.area[1:],
        "baseline_score": float(insertion[0]),
        "org_score": float(deletion[0]),
        "target_label": explanation.target,
        "indices": explanation.order,
    }
    for name in ("confidence", "effectiveness"):
        if name in explanation.terms:
            found[f"{name}_score"] = explanation.terms[name]
    if "iou" in explanation.reading:
        found |= _of_box(explanation)
    if "tokens" in explanation.reading:
        found |= _of_tokens(explanation)
    return {name: plain(values) for name, values in found.items()}


def _of_box(explanation: ExplanationData) -> dict[str, Any]:
    """VPS: IoU, confidence and box of the best prediction, in either view."""
    names = {"iou": "iou", "cls": "box_confidence", "box": "box"}
    found = {
        f"{view}_{theirs}": explanation.reading[ours][number, 1:]
        for view, number in (("insertion", KEPT), ("deletion", REMOVED))
        for theirs, ours in names.items()
    }
    target = explanation.target
    return found | {"target_box": target["xyxy"], "target_label": target["labels"], "mode": target["mode"]}


def _of_tokens(explanation: ExplanationData) -> dict[str, Any]:
    """EAGLE: the probability of each explained token, also with nothing and with everything shown."""
    tokens = explanation.reading["tokens"]
    return {
        "insertion_word_score": tokens[KEPT, 1:],
        "deletion_word_score": tokens[REMOVED, 1:],
        "baseline_score": tokens[KEPT, 0],
        "org_score": tokens[REMOVED, 0],
        "selected_interpretation_token_id": explanation.target["positions"],
        "selected_interpretation_token_word_id": explanation.target["ids"],
    }
