"""Which steps of a reasoning its outcome depends on: steps said anew, and what is concluded then (Bogdan et al.,
"Thought Anchors", 2025)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysmdl.errors import ScorerError, number, one_of, whole_number
from pysmdl.inputs.text import plain
from pysmdl.regions.spans import divided
from pysmdl.scorers.rollouts import Generate, drawn

Values = NDArray[np.float64]
Judge = Callable[[list[str]], Sequence[Hashable]]
Embed = Callable[[list[str]], Any]

FORMS = ("kl", "difference")


@dataclass(frozen=True, eq=False)
class StepImportance:
    """What each step of a reasoning does to where it ends, and how well that is known.

    Attributes:
        counterfactual: The outcomes with something else in the step's place, against those with the step. [m], NaN
            where nothing else was ever said.
        resampling: The outcomes with whatever is said in the step's place, against those with the step. [m].
        counterfactual_errors, resampling_errors: Standard errors, to first order. [m].
        different: The share of what is said in the step's place that is something else. [m].
        overdetermined: 1 - distinct / all of what is said in its place. [m].
        names: The steps. [m].
        evaluations: Answers drawn.
    """

    counterfactual: Values
    resampling: Values
    counterfactual_errors: Values
    resampling_errors: Values
    different: Values
    overdetermined: Values
    names: tuple[str, ...]
    evaluations: int


def counterfactual_importance(
    steps: str | Sequence[str],
    generate: Generate,
    judge: Judge,
    embed: Embed,
    *,
    prompt: str = "",
    threshold: float = 0.8,
    form: str = "kl",
    alpha: float = 1e-9,
    repeats: int = 100,
    batch: int | None = None,
    clear: float | None = None,
    seed: int = 0,
) -> StepImportance:
    """Say each step of a reasoning anew, go on from there to the end, and compare the ends with those that the step
    itself leads to.

        p: outcomes after steps 1 .. i - 1, of those that go on with something else than step i (counterfactual),
           or of all (resampling)                              q: outcomes after steps 1 .. i
        "kl": sum of p log(p / q), in nats                     "difference": mean of q - mean of p, what the step brings

    m + 1 beginnings of m steps, `repeats` answers to each.

    Args:
        steps: A text, divided into sentences, or its parts.
        generate: A list of beginnings and a seed, to a list of what is said after each, until the end.
        judge: A list of reasonings from the first step to the end, to the outcome of each: whether it is right, a
            number, or the answer itself.
        embed: A list of steps, to a vector each [B, D]: a step says something else where the cosine is below
            `threshold`.
        prompt: What comes before the first step.
        form: "kl", or "difference" of outcomes that are numbers.
        alpha: Added to the count of each outcome that was ever seen, at least two; 1e-9 as in the authors' code, 1 as
            Laplace has it.
        repeats: Answers to each beginning, at least 2.
        batch: Prompts of a call, at most; None: all.
        clear: Of a beginning no more is drawn, after a batch, where the counterfactual importance of the step before
            and of the one behind lies so many standard errors from 0 (by counts with 1 added). None: all are drawn.
        seed: Of the first call; of the next ones one more each.

    Raises:
        ValueError: no step, no such form, or a number out of its range.
        ScorerError: generate gives others than strings, or it or the judge another number.
    """
    parts = _sentences(steps) if isinstance(steps, str) else tuple(steps)
    if not parts:
        raise ValueError(f"steps must be a text or its parts, one at least; got {steps!r}")
    if form not in FORMS:
        raise one_of("form", form, FORMS)
    repeats, seed = whole_number("repeats", repeats, 2), whole_number("seed", seed, 0)
    batch = repeats if batch is None else whole_number("batch", batch, 1)
    clear = None if clear is None else number("clear", clear, above=0)
    of = _Comparison(parts, embed, number("threshold", threshold), form, number("alpha", alpha, above=0))
    first: list[list[str]] = [[] for _ in range(len(parts) + 1)]  # step that was said after each beginning
    ends: list[list[Hashable]] = [[] for _ in first]
    left, calls = list(range(len(first))), 0
    while left:
        for i in left:
            begun = "".join(parts[:i])
            new = drawn(generate, prompt + begun, min(batch, repeats - len(first[i])), seed + calls)
            first[i] += ["".join(_sentences(each)[:1]).strip() for each in new]
            ends[i] += _outcomes(judge, [begun + each for each in new])
            calls += 1
        open_ = set(range(len(parts))) if clear is None else of.unclear(first, ends, clear)
        left = [i for i in left if len(first[i]) < repeats and open_ & {i - 1, i}]
    return of.found(first, ends)


class _Comparison:
    """Outcomes with each step, and without it."""

    def __init__(self, parts: tuple[str, ...], embed: Embed, threshold: float, form: str, alpha: float) -> None:
        self._parts, self._embed, self._threshold = parts, embed, threshold
        self._form, self._alpha = form, alpha
        self._known: dict[str, Values] = {}

    def found(self, first: list[list[str]], ends: list[list[Hashable]]) -> StepImportance:
        """All that is known of the steps from the step that was said after each beginning, and where that led."""
        counterfactual, resampling, *others = np.array(self._rows(first, ends, self._alpha), np.float64).T
        error, its_error, different, spare = others
        evaluations = sum(map(len, first))
        return StepImportance(counterfactual, resampling, error, its_error, different, spare, self._parts, evaluations)

    def unclear(self, first: list[list[str]], ends: list[list[Hashable]], errors: float) -> set[int]:
        """Steps whose counterfactual importance is not yet told from 0."""
        rows = self._rows(first, ends, max(self._alpha, 1.0))
        return {i for i, row in enumerate(rows) if not abs(row[0]) > errors * row[2]}

    def _rows(self, first: list[list[str]], ends: list[list[Hashable]], alpha: float) -> list[tuple[float, ...]]:
        seen = sorted({end for each in ends for end in each}, key=repr)
        numbers = _numbers(seen) if self._form == "difference" else None
        place, size = {end: k for k, end in enumerate(seen)}, max(2, len(seen))
        rows: list[tuple[float, ...]] = []
        reached = [np.array([place[end] for end in each], np.intp) for each in ends]
        for step, said, without, with_ in zip(self._parts, first, reached, reached[1:], strict=False):
            other = self._differs(said, step.strip())
            p, q, r = (np.bincount(each, minlength=size) for each in (without[other], with_, without))
            counterfactual, error = compared(p, q, alpha, numbers) if other.any() else (np.nan, np.nan)
            resampling, its_error = compared(r, q, alpha, numbers)
            spare = 1 - len(set(said)) / len(said)
            rows.append((counterfactual, resampling, error, its_error, float(other.mean()), spare))
        return rows

    def _differs(self, first: list[str], step: str) -> NDArray[np.bool_]:
        new = [each for each in dict.fromkeys([*first, step]) if each not in self._known]
        if new:
            vectors = np.asarray(self._embed(new), np.float64)
            if vectors.ndim != 2 or len(vectors) != len(new):
                raise ValueError(f"embed must give [{len(new)}, D], a vector a step; got shape {list(vectors.shape)}")
            length = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float64).tiny)
            self._known |= dict(zip(new, vectors / length, strict=True))
        cosine = np.array([self._known[each] for each in first]) @ self._known[step]
        return np.asarray(cosine < self._threshold, bool)


def compared(p: NDArray[Any], q: NDArray[Any], alpha: float, numbers: Values | None) -> tuple[float, float]:
    """KL of two counts of outcomes [K], or the difference of their means, and its standard error by the delta method.

    Args:
        numbers: What each outcome counts for; None: KL.
    """
    sizes = p.sum(), q.sum()
    p, q = ((each + alpha) / (each.sum() + alpha * len(each)) for each in (p, q))
    if numbers is None:
        value, slopes = float(p @ np.log(p / q)), (np.log(p / q), -p / q)
    else:
        numbers = np.append(numbers, np.zeros(len(p) - len(numbers)))
        value, slopes = float(numbers @ (q - p)), (-numbers, numbers)
    variance = sum(
        (each @ slope**2 - (each @ slope) ** 2) / size for each, slope, size in zip((p, q), slopes, sizes, strict=True)
    )
    return value, float(np.sqrt(max(variance, 0)))


def _outcomes(judge: Judge, texts: list[str]) -> list[Hashable]:
    given: Any = judge(texts)
    found = list(given.tolist() if hasattr(given, "tolist") else given)
    if len(found) != len(texts):
        raise ScorerError(f"judge must give an outcome for each of {len(texts)} texts; got {len(found)}")
    return found


def _numbers(outcomes: Sequence[Hashable]) -> Values:
    try:
        return np.array(outcomes, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f'form="difference" needs outcomes that are numbers; got {outcomes[0]!r}') from None


def _sentences(text: str) -> tuple[str, ...]:
    """A text's sentences, which join to it; none of one that has nothing to read."""
    regions = divided(plain(text), "sentences") if text.strip() else None
    return () if regions is None else regions.names
