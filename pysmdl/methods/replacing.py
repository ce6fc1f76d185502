"""ReAGent: importances that are refined by replacing random regions, until the most important ones carry the answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pysmdl.errors import number, whole_number
from pysmdl.methods.asking import Values, granted
from pysmdl.search.vocabulary import Ask, Claim, Ranking, Rounds, Search, Task
from pysmdl.session import remade
from pysmdl.types import Bools, Floats

MOST = 1 - 1e-6  # of a probability's change: one of 1 would weigh as much as all others together


@dataclass(frozen=True)
class _Settings:
    """What :func:`reagent` was given."""

    ratio: float
    keep: int
    steps: int
    runs: int
    batch: int


@remade
def reagent(
    ratio: float = 0.3,
    keep: int = 3,
    steps: int = 3000,
    runs: int = 5,
    batch: int = 64,
    evaluations: int | None = None,
    seed: int | None = None,
) -> Search:
    """ReAGent (Zhao and Shan, "ReAGent: A Model-agnostic Feature Attribution Method for Generative Language Models",
    2024): made for tokens under ``removal="replace"``, of any input whose score is a probability.

        s = rng.random(n)
        each step: R = round(ratio n) random regions;  d = f(V) - f(V without R)
                   s[i] += logit((1 + d) / 2) for i in R,  logit((1 - d) / 2) for all others
        until the `keep` highest of s alone give the decision, or after so many steps
        value = mean of softmax(s) over the runs that ended so, or over all where none did

    The paper stops where the target is among the model's first three: ``language_model(among=3)``. With
    ``batch=1`` steps follow on each other as in the paper; else so many R are asked for at once. The values of
    a run are close to 1 for one region and to 0 for others where d is large: an order, not shares of the score.

    Args:
        ratio: Share of the regions that a step replaces; above 0, below 1.
        keep: Regions that are to carry the decision.
        steps: Of a run, at most.
        runs: From other starts.
        batch: Steps that are asked for at once.
        evaluations: Rows, at most; None for explain's budget less the curves.
        seed: None for the seed of explain().
    """
    ratio = number("ratio", ratio, above=0, below=1)
    whole = {"keep": keep, "steps": steps, "runs": runs, "batch": batch}
    of = _Settings(ratio, **{name: whole_number(name, value, 1) for name, value in whole.items()})
    evaluations = None if evaluations is None else whole_number("evaluations", evaluations, 1)
    seed = None if seed is None else whole_number("seed", seed, 0)

    def asks(n: int, k: int) -> int:
        rows = 1 + of.runs * (of.steps + -(-of.steps // of.batch))
        return rows if evaluations is None else min(rows, evaluations)

    def start(task: Task) -> Rounds:
        least = 1 + of.runs * 2
        rows = granted("reagent", task, least, max(least, asks(task.n, task.k)), evaluations)
        return _refined(task, of, rows, np.random.default_rng(task.seed if seed is None else seed))

    parameters = {"ratio": ratio, **whole, "evaluations": evaluations, "seed": seed}
    return Search("reagent", start, asks, parameters, score_only=True)


def _refined(task: Task, of: _Settings, rows: int, rng: np.random.Generator) -> Rounds:
    claim = Claim(rest=range(task.n))
    states = rng.random((of.runs, task.n))
    ended = np.zeros(of.runs, bool)
    full = (yield Ask(subsets=np.ones((1, task.n), bool), score_only=True, claim=claim)).total[0]
    spent, done = 1, 0
    while done < of.steps and not ended.all():
        live = np.flatnonzero(~ended)
        count = min(of.batch, of.steps - done, (rows - spent) // len(live) - 1)
        if count < 1:
            break
        replaced = drawn(rng, len(live) * count, task.n, of.ratio)
        found = yield Ask(subsets=~replaced, score_only=True, claim=claim)
        states[live] += moves(full, found.total, replaced).reshape(len(live), count, -1).sum(1)
        kept = states[live].argsort(1).argsort(1) >= task.n - of.keep
        found = yield Ask(subsets=kept, score_only=True, claim=claim)
        if found.decided is not None:
            ended[live] = found.decided
        spent, done = spent + len(live) * (count + 1), done + count
    attribution = softmax(states[ended] if ended.any() else states).mean(0).astype(np.float32)
    order = np.argsort(-attribution, kind="stable")[: task.k].tolist()
    return Ranking(order, {"sampled": spent, "runs_ended": int(ended.sum())}, attribution)


def drawn(rng: np.random.Generator, rows: int, n: int, ratio: float) -> Bools:
    """Which regions each step replaces: at least one, and not all where there are several. [rows, n]."""
    size = min(max(1, round(ratio * n)), max(1, n - 1))
    replaced = np.zeros((rows, n), bool)
    np.put_along_axis(replaced, rng.random((rows, n)).argsort(1)[:, :size], True, 1)
    return replaced


def moves(full: float, score: Floats, replaced: Bools) -> Values:
    """What each step adds to the state: logit((1 + d) / 2) = 2 artanh(d) where it replaced, less that elsewhere."""
    apart = np.clip(np.float64(full) - score.astype(np.float64), -MOST, MOST)
    found: Values = np.where(replaced, 1, -1) * 2 * np.arctanh(apart)[:, None]
    return found


def softmax(states: Values) -> Values:
    """Of each row."""
    risen = np.exp(states - states.max(1, keepdims=True))
    found: Values = risen / risen.sum(1, keepdims=True)
    return found
