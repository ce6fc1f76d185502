"""The modality reading: what an answer's tokens owe to the language model, and what to the input (EAGLE)."""

from __future__ import annotations

from dataclasses import dataclass

from pysmdl.explanation import Explanation
from pysmdl.metrics.checks import KEPT, REMOVED
from pysmdl.types import Floats


@dataclass(frozen=True)
class Modality:
    """Of each explained token, in the target's order. [T] each, float32.

    Attributes:
        language_prior: Its probability with every region removed.
        perceptual_evidence: What the regions add to that; below 0 where the input speaks against the token.
    """

    language_prior: Floats
    perceptual_evidence: Floats


def modality(explanation: Explanation) -> Modality:
    """Split each token's probability on the full input into language prior and perceptual evidence (EAGLE, section 3).

        language_prior[t] = p_t(nothing shown)        perceptual_evidence[t] = p_t(all shown) - p_t(nothing shown)

    Args:
        explanation: Of tokens.

    Raises:
        ValueError: the explanation is not of tokens.
    """
    if "tokens" not in explanation.reading:
        raise ValueError(
            "explanation must be of tokens, from a scorer of pysmdl.scorers.tokens; this one has no tokens"
        )
    tokens = explanation.reading["tokens"]  # [2, k + 1, T]
    prior, full = tokens[KEPT, 0], tokens[REMOVED, 0]
    return Modality(prior, full - prior)
