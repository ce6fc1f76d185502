"""A million images on 64 GPUs, simulated: unequal inputs, slow and dying workers, a store that stalls.

    python benchmarks/sim_jobs.py

It feeds workers as pysmdl.jobs.ray_driver does (what is in hand, less near the end; what a dead one had goes to others)
and takes its costs from measurement: see COSTS. What it gives is what that schedule loses, not what a cluster does.
"""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass

from pysmdl.jobs.ray_driver import LEAST, PIECE

COSTS = {  # seconds of a GPU an image
    "exact order of 49 regions, ViT-L/14 in bfloat16": 0.96,  # benchmarks/README.md: an H200
    "LiMA's order by token dropping, ViT-B/16": 0.10,  # likewise
}
START = 60.0  # seconds until a worker has its model
SPREAD = 0.5  # of a log-normal: the dearest of a thousand inputs takes 5 times the median
IN_FLIGHT = 32  # of an engine at once


@dataclass(frozen=True)
class Trouble:
    """What goes wrong, and how often."""

    slow_share: float = 0.03  # workers that take
    slow_times: float = 2.0  # so many times as long
    hours_between_deaths: float = 100.0  # of one worker
    store_stalls_each_hour: float = 1.0  # for all
    stall_seconds: float = 60.0


def simulate(images: int, workers: int, seconds: float, trouble: Trouble, seed: int = 0) -> dict[str, float]:
    """Hours, share of the workers' time that is idle before the last 1 % of the inputs and in all, deaths, redone."""
    dice = random.Random(seed)
    slow = [trouble.slow_times if dice.random() < trouble.slow_share else 1.0 for _ in range(workers)]
    rate = 1 / (3600 * trouble.hours_between_deaths) if trouble.hours_between_deaths else 0.0
    events = [(START, worker) for worker in range(workers)]  # when each wants more
    heapq.heapify(events)
    busy, redone, deaths, left, at_99 = 0.0, 0, 0, images, 0.0
    busy_99, ends = 0.0, [START] * workers
    death = [dice.expovariate(rate) if rate else float("inf") for _ in range(workers)]
    while events:
        now, worker = heapq.heappop(events)
        ends[worker] = now
        if left <= 0:
            continue
        piece = min(PIECE, left)
        left -= piece
        mean = seconds * slow[worker] * math.exp(-(SPREAD**2) / 2)
        took = sum(mean * dice.lognormvariate(0, SPREAD) for _ in range(piece))
        if trouble.store_stalls_each_hour and dice.random() < took * trouble.store_stalls_each_hour / 3600 * 0.02:
            took += trouble.stall_seconds  # beyond the 4096 rows that wait in memory, which happens to one in fifty
        if now + took > death[worker]:
            lost = min(images - left, IN_FLIGHT + 3 * PIECE)  # what it had in hand goes to others
            left, redone, deaths = left + lost, redone + lost, deaths + 1
            heapq.heappush(events, (death[worker] + START, worker))
            death[worker] += START + dice.expovariate(rate)
            continue
        busy += took
        heapq.heappush(events, (now + took, worker))
        if not at_99 and left <= images / 100:
            at_99, busy_99 = now, busy
    end = max(ends) + seconds * (LEAST - 1)  # near the end a worker has four inputs in hand, which no other can take
    idle = 1 - busy_99 / (workers * at_99) if at_99 else 0.0
    return {
        "hours": end / 3600,
        "idle before the last 1 %": idle,
        "over the ideal": end / (images * seconds / workers) - 1,
        "deaths": deaths,
        "redone": redone,
    }


def main() -> None:
    calm = Trouble(0, 1, 0, 0, 0)
    for name, seconds in COSTS.items():
        print(name)
        for title, trouble in (("  nothing goes wrong", calm), ("  stragglers, deaths, a slow store", Trouble())):
            found = simulate(1_000_000, 64, seconds, trouble)
            shown = ", ".join(f"{key} {value:.3f}".rstrip("0").rstrip(".") for key, value in found.items())
            print(f"{title}: {shown}")


if __name__ == "__main__":
    main()
