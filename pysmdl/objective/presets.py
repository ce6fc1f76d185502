"""The published set functions, weights by name. Each preset says where its terms and its default weights come from."""

from __future__ import annotations

from collections.abc import Callable

from pysmdl.errors import one_of
from pysmdl.objective import Objective, Term, removed_score, target_score
from pysmdl.objective.effectiveness import Effectiveness
from pysmdl.types import Floats, Reading


def _confidence(kept: Reading) -> Floats:
    return kept["confidence"]


CLASS_TERMS = (
    Term("confidence", "kept", _confidence),
    Term("effectiveness", "regions", pairwise=Effectiveness),
    Term("consistency", "kept", target_score),
    Term("collaboration", "removed", removed_score),
)


def smdl(
    confidence: float = 1.0,
    effectiveness: float = 1.0,
    consistency: float = 1.0,
    collaboration: float = 1.0,
    confidence_form: str = "entropy",
) -> Objective:
    """SMDL's set function (ICLR 2024, equation 7): confidence + effectiveness + consistency + collaboration.

    Args:
        confidence: Weight of 1 - H(p) / log C ("entropy") or of 1 - C / sum(e + 1) ("evidential", with a scorer that
            has an evidential head).
        effectiveness: Weight of how far apart the regions' features are; needs a scorer with features.
        consistency: Weight of the target's probability with the subset kept.
        collaboration: Weight of 1 minus the target's probability with the subset removed.
        confidence_form: "entropy" or "evidential".

    Published weights: (1, 1, 1, 1); for CLIP and LanguageBind (0, 0.05, 1, 1); for ImageBind (0, 0.05, 10, 1).
    """
    return _class("smdl", confidence, effectiveness, consistency, collaboration, confidence_form)


def lima(
    confidence: float = 0.0,
    effectiveness: float = 0.05,
    consistency: float = 20.0,
    collaboration: float = 1.0,
    confidence_form: str = "entropy",
) -> Objective:
    """LiMA's set function (arXiv 2504.00470): SMDL's four terms with its weights for CLIP ViT-L.

    Published weights for single-modal networks: (0.01, 0, 20, 5). Arguments as in :func:`smdl`.
    """
    return _class("lima", confidence, effectiveness, consistency, collaboration, confidence_form)


def _class(name: str, conf: float, eff: float, cons: float, coll: float, confidence_form: str) -> Objective:
    weights = {"confidence": conf, "effectiveness": eff, "consistency": cons, "collaboration": coll}
    return Objective(name, "class", CLASS_TERMS, weights, confidence_form)


def vps(clue: float = 1.0, collaboration: float = 1.0) -> Objective:
    """VPS's set function (CVPR 2025, equation 7) over the match of a box, g = IoU x confidence or what its mode says.

    Args:
        clue: Weight of g with the subset kept.
        collaboration: Weight of 1 - g with the subset removed.
    """
    terms = (Term("clue", "kept", target_score), Term("collaboration", "removed", removed_score))
    return Objective("vps", "box", terms, {"clue": clue, "collaboration": collaboration})


def eagle(insight: float = 1.0, necessity: float = 1.0) -> Objective:
    """EAGLE's set function (CVPR 2026) over the mean probability of the chosen tokens.

    Args:
        insight: Weight of that mean with the subset kept (sufficiency).
        necessity: Weight of 1 minus that mean with the subset removed.
    """
    terms = (Term("insight", "kept", target_score), Term("necessity", "removed", removed_score))
    return Objective("eagle", "tokens", terms, {"insight": insight, "necessity": necessity})


OBJECTIVES: dict[str, Callable[[], Objective]] = {"smdl": smdl, "lima": lima, "vps": vps, "eagle": eagle}
DEFAULTS: dict[str, Callable[[], Objective]] = {"class": lima, "box": vps, "tokens": eagle}  # by what a scorer gives


def resolve(objective: str | Objective) -> Objective:
    """An objective from its name, or as it is."""
    if isinstance(objective, Objective):
        return objective
    if objective not in OBJECTIVES:
        raise one_of("objective", objective, OBJECTIVES)
    return OBJECTIVES[objective]()
