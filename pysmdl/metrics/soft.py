"""Soft sufficiency and comprehensiveness of texts, where each token keeps a share of its embedding."""

from __future__ import annotations

from pysmdl.errors import number


def soft_sufficiency(kept: float, nothing: float) -> float:
    """Soft-NS (Zhao and Aletras 2023; ReAGent, 2024): how much of the answer stands on the values.

        max(0, kept - nothing) / (1 - nothing)

    Args:
        kept: How alike the answer is, 1 - Hellinger distance (:func:`pysmdl.heads.hellinger`), where each dimension of
            a token's embedding is kept with its value's probability: ``Game(..., removal=removal.soft(values))``.
        nothing: The same where all embeddings are 0. Below 1.

    Returns:
        0 to 1.
    """
    nothing = number("nothing", nothing, below=1)
    return max(0.0, number("kept", kept) - nothing) / (1 - nothing)


def soft_comprehensiveness(removed: float, nothing: float) -> float:
    """Soft-NC: how much of the answer goes where each dimension is removed with its value's probability.

        (1 - removed) / (1 - nothing)

    Args:
        removed: As `kept` in :func:`soft_sufficiency`, with ``removal.soft(1 - values)``.
        nothing: As there.
    """
    nothing = number("nothing", nothing, below=1)
    return (1 - number("removed", removed)) / (1 - nothing)
