"""The set functions by name: equal weights of both views, and the published ones, each with where its terms and its
default weights come from. And what each paper is in one word: its set function and its search.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pysmdl.errors import one_of
from pysmdl.objective import Objective, Term, removed_score, target_score
from pysmdl.objective.effectiveness import Effectiveness
from pysmdl.search import Search, phase_window
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


def pair(kept: float = 1.0, removed: float = 1.0) -> Objective:
    """The default: what a subset keeps of the target's score, and what goes with it. For any kind of score.

        F(S) = kept * f(S) + removed * (1 - f(V - S))

    VPS's and EAGLE's set functions have this form, SMDL's and LiMA's are it with two more terms. Where f need not lie
    within 0 and 1 (a margin, a regression's output), f(V) stands in place of 1, which changes no order.

    Args:
        kept: Weight of the target's score f with the subset kept.
        removed: Weight of 1 minus that score with the subset removed.
    """
    terms = (Term("kept", "kept", target_score), Term("removed", "removed", removed_score))
    return Objective("pair", "any", terms, {"kept": kept, "removed": removed})


NETWORK: dict[str, Callable[[], Objective]] = {
    "pair": pair,
    "smdl": smdl,
    "lima": partial(lima, confidence=0.01, effectiveness=0.0, consistency=20.0, collaboration=5.0),
    "vps": vps,
    "eagle": eagle,
}
CLIP: dict[str, Callable[[], Objective]] = {
    **NETWORK,
    "smdl": partial(smdl, confidence=0.0, effectiveness=0.05),
    "lima": lima,
}

PRESETS: dict[str, tuple[str, str | Search]] = {
    "smdl": ("smdl", "exact"),
    "lima": ("lima", "bidirectional"),
    "vps": ("vps", "exact"),
    "vps-grounding": ("vps", "forward_backward"),
    "eagle": ("eagle", "exact"),
    "eagle-scoped": ("eagle", "scoped"),
    "phasewin": ("pair", "phase_window"),
    "phasewin-florence": ("pair", phase_window(greedy=18)),  # for grounding, where single regions gain nothing at first
}


def resolve(objective: str | Objective, prototypes: bool = False) -> Objective:
    """An objective from its name, or as it is.

    Args:
        prototypes: Whether the scorer is CLIP-like: a name then stands for the paper's weights for CLIP, else for its
            weights for a single network.
    """
    if isinstance(objective, Objective):
        return objective
    known = CLIP if prototypes else NETWORK
    if not isinstance(objective, str) or objective not in known:
        raise one_of("objective", objective, known)
    return known[objective]()


def preset_of(name: str) -> tuple[str, str | Search]:
    """Objective and search of a paper, by name.

    Raises:
        ValueError: there is none of that name.
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise one_of("preset", name, PRESETS)
    return PRESETS[name]
