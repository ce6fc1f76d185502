"""Pictures of explanations: nothing lies on anything else, and every score is on the axes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from toys import image, made


def drawn(insertion, deletion, **rest):
    fig = made(insertion, deletion, pixels=image(), **rest).plot(names=["cat", "dog"])
    fig.canvas.draw()
    return fig


@pytest.mark.parametrize("scores", [[0.1, 0.9, 0.5], [-0.87, 0.2, 0.9], [0.2, 1.4, 1.1]])
def test_panels_titles_and_legend_do_not_overlap(scores):
    fig = drawn(scores, scores[::-1], predicted=np.ones((2, 3), np.int64))
    panels = [each.get_tightbbox() for each in fig.axes]
    for before, after in pairwise(panels):
        assert before.x1 < after.x0
    whole = fig.bbox
    assert min(each.x0 for each in panels) >= 0
    assert max(each.x1 for each in panels) <= whole.x1
    assert max(each.y1 for each in panels) <= whole.y1
    assert fig.axes[0].get_title().endswith("(the model says dog)")


def test_the_legend_covers_no_curve():
    axes = drawn([0.5] * 3, [0.4] * 3).axes[3]
    assert axes.get_legend().get_window_extent().y0 >= axes.get_window_extent().y1


@pytest.mark.parametrize(
    ("scores", "low", "high"),
    [
        ([0.2, 0.9], 0, 1),
        ([-0.5, 0.9], -0.5, 1),
        ([0.2, 1.6], 0, 1.6),
        ([np.nan, np.nan], 0, 0.5),
        ([0.1, 0.3], 0, 0.5),
    ],
)
def test_limits_hold_every_score(scores, low, high):
    margin = 0.02 * (high - low)
    found = drawn(scores, [0.5, 0.5]).axes[3].get_ylim()
    assert found == pytest.approx((low - margin, high + margin))
