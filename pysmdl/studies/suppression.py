"""The suppression matrix: which sentences of a text later ones lean on (Bogdan et al., "Thought Anchors", 2025)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pysmdl.errors import number
from pysmdl.inputs.text import TextInput
from pysmdl.models.text import TokenRows, rows_of_ids
from pysmdl.regions import partition
from pysmdl.regions.spans import token_players
from pysmdl.scorers.heads import kl
from pysmdl.scorers.language import LanguageScorer
from pysmdl.types import Ints, Regions

LEAST = 1e-9  # added to a divergence before its logarithm


@dataclass(frozen=True)
class Suppression:
    """How much what follows on a sentence's tokens changes where nobody sees an earlier sentence.

    Attributes:
        matrix: Mean over the tokens of sentence i of log(KL + 1e-9), sentence j hidden. [m, m], NaN where j >= i.
        names: The sentences. [m].
        tokens: How many were run.
    """

    matrix: NDArray[np.float64]
    names: tuple[str, ...]
    tokens: int

    def importance(self) -> NDArray[np.float64]:
        """Of each sentence, the mean of its column: how much all later ones lean on it. [m], NaN for the last."""
        known = ~np.isnan(self.matrix)
        counts = known.sum(0)
        sums = np.where(known, self.matrix, 0).sum(0)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def suppression_matrix(
    text: Any, scorer: LanguageScorer, players: Any = "sentences", temperature: float = 0.6
) -> Suppression:
    """Hide each sentence from the attention of all others, in all layers and heads, and compare what the model would
    say after every token of later ones: KL of the distribution as it was from that without, at a temperature.

    m + 1 forward passes, of what follows on the hidden sentence alone. Positions stay as they were.

    Args:
        text: A string or messages, such as a model's own reasoning.
        scorer: Of :func:`pysmdl.scorers.language_model`.
        players: As in :func:`pysmdl.explain`.
        temperature: Of both distributions.
    """
    number("temperature", temperature, above=0)
    _, regions, plain, of_token = read_by(scorer, text, players)
    matrix = np.full((regions.n, regions.n), np.nan)
    with torch.no_grad():
        whole = scorer.language.logits_at(plain, range(len(of_token)))[0].float()
        for j in range(regions.n):
            own, later = np.flatnonzero(of_token == j), np.flatnonzero(of_token > j)
            later = later[later > own.max(initial=-1)]
            if not len(later) or not len(own):
                continue
            hidden = replace(plain, seen=(of_token != j)[None])
            logits = scorer.language.logits_at(hidden, later.tolist())[0].float()
            apart = -kl(temperature)(logits, whole[later], later)
            logs = (apart.double().clamp(min=0) + LEAST).log().cpu().numpy()
            for i in np.unique(of_token[later]):
                matrix[i, j] = logs[of_token[later] == i].mean()
    return Suppression(matrix, regions.names, plain.tally.run)


def read_by(scorer: LanguageScorer, text: Any, players: Any) -> tuple[TextInput, Regions, TokenRows, Ints]:
    """A text as a language model's scorer reads it: its players, its tokens as a row, and the player of each token.

    Raises:
        ValueError: it is another scorer.
    """
    if not isinstance(scorer, LanguageScorer):
        raise ValueError(f"scorer must be pysmdl.scorers.language_model(...); got {type(scorer).__name__}")
    scorer.ready()
    read = scorer.reader.read(text, scorer.input, True)
    assert isinstance(read, TextInput)
    regions = partition(players, None, read.x.shape, own=read.divide)
    found = scorer.tokenized(read.text)
    assert found is not None
    of_token = token_players(regions.labels, read.text.text, found.offsets)
    return read, regions, rows_of_ids([found.ids.tolist()], found.ids), of_token
