"""The fewest regions that keep a prediction, change it, or set it right; by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pysmdl import metrics
from pysmdl.explanation import Explanation

from toys import explain, made

NAN = float("nan")


# correction


def answered(kept, removed, area=None, target=0) -> Explanation:
    flat = [0.5] * len(kept)
    return made(flat, flat, area, predicted=np.array([kept, removed]), target=target)


def test_minimal_regions_of_a_class_by_hand():
    e = answered(kept=[3, 3, 0, 0], removed=[0, 0, 2, 0], area=[0, 0.1, 0.4, 1])
    assert metrics.minimal_correction(e) == pytest.approx(0.4)
    assert metrics.minimal_sufficient(e) == pytest.approx(0.4)
    never = answered(kept=[3, 3, 3, 3], removed=[0, 0, 0, 0], area=[0, 0.1, 0.4, 0.9])
    assert metrics.minimal_correction(never) == metrics.minimal_sufficient(never) == 1


def test_a_wrong_prediction_is_corrected_where_it_stops_being_what_it_was():
    e = answered(kept=[1, 2, 2], removed=[2, 2, 1], target=1)  # explained for 1, predicted as 2
    assert metrics.minimal_correction(e) == 0
    assert metrics.minimal_correction(e, "initial") == 1
    assert metrics.minimal_sufficient(e) == 0
    assert metrics.minimal_sufficient(e, "initial") == pytest.approx(0.5)
    cut = answered(kept=[1, 1], removed=[2, 2], area=[0, 0.3])
    assert metrics.minimal_region_rate(cut, 1.0, "initial") == 0


def test_minimal_regions_of_tokens_need_all_of_them():
    top = np.array([[[0, 0], [5, 0], [5, 7]], [[5, 7], [5, 9], [0, 0]]], np.float32)
    e = made([0, 0, 1], [1, 0, 0], reading={"top_token": top}, target={"positions": [0, 2], "ids": [5, 7]})
    assert metrics.minimal_correction(e) == pytest.approx(0.5)  # one of the two differs
    assert metrics.minimal_sufficient(e) == 1
    assert metrics.minimal_correction(e, "initial") == pytest.approx(0.5)


def test_points_that_were_not_measured_neither_flip_nor_suffice():
    e = answered(kept=[-1, -1, 0], removed=[0, -1, 2])
    assert metrics.minimal_correction(e) == 1
    assert metrics.minimal_sufficient(e, "initial") == 1
    assert metrics.minimal_region_rate(e, 1.0) == 1
    unknown = answered(kept=[-1, 1, 1], removed=[-1, 1, 1])
    assert metrics.minimal_region_rate(unknown, 1.0, "initial") == 0
    top = np.array([[[0], [NAN]], [[5], [NAN]]], np.float32)
    tokens = made([0, 1], [1, 0], reading={"top_token": top}, target={"positions": [0], "ids": [5]})
    assert metrics.minimal_region_rate(tokens, 1.0) == metrics.minimal_region_rate(tokens, 1.0, view="kept") == 0


def test_means_of_minimal_regions_count_what_never_flips():
    area = [0, 0.1, 0.4, 1]
    early = answered([0] * 4, [0, 2, 2, 2], area)
    late = answered([3, 3, 0, 0], [0, 0, 2, 2], area)
    never = answered([3] * 4, [0] * 4, area)
    every = [early, late, never]
    assert metrics.mean_minimal_region(every) == pytest.approx((0.1 + 0.4 + 1) / 3)
    assert metrics.minimal_region_rate(every) == pytest.approx(1 / 3)
    assert metrics.minimal_region_rate(every, 1.0) == pytest.approx(2 / 3)
    assert metrics.mean_minimal_region(every, view="kept") == pytest.approx((0 + 0.4 + 1) / 3)
    assert metrics.minimal_region_rate(every, 0.4, view="kept") == pytest.approx(2 / 3)


AREA = [0, 0.2, 0.5, 0.92, 1]
WALKS = {  # of what the model says with the first j regions kept, where 0 would be right, to what was taken away then
    "the last region hid it": ([1, 1, 0, 0, 1], 0.08),
    "only half of it is right": ([1, 0, 0, 1, 1], 0.5),
    "right but for a gap": ([1, 0, 1, 0, 1], 0.08),
    "right from the start": ([1, 1, 1, 1, 0], 0),
    "never": ([1, 2, 2, 1, 1], 1),
    "of nothing at all": ([0, 2, 2, 1, 1], 1),
    "not measured in between": ([1, 0, -1, -1, 1], 0.8),
}


def test_correction_regions_walk_back_from_the_full_picture():
    found = {name: answered(kept, [kept[-1], 0, 0, 0, kept[0]], AREA) for name, (kept, _) in WALKS.items()}
    for name, (_, area) in WALKS.items():
        assert metrics.correction_region(found[name]) == pytest.approx(area, abs=1e-6), name
    every = list(found.values())
    assert metrics.amcr(every) == pytest.approx((0.08 + 0.5 + 0.08 + 0 + 1 + 1 + 0.8) / 7)
    assert metrics.csr(every) == pytest.approx(3 / 7), "never corrected is a failure: EAGLE's own counts 3 of 5"
    assert metrics.csr(every, 0.5) == pytest.approx(4 / 7)
    assert metrics.csr(every, 1.0) == pytest.approx(5 / 7)


def test_correction_regions_of_an_order_that_was_cut_begin_with_the_full_picture():
    right = answered(kept=[1, 1, 0], removed=[0, 1, 1], area=[0, 0.2, 0.5])
    assert metrics.correction_region(right) == 0
    wrong = answered(kept=[1, 1, 0], removed=[1, 1, 1], area=[0, 0.2, 0.5])
    assert metrics.correction_region(wrong) == pytest.approx(0.5)


def test_correction_regions_of_tokens_need_all_of_them():
    kept = [[1, 1], [5, 7], [5, 7], [5, 1], [NAN, 7]]
    top = np.array([kept, kept[::-1]], np.float32)
    e = made([0] * 5, [0] * 5, AREA, reading={"top_token": top}, target={"positions": [0, 2], "ids": [5, 7]})
    assert metrics.correction_region(e) == pytest.approx(0.5)


def test_amcr_and_csr_of_explanations_of_the_counter_word():
    """Class 0 needs the left half, class 1 is sure of itself as long as any of the last column is shown."""

    def forward(batch):
        lit = (batch > 0).float().mean((1, 2))
        return torch.stack((lit[:, :6].mean(1), 2 * (lit[:, 11] > 0)), 1)

    labels = np.broadcast_to(np.arange(12) // 3, (12, 12))
    counter = explain(forward, target=0, regions=labels)
    assert set(counter.order[:2]) == {0, 1}, "the answer that would have been right lies in these"
    assert counter.predicted[0].tolist()[1:3] == [0, 0]
    last = counter.order.tolist().index(3)
    assert metrics.amcr(counter) == metrics.correction_region(counter) == (4 - last) / 4
    assert metrics.csr(counter) == 0
    assert metrics.csr(counter, (4 - last) / 4) == 1
    assert metrics.minimal_correction(counter) == 0, "another quantity: the answer was never class 0"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: metrics.minimal_correction(made([0, 1], [1, 0])), "must be of a class or of tokens.*target is 0"),
        (lambda e: metrics.minimal_correction(e, "truth"), "expected must be one of 'initial', 'target'; got 'truth'"),
        (lambda e: metrics.mean_minimal_region(e, view="shown"), "view must be one of 'kept', 'removed'; got 'shown'"),
        (lambda e: metrics.minimal_region_rate(e, NAN), "budget must be above 0 and at most 1, .*; got nan"),
        (lambda e: metrics.amcr(made([0, 1], [1, 0])), "must be of a class or of tokens.*target is 0"),
        (lambda e: metrics.amcr(replace(e, predicted=e.predicted[:, 1:])), r"predicted of both views .* \[2, 2\]; got"),
        (lambda e: metrics.amcr(replace(e, target={"ids": [1]})), "must be of a class or of tokens"),
        (lambda e: metrics.csr(e, 0), "budget must be above 0 and at most 1, a share of the area; got 0"),
        (lambda e: metrics.amcr([]), "explanations must hold at least one"),
        (lambda e: metrics.amcr([e, 3]), "explanations must be pysmdl.Explanation, each of them; got int"),
    ],
)
def test_correction_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call(answered([0, 0], [0, 1]))
