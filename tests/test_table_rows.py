"""The forms that a table's row comes in, and what is none."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl import scorers
from pysmdl.errors import ImageError

from toys import explained


def test_frames_and_series_are_read_by_the_names_of_their_columns():
    pandas = pytest.importorskip("pandas")
    from sklearn.linear_model import LinearRegression

    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(40, 3)), columns=["a", "b", "c"])
    model = LinearRegression().fit(frame, frame["a"] + 2 * frame["b"])
    scorer = scorers.table(model, data=frame)
    for row in (frame.iloc[5], frame.iloc[[5]], frame.iloc[5][["c", "a", "b"]], frame.iloc[5].to_numpy()):
        found = explained(row, scorer, search="exact")
        assert found.players == ("a", "b", "c")
        away = frame.iloc[5] - frame.mean()
        assert found.values().tolist() == pytest.approx([away["a"], 2 * away["b"], 0], abs=1e-5)
    assert len(list(pysmdl.explain_many(frame.head(4), scorer, progress=False))) == 4
    with pytest.raises(ImageError, match=r"lacks \['a'\]"):
        explained(frame.iloc[5][["c", "b"]], scorer)


def test_what_pandas_calls_by_name_is_read_by_name_whatever_its_order():
    pandas = pytest.importorskip("pandas")
    data = pandas.DataFrame(np.random.default_rng(0).normal((1, 2, 3), 1, (40, 3)), columns=["a", "b", "c"])
    turned = data[["c", "a", "b"]].assign(name="x")
    row, weights = pandas.Series({"a": 5.0, "b": 7, "c": 9}), np.array([1.0, 2, 4])

    def given(**settings):
        scorer = scorers.table(lambda rows: rows @ weights, ["a", "b", "c"], data=settings.pop("data", None))
        return explained(row, scorer, search="occlusion", **settings).attribution

    wanted = pytest.approx(weights * (row - data.mean()).to_numpy(), abs=1e-4)
    assert given(data=turned) == wanted
    assert given(baseline=turned[["c", "a", "b"]].mean()) == wanted
    assert given(baseline=dict(turned[["c", "a", "b"]].mean())) == wanted
    assert given(baseline=turned[["c", "a", "b"]]) == wanted
    assert given(baseline=pysmdl.removal.marginal(turned[["c", "a", "b"]], None)) == wanted
    numbers = turned[["c", "a", "b"]]
    for draws in ("mean", 8):
        one, other = (
            given(baseline=pysmdl.removal.conditional_gaussian(each.mean(), each.cov(), draws))
            for each in (data, numbers)
        )
        assert one == pytest.approx(other, abs=1e-3 if draws == "mean" else 3)
    assert given(baseline=pandas.Series([5.0, 7, 8])) == pytest.approx([0, 0, 4], abs=1e-5)  # no names: by place
    with pytest.raises(ImageError, match=r"data must have the columns a, b, c; it lacks \['b'\]"):
        given(data=data[["a", "c"]])


def test_what_polars_has_is_read_by_its_names():
    polars = pytest.importorskip("polars")
    data = np.random.default_rng(0).normal((1, 2, 3), 1, (40, 3))
    frame = polars.DataFrame(data, schema=["a", "b", "c"])
    turned, weights = frame.select("c", "a", "b").with_columns(name=polars.lit("x")), np.array([1.0, 2, 4])

    def given(row, **settings):
        scorer = scorers.table(lambda rows: rows @ weights, ["a", "b", "c"], data=settings.pop("data", None))
        return explained(row, scorer, search="occlusion", **settings).attribution

    row = polars.DataFrame({"c": [9.0], "a": [5], "b": [7]})
    wanted = pytest.approx(weights * (np.array([5.0, 7, 9]) - data.mean(0)), abs=1e-4)
    for each in (row, row.row(0, named=True), polars.Series([5.0, 7, 9])):
        assert given(each, data=turned) == wanted
    assert given(row, baseline=turned.drop("name")) == wanted
    assert given(row, baseline=pysmdl.removal.marginal(turned.drop("name"), None)) == wanted
    scorer = scorers.table(lambda rows: rows @ weights, ["a", "b", "c"])
    found = list(pysmdl.explain_many(frame.head(2), scorer, search="occlusion", ordered=True, progress=False))
    assert found[1].attribution == pytest.approx(weights * data[1], abs=1e-4)
    with pytest.raises(ImageError, match="a row must be one; got a frame of 40"):
        given(frame)


@pytest.mark.parametrize(
    "row",
    [
        np.array([1, 2.5, True], object),
        [Decimal(1), Decimal("2.5"), 1],
        ["1", "2.5", "1"],
        {"a": "1", "b": 2.5, "c": 1},
        np.array([1, 2.5, 1], ">f8")[::-1][::-1],
        torch.tensor([1, 2.5, 1], dtype=torch.bfloat16, requires_grad=True),
        np.array([[1, 2.5, 1]]),
        memoryview(np.array([1, 2.5, 1])),
    ],
    ids=lambda row: type(row).__name__,
)
def test_a_row_comes_in_any_form(row):
    scorer = scorers.table(lambda rows: rows @ np.array([1.0, 2, 4]), ["a", "b", "c"])
    assert explained(row, scorer, search="occlusion").attribution.tolist() == [1, 5, 4]


def test_a_row_of_a_model_without_columns_names_them_itself():
    scorer = scorers.table(lambda rows: rows.sum(1))
    pandas = pytest.importorskip("pandas")
    for row in ({"age": 3, "height": "1.5"}, pandas.Series({"age": 3, "height": 1.5})):
        assert explained(row, scorer).players == ("age", "height")
    assert explained([3, 1.5], scorer).players == ("x0", "x1")


def test_columns_that_are_numbers_are_names_too():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([[1.0, 2, 3]], columns=[10, 20, 30])
    scorer = scorers.table(lambda rows: rows @ np.array([1.0, 2, 4]), frame.columns)
    for row in (frame, frame.iloc[0], frame.iloc[0][[30, 10, 20]], {20: 2, 10: 1, 30: 3}, frame.iloc[0].to_numpy()):
        assert explained(row, scorer, search="occlusion").attribution.tolist() == [1, 4, 12]
    counted = scorers.table(lambda rows: rows @ np.array([1.0, 2, 4]), range(3))
    for row in ({1: 2, 0: 1, 2: 3}, pandas.Series([1, 2, 3]), pandas.DataFrame([[1, 2, 3]])):
        assert explained(row, counted, search="occlusion").attribution.tolist() == [1, 4, 12]
