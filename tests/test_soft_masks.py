"""Soft masks: rows of weights are blended as defined, and counted and remembered as bit rows are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl import methods, regions, removal, scorers
from pysmdl.errors import SearchError
from pysmdl.methods.masks import soft_masks
from pysmdl.removal.wavelet import inverse, transformed
from pysmdl.search import Ask, Ranking, Search
from pysmdl.testing import drive

from toys import image, linear_model

SOFT = methods.sobol(masks="soft", designs=8)


def ishigami(x):
    return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])


def test_totals_of_known_functions_are_theirs():
    """Ishigami (7, 0.1) on U(-pi, pi), and x1 x2 on U(0, 1) (E2)."""
    search = methods.sobol(masks="soft", designs=4096)
    ranking, asked = drive(search, lambda w: ishigami(-np.pi + 2 * np.pi * w), 3)
    assert ranking.attribution == pytest.approx([0.55758886, 0.44241114, 0.24368366], abs=2e-3)
    assert asked == 4 * 4096
    ranking, _ = drive(search, lambda w: w[:, 0] * w[:, 1] + 0 * w[:, 2], 3)
    assert ranking.attribution == pytest.approx([4 / 7, 4 / 7, 0], abs=2e-3)


def test_an_input_between_itself_and_its_baseline_has_the_same_totals():
    end = torch.full((1, 3), torch.pi)
    scorer = scorers.scalar(lambda batch: torch.from_numpy(ishigami(batch[:, 0].double().numpy())))
    search = methods.sobol(masks="soft", designs=1024)
    e = pysmdl.explain(end, scorer, players="columns", baseline=-end, search=search, progress=False)
    assert e.values() == pytest.approx([0.55758886, 0.44241114, 0.24368366], abs=4e-3)
    assert e.evaluations == 4 * 1024 + 6, "the curves of three columns, whose first and last points are one row each"


def jansen_by_hand(f, n, designs, seed):
    rows = soft_masks(np.random.default_rng(seed), designs, n).reshape(designs, n + 1, n)
    for own, *others in rows:
        assert all((each != own).sum() <= 1 and each[i] != own[i] for i, each in enumerate(others))
    values = np.array([[f(row) for row in design] for design in rows])
    return ((values[:, 1:] - values[:, :1]) ** 2).mean(0) / (2 * values[:, 0].var(ddof=1))


def test_an_image_is_blended_region_by_region():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.LazyLinear(2))
    pixels, labels = image(0, 12, 12), regions.grid(image(0, 12, 12), 4).labels
    net(torch.zeros(1, 3, 12, 12))
    net.eval()

    def f(row):
        w = torch.from_numpy(row[labels])
        x = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
        with torch.no_grad():
            return float(net((w * x + (1 - w) * 0.5)[None]).softmax(1)[0, 1])

    settings = {"regions": labels, "baseline": 0.5, "search": SOFT, "seed": 3}
    e = pysmdl.explain(pixels, scorers.classifier(net), 1, progress=False, **settings)
    assert e.values() == pytest.approx(jansen_by_hand(f, 4, 8, 3), rel=1e-3)


def test_several_inputs_are_blended_each_by_its_own_weights():
    a, b = torch.tensor([[1.0, 2, 3, 4]]), torch.tensor([5.0, 7])

    def model(batch):
        return (batch["a"] ** 2).sum((1, 2)) + batch["b"].prod(1)

    def f(row):
        first, second = torch.from_numpy(row[[0, 0, 1, 1]]), torch.from_numpy(row[2:])
        return float(model({"a": first * a[None] + (1 - first) * 0.5, "b": (second * b + (1 - second) * 0.5)[None]})[0])

    settings = {"players": {"a": "time:2", "b": "columns"}, "baseline": 0.5, "search": SOFT, "seed": 3}
    e = pysmdl.explain({"a": a, "b": b}, scorers.scalar(model), progress=False, **settings)
    assert e.values() == pytest.approx(jansen_by_hand(f, 4, 8, 3), rel=1e-3)


@pytest.mark.parametrize("cover", ["any", "all"])
def test_a_point_that_masks_share_shows_what_their_weights_make_of_it(cover):
    """As an own loop has it: 1 - prod(1 - w) of those that cover it, or prod(w)."""
    masks = np.zeros((3, 6, 5), bool)
    masks[0, :4], masks[1, 2:, :3], masks[2, :5, 1:4] = True, True, True
    x = torch.from_numpy(np.random.default_rng(5).random((2, 6, 5), np.float32))

    def model(batch):
        return (batch[:, 0] * batch[:, 1].roll(1, 1)).sum((1, 2)) + batch[:, 1].square().sum((1, 2))

    def f(row):
        share = np.ones((6, 5), np.float32)
        for i, j in np.ndindex(6, 5):
            own = np.array([row[k] for k in range(3) if masks[k, i, j]])
            share[i, j] = 1 if not len(own) else 1 - (1 - own).prod() if cover == "any" else own.prod()
        w = torch.from_numpy(share)
        return float(model((w * x + (1 - w) * 0.5)[None])[0])

    settings = {"players": regions.overlapping(masks, cover), "baseline": 0.5, "search": SOFT, "seed": 3}
    e = pysmdl.explain(x, scorers.scalar(model), progress=False, **settings)
    assert e.values() == pytest.approx(jansen_by_hand(f, 3, 8, 3), rel=1e-3)
    items = [{"image": x, "regions": regions.overlapping(masks[:n], cover)} for n in (3, 2)]
    rest = {name: value for name, value in settings.items() if name != "players"}
    both = pysmdl.explain_many(items, scorers.scalar(model), progress=False, ordered=True, **rest)
    assert next(iter(both)).values() == pytest.approx(e.values(), rel=1e-4)


def test_a_fill_is_blended_draw_by_draw_and_its_scores_are_averaged():
    data, row = np.array([[1.0, 0, 2], [0, 3, 1]], np.float32), np.array([2.0, 4, 8], np.float32)

    def f(w):
        return float(np.mean([(np.prod(w * row + (1 - w) * each) + 1) for each in data]))

    scorer = scorers.table(lambda rows: rows.prod(1) + 1)
    e = pysmdl.explain(row, scorer, baseline=removal.marginal(data, None), search=SOFT, seed=3, progress=False)
    assert e.values() == pytest.approx(jansen_by_hand(f, 3, 8, 3), rel=1e-3)
    assert e.insertion[0] == pytest.approx(1)


def test_haar_coefficients_are_multiplied():
    """WCAM: the model sees the inverse transform of the coefficients, each times its cell's weight."""
    x = torch.from_numpy(np.random.default_rng(1).random((3, 16, 16)).astype(np.float32))
    labels = regions.cells((16, 16), (2, 2)).labels
    scorer = scorers.scalar(lambda batch: (batch[:, :, 3:9, 2:7] ** 2).mean((1, 2, 3)))

    def f(row):
        shown = inverse(torch.from_numpy(row[labels]) * transformed(x, 3), 3)
        return float((shown[:, 3:9, 2:7] ** 2).mean())

    e = pysmdl.explain(x, scorer, players="cells:2", removal=removal.wavelet(3), search=SOFT, seed=5, progress=False)
    assert e.values() == pytest.approx(jansen_by_hand(f, 4, 8, 5), rel=1e-3)


