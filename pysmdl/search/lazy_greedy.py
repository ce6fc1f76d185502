"""Lazy greedy search: stale gains as upper bounds, in batches, for set functions whose gains may grow."""

from __future__ import annotations

import numpy as np

from pysmdl.search.choice import placing
from pysmdl.search.vocabulary import Ask, Claim, Ranking, Rounds

FLOAT_NOISE = 1e-6  # what float32 can add to a gain by itself, per unit of F
UNKNOWN = 1e30  # growth that may be anything: every gain is refreshed
EXACT_SHARE = 0.25  # of the rounds


def lazy_rounds(n: int, k: int, width: int) -> Rounds:
    """Greedy selection with stale gains as upper bounds (Minoux 1978), refreshed from the top in batches of `width`.

    Exact only where gains never grow. Real networks break that, early on above all: the first quarter of the rounds is
    exact. From then on a bound is the last gain plus the growth that may have happened since: the largest growth a step
    lately seen, times the steps. While gains grow that leaves every candidate above the best, and such a round is an
    exact one too; the notes count exact rounds, refreshed gains and those that had grown.
    """
    alone = np.vstack((np.zeros((1, n), bool), np.eye(n, dtype=bool)))
    found = yield Ask(subsets=alone, claim=Claim(rest=range(n)))
    totals = found.total[1:].copy()  # F of what is chosen with each region added, as last measured
    gain, age = totals - found.total[0], np.zeros(n, int)
    growth, noise = UNKNOWN, FLOAT_NOISE * max(1.0, float(np.abs(found.total).max()))
    chosen = [int(totals.argmax())]
    left = np.delete(np.arange(n), chosen)
    notes = {"rounds_in_full": 0, "gains_refreshed": 0, "gains_grown": 0}
    while len(left) and len(chosen) < k:
        value, grown = totals[chosen[-1]], 0.0
        age[left] += 1
        while True:
            old, bound = age[left] > 0, (gain + growth * age)[left]
            best = gain[left[~old]].max(initial=-np.inf)
            rest = np.lexsort((-bound, old))  # first what was measured in this round
            stale = rest[old[rest] & (bound[rest] > best + noise)]
            if len(stale) == 0:
                break
            top = np.sort(left[stale[:width]])
            found = yield Ask(chosen, top.tolist(), claim=placing(chosen, left[rest].tolist()))
            rise = (found.total - value - gain[top]) / age[top]
            grown = max(grown, float(rise.max()) if rise.max() > noise else 0.0)
            notes["gains_refreshed"] += len(top)
            notes["gains_grown"] += int((rise > noise).sum())
            totals[top], gain[top], age[top] = found.total, found.total - value, 0
        notes["rounds_in_full"] += not age[left].any()
        if len(chosen) >= EXACT_SHARE * n:
            growth = grown if growth == UNKNOWN else max(grown, growth / 2)
        fresh = left[age[left] == 0]
        chosen.append(int(fresh[gain[fresh].argmax()]))
        left = left[left != chosen[-1]]
    return Ranking(chosen, dict(notes))
