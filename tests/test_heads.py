"""What is read off an answer: each head against a value worked out by hand, and any number where classes were."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from vision_towers import SIDE, hugging_face, patch_labels

import pysmdl
from pysmdl import heads, jobs, metrics, scorers
from pysmdl.errors import StoreError
from pysmdl.methods import METHODS
from pysmdl.scorers.heads import read_off
from pysmdl.studies.evaluation import compare

from toys import image, linear_model, made

Z = torch.tensor([[2.0, 1.0, 0.5]], dtype=torch.float64)
P, Q = (torch.tensor([each], dtype=torch.float64).log() for each in ((0.7, 0.2, 0.1), (0.1, 0.3, 0.6)))
ONE, OTHER = torch.tensor([[2.0, 1, 0]], dtype=torch.float64), torch.tensor([[1.0, 1, 0]], dtype=torch.float64)
HALVES = tuple(torch.tensor([each], dtype=torch.float64).log() for each in ((0.9, 0.1), (0.5, 0.5)))
HELD = {
    "probability": (heads.probability(), Z, Z, 0.62853172),
    "log p": (heads.log_probability(), Z, Z, -0.46436878),
    "log-odds": (heads.log_odds(), Z, Z, 0.52592302),
    "margin": (heads.margin(), Z, Z, 1.0),
    "contrast": (heads.contrast(0, 1), Z, Z, 0.39730782),
    "contrast of the target": (heads.contrast(None, 1), Z, Z, 0.39730782),
    "contrast of logits": (heads.contrast(0, 2, of="logit"), Z, Z, 1.5),
    "entropy": (heads.entropy(), Z, Z, 0.90595926),
    "confidence": (heads.confidence(), Z, Z, 0.17536035),
    "jsd": (heads.jsd(), P, Q, -0.23064549),
    "arc": (heads.jsd("arc"), P, Q, -0.29534760),
    "jsd of two": (heads.jsd(), *HALVES, -0.10174923),
    "arc of two": (heads.jsd("arc"), *HALVES, -0.11797323),
    "kl": (heads.kl(), OTHER, ONE, -0.11962980),
    "kl at 0.6": (heads.kl(0.6), OTHER, ONE, -0.27519286),
    "hellinger": (heads.hellinger(), P, Q, 1 - 0.49550673),
    "ranking": (heads.ranking(5), torch.tensor([[4.0, 5, 3, 2, 1]]), torch.tensor([[5.0, 4, 3, 2, 1]]), 0.9),
    "ranking of itself": (heads.ranking(3), Z, Z, 1.0),
    "value": (heads.value(), Z, Z, 2.0),
}


@pytest.mark.parametrize("name", HELD)
def test_a_head_gives_its_held_value(name):
    head, raw, reference, value = HELD[name]
    found = read_off(head, raw, reference, torch.zeros(1, dtype=torch.int64), "logits")
    assert found.shape == (1,)
    assert float(found) == pytest.approx(value, abs=1e-6)


def test_the_weight_of_evidence_in_bits_and_smoothed():
    def weight(head):
        at = [torch.tensor([[p, 1 - p] + [0] * rest], dtype=torch.float64).log() for p in (0.9, 0.6) for rest in (8,)]
        first, second = (head(each, each, torch.zeros(1, dtype=torch.int64)) for each in at)
        return float(first - second)

    assert weight(heads.log_odds(2)) == pytest.approx(2.58496250, abs=1e-6)
    assert weight(heads.log_odds(2, laplace=1e6)) == pytest.approx(2.58486432, abs=1e-6)


def test_divergences_are_read_in_bits_and_as_logarithms_too():
    """H3, H4."""
    at = torch.zeros(1, dtype=torch.int64)
    assert -float(heads.jsd()(P, Q, at)) / np.log(2) == pytest.approx(0.33275110, abs=1e-6)
    assert np.log(-float(heads.kl(0.6)(OTHER, ONE, at)) + 1e-9) == pytest.approx(-1.29028310, abs=1e-6)


def test_lists_overlap_by_rank_the_sum_of_their_places_and_what_it_is_extrapolated_by():
    """H6: abcde against bacde at p = 0.9, of which the sum of the places alone is 0.30951; disjoint lists have 0."""
    at = torch.zeros(1, dtype=torch.int64)
    _, own, other, _ = HELD["ranking"]
    whole = float(heads.ranking(5)(own, other, at))
    assert whole - 0.9**5 == pytest.approx(0.30951, abs=1e-6), "all five are common, so 0.9 ** 5 is what extrapolates"
    assert float(heads.ranking(3)(torch.arange(6.0)[None], -torch.arange(6.0)[None], at)) == 0


def test_soft_sufficiency_and_comprehensiveness_are_shares_of_what_nothing_leaves():
    """H5: the full answer (0.7, 0.2, 0.1), softly kept (0.5, 0.3, 0.2), with nothing (0.1, 0.3, 0.6)."""
    at, soft = torch.zeros(1, dtype=torch.int64), torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64).log()
    kept, nothing = (float(heads.hellinger()(row, P, at)) for row in (soft, Q))
    assert 1 - kept == pytest.approx(0.14839707, abs=1e-6)
    assert metrics.soft_sufficiency(kept, nothing) == pytest.approx(0.70051452, abs=1e-6)
    assert metrics.soft_sufficiency(nothing, nothing) == metrics.soft_comprehensiveness(1, nothing) == 0
    assert metrics.soft_sufficiency(1, nothing) == metrics.soft_comprehensiveness(nothing, nothing) == 1
    with pytest.raises(ValueError, match="nothing must be"):
        metrics.soft_sufficiency(0.5, 1)


def test_ranked_lists_without_a_common_class_share_nothing():
    z = torch.arange(10.0)[None]
    assert float(heads.ranking(5)(z, -z, torch.zeros(1, dtype=torch.int64))) == 0


def test_probabilities_and_sigmoids_are_converted_first():
    p, one = torch.tensor([[0.7, 0.2, 0.1]]), torch.zeros(1, dtype=torch.int64)
    z = torch.tensor([[1.5, -0.5]])
    assert float(read_off(heads.log_odds(), p, p, one, "probabilities")) == pytest.approx(np.log(0.7 / 0.3), abs=1e-6)
    assert float(read_off(heads.log_odds(), z, z, one, "sigmoid")) == pytest.approx(1.5, abs=1e-6)
    assert float(read_off(heads.probability(), z, z, one, "sigmoid")) == pytest.approx(1 / (1 + np.exp(-1.5)), abs=1e-6)
    apart = 1 / (1 + np.exp(-1.5)) - 1 / (1 + np.exp(0.5))
    assert float(read_off(heads.contrast(0, 1), z, z, one, "sigmoid")) == pytest.approx(apart, abs=1e-6)


def own(raw, reference, target):
    """What a user writes: how alike the row's probabilities are to the full input's."""
    return -(raw.softmax(1) - reference.softmax(1)).abs().sum(1)


@pytest.mark.parametrize("target", [None, 1])
def test_the_reference_is_the_answer_to_the_full_input(target):
    scorer = scorers.classifier(linear_model(), head=own)
    found = pysmdl.explain(image(), scorer, target, regions="grid:9", search="exact", progress=False, trace=(2,))
    assert found.deletion[0] == found.insertion[-1] == 0
    full = linear_model()(torch.from_numpy(image().transpose(2, 0, 1)[None]).float() / 255).softmax(1)
    nothing = torch.full((1, 4), 0.25)  # logits of a black image are all 0
    assert found.insertion[0] == pytest.approx(float(-(full - nothing).abs().sum()), abs=1e-5)
    assert list(found.traced) == [2]


def test_inputs_in_company_keep_their_own_references():
    scorer = scorers.classifier(linear_model(), head=own)
    items = [{"image": image(seed), "target": seed % 4, "regions": f"grid:{4 + seed}"} for seed in range(6)]
    settings = {"search": "exact", "progress": False}
    together = list(pysmdl.explain_many(items, scorer, ordered=True, **settings))
    for item, found in zip(items, together, strict=True):
        alone = next(iter(pysmdl.explain_many([item], scorer, **settings)))
        assert found.deletion[0] == 0
        np.testing.assert_allclose(found.insertion, alone.insertion, atol=1e-6)


def test_a_head_that_compares_goes_with_features():
    scorer = scorers.classifier(linear_model(), features=linear_model(7, 3), head=heads.hellinger())
    plain = scorers.classifier(linear_model(), features=linear_model(7, 3))
    settings = {"regions": "grid:9", "search": "exact", "progress": False, "objective": pysmdl.smdl(0, 1, 0, 0)}
    found, other = (pysmdl.explain(image(), each, 1, **settings) for each in (scorer, plain))
    np.testing.assert_array_equal(found.order, other.order)  # by features alone
    np.testing.assert_allclose(found.terms["effectiveness"], other.terms["effectiveness"], atol=1e-6)
    assert found.deletion[0] == pytest.approx(1, abs=1e-6)


def test_the_probability_as_a_head_is_what_is_explained_without_one():
    scorer = scorers.classifier(linear_model(), head=heads.probability())
    found, plain = (
        pysmdl.explain(image(), each, 1, regions="grid:16", search="exact", progress=False)
        for each in (scorer, scorers.classifier(linear_model()))
    )
    np.testing.assert_array_equal(found.order, plain.order)
    np.testing.assert_allclose(found.insertion, plain.insertion, atol=1e-6)
    np.testing.assert_allclose(found.score, plain.score, atol=1e-6)


# Any number: w . x, of which every value is known.

WEIGHTS = torch.from_numpy(np.random.default_rng(5).normal(size=432).astype(np.float32))


def linear_scorer(**settings):
    return scorers.scalar(lambda batch: batch.flatten(1) @ WEIGHTS, **settings)


@pytest.mark.parametrize("search", ["exact", "guided", "occlusion", "kernel_shap"])
def test_values_of_a_linear_function_are_its_products(search):
    found = pysmdl.explain(image(), linear_scorer(), regions="grid:16", search=search, progress=False)
    pixels = torch.from_numpy(image().transpose(2, 0, 1)).float() / 255
    each = (WEIGHTS.view(3, 12, 12) * pixels).sum(0).double().numpy()
    true = np.bincount(found.labels.ravel(), each.ravel())
    np.testing.assert_allclose(found.values(), true, atol=1e-5)
    np.testing.assert_array_equal(found.order, np.argsort(-true))
    empty, full = found.insertion[0], found.deletion[0]
    up, down = found.normalised_auc
    assert (up, down) == pytest.approx(
        ((found.insertion_auc - empty) / (full - empty), (found.deletion_auc - empty) / (full - empty))
    )


def test_what_is_enough_of_scores_below_zero():
    found = made([-5, -3, -0.11, -0.05, -0.1], [-0.1, -2, -4, -5, -5])  # log-probabilities: the full input has -0.1
    assert found.enough() == 2
    assert made([0.0, 0.5, 0.9], [0.9, 0.5, 0.0]).enough() == 2


def test_losses_count_from_the_full_input():
    found = pysmdl.explain(image(), linear_scorer(), regions="grid:9", search="exact", progress=False)
    np.testing.assert_allclose(found.terms["removed"], found.deletion[0] - found.deletion[1:], rtol=1e-5)


def test_a_scalar_explanation_is_kept_and_read(tmp_path):
    found = pysmdl.explain(image(), linear_scorer(decided_at=0.0), regions="grid:9", progress=False)
    assert found.target == "the score"
    assert "the score" in repr(found)
    found.save(tmp_path / "why.npz")
    again = pysmdl.load(tmp_path / "why.npz")
    assert again.target == "the score"
    np.testing.assert_array_equal(again.insertion, found.insertion)
    assert "why this score?" in found.plot().axes[0].get_title()
    assert again.normalised_auc == found.normalised_auc


def test_one_output_of_several_by_its_number():
    model = linear_model()
    found = pysmdl.explain(image(), scorers.custom(model, heads.value()), 2, regions="grid:9", progress=False)
    full = model(torch.from_numpy(image().transpose(2, 0, 1)[None]).float() / 255)
    assert found.target == 2
    assert found.deletion[0] == pytest.approx(float(full[0, 2]), abs=1e-5)
    with pytest.raises(ValueError, match=r"target must be 0 to 3, an output of the model; got 9"):
        pysmdl.explain(image(), scorers.custom(model, heads.value()), 9, regions="grid:9", progress=False)


def test_answers_with_a_number_at_each_position():
    def forward(batch):
        return batch.mean(3).transpose(1, 2) * torch.tensor([1.0, 5.0, 9.0])  # [B, 12, 3]

    found = pysmdl.explain(image(), scorers.custom(forward, heads.jsd(), dims=3), regions="grid:9", progress=False)
    assert found.deletion[0] == pytest.approx(0, abs=1e-6)
    assert found.insertion[0] < -0.01


SCORERS = {
    "classifier": lambda: scorers.classifier(linear_model(), head=own),
    "custom": lambda: scorers.custom(linear_model(), own),
    "scalar": linear_scorer,
}


@pytest.mark.parametrize("name", SCORERS)
@pytest.mark.parametrize("method", [name for name in METHODS if name != "drise"])
def test_every_method_takes_a_head_of_ones_own(name, method):
    settings = {"regions": "grid:4", "search": method, "progress": False}
    found = pysmdl.explain(image(), SCORERS[name](), **settings)
    assert sorted(found.order) == list(range(4))
    assert np.isfinite(found.values()).all()


@pytest.mark.parametrize("name", SCORERS)
def test_games_and_comparisons_take_a_head_of_ones_own(name):
    scorer = SCORERS[name]()
    game = pysmdl.Game(image(), scorer, regions="grid:4")
    found = pysmdl.explain(image(), scorer, regions="grid:4", search="exact", progress=False)
    assert game.grand_value == pytest.approx(float(found.deletion[0]), abs=1e-6)
    assert game.empty_value == pytest.approx(float(found.insertion[0]), abs=1e-6)
    methods = {name: {"search": name} for name in ("exact", "occlusion")}
    table = compare([image()], scorer, methods, regions="grid:4")
    assert {row["method"] for row in table.rows} == {"exact", "occlusion"}
    assert all(np.isfinite(row["insertion_auc"]) for row in table.rows)


# Classes with a sigmoid each, and models of other frameworks.


def test_sigmoids_are_explained_as_themselves():
    model = linear_model()
    found = pysmdl.explain(
        image(), scorers.classifier(model, gives="sigmoid"), 2, regions="grid:9", search="exact", progress=False
    )
    full = model(torch.from_numpy(image().transpose(2, 0, 1)[None]).float() / 255)
    assert found.deletion[0] == pytest.approx(float(full[0, 2].sigmoid()), abs=1e-6)
    assert found.insertion[0] == 0.5


def test_one_sigmoid_alone_is_enough_and_decides_at_a_half():
    scorer = scorers.classifier(lambda batch: 40 * batch[:, :1, :3].mean((2, 3)) - 4, gives="sigmoid")
    bright = np.full((12, 12, 3), 255, np.uint8)
    found = pysmdl.explain(bright, scorer, 0, regions="grid:16", search="exact", until="decided", progress=False)
    assert found.insertion[-1] > 0.5 >= found.insertion[-2]


def test_arrays_in_arrays_out_with_channels_last():
    seen = []

    def forward(batch):
        seen.append((type(batch), batch.shape[1:], batch.flags.c_contiguous))
        return linear_model()(torch.from_numpy(batch).permute(0, 3, 1, 2)).numpy()

    scorer = scorers.classifier(forward, layout="nhwc", takes="numpy")
    settings = {"regions": "grid:9", "search": "exact", "progress": False}
    found, plain = (pysmdl.explain(image(), each, 1, **settings) for each in (scorer, linear_model()))
    assert set(seen) == {(np.ndarray, (12, 12, 3), True)}
    np.testing.assert_array_equal(found.order, plain.order)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: scorers.classifier(linear_model(), gives="odds"), "gives must be one of .*; got 'odds'"),
        (lambda: scorers.classifier(linear_model(), head="margin"), "head must be callable"),
        (lambda: scorers.encoder(linear_model(), head=heads.margin()), "head needs prototypes"),
        (lambda: scorers.classifier(linear_model(), layout="chw"), "layout must be one of 'nchw', 'nhwc'; got 'chw'"),
        (lambda: scorers.classifier(linear_model(), takes="jax"), "takes must be one of 'numpy', 'torch'; got 'jax'"),
        (lambda: heads.jsd("kl"), "form must be one of 'arc', 'jsd'; got 'kl'"),
        (lambda: heads.kl(0), "temperature must be a finite number above 0; got 0"),
        (lambda: heads.ranking(0), "k must be a whole number of at least 1; got 0"),
    ],
)
def test_what_is_no_head_is_refused(make, says):
    with pytest.raises((ValueError, TypeError), match=says):
        make()


def test_a_head_that_gives_no_number_a_row_is_named():
    scorer = scorers.classifier(linear_model(), head=lambda raw, reference, target: raw)
    with pytest.raises(pysmdl.errors.ScorerError, match=r"a head must return a number a row, .*; got shape"):
        pysmdl.explain(image(), scorer, 1, regions="grid:4", progress=False)


def test_a_head_goes_along_where_tokens_are_dropped():
    model, labels = hugging_face("vit"), patch_labels(0)
    x = torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    scorer = scorers.classifier(model, head=heads.margin())
    found = pysmdl.explain(x, scorer, 3, regions=labels, removal="token-drop", progress=False)
    with torch.no_grad():
        z = model(x[None]).logits[0]
    assert found.deletion[0] == pytest.approx(float(z[3] - torch.cat((z[:3], z[4:])).max()), abs=1e-5)


def test_a_function_of_scikit_learns():
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    fitted = linear.LogisticRegression().fit(rng.random((60, 432)), np.arange(60) % 3)

    def probabilities(batch):
        return fitted.predict_proba(batch.reshape(len(batch), -1))

    scorer = scorers.classifier(probabilities, gives="probabilities", takes="numpy")
    found = pysmdl.explain(image(), scorer, 2, regions="grid:9", progress=False)
    pixels = (image().transpose(2, 0, 1).reshape(1, -1) / np.float32(255)).astype(np.float32)
    assert found.deletion[0] == pytest.approx(fitted.predict_proba(pixels)[0, 2], abs=1e-6)


SMALL = {"regions": "grid:9", "progress": False}


def test_explain_takes_a_head_as_a_scorer_does():
    found = pysmdl.explain(image(), linear_model(), 1, head=heads.margin(), **SMALL)
    same = pysmdl.explain(image(), scorers.classifier(linear_model(), head=heads.margin()), 1, **SMALL)
    np.testing.assert_array_equal(found.order, same.order)
    np.testing.assert_array_equal(found.insertion, same.insertion)
    assert found.provenance["reads"] == {"gives": "logits", "head": "margin()"}


@pytest.mark.parametrize(
    ("before", "now", "says"),
    [
        (
            {"head": heads.margin()},
            {"head": heads.log_odds(2)},
            r'head "margin\(\)", now "log_odds\(base=2, laplace=None',
        ),
        ({"head": heads.contrast(1, 2)}, {"head": heads.contrast(1, 3)}, r"o=2, .* now .contrast\(t=1, o=3, "),
        ({"gives": "logits"}, {"gives": "probabilities"}, 'gives "logits", now "probabilities"'),
        ({"decided_at": 0.5}, {"decided_at": 0.7}, "decided_at 0.5, now 0.7"),
    ],
)
def test_a_store_holds_what_is_read_in_one_way(tmp_path, before, now, says):
    make = scorers.custom if "decided_at" in before else scorers.classifier
    fixed = {"head": heads.value()} if "decided_at" in before else {}
    jobs.run(
        [{"image": image(), "target": 1, "id": "a"}], make(linear_model(), **before, **fixed), tmp_path / "s", **SMALL
    )
    with pytest.raises(StoreError, match=says):
        jobs.run(
            [{"image": image(), "target": 1, "id": "a"}], make(linear_model(), **now, **fixed), tmp_path / "s", **SMALL
        )
