"""Removals of spans of a text: what they have in common. A scorer of strings is given strings; one with a tokenizer
rows of its ids (``TokenBatch`` of ``models/text.py``).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as altered
from itertools import groupby
from typing import Any

import numpy as np
from torch import Tensor

from pysmdl.inputs.text import TextReader
from pysmdl.models.text import Ids, Tally, TokenBatch, TokenRows
from pysmdl.regions.spans import token_players
from pysmdl.removal.base import DeviceRows, Removal, Resident
from pysmdl.removal.handed import Handed
from pysmdl.scorers.base import Scorer
from pysmdl.types import Bools, Ints, Regions


@dataclass(frozen=True, eq=False)
class Sheet:
    """What is known of one text.

    Attributes:
        pieces: Runs of its characters that belong to one player, or to none (-1), in their order.
        ids: Of its tokens, where the scorer has a tokenizer; else none. [N].
        players: Of each token; -1: always shown. [N].
        other: What may stand in their place. [N].
        retokenized: Strings to ids.
        tally: Of the tokens of its rows.
    """

    pieces: tuple[tuple[str, int], ...]
    ids: Ids | None
    players: Ints
    other: Any
    retokenized: Callable[[Sequence[str]], Sequence[Sequence[int]]] | None
    tally: Tally = field(default_factory=Tally)

    def kept(self, member: Any) -> Any:
        """Which tokens rows of players keep, or how much of each. [b, n] to [b, N]."""
        return np.concatenate((member, np.ones((len(member), 1), bool)), 1)[:, self.players]


class OfText(Handed):
    """Common to all: a row is a string, or token ids."""

    def serves(self, scorer: Scorer) -> Scorer:
        if not isinstance(scorer.reader, TextReader):
            raise ValueError(
                f'removal="{self.name}" is of texts: it needs pysmdl.scorers.string, text_classifier or language_model'
            )
        return scorer

    def softened(self) -> Removal:
        raise ValueError(
            'soft masks of a text need removal="embedding" or "soft", which take a part of a token away; got '
            f"{self.name!r}"
        )

    def resident_of(self, given: Any, x: Tensor, regions: Regions, baseline: Any, scorer: Any) -> Resident:
        if regions.covers is not None:
            raise ValueError(
                f"spans of a text must not overlap under removal={self.name!r}; regions.from_masks makes some"
            )
        text, labels = scorer.reader.text(given), regions.labels
        pieces = pieces_of(text.text, labels)
        found = scorer.tokenized(text)
        if found is None:
            return self.hand(Sheet(pieces, None, labels[:0], self.instead(None, None), None), regions.n)
        players = token_players(labels, text.text, found.offsets)
        other = self.instead(scorer.tokenizer, found.ids)

        def again(texts: Sequence[str]) -> Sequence[Sequence[int]]:
            return [scorer.ids_of(each, text.special) for each in texts]

        return self.hand(Sheet(pieces, found.ids, players, other, again), regions.n)

    def view(self, pool: Mapping[str, Tensor], rows: DeviceRows, out: Tensor, backend: str) -> Any:
        runs = list(self.runs(pool, rows))
        if runs[0][1].ids is None:
            return [self.string(kept, sheet) for member, sheet in runs for kept in member.tolist()]
        return TokenBatch([altered(self.rows(member, sheet), tally=sheet.tally) for member, sheet in runs])

    def counted(self, resident: Resident) -> dict[str, Any]:
        tally: Tally = resident.host.known.tally
        return {"tokens": tally.run, "tokens_of_rows": tally.had} if tally.had else {}

    def instead(self, tokenizer: Any, ids: Ids | None) -> Any:
        """What stands in the place of what is absent: ids [N], or, of strings, a string."""
        return ""

    def string(self, kept: Sequence[bool], sheet: Sheet) -> str:
        """The text with some players, as a scorer of strings is given it."""
        return spoken(kept, sheet.pieces, sheet.other)

    @abstractmethod
    def rows(self, member: Bools, sheet: Sheet) -> TokenRows:
        """Rows of ids, of the players that each keeps [b, n]."""


def pieces_of(text: str, labels: Ints) -> tuple[tuple[str, int], ...]:
    """Runs of a text's characters that belong to one player, or to none (-1), in their order."""
    return tuple(
        ("".join(character for character, _ in run), int(player))
        for player, run in groupby(zip(text, labels, strict=True), key=lambda each: each[1])
    )


def spoken(kept: Sequence[bool], pieces: Sequence[tuple[str, int]], other: str) -> str:
    """The pieces that are kept, end to end; where what is divided ends with an absent one, without the space before."""
    found: list[str] = []
    shown, of_player = True, False  # the piece before this one, and whether the last one shown was a player's
    for text, player in (*pieces, ("", -1)):
        if player < 0 and not shown and of_player:
            found[-1] = found[-1].rstrip()
        shown = player < 0 or kept[player]
        if shown or other:
            found.append(text if shown else other + text[len(text.rstrip()) :])
            shown, of_player = True, player >= 0
    return "".join(found)