def a_text():
    """A language model's scorer, the text, its ids and those of the answer, and of each token its word."""
    pytest.importorskip("transformers")
    from language_models import byte_level, qwen3

    text, answer, tokenizer = "The cat sat on the mat.", " The key", byte_level()
    read = tokenizer(text, return_offsets_mapping=True)
    words = [
        text[: max(start + 1, stop)].count(" ") - (text[start:stop] == " ") for start, stop in read["offset_mapping"]
    ]
    scorer = scorers.language_model(qwen3(), tokenizer, answer=answer)
    return scorer, text, read["input_ids"], tokenizer(answer)["input_ids"], words


@pytest.mark.parametrize(
    "how", [removal.embedding(), removal.embedding("mean"), removal.soft(0.25), removal.soft(0, seed=7)]
)
def test_embeddings_of_a_text_are_kept_in_part(how):
    """In part is w of each, and 1 - w of what stands for it; or, of soft removal, dimensions with a probability."""
    scorer, text, ids, answer, words = a_text()
    network, table = scorer.model.network, scorer.model.network.get_input_embeddings()
    keep, seed = (0.25, 0) if how._fill.seed == 0 else (0.0, 7)

    def f(row):
        states = table(torch.tensor([[*ids, *answer]])).detach().clone()
        for place, word in enumerate(words):
            w = float(row[word])
            if how.name == "embedding":
                absent = table.weight.mean(0) if how._fill.fill == "mean" else 0
                states[0, place] = w * states[0, place] + (1 - w) * absent
            else:
                drawn = np.random.default_rng((seed, place)).random(states.shape[-1])
                states[0, place, torch.from_numpy(drawn < np.float32((1 - row[word]) * np.float32(1 - keep)))] = 0
        with torch.no_grad():
            said = network(inputs_embeds=states).logits[0].double().softmax(1)
        return float(said[range(len(ids) - 1, len(ids) - 1 + len(answer)), answer].mean())

    e = pysmdl.explain(text, scorer, removal=how, search=SOFT, seed=3, progress=False)
    assert len(e.order) == 6
    assert e.values() == pytest.approx(jansen_by_hand(f, 6, 8, 3), rel=1e-3, abs=2e-6)


def test_soft_rows_of_texts_are_the_same_in_company():
    scorer, text, *_ = a_text()
    settings = {"removal": "embedding", "search": SOFT, "progress": False}
    texts = [text, "two words", "A dog barked at night."]
    alone = [pysmdl.explain(each, scorer, batch_size=1, **settings) for each in texts]
    for one, other in zip(alone, pysmdl.explain_many(texts, scorer, ordered=True, **settings), strict=True):
        assert one.values() == pytest.approx(other.values(), rel=1e-4, abs=1e-6)  # differences of float32
        assert one.evaluations == other.evaluations


