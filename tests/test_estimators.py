"""The classic methods' estimators: the subsets they draw, and what they make of scores, against examples by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from pysmdl import methods
from pysmdl.methods import leave_one_out, linear, masks, randomized, sensitivity
from pysmdl.search.vocabulary import Task
from pysmdl.testing import drive, interacting, modular

SCORES = np.array([0.1, 0.3, 0.5, 0.9], np.float32)  # of nothing, {1}, {0} and {0, 1}: the rows of every_mask(2)


def every_mask(n: int) -> np.ndarray:
    return np.array(list(itertools.product([False, True], repeat=n)))


def shapley_by_hand(f, n) -> np.ndarray:
    """Mean over all subsets without i of what i adds, each size weighted alike."""
    values = np.zeros(n)
    for i in range(n):
        without = every_mask(n)
        without = without[~without[:, i]]
        with_i = without.copy()
        with_i[:, i] = True
        weight = np.array([1 / (n * math.comb(n - 1, size)) for size in without.sum(1)])
        values[i] = weight @ (np.float32(f(with_i)).astype(float) - np.float32(f(without)))
    return values


def hsic_by_hand(member, score, width) -> np.ndarray:
    rows = len(member)
    centre = np.eye(rows) - 1 / rows
    scores = score.astype(float)
    output = np.exp(-((scores[:, None] - scores) ** 2) / (2 * width**2))
    agree = [np.where(bit[:, None] == bit, 0.5, -0.5) for bit in member.T]
    return np.array([np.trace(kernel @ centre @ output @ centre) / (rows - 1) ** 2 for kernel in agree])


def test_totals_of_subsets_are_those_of_a_known_function():
    """f = x0 + 2 x1 + 4 x0 x1 - 3 x2, and x0 x1 x2, over uniform subsets (E1)."""
    search = methods.sobol(designs=8192)
    ranking, _ = drive(search, lambda m: m[:, 0] + 2.0 * m[:, 1] + 4.0 * (m[:, 0] & m[:, 1]) - 3.0 * m[:, 2], 3)
    assert ranking.attribution == pytest.approx([0.34210526, 0.52631579, 0.23684211], abs=0.01)
    ranking, _ = drive(search, lambda m: m.all(1).astype(float), 3)
    assert ranking.attribution == pytest.approx([4 / 7] * 3, abs=0.02)


# The subsets that are drawn.


@pytest.mark.parametrize("rows", [1, 2, 7, 40])
def test_balanced_masks_keep_each_region_in_half_of_the_rows(rng, rows):
    kept = masks.balanced_masks(rng, rows, 30).sum(axis=0)
    assert set(kept) <= {rows // 2, rows - rows // 2}
    assert len(set(kept)) == 1 + rows % 2  # with an odd number chance decides, and not the same for all


def test_balanced_masks_confound_no_two_regions(rng):
    sign = 2 * masks.balanced_masks(rng, 32, 49).astype(int) - 1
    products = np.abs(sign.T @ sign)[np.triu_indices(49, 1)]
    assert products.max() < 32


def test_random_masks_keep_the_share(rng):
    member = masks.random_masks(rng, 4000, 25, 0.2)
    assert member.mean() == pytest.approx(0.2, abs=0.01)
    assert np.abs(np.corrcoef(member.T) - np.eye(25)).max() < 0.1


def test_masks_of_sizes_have_these_sizes_and_favour_no_region(rng):
    sizes = np.repeat([1, 3, 6], 2000)
    member = masks.masks_of_sizes(rng, sizes, 8)
    np.testing.assert_array_equal(member.sum(axis=1), sizes)
    np.testing.assert_allclose(member.mean(axis=0), 10 / 24, atol=0.03)


def test_every_mask_of_a_size_and_flips():
    np.testing.assert_array_equal(masks.every_mask_of_size(3, 2), [[1, 1, 0], [1, 0, 1], [0, 1, 1]])
    np.testing.assert_array_equal(
        masks.with_flips(np.array([[True, False], [True, True]])), [[1, 0], [0, 0], [1, 1], [1, 1], [0, 1], [1, 0]]
    )


# Each estimator on two regions, worked out by hand from SCORES.


def scored(member: np.ndarray) -> np.ndarray:
    return SCORES[2 * member[:, 0] + member[:, 1]]


def test_occlusion_by_hand():
    assert drive(leave_one_out.occlusion(), scored, 2)[0].attribution.tolist() == pytest.approx([0.9 - 0.3, 0.9 - 0.5])
    alone = drive(leave_one_out.occlusion(keep=True), scored, 2)[0].attribution
    assert alone.tolist() == pytest.approx([0.5 - 0.1, 0.3 - 0.1])


def test_rise_by_hand():
    member = every_mask(2)
    assert randomized.mean_where_kept(member, SCORES, 0.5).tolist() == pytest.approx([0.7, 0.6])
    # Where chance kept a region less often than expected, the expected share counts (equation 6).
    assert randomized.mean_where_kept(member[:3], SCORES[:3], 0.5).tolist() == pytest.approx([0.5 / 1.5, 0.3 / 1.5])


@pytest.mark.parametrize("keep", [0.25, 0.5])
def test_rise_comes_near_the_expectation(keep):
    """With 1 kept as often as not expected: E[f | 0 kept] = (1 - keep) 0.5 + keep 0.9."""
    found = drive(methods.rise(100000, keep=keep), scored, 2)[0].attribution
    expected = [(1 - keep) * 0.5 + keep * 0.9, (1 - keep) * 0.3 + keep * 0.9]
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_drise_is_rise_of_the_match():
    f = interacting(9)
    same_rows = [drive(make(evaluations=300), f, 9)[0].attribution for make in (methods.rise, methods.drise)]
    np.testing.assert_array_equal(*same_rows)


def test_lime_by_hand():
    """On the whole square all weights 1: the slope of region 0 is 0.5, of 1 is 0.3; alpha = 1 halves them."""
    member, even = every_mask(2), np.ones(4)
    assert linear.ridge(member, SCORES, even, 1e-9).tolist() == pytest.approx([0.5, 0.3])
    assert linear.ridge(member, SCORES, even, 1.0).tolist() == pytest.approx([0.25, 0.15])
    # An additive score is met by any weights.
    additive = np.array([0.1, 0.3, 0.5, 0.7], np.float32)
    assert linear.ridge(member, additive, np.array([3.0, 1, 3, 1]), 1e-9).tolist() == pytest.approx([0.4, 0.2])
    # Least squares by name; where several fit, as without a row that tells two regions apart, those of least norm.
    assert linear.ridge(member, SCORES, even, 0.0).tolist() == pytest.approx([0.5, 0.3])
    together = np.array([[False, False], [True, True]])
    assert linear.ridge(together, SCORES[[0, 3]], np.ones(2), 0.0).tolist() == pytest.approx([0.4, 0.4])
    # Weights 1 and 3 of one region's two rows: centred they are -3/4 and 1/4, the weighted sum of squares 3/4.
    one = linear.ridge(np.array([[False], [True]]), np.array([0, 1], np.float32), np.array([1.0, 3.0]), 0.25)
    assert one.tolist() == pytest.approx([0.75 / (0.75 + 0.25)])


def test_limes_kernel_by_hand():
    quarter = np.array([[True, False, False, False]])  # cosine with the full row 1/2: distance 1/2, twice the width
    assert linear.proximity(quarter, 0.25).tolist() == pytest.approx([math.exp(-2)])
    nothing_and_all = linear.proximity(np.array([[False] * 4, [True] * 4]), 0.25)
    assert nothing_and_all.tolist() == pytest.approx([math.exp(-8), 1])


def test_lime_asks_for_the_full_input_first():
    subsets = next(methods.lime(50).start(Task(9, 9))).subsets
    assert subsets[0].all()
    assert subsets[1:].mean() == pytest.approx(0.5, abs=0.1)


def test_kernel_shap_by_hand():
    found = drive(methods.kernel_shap(), scored, 2)[0].attribution
    assert found.tolist() == pytest.approx([(0.4 + 0.6) / 2, (0.2 + 0.4) / 2])


@pytest.mark.parametrize("n", [1, 2, 3, 6, 7, 10])
@pytest.mark.parametrize("seed", range(3))
def test_kernel_shap_of_all_coalitions_is_shapley(n, seed):
    f = interacting(n, seed)
    ranking, asked = drive(methods.kernel_shap(2**n), f, n)
    assert asked == 2**n
    np.testing.assert_allclose(ranking.attribution, shapley_by_hand(f, n), atol=1e-5)


@pytest.mark.parametrize("rows", [28, 100, 101, 600])
def test_kernel_shap_is_efficient_and_comes_near_shapley(rows):
    f, n = interacting(13), 13
    found = drive(methods.kernel_shap(rows), f, n)[0].attribution
    gain = np.float32(f(np.ones((1, n), bool))[0]) - np.float32(f(np.zeros((1, n), bool))[0])
    assert found.sum() == pytest.approx(gain, abs=1e-6)
    error = np.abs(found - shapley_by_hand(f, n)).max()
    assert error < {28: 0.3, 100: 0.03, 101: 0.03, 600: 0.01}[rows]


@pytest.mark.parametrize(("n", "rows"), [(2, 4), (3, 8), (9, 20), (9, 100), (10, 300), (12, 1000), (49, 2000)])
def test_kernel_shaps_sample_weighs_each_size_as_the_kernel_does(rng, n, rows):
    member, weight = linear.shapley_sample(rng, rows, n)
    assert len(member) == len(weight) == rows
    assert not member[0].any()
    assert member[1].all()
    assert weight[:2].tolist() == [0, 0]
    size = np.arange(1, n)
    found = np.bincount(member.sum(axis=1), weight, minlength=n + 1)[1:n]
    expected = (n - 1) / (size * (n - size))
    assert found.sum() == pytest.approx(expected.sum())
    np.testing.assert_allclose(found, expected, atol=1.1 * weight.max())  # a draw is all or nothing
    assert (weight[2:] > 0).all()
    assert sorted(row.tobytes() for row in member) == sorted((~row).tobytes() for row in member)  # complements


def test_kernel_shap_takes_small_and_large_coalitions_in_full(rng):
    """At 49 regions and 2146 rows size 1 and 48 have 23 % of the kernel's mass: more draws than their 98 subsets."""
    member, _ = linear.shapley_sample(rng, 2146, 49)
    assert len({row.tobytes() for row in member[member.sum(axis=1) == 1]}) == 49
    assert (member.sum(axis=1) == 1).sum() == (member.sum(axis=1) == 48).sum() == 49


