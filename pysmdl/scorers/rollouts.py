"""Scorer of what a model that draws its answers says to a text, judged, in the mean of many answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.errors import ScorerError, number, whole_number
from pysmdl.inputs.image import InputSpec
from pysmdl.inputs.text import plain
from pysmdl.models.base import Model
from pysmdl.scorers import reference
from pysmdl.scorers.custom import Custom
from pysmdl.scorers.head import Head
from pysmdl.scorers.texts import OfTexts
from pysmdl.types import Floats, Reading

Generate = Callable[[list[str], int], Sequence[str]]
"""Prompts [B] and a seed, to what is said after each [B]."""
Judge = Callable[[list[str]], Any]
"""What was said [B], to numbers [B]."""


def _as_it_is(raw: Tensor, _: Tensor, __: Tensor) -> Tensor:
    return raw


class RolloutScorer(OfTexts, Custom):
    """A row's values are the mean, its standard error and how many were drawn. See :func:`rollout`."""

    def read(self, values: Floats, target: NDArray[Any]) -> Reading:
        score, error, drawn = values.T
        decided = None if self.decided_at is None else (score >= self.decided_at).astype(np.float32)
        whole = reference.score_of(target)
        return Reading(score, decided, others={"error": error, "rollouts": drawn}, whole=whole)


def rollout(
    generate: Generate,
    judge: Judge,
    *,
    repeats: int = 100,
    batch: int | None = None,
    seed: int = 0,
    decided_at: float | None = None,
    clear: float | None = None,
) -> RolloutScorer:
    """The mean judgement of what a model says after a text, where it draws its words.

        f(S) = mean over r of judge(generate(the text with S, seed r))

    Each row counts as `repeats` evaluations. An explanation's ``reading["error"]`` has the standard error of each point
    of both curves, ``reading["rollouts"]`` how many answers were drawn for it. The same seeds serve every text, so that
    texts that are answered alike differ by little but what they say, and the size of a batch changes nothing.

    Args:
        generate: A list of prompts and a seed, to a list of what is said after each. The same arguments should give the
            same answers.
        judge: A list of these answers, to a number each: 1 for right, 0 for wrong.
        repeats: Answers drawn for each text, at least 2.
        batch: Prompts of a call, at most; None: all.
        seed: Of the first call; of the next ones one more each.
        decided_at: The decision stands where the mean is at least this.
        clear: Drawing stops after a batch where the mean lies so many standard errors from `decided_at`, by the
            interval of Wilson (1927): judgements are then from 0 to 1. Looking after every batch, 3 errs seldom. None:
            all are drawn.

    Raises:
        TypeError: generate or judge cannot be called.
        ValueError: another argument is out of its range; clear without decided_at.
    """
    for name, given in (("generate", generate), ("judge", judge)):
        if not callable(given):
            raise TypeError(f"{name} must be callable; got {type(given).__name__}")
    repeats, seed = whole_number("repeats", repeats, 2), whole_number("seed", seed, 0)
    batch = repeats if batch is None else whole_number("batch", batch, 1)
    clear = None if clear is None else number("clear", clear, above=0)
    if clear is not None and decided_at is None:
        raise ValueError(f"clear needs decided_at, from which the mean is told apart; got clear={clear} alone")

    model = Model(_Rollouts(generate, judge, repeats, batch, seed, decided_at, clear))
    model.name = getattr(generate, "__qualname__", type(generate).__qualname__)
    head = Head("rollout", _as_it_is, reads="raw")
    scorer = RolloutScorer(model, head, InputSpec(), decided_at=decided_at)
    scorer.repeats = repeats
    scorer.read_texts(None, plain)
    return scorer


@dataclass(frozen=True)
class _Rollouts:
    """Texts to the mean judgement of each, its standard error, and how many answers were drawn; see :func:`rollout`."""

    generate: Generate
    judge: Judge
    repeats: int
    batch: int
    seed: int
    decided_at: float | None
    clear: float | None

    def __call__(self, texts: Any) -> NDArray[np.float32]:
        return np.array([self._of(text) for text in texts], np.float32)

    def _of(self, text: str) -> tuple[float, float, int]:
        found = np.zeros(0)
        while len(found) < self.repeats:
            count, seed = min(self.batch, self.repeats - len(found)), self.seed + len(found) // self.batch
            found = np.append(found, judged(self.judge, drawn(self.generate, text, count, seed)))
            if self.clear is not None and self.decided_at is not None and _is_clear(found, self.decided_at, self.clear):
                break
        return float(found.mean()), _error(found), len(found)


def drawn(generate: Generate, prompt: str, count: int, seed: int) -> list[str]:
    """So many answers to one prompt.

    Raises:
        ScorerError: it gave others than strings, or another number of them.
    """
    found = list(generate([prompt] * count, seed))
    if len(found) != count or not all(isinstance(each, str) for each in found):
        kinds = ", ".join(sorted({type(each).__name__ for each in found}))
        raise ScorerError(f"generate must give a string for each of {count} prompts; got {len(found)} of {kinds}")
    return found


def judged(judge: Judge, answers: list[str]) -> NDArray[np.float64]:
    """The judgements of some answers.

    Raises:
        ScorerError: they are no finite numbers, or not one each.
    """
    try:
        found = np.asarray(judge(answers), np.float64)
    except (TypeError, ValueError) as error:
        raise ScorerError(f"judge must give a number for each answer: {error}") from error
    if found.shape != (len(answers),) or not np.isfinite(found).all():
        raise ScorerError(
            f"judge must give a finite number for each of {len(answers)} answers; got shape {found.shape}"
        )
    return found


def _error(found: NDArray[np.float64]) -> float:
    return float(found.std(ddof=1)) / math.sqrt(len(found)) if len(found) > 1 else math.inf


def _is_clear(found: NDArray[np.float64], at: float, errors: float) -> bool:
    """Whether Wilson's interval around the mean leaves `at` out."""
    if found.min() < 0 or found.max() > 1:
        raise ScorerError(f"judge must give 0 to 1 where clear is set; got {found.min():g} to {found.max():g}")
    count, mean = len(found), float(found.mean())
    weight = errors**2 / count
    centre = (mean + weight / 2) / (1 + weight)
    half = math.sqrt(mean * (1 - mean) * weight + weight**2 / 4) / (1 + weight)
    return abs(centre - at) > half