@pytest.mark.parametrize("way", ["delete", "replace", "attention", "text"])
def test_of_words_that_are_there_or_not_nothing_is_between(way):
    scorer, text, *_ = a_text()
    with pytest.raises(ValueError, match=f'soft masks of a text need removal="embedding" or "soft", .* got \'{way}\''):
        pysmdl.explain(text, scorer, removal=way, search=SOFT, progress=False)


@pytest.mark.parametrize("how", [{}, {"removal": removal.wavelet(2), "players": "cells:3"}])
def test_batches_and_company_change_nothing(how):
    scorer, pictures = linear_model(size=12), [image(seed, 12, 12) for seed in range(3)]
    settings = {"players": "grid:9", "search": SOFT, **how}
    alone = [pysmdl.explain(each, scorer, 1, batch_size=1, progress=False, **settings) for each in pictures]
    for batch_size, config in ((2, None), (7, None), (None, None), (16, pysmdl.EngineConfig(deterministic=True))):
        items, more = [(each, 1) for each in pictures], {"batch_size": batch_size, "config": config}
        found = pysmdl.explain_many(items, scorer, ordered=True, progress=False, **more, **settings)
        for one, other in zip(alone, found, strict=True):
            assert np.array_equal(one.attribution, other.attribution)
            assert np.array_equal(one.insertion, other.insertion)
            assert one.evaluations == other.evaluations


def asks(*questions, soft=True):
    """A search of one's own that asks these and is done."""

    def start(task):
        for each in questions:
            yield Ask(weights=each, score_only=True)
        return Ranking(list(range(task.n)))

    return Search("own", start, lambda n, k: sum(map(len, questions)), score_only=True, soft=soft)


def test_a_row_is_seen_once_and_one_of_zeros_and_ones_is_the_subset():
    row = np.array([[0.5, 0.25, 1, 0]], np.float32)
    whole = np.array([[1, 1, 1, 1], [0, 0, -0.0, 0], [1, 0, 0, 0]], np.float32)
    found = pysmdl.explain(
        image(0, 12, 12), linear_model(size=12), 1, regions="grid:4", search=asks(row, row, whole), progress=False
    )
    assert found.evaluations == 1 + 8, "the soft row, and the curves of four regions"
    hard = pysmdl.explain(
        image(0, 12, 12), linear_model(size=12), 1, regions="grid:4", search=pysmdl.search.fixed([0, 1, 2, 3]),
        progress=False,
    )  # fmt: skip
    assert np.array_equal(found.insertion, hard.insertion)
    assert np.array_equal(found.deletion, hard.deletion)


def test_a_budget_counts_soft_rows_and_leaves_the_curves():
    given = {"regions": "grid:4", "progress": False}
    found = pysmdl.explain(
        image(0, 12, 12), linear_model(size=12), 1, evaluations=60, search=methods.sobol(masks="soft"), **given
    )
    assert found.notes["sampled"] == 50
    assert found.evaluations <= 60
    assert np.isfinite(found.insertion).all()
    few = methods.sobol(9, masks="soft")
    with pytest.raises(ValueError, match="evaluations must be at least 10 for sobol on 4 regions; got 9"):
        pysmdl.explain(image(0, 12, 12), linear_model(size=12), 1, search=few, **given)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"removal": "token-drop"}, "soft masks need .*; got 'token-drop'"),
    ],
)
def test_what_has_nothing_between_present_and_absent_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        pysmdl.explain(image(0, 12, 12), linear_model(size=12), 1, search=SOFT, progress=False, **settings)


def test_ids_several_inputs_and_wrong_weights_are_refused():
    ids = torch.tensor([3, 1, 2])
    with pytest.raises(ValueError, match=r"soft masks blend numbers, .* got torch\.int64"):
        pysmdl.explain(ids, scorers.scalar(lambda batch: batch.sum(1)), baseline=0, search=SOFT, progress=False)
    both = scorers.scalar(lambda batch: batch["a"].mean((1, 2)))
    for given, message in ((ids, r"got torch\.int64"), ("some words", "nothing between words; 'b' is a text")):
        with pytest.raises(ValueError, match=f"soft masks blend numbers, .* {message}"):
            pysmdl.explain({"a": torch.ones(1, 4), "b": given}, both, players={}, search=SOFT, progress=False)
    given = removal.conditional_gaussian(np.zeros(3), np.eye(3))
    with pytest.raises(ValueError, match=r"soft masks need .*; got a fill given what is present"):
        pysmdl.explain(torch.ones(3), scorers.scalar(lambda batch: batch.sum(1)), baseline=given, search=SOFT)
    for wrong, soft in ((np.full((1, 4), 1.5), True), (np.ones((1, 3)), True), (np.ones((1, 4)), False)):
        with pytest.raises(SearchError, match="an ask's weights must be"):
            pysmdl.explain(
                image(0, 12, 12), linear_model(size=12), 1, regions="grid:4", search=asks(wrong, soft=soft),
                progress=False,
            )  # fmt: skip
    with pytest.raises(ValueError, match="masks must be one of 'binary', 'soft'; got 'half'"):
        methods.sobol(masks="half")
    with pytest.raises(ValueError, match="designs must be a whole number of at least 2; got 1"):
        methods.sobol(designs=1)