def test_sobol_by_hand():
    """Squared changes of region 0: 0.4 and 0.6, of 1: 0.2 and 0.4; the variance of the four scores is 0.0875."""
    designs = masks.with_flips(every_mask(2))
    found = sensitivity.total_indices(scored(designs).reshape(4, 3))
    expected = np.array([(0.4**2 + 0.6**2) / 2, (0.2**2 + 0.4**2) / 2]) / (4 * 0.0875)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_sobol_of_an_additive_score_shares_out_the_variance():
    weights = np.array([3, -1, 2], np.float32)
    found = sensitivity.total_indices(modular(weights)(masks.with_flips(every_mask(3))).reshape(8, 4))
    np.testing.assert_allclose(found, weights**2 / 14, rtol=1e-6)


def test_sobol_is_jansens_estimator_on_average(rng):
    """The mean over all second designs B of (f(A) - f(A with i from B))^2 / (2 var), on all A."""
    n, f = 4, interacting(4)
    first, second = every_mask(n), every_mask(n)
    a, b = (block.reshape(-1, n) for block in np.broadcast_arrays(first[:, None], second[None]))
    jansen = []
    for i in range(n):
        mixed = a.copy()
        mixed[:, i] = b[:, i]
        jansen.append(((f(a) - f(mixed)) ** 2).mean() / (2 * f(first).var()))
    scores = f(masks.with_flips(first)).reshape(len(first), n + 1)
    np.testing.assert_allclose(sensitivity.total_indices(scores), jansen, rtol=1e-6)


