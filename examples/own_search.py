"""A search of your own and a set function of your own, beside the published ones.

python examples/own_search.py
"""

from __future__ import annotations

import numpy as np

import pysmdl
from pysmdl.search import Ask, Claim, Ranking, Search


def two_at_a_time(task):
    """Greedy, but each round gives its two best regions a place. A generator: it asks for F of subsets and is told."""
    chosen, left = [], list(range(task.n))
    while left and len(chosen) < task.k:
        claim = Claim(front=chosen, rest=left)  # the answer, if a budget or Ctrl-C ends the search here
        found = yield Ask(chosen, left, claim=claim)  # F(chosen + a) for each a left
        best = [left[i] for i in np.argsort(-found.total, kind="stable")[:2]]
        chosen += best
        left = [region for region in left if region not in best]
    return Ranking(chosen[: task.k])


pairs = Search("two_at_a_time", two_at_a_time, asks=lambda n, k: sum(range(n, n - k, -2)))  # subsets that it asks for

# F(S) = log p(target | S kept) - log p(target | S removed): odds that multiply become terms that add.
log_odds = pysmdl.Objective(
    name="log_odds",
    target="class",
    terms=(
        pysmdl.Term("kept", "kept", lambda reading: np.log(reading["score"] + 1e-6)),
        pysmdl.Term("removed", "removed", lambda reading: -np.log(reading["score"] + 1e-6)),
    ),
    weights={"kept": 1.0, "removed": 1.0},
)

scorer, scene = pysmdl.builtin.load("digits"), pysmdl.builtin.images()[3]
print("search         objective  insertion  deletion  evaluations")
for search in ("exact", pairs):
    for objective in ("lima", log_odds):
        found = pysmdl.explain(
            scene["path"], scorer, scene["truth"], regions="slico:25", search=search, objective=objective
        )
        curves = f"{found.insertion_auc:9.3f}  {found.deletion_auc:8.3f}  {found.evaluations:11}"
        print(f"{found.notes['search']:13}  {found.notes['objective']:9}  {curves}")
