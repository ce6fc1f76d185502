"""Causal language models: logits of an answer's tokens after many versions of a text, which share what comes first."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pysmdl.models.answers import Form, tensor_in
from pysmdl.models.base import Model
from pysmdl.models.caches import Pairs, cache_of, pairs_in
from pysmdl.models.heeding import reads_hidden
from pysmdl.models.image_text import Told, only
from pysmdl.models.prefixes import WHOLE, Group, packed, planned
from pysmdl.models.text import Ids, Tally, TokenRows, begun, embedded, first_position, of_length, rows_of_ids
from pysmdl.profiling import stage

LOGITS = Form("the model", 3)
KEPT = 4  # texts whose keys and values are kept


class LanguageModel(Model):
    """A causal model of transformers. Rows of a text run from the first token that is not the whole text's, or not
    another row's: keys and values of those before it are computed once. Tokens that nobody sees are not run.

    Args:
        network: With get_output_embeddings(), which is given those rows alone whose logits are asked for.
        start: What an answer follows on where nothing is left of a text.
        reuse: Whether keys and values are shared; a network that gives none of transformers' does without.
        device: As in :class:`pysmdl.models.base.Model`.
    """

    def __init__(self, network: nn.Module, start: int, reuse: bool = True, device: Any = None) -> None:
        self._kept: OrderedDict[Any, Any] = OrderedDict()
        self._wholes: OrderedDict[Any, Tensor] = OrderedDict()
        super().__init__(network, device=device)
        self._start, self.reuse = start, reuse
        self._placed = "position_ids" in inspect.signature(network.forward).parameters
        self._first = first_position(network)
        self._skips = self._placed and _may_skip(network)
        self._cache = "cache" if "cache" in inspect.signature(network.forward).parameters else "past_key_values"
        self._hides: bool | None = None  # tokens by its attention_mask; None: not found out yet

    @property
    def network(self) -> Any:
        """As given, or its compiled form."""
        return self.function

    def ready(self) -> None:
        """Also forgets keys and values: weights may be others by now."""
        super().ready()
        self._kept.clear()
        self._wholes.clear()

    def next_tokens(self, rows: TokenRows, answer: Sequence[int], at: Sequence[int]) -> Tensor:
        """Logits of tokens of an answer that is said after each row. [b, k, K], float32, float16 or bfloat16.

        Args:
            rows: Of one text.
            answer: Its ids [T].
            at: Which of them, by position. [k].

        Raises:
            ValueError: tokens are hidden from attention, and the network looks at them all the same.
        """
        rows = begun(rows, self._start)
        self._check_hidden(rows)
        rows.tally.had += int(rows.lengths.sum()) + len(rows) * max(at)
        if self.reuse and self._skips:
            rows = packed(rows)
        last = rows.seen.shape[1] - 1 - rows.seen[:, ::-1].argmax(1)  # of the tokens of each that are seen
        said, asked = np.array(answer[: max(at)], np.int64), np.array(at)[None]
        return self._grouped(rows, said, np.where(asked == 0, last[:, None], rows.lengths[:, None] + asked - 1))

    def _check_hidden(self, rows: TokenRows) -> None:
        if self._hides or (rows.seen.sum(1) == rows.lengths).all():
            return
        if self._hides is None:
            self._hides = not reads_hidden(self._shown, self.device)
        if not self._hides:
            raise ValueError(
                f"{type(self._shown).__name__} looks at tokens that its attention_mask hides, so none can be taken "
                'from it by attention: removal="delete" leaves them out, "replace" puts others in their place'
            )

    def logits_at(self, rows: TokenRows, at: Sequence[int]) -> Tensor:
        """Logits of what follows on some tokens of the rows themselves, which have one length. [b, k, K].

        Args:
            rows: Of one text.
            at: Their places. [k].
        """
        return self._grouped(rows, np.zeros(0, np.int64), np.broadcast_to(np.array(at), (len(rows), len(at))))

    def _grouped(self, rows: TokenRows, said: Ids, asked: Ids) -> Tensor:
        """Logits after tokens at `asked` [b, k] of rows that are followed by what is said."""
        whole = self._prefix(rows.whole, rows.tally) if self.reuse else None
        if whole is None:
            return self._after(rows, Group(np.arange(len(rows)), 0, WHOLE), said, asked, None)[0]
        trunks, groups = planned(rows, asked.min(1))
        kept: dict[int, Pairs] = {WHOLE: whole}
        found = []
        for group in (*trunks, *groups):
            logits, cache = self._after(rows, group, said, asked, kept[group.trunk])
            found.append(logits)
            if len(kept) <= len(trunks):
                kept[int(group.rows[0])] = list(pairs_in(cache))
        back = np.argsort(np.concatenate([each.rows for each in (*trunks, *groups)]))
        return torch.cat(found)[self._sent(back)]

    def whole_logits(self, whole: Ids, answer: Sequence[int], at: Sequence[int]) -> Tensor:
        """Of the whole text itself, kept beside its keys and values. [1, k, K]."""
        key = whole.tobytes(), tuple(answer), tuple(at), torch.is_autocast_enabled(self.device.type)
        if key not in self._wholes:
            while len(self._wholes) >= KEPT:
                self._wholes.popitem(last=False)
            self._wholes[key] = self.next_tokens(rows_of_ids([whole.tolist()], whole), answer, at)
        return self._wholes[key]

    def _after(self, rows: TokenRows, group: Group, said: Ids, asked: Ids, pairs: Pairs | None) -> tuple[Tensor, Any]:
        """Logits of a group's rows, and the cache that they leave."""
        chosen, start = group.rows, group.start
        lengths, after = rows.lengths[chosen] - start, rows.after[chosen]
        width = int(lengths.max()) + len(said)
        ids, positions = np.zeros((len(chosen), width), np.int64), np.zeros((len(chosen), width), np.int64)
        seen = np.zeros((len(chosen), width), bool)
        of = slice(start, start + width)
        for made, given in ((ids, rows.ids), (positions, rows.positions), (seen, rows.seen)):
            part = given[chosen, of]
            made[:, : part.shape[1]] = part
        behind, steps = np.arange(len(chosen))[:, None], np.arange(len(said))[None]
        place = lengths[:, None] + steps
        ids[behind, place], positions[behind, place], seen[behind, place] = said, after[:, None] + steps, True
        blank = None
        if rows.blank is not None:
            blank = np.zeros((len(chosen), width), np.float32)
            gone = rows.blank[chosen, of]
            blank[:, : gone.shape[1]] = gone
            blank[behind, place] = 0
        mask = np.concatenate((rows.seen[chosen, :start], seen), 1)
        cache = None if pairs is None else cache_of(pairs, start, len(chosen))
        rows.tally.run += ids.size
        told = {"attention_mask": self._sent(mask).long(), "position_ids": self._sent(positions) + self._first}
        if blank is None:
            told["input_ids"] = self._sent(ids)
        else:
            told["inputs_embeds"] = embedded(self.network, self._sent(ids), blank, positions, rows.fill)
        return self._run(self._sent(ids), told, self._sent(asked[chosen] - start), cache), cache

    def _run(self, ids: Tensor, given: dict[str, Any], at: Tensor, cache: Any) -> Tensor:
        if not self._placed:
            del given["position_ids"]  # relative ones, by the mask
        if cache is not None:
            given[self._cache] = cache
        head, seen = self.network.get_output_embeddings(), given["attention_mask"].shape[1]
        with stage("model"), only(head, Told(ids, at)), of_length(self.network, seen):
            answer = self.network(**given, use_cache=cache is not None)
        return tensor_in(answer, len(ids), LOGITS, self.device)

    def _prefix(self, whole: Ids, tally: Tally) -> Any:
        """Keys and values of a whole text, of each layer; None where the network has none that can be shared."""
        casts = torch.is_autocast_enabled(self.device.type)
        key = whole.tobytes(), casts and torch.get_autocast_dtype(self.device.type)
        if key not in self._kept:
            while len(self._kept) >= KEPT:
                self._kept.popitem(last=False)
            self._kept[key] = self._pairs(whole)
            tally.run += len(whole)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _pairs(self, whole: Ids) -> Pairs | None:
        from transformers import DynamicCache

        if not _attends(self.network):
            return None
        ids = self._sent(whole[None])
        told = only(self.network.get_output_embeddings(), Told(ids, ids[:, :1] * 0))
        with stage("model"), told:
            try:
                made = getattr(
                    self.network(input_ids=ids, **{self._cache: DynamicCache()}, use_cache=True), self._cache
                )
            except torch.OutOfMemoryError:
                raise
            except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):  # it has a cache of its own kind
                return None
        pairs = list(pairs_in(made)) if isinstance(made, DynamicCache) else []
        return pairs if pairs and all(keys.shape[-2] == len(whole) for keys, _ in pairs) else None

    def _sent(self, array: Any) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)


def _attends(network: Any) -> bool:
    """Whether each layer has keys and values, which other layers, of convolutions or of a running state, have not."""
    kinds = getattr(network.config.get_text_config(), "layer_types", None) or ()
    return all(each.endswith("attention") and each != "linear_attention" for each in kinds)


def _may_skip(network: Any) -> bool:
    """Whether a token that nobody sees may be left out: no layer counts tokens but by the positions it is told."""
    config = network.config.get_text_config()
    if getattr(config, "layer_types", None) is not None:
        return all(each == "full_attention" for each in config.layer_types)
    if "local" in getattr(config, "attention_layers", ()):  # GPT-Neo's
        return False
    return not getattr(config, "alibi", False) and getattr(config, "sliding_window", None) is None
