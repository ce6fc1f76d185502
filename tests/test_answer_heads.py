"""Heads of tokens, boxes, segmentations and several passes: against values worked out by hand, and by a slow loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import kl_div

import pysmdl
from pysmdl import heads, scorers
from pysmdl.methods import METHODS
from pysmdl.scorers.heads import read_off
from pysmdl.studies.evaluation import compare

from toys import image, linear_model

PASSES = torch.tensor([[[0.9, 0.1], [0.3, 0.7]]], dtype=torch.float64).log()
SAID = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.8, 0.2]]).log()
EXACT = {"regions": "grid:9", "search": "exact", "progress": False}


def tensor_of(seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(image(seed).transpose(2, 0, 1)[None]).float() / 255


@pytest.mark.parametrize(
    ("kind", "value"), [("total", 0.67301167), ("aleatoric", 0.46797364), ("epistemic", 0.20503803)]
)
def test_uncertainty_of_passes_gives_its_held_value(kind, value):
    found = read_off(heads.uncertainty(kind), PASSES, PASSES, torch.zeros(1, dtype=torch.int64), "raw")
    assert float(found) == pytest.approx(value, abs=1e-6)


def test_an_ensembles_disagreement_is_explained():
    several = [linear_model(seed=seed) for seed in range(5)]

    def forward(batch):
        return torch.stack([each(batch) for each in several], 1)

    found = pysmdl.explain(image(), scorers.custom(forward, heads.uncertainty("epistemic"), dims=3), **EXACT)
    p = forward(tensor_of()).softmax(2)
    total, within = (-(each * each.log()).sum(-1) for each in (p.mean(1), p))
    assert found.deletion[0] == pytest.approx(float(total - within.mean(1)), abs=1e-6)
    assert found.insertion[0] == pytest.approx(0, abs=1e-6)  # a black image has all logits 0


def dropping(layer):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), layer, nn.Flatten(), nn.Linear(800, 4)).eval()


@pytest.mark.parametrize("layer", [nn.Dropout(0.4), nn.Dropout2d(0.4)])
def test_passes_drop_the_same_for_each_row_and_another_in_each_pass(layer):
    net = dropping(layer)
    forward = pysmdl.models.passes(net, 6)
    batch = torch.cat([tensor_of(seed) for seed in range(3)])
    with torch.no_grad():
        found = forward(batch)
        torch.testing.assert_close(found[1:2], forward(batch[1:2]))
        assert len(found[0].unique(dim=0)) == 6
        assert not torch.equal(found, pysmdl.models.passes(net, 6, seed=1)(batch))
        plain = net(batch)
        many = pysmdl.models.passes(net, 2000)(batch[:1])
    assert not net.training
    assert not layer._forward_hooks
    torch.testing.assert_close(many.mean(1), plain[:1], atol=0.05, rtol=0)  # what is kept is scaled up
    scorer = scorers.custom(forward, heads.uncertainty("epistemic"), dims=3)
    order = pysmdl.explain(image(), scorer, **EXACT).order
    np.testing.assert_array_equal(order, pysmdl.explain(image(), scorer, batch_size=3, **EXACT).order)


def test_a_network_that_drops_nothing_has_no_passes():
    with pytest.raises(ValueError, match=r"model must have a dropout layer, nn.Dropout say; Linear has none"):
        pysmdl.models.passes(nn.Linear(4, 4))


def test_dice_gives_its_held_value():
    p, mask = torch.full((1, 1, 3, 4), -50.0), torch.zeros(3, 4)
    p.view(-1)[:4] = 50
    mask.view(-1)[1:6] = 1
    zero = torch.zeros(1, dtype=torch.int64)
    for raw in (p, p[:, 0], torch.cat((p, -p), 1)):
        assert float(read_off(heads.dice(mask), raw, raw, zero, "raw")) == pytest.approx(2 / 3, abs=1e-6)
    finer = mask.repeat_interleave(2, 0).repeat_interleave(3, 1)
    assert float(read_off(heads.dice(finer.bool().numpy()), p, p, zero, "raw")) == pytest.approx(2 / 3, abs=1e-6)


def segments(batch):
    """Three classes a point: red, green and blue, each blurred over three points."""
    return 6 * torch.nn.functional.avg_pool2d(batch, 3, 1, 1)


def test_segmentations_are_compared_with_where_the_full_input_has_the_class():
    z = segments(tensor_of())[0]
    where = z.argmax(0) == 2
    scorer = scorers.custom(segments, heads.mean_foreground(), dims=4)
    found = pysmdl.explain(image(), scorer, 2, **EXACT)
    assert found.deletion[0] == pytest.approx(float(z[2][where].mean()), abs=1e-5)
    assert found.insertion[0] == 0
    p = z.softmax(0)[2]
    expected = 2 * float((p * where).sum() / (p.sum() + where.sum()))

    def as_torchvision(batch):
        return {"out": segments(batch), "aux": segments(batch)}

    own = pysmdl.explain(image(), scorers.custom(as_torchvision, heads.dice(), dims=4), 2, **EXACT)
    assert own.deletion[0] == pytest.approx(expected, abs=1e-6)
    given = pysmdl.explain(image(), scorers.custom(segments, heads.dice(where), dims=4), 2, **EXACT)
    np.testing.assert_allclose(given.insertion, own.insertion, atol=1e-6)


def test_a_class_that_is_nowhere_and_a_class_that_there_is_not_are_named():
    def only_red(batch):
        return segments(batch) * torch.tensor([1.0, 0, 0]).view(3, 1, 1)

    scorer = scorers.custom(only_red, heads.mean_foreground(), dims=4)
    with pytest.raises(pysmdl.errors.ScorerError, match=r"mean_foreground needs a class .*; it has no 2"):
        pysmdl.explain(image(), scorer, 2, **EXACT)
    with pytest.raises(ValueError, match="target must be 0 to 2, an output of the model; got 3"):
        pysmdl.explain(image(), scorers.custom(segments, heads.dice(), dims=4), 3, **EXACT)


# Tokens


def answers(batch):
    """Logits of 5 positions over 7 tokens."""
    return 3 * linear_model(35)(batch).reshape(-1, 5, 7)


@pytest.mark.parametrize(
    ("reduce", "value"), [("mean", 0.73333333), ("log_sum", -1.02165125), ("geometric", 0.71137866)]
)
def test_a_sequence_gives_its_held_value(reduce, value):
    scorer = scorers.tokens(lambda batch: SAID.expand(len(batch), -1, -1), head=heads.sequence(reduce))
    found = pysmdl.explain(image(), scorer, pysmdl.Tokens([0, 1, 2], [0, 0, 0]), regions="grid:4", progress=False)
    assert found.deletion[0] == pytest.approx(value, abs=1e-6)
    np.testing.assert_allclose(found.insertion, value, atol=1e-6)


def test_the_mean_of_a_sequence_is_what_is_explained_without_a_head():
    target = pysmdl.Tokens([0, 2, 3])
    found, plain = (
        pysmdl.explain(image(), each, target, **EXACT)
        for each in (scorers.tokens(answers, head=heads.sequence()), scorers.tokens(answers))
    )
    np.testing.assert_array_equal(found.order, plain.order)
    np.testing.assert_allclose(found.insertion, plain.insertion, atol=1e-6)
    assert found.target == plain.target
    assert found.provenance["model"] == plain.provenance["model"]


def apart(raw, reference, target):
    """What a user writes: how far a token's probabilities moved."""
    return -(raw.softmax(1) - reference.softmax(1)).abs().sum(1)


