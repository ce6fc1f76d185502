"""What the guided search knows for certain: the best order along what was measured, and what a move gains on it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pysmdl.search.lattice import Lattice, numbers, prefixes
from pysmdl.search.local_moves import Moves
from pysmdl.search.measurements import Measurements
from pysmdl.search.surrogate import Surrogate

from set_functions import area_under, rough


@pytest.mark.parametrize("seed", range(8))
def test_the_best_order_along_what_is_measured_is_found_whatever_came_first(seed):
    rng = np.random.default_rng(seed)
    n, f, area = 6, rough(6, seed), rng.dirichlet(np.ones(6))
    orders = [rng.permutation(n) for _ in range(6)]
    member = np.unique(np.vstack([prefixes(order.astype(np.int32), n) for order in orders]), axis=0)
    known = {row.tobytes() for row in member}

    def measured(order):
        return all(row.tobytes() in known for row in prefixes(np.array(order, np.int32), n))

    lattice = Lattice(area, n)
    for part in np.array_split(rng.permutation(len(member)), 5):
        lattice.add(numbers(member[part]), f(member[part]).astype(np.float32))
    best = max((list(o) for o in itertools.permutations(range(n)) if measured(o)), key=lambda o: area_under(f, o, area))
    order, worth = lattice.best()
    assert worth == pytest.approx(area_under(f, best, area), abs=1e-6)
    assert area_under(f, order, area) == pytest.approx(worth, abs=1e-6)


def test_an_order_with_a_gap_is_none():
    lattice = Lattice(np.ones(3), 3)
    lattice.add([0b000, 0b011, 0b111], np.ones(3, np.float32))
    assert lattice.best() is None
    lattice.add([0b010], np.ones(1, np.float32))
    assert lattice.best() == ([1, 0, 2], 3.0)


@pytest.mark.parametrize("n", [1, 8, 63, 64, 65, 200])
def test_subsets_are_numbers(n, rng):
    member = rng.random((9, n)) < 0.5
    assert numbers(member) == [sum(1 << int(r) for r in np.flatnonzero(row)) for row in member]


@pytest.mark.parametrize(("n", "k"), [(2, 2), (6, 6), (11, 11), (2, 1), (6, 1), (6, 4), (11, 3), (11, 10)])
def test_what_a_move_gains_is_known_where_its_prefixes_are(n, k):
    rng, f = np.random.default_rng(0), rough(n, 1)
    area = rng.dirichlet(np.ones(n))
    everything = (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(bool)
    surrogate, lattice = Surrogate(n, area), Lattice(area, k)
    surrogate.bounded = False
    lattice.add(numbers(everything), f(everything).astype(np.float32))
    surrogate.add(everything[:4], f(everything[:4]).astype(np.float32))
    surrogate.fit()
    order = rng.permutation(n).astype(np.int32)
    moves = Moves(Measurements(surrogate, lattice), order, k)
    columns = np.arange(len(moves.source)) % n
    assert set(range(k, n)) <= set(columns[moves.target == k - 1])  # any other may take the last place
    for place, source, target, gain, cost in zip(
        columns, moves.source, moves.target, moves.gain, moves.cost, strict=True
    ):
        assert cost == 0
        if 0 <= target < n and min(source, target) < k:
            moved = np.insert(np.delete(order, place), target, order[place])
            better = area_under(f, moved[:k], area) - area_under(f, order[:k], area)
            assert gain == pytest.approx(better, abs=1e-6)


def test_moves_of_few_regions_among_many_are_no_more_than_those_of_all():
    """Each of the others may take the last place; one to each pair of regions had taken minutes, and gigabytes."""
    member = np.tri(4, 300, -1, dtype=bool)
    surrogate, lattice = Surrogate(300), Lattice(np.full(300, 1 / 300), 3)
    surrogate.add(member, np.zeros(4, np.float32))
    surrogate.fit()
    moves = Moves(Measurements(surrogate, lattice), np.arange(300, dtype=np.int32), 3)
    assert len(moves.target) == 2 * 8 * 300
    assert set(np.flatnonzero((moves.target == 2) & (moves.cost > 0)) % 300) == {0, 1, *range(3, 300)}
