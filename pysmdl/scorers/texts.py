"""Scorers of texts: any function of strings, and classifiers with a tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pysmdl.errors import ScorerError, one_of, yes_or_no
from pysmdl.inputs.image import InputSpec
from pysmdl.inputs.text import Text, TextReader, plain
from pysmdl.models.base import Model
from pysmdl.models.class_names import names_of
from pysmdl.models.text import Tokenized, tokenized
from pysmdl.models.token_classifier import TokenClassifier, pad_of
from pysmdl.regions.spans import divided
from pysmdl.scorers import heads
from pysmdl.scorers.base import Outputs, Scorer, Wanted
from pysmdl.scorers.classes import Classifier
from pysmdl.scorers.custom import Custom
from pysmdl.scorers.templates import templated
from pysmdl.types import Regions

GIVES = ("value", "probabilities", "logits", "sigmoid")
KEPT = 64  # texts whose tokens are kept
UNREAD = 'a text is given as strings or tokens: removal="delete", "replace", ...; "baseline" paints over images'


class OfTexts(Scorer):
    """What scorers of texts have in common: strings or messages for inputs, a tokenizer where there is one."""

    tokenizer: Any = None
    removal = "delete"

    def read_texts(self, tokenizer: Any, laid: Callable[[Any], Text]) -> None:
        """Take texts for inputs."""
        self.tokenizer = tokenizer
        self._tokenized = lru_cache(KEPT)(partial(tokenized, tokenizer))
        self.reader = TextReader(laid, self._divided)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_tokenized"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._tokenized = lru_cache(KEPT)(partial(tokenized, self.tokenizer))

    def tokenized(self, text: Text) -> Tokenized | None:
        """The tokens of a text; None where there is no tokenizer."""
        return None if self.tokenizer is None else self._tokenized(text.text, text.special)

    def ids_of(self, text: str, special: bool) -> Sequence[int]:
        """The ids of another text."""
        found: Sequence[int] = self.tokenizer(text, add_special_tokens=special)["input_ids"]
        return found

    def _divided(self, text: Text, how: Any) -> Regions | None:
        found = self.tokenized(text)
        return divided(text, how, None if found is None else found.offsets)

    def score(self, batch: Any, targets: Tensor, wanted: Wanted) -> Outputs:
        if isinstance(batch, Tensor):
            raise ValueError(UNREAD)
        return super().score(batch, targets, wanted)  # type: ignore[safe-super]  # of the class beside this one


class TextClassifier(OfTexts, Classifier):
    """Classes of a text. See :func:`string` and :func:`text_classifier`."""


class TextValue(OfTexts, Custom):
    """A number of a text. See :func:`string`."""


def string(
    function: Callable[[Any], Any],
    *,
    batched: bool = True,
    gives: str = "value",
    names: Any = None,
    head: Any = None,
    decided_at: float | None = None,
) -> TextClassifier | TextValue:
    """Any function of strings: a lexicon, a rule, a server, a model with a tokenizer of its own.

    Args:
        function: A list of B strings to numbers [B], or [B, K] of classes.
        batched: Whether it takes a list; False: one string, to a number or [K].
        gives: "value": a number each, nothing softmaxed; or what its classes have, "probabilities", "logits" or
            "sigmoid".
        names: Of the classes.
        head: As in :func:`pysmdl.scorers.classifier`, of classes.
        decided_at: As in :func:`pysmdl.scorers.scalar`, of a value.

    Raises:
        TypeError: it cannot be called.
        ValueError: no such gives; a head of a value.
    """
    if not callable(function):
        raise TypeError(
            "function must be callable: strings to numbers, such as an estimator's predict_proba with "
            f'gives="probabilities"; got {type(function).__name__}'
        )
    model = Model(_listed(function, yes_or_no("batched", batched)))
    model.name = getattr(function, "__qualname__", type(function).__qualname__)
    scorer = _scored(model, gives, head, names, decided_at)
    scorer.read_texts(None, plain)
    return scorer


def text_classifier(
    model: Any,
    tokenizer: Any,
    *,
    gives: str | None = None,
    head: Any = None,
    names: Any = None,
    decided_at: float | None = None,
    device: str | torch.device | None = None,
) -> TextClassifier | TextValue:
    """A sequence classifier of transformers. Tokens are left out unless another removal is asked for.

    Args:
        model: Takes input_ids and attention_mask, answers with logits [B, K], or with a number each, [B] or [B, 1], as
            reward models, rerankers and regressions do.
        tokenizer: Its tokenizer, a fast one.
        gives: As in :func:`string`; None: what the model's config says: "value" of one label, "sigmoid" of a
            problem_type "multi_label_classification", else "logits".
        head, names, device: As in :func:`pysmdl.scorers.classifier`; names: None: the model's own.
        decided_at: As in :func:`pysmdl.scorers.scalar`, of a value.

    Raises:
        TypeError: the model is no module.
        ValueError: it is in training mode; no such gives; a head of a value.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a module of transformers; got {type(model).__name__}: scorers.string takes any")
    config = getattr(model, "config", None)
    if gives is None:
        several = getattr(config, "problem_type", None) == "multi_label_classification"
        gives = "value" if getattr(config, "num_labels", None) == 1 else "sigmoid" if several else "logits"
    network = Model(TokenClassifier(model, pad_of(tokenizer, model)), device=device)
    network.name = type(model).__name__
    known = getattr(config, "id2label", None) if names is None and gives != "value" else names
    scorer = _scored(network, gives, head, known, decided_at)
    scorer.read_texts(tokenizer, partial(templated, tokenizer=tokenizer, asks=False))
    return scorer


def _scored(model: Model, gives: str, head: Any, names: Any, decided_at: float | None) -> TextClassifier | TextValue:
    """What reads a model's answer. :func:`string` says how, and what is refused."""
    if gives not in GIVES:
        raise one_of("gives", gives, GIVES)
    if gives == "value":
        if head is not None:
            raise ValueError(f'head reads answers [B, K]; with gives="value" there are none; got {head!r}')
        return TextValue(model, heads.value(), InputSpec(), 1, decided_at)
    scorer = TextClassifier(model, InputSpec(), gives=gives, head=head)
    scorer.names = names_of(names)
    return scorer


def _listed(function: Callable[[Any], Any], batched: bool) -> Callable[[Any], Any]:
    return partial(_numbers, function, batched)


def _numbers(function: Callable[[Any], Any], batched: bool, texts: list[str]) -> Any:
    found = function(texts) if batched else [function(text) for text in texts]
    return _stacked(list(found)) if isinstance(found, (list, Iterator)) else found


def _stacked(found: list[Any]) -> NDArray[np.float32]:
    """What a function of strings gave for each, numbers or rows of them. [B] or [B, K].

    Raises:
        ScorerError: it gave something else.
    """
    plain = [each.detach().cpu().numpy() if isinstance(each, Tensor) else each for each in found]
    try:
        if any(each is None or isinstance(each, str) for each in plain):
            raise TypeError
        return np.array(plain, np.float32)
    except (TypeError, ValueError):
        raise ScorerError(
            f"function must give a number, or numbers [K], for each text; got {found[0]!r} for the first"
        ) from None