TOKEN_HEADS = {
    "jsd": (heads.jsd(), None),
    "kl": (heads.kl(), lambda z, q: -kl_div(z.log_softmax(1), q.softmax(1), reduction="sum")),
    "hellinger": (
        heads.hellinger(),
        lambda z, q: (1 - (z.softmax(1).sqrt() - q.softmax(1).sqrt()).norm(dim=1) / 2**0.5).mean(),
    ),
    "ranking": (heads.ranking(3), None),
    "own": (apart, lambda z, q: -(z.softmax(1) - q.softmax(1)).abs().sum(1).mean()),
}  # fmt: skip


@pytest.mark.parametrize("name", TOKEN_HEADS)
def test_distributions_of_tokens_are_compared_with_the_full_inputs(name):
    head, slow = TOKEN_HEADS[name]
    found = pysmdl.explain(image(), scorers.tokens(answers, head=head), pysmdl.Tokens([1, 4]), **EXACT)
    assert found.deletion[0] == pytest.approx(1 if name in ("hellinger", "ranking") else 0, abs=1e-6)
    assert found.insertion[0] < found.insertion[-1]
    if slow is not None:
        z, q = (answers(each)[0, [1, 4]] for each in (torch.zeros(1, 3, 12, 12), tensor_of()))
        assert found.insertion[0] == pytest.approx(float(slow(z, q)), abs=1e-5)


@pytest.mark.parametrize("head", [heads.jsd(), heads.sequence("log_sum"), heads.sequence()])
def test_answers_of_different_lengths_keep_their_own_references_in_company(head):
    scorer = scorers.tokens(answers, head=head)
    items = [
        {"image": image(seed), "target": pysmdl.Tokens(list(range(1 + seed % 4))), "regions": f"grid:{4 + seed}"}
        for seed in range(6)
    ]
    together = list(pysmdl.explain_many(items, scorer, ordered=True, search="exact", progress=False))
    for item, found in zip(items, together, strict=True):
        (alone,) = pysmdl.explain_many([item], scorer, search="exact", progress=False)
        np.testing.assert_array_equal(found.order, alone.order)
        np.testing.assert_allclose(found.insertion, alone.insertion, atol=1e-6)
        assert found.target == alone.target


