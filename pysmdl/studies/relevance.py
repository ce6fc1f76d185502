"""How alike a language model goes on after a text's tokens and at its answer's: activation ranking correlation (Li et
al., "Explaining Multimodal LLMs via Intra-Modal Token Interactions", 2025)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pysmdl.scorers.heads import ranking
from pysmdl.scorers.language import LanguageScorer
from pysmdl.studies.suppression import read_by

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Relevance:
    """How relevant a text's players are to each explained token of an answer.

    Attributes:
        matrix: Rank-biased overlap of what may follow on a player's tokens, their mean, and of what may stand at each
            token of the answer. 0 to 1, [n, t]; NaN for a player without tokens.
        names: The players. [n].
        tokens: How many were run.
    """

    matrix: Values
    names: tuple[str, ...]
    tokens: int

    def weigh(self, values: NDArray[Any]) -> Values:
        """Values of the players, [n] of the whole answer or [n, t] of its tokens, less where they are not relevant.

        Raises:
            ValueError: they have another shape.
        """
        given = np.asarray(values, np.float64)
        if given.shape not in (self.matrix.shape[:1], self.matrix.shape):
            n, t = self.matrix.shape
            raise ValueError(f"values must be [{n}] or [{n}, {t}]; got {list(given.shape)}")
        return given * (self.matrix if given.ndim == 2 else self.matrix.mean(1))


def ranking_relevance(
    text: Any, scorer: LanguageScorer, target: Any = None, *, players: Any = "tokens", k: int = 50, p: float = 0.9
) -> Relevance:
    """Compare the k likeliest tokens after each token of a text with those at each token of the answer.

        matrix[j, t] = mean over the tokens of j of RBO(first k after that token, first k where t is said)

    One forward pass, of the whole text with the answer.

    Args:
        text: A string or messages.
        scorer: Of :func:`pysmdl.scorers.language_model`; its answer is what is looked at.
        target: As in :func:`pysmdl.explain`; None: all of the answer.
        players: As there.
        k, p: Of :func:`pysmdl.heads.ranking`.

    Raises:
        ValueError: it is another scorer; as :func:`pysmdl.heads.ranking`.
    """
    overlap = ranking(k, p)
    read, regions, plain, of_token = read_by(scorer, text, players)
    with torch.no_grad():
        said = scorer.located(target, read.x, read, None)
        own = scorer.language.logits_at(plain, range(len(of_token)))[0].float()
        answer = scorer.language.next_tokens(plain, said.answer, said.positions)[0].float()
        ids = torch.tensor(said.ids, device=own.device)
        alike = [overlap(own, each.expand_as(own), ids).double().cpu().numpy() for each in answer]
    counts = np.bincount(of_token[of_token >= 0], minlength=regions.n)
    sums = [np.bincount(of_token[of_token >= 0], each[of_token >= 0], minlength=regions.n) for each in alike]
    matrix = np.where(counts > 0, np.stack(sums) / np.maximum(counts, 1), np.nan).T
    return Relevance(matrix, regions.names, plain.tally.run)