def test_hsic_by_hand():
    """One region, two rows, scores one bandwidth apart: tr(KHLH) = 1 - exp(-1/2)."""
    member = np.array([[False], [True]])
    found = sensitivity.dependence(member, np.array([0, 1], np.float32))
    assert found.tolist() == pytest.approx([1 - math.exp(-0.5)])


@pytest.mark.parametrize("rows", [4, 100, 400])
def test_hsic_is_the_trace(rng, rows):
    n = 5
    member = every_mask(2) if rows == 4 else rng.random((rows, n)) < 0.4
    score = SCORES if rows == 4 else np.float32(interacting(n)(member))
    apart = np.abs(score[:, None] - score)
    expected = hsic_by_hand(member, score, float(np.median(apart[apart > 0])))
    np.testing.assert_allclose(sensitivity.dependence(member, score), expected, rtol=1e-4, atol=1e-7)


def test_hsics_bandwidth_is_that_of_scores_that_differ():
    """A detector that finds nothing in most subsets: the median distance of all pairs is 0, and useless."""
    member = np.repeat(every_mask(3), 20, axis=0)
    score = np.where(member.all(axis=1), 0.5, 0).astype(np.float32)
    np.testing.assert_allclose(sensitivity.dependence(member, score), hsic_by_hand(member, score, 0.5), rtol=1e-4)
    rare = np.zeros(900, np.float32)  # nothing at all among the first rows, from which the bandwidth is taken
    rare[-10:] = 0.5
    found = sensitivity.dependence((np.arange(900) >= 890)[:, None], rare)
    assert found[0] == pytest.approx(hsic_by_hand((np.arange(900) >= 890)[:, None], rare, 0.5)[0], rel=1e-3)