# Boxes


def boxes(batch):
    """One box, as sure as the image is bright, and one beside it."""
    sure = batch.mean((1, 2, 3)).clamp(0.01, 0.99)
    found = torch.tensor([[0.0, 0, 12, 12], [6, 6, 12, 12]]).expand(len(batch), -1, -1)
    return found, torch.stack((sure, 1 - sure), 1)[:, :, None].expand(-1, -1, 2)


def test_a_head_reads_the_box_that_was_found():
    target, s = pysmdl.Box([0, 0, 12, 12], 1), float(tensor_of().mean())
    odds = pysmdl.explain(image(), scorers.detector(boxes, head=heads.log_odds()), target, **EXACT)
    assert odds.deletion[0] == pytest.approx(np.log(s / (1 - s)), abs=1e-5)
    np.testing.assert_allclose(odds.terms["removed"], odds.deletion[0] - odds.deletion[1:], rtol=1e-4, atol=1e-6)
    overlap = scorers.detector(boxes, head=lambda raw, reference, target: raw[:, 1] * reference[:, 2] + target)
    found = pysmdl.explain(image(), overlap, target, **EXACT)
    assert found.deletion[0] == pytest.approx(s + 1, abs=1e-6)
    assert found.target == pysmdl.explain(image(), scorers.detector(boxes), target, **EXACT).target


def moved(raw, reference, target):
    """How far the box moved from where it is on the full input."""
    return -(raw[:, 3:] - reference[:, 3:]).abs().sum(1)


SCORERS = {
    "tokens": (lambda: scorers.tokens(answers, head=apart), pysmdl.Tokens([0, 2])),
    "tokens, log p": (lambda: scorers.tokens(answers, head=heads.sequence("log_sum")), pysmdl.Tokens([0, 2])),
    "detector": (lambda: scorers.detector(boxes, head=moved), pysmdl.Box([0, 0, 12, 12], 0)),
    "segments": (lambda: scorers.custom(segments, heads.dice(), dims=4), 1),
    "positions": (lambda: scorers.custom(answers, lambda raw, reference, target: raw.amax(2), dims=3), None),
}


@pytest.mark.parametrize("name", SCORERS)
@pytest.mark.parametrize("method", [name for name in METHODS if name != "drise"])
def test_every_method_takes_such_a_head(name, method):
    make, target = SCORERS[name]
    found = pysmdl.explain(image(), make(), target, regions="grid:4", search=method, progress=False)
    assert sorted(found.order) == list(range(4))
    assert np.isfinite(found.values()).all()


@pytest.mark.parametrize("name", SCORERS)
def test_games_and_comparisons_take_such_a_head(name):
    make, target = SCORERS[name]
    game = pysmdl.Game(image(), make(), target, regions="grid:4")
    found = pysmdl.explain(image(), make(), target, regions="grid:4", search="exact", progress=False)
    assert game.grand_value == pytest.approx(float(found.deletion[0]), abs=1e-6)
    assert game.empty_value == pytest.approx(float(found.insertion[0]), abs=1e-6)
    methods = {name: {"search": name} for name in ("exact", "occlusion")}
    table = compare([{"image": image(), "target": target}], make(), methods, regions="grid:4")
    assert all(np.isfinite(row["insertion_auc"]) for row in table.rows)


def test_a_head_of_several_numbers_counts_by_their_mean_and_keeps_them():
    found = pysmdl.explain(image(), SCORERS["positions"][0](), **EXACT)
    highest = answers(tensor_of())[0].amax(1)
    assert found.deletion[0] == pytest.approx(float(highest.mean()), abs=1e-5)
    np.testing.assert_allclose(found.reading["tokens"][0, -1], highest, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: heads.sequence("product"),
            r"reduce must be one of .*; got 'product'",
        ),
        (lambda: heads.uncertainty("both"), "kind must be one of .*; got 'both'"),
        (lambda: heads.dice(np.ones((2, 2, 2))), r"mask must be \[H, W\] of numbers 0 to 1; got shape \[2, 2, 2\]"),
        (lambda: heads.dice(np.full((2, 2), 255)), r"mask must be \[H, W\] of numbers 0 to 1"),
        (lambda: scorers.tokens(answers, head="kl"), "head must be callable"),
        (lambda: scorers.detector(boxes, head="kl"), "head must be callable"),
    ],
)
def test_what_is_no_head_is_refused(make, says):
    with pytest.raises((ValueError, TypeError), match=says):
        make()


@pytest.mark.parametrize(("head", "says"), [
    (heads.uncertainty(), r"uncertainty reads answers \[B, M, K\]"),
    (heads.dice(), r"a segmentation is \[B, K, H, W\] or \[B, H, W\]; got shape"),
])  # fmt: skip
def test_answers_of_another_form_are_named(head, says):
    with pytest.raises(ValueError, match=says):
        pysmdl.explain(image(), scorers.custom(linear_model(), head), **EXACT)
