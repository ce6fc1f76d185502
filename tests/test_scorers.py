"""One contract for each scorer, and what each refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import pysmdl
from pysmdl.errors import ScorerError
from pysmdl.scorers import Scorer, Wanted, classifier, encoder

from toys import explain, image, linear_model, same

PROTOTYPES = torch.from_numpy(np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32))
SCORERS = {
    "classifier": lambda: classifier(linear_model(), features=linear_model(6, 3), evidence=linear_model(4, 4)),
    "bare callable": lambda: linear_model(),
    "encoder": lambda: encoder(linear_model(), PROTOTYPES),
    "similarity": lambda: encoder(linear_model()),
}


@pytest.mark.parametrize("name", SCORERS)
def test_every_scorer_explains(name):
    target = None if name == "similarity" else 1
    found = explain(SCORERS[name](), target=target)
    assert sorted(found.order) == list(range(16))
    assert np.isfinite(found.insertion).all()
    assert found.deletion[0] == found.insertion[-1]
    assert found.deletion[-1] == found.insertion[0]


@pytest.mark.parametrize("name", [name for name in SCORERS if name != "bare callable"])
def test_a_row_alone_is_a_row_in_company(name):
    scorer: Scorer = SCORERS[name]()
    batch = torch.rand(6, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    target = scorer.encode(np.ones(4) if name == "similarity" else 1, [])
    targets = torch.from_numpy(target).expand(6, -1)
    wanted = Wanted("entropy", torch.tensor([1, 4]))
    together = scorer.score(batch, targets, wanted)
    for row in range(6):
        alone = scorer.score(batch[row : row + 1], targets[:1], Wanted("entropy", torch.tensor([0])))
        torch.testing.assert_close(alone.values[0], together.values[row], atol=1e-6, rtol=0)
        if together.features is not None and row in (1, 4):
            assert torch.equal(alone.features[0], together.features[(1, 4).index(row)])


def test_encoder_is_a_softmax_over_prototypes_as_given():
    batch = torch.rand(3, 3, 12, 12)
    values = (
        encoder(linear_model(), PROTOTYPES).score(batch, torch.tensor([[2]] * 3, dtype=torch.int32), Wanted()).values
    )
    p = (linear_model()(batch) @ PROTOTYPES.T).softmax(1)
    np.testing.assert_allclose(values[:, 2], p[:, 2], atol=1e-6)


def test_similarity_is_the_cosine_to_the_target():
    goal = np.array([1.0, -2, 0.5, 3], np.float32)
    found = explain(encoder(linear_model()), target=goal)
    full = linear_model()(torch.from_numpy(image().transpose(2, 0, 1)[None]).float() / 255)[0]
    assert found.deletion[0] == pytest.approx(
        float(torch.cosine_similarity(full, torch.from_numpy(goal), dim=0)), abs=1e-5
    )
    own = explain(encoder(linear_model()), target=None)
    assert own.deletion[0] == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(own.target, full, atol=1e-5)


def test_evidential_confidence_reaches_the_objective():
    scorer = classifier(linear_model(), evidence=linear_model(4, 4))
    objective = pysmdl.smdl(1, 0, 0, 0, confidence_form="evidential")
    found = explain(scorer, objective=objective)
    full = linear_model(4, 4)(torch.from_numpy(image().transpose(2, 0, 1)[None]).float() / 255)
    by_hand = 1 - 4 / (full.clamp(-10, 10).exp() + 1).sum()
    assert found.score[-1] == pytest.approx(float(by_hand), abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_models_get_half_precision_inputs(dtype):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(432, 4)

        def forward(self, x):
            assert x.dtype == dtype
            return self.layer(x.flatten(1))

    found = explain(Net().to(dtype).eval())
    assert sorted(found.order) == list(range(16))
    assert found.insertion.dtype == np.float32


# Bad answers


def model_returning(make):
    return lambda batch: make(linear_model()(batch))


BAD_MODELS = {
    "too few rows": (model_returning(lambda z: z[1:]), r"was given 32 rows and returned 31"),
    "one dimension": (model_returning(lambda z: z[:, 0]), r"must return 2 dimensions, rows first; got shape \[32\]"),
    "a list of names": (
        model_returning(lambda z: ["cat"] * len(z)),
        "must return a tensor, an array or a list of rows; got list \\(0: str, ",
    ),
    "raises": (model_returning(lambda z: 1 / 0), "the model failed on the input: ZeroDivisionError: division by zero"),
    "nan": (model_returning(lambda z: z * torch.nan), "NaN or infinity for 32 of 32 rows"),
}


@pytest.mark.parametrize("case", BAD_MODELS)
def test_bad_models_are_named(case):
    model, message = BAD_MODELS[case]
    with pytest.raises(ScorerError, match=message):
        explain(model, batch_size=32)


def test_features_of_another_length_than_prototypes():
    with pytest.raises(ScorerError, match="returned 3 features a row, prototypes have 4"):
        explain(encoder(linear_model(3), PROTOTYPES))


BAD_ARGUMENTS = {
    "target out of range": (
        lambda: explain(linear_model(), target=4),
        "target must be 0 to 3, a class of the model; got 4|target 4 is out of range for 4 classes",
    ),
    "target out of range of prototypes": (lambda: explain(encoder(linear_model(), PROTOTYPES), target=5), "target .*5"),
    "negative target": (lambda: explain(linear_model(), target=-1), "target must be at least 0; got -1"),
    "target of another kind": (
        lambda: explain(linear_model(), target="cat"),
        "target 'cat' is a name, and the model's classes have none",
    ),
    "traced class out of range": (lambda: explain(linear_model(), trace=[9]), "trace .*9"),
    "effectiveness without features": (
        lambda: explain(linear_model(), objective="smdl"),
        "effectiveness term, which needs features",
    ),
    "evidence without a head": (
        lambda: explain(linear_model(), objective=pysmdl.smdl(1, 0, 1, 1, confidence_form="evidential")),
        "needs an evidential head",
    ),
    "prototypes of one dimension": (lambda: encoder(linear_model(), torch.ones(4)), r"prototypes must be \[K, D\]"),
    "unknown objective": (
        lambda: explain(linear_model(), objective="best"),
        "objective must be one of .*'lima', 'pair', 'smdl'.*; got 'best'",
    ),
    "unknown search": (lambda: explain(linear_model(), search="best"), "search must be one of .*'bidirectional'"),
    "unknown regions": (lambda: explain(linear_model(), regions="best"), "regions must be one of"),
    "unknown baseline": (lambda: explain(linear_model(), baseline="best"), "baseline must be one of"),
    "unknown backend": (
        lambda: explain(linear_model(), config=pysmdl.EngineConfig(backend="best")),
        "backend must be one of",
    ),
    "k of 0": (lambda: explain(linear_model(), k=0), "k must be a whole number of at least 1; got 0"),
    "budget of 0": (
        lambda: explain(linear_model(), evaluations=0),
        "evaluations must be a whole number of at least 1; got 0",
    ),
    "on_error": (
        lambda: list(pysmdl.explain_many([image()], linear_model(), on_error="ignore")),
        "on_error must be one of 'raise', 'skip'",
    ),
    "unknown item": (lambda: list(pysmdl.explain_many([{"picture": 1}], linear_model())), "an item needs image"),
    "three in a tuple": (
        lambda: list(pysmdl.explain_many([(1, 2, 3)], linear_model())),
        r"must be \(image, target\); got 3",
    ),
    "NaN in a tensor": (
        lambda: pysmdl.explain(torch.full((3, 4, 4), torch.nan), linear_model(), 0),
        "holds NaN or infinity",
    ),
    "integer tensor": (
        lambda: pysmdl.explain(torch.zeros(3, 4, 4, dtype=torch.int32), linear_model(), 0),
        "must be float",
    ),
    "channels": (
        lambda: pysmdl.explain(
            torch.rand(4, 8, 8), classifier(linear_model(), mean=(0, 0, 0)), 0, regions=np.zeros((8, 8), int)
        ),
        "mean and std have 3 channels, the input has 4",
    ),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_arguments_are_named(case):
    call, message = BAD_ARGUMENTS[case]
    with pytest.raises(ValueError, match=message):
        call()


def test_a_model_that_is_no_callable():
    with pytest.raises(TypeError, match="the model must be callable; got int"):
        explain(7)


def test_a_compiled_form_is_kept_with_its_scorer(monkeypatch):
    made = []
    monkeypatch.setattr(torch, "compile", lambda function: made.append(function) or function)
    scorer = pysmdl.scorers.classifier(linear_model(), size=12)
    for graph_safe in (False, True):
        scorer.graph_safe = graph_safe
        explainer = pysmdl.Explainer(scorer, config=pysmdl.EngineConfig(compile=True))
        assert explainer.plan.scorer.graph_safe == graph_safe
    assert len(made) == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Guards may run slower")  # of torch on Python 3.13.0
def test_compiled_models_give_the_same_explanation():
    """Batches of several sizes, features on few of their rows: torch.compile sees them all."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    torch.manual_seed(0)
    body = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2)).eval()
    head = torch.nn.Linear(32, 5).eval()
    scorer = pysmdl.scorers.classifier(lambda x: head(body(x).flatten(1)), lambda x: body(x).flatten(1))
    settings = {"objective": pysmdl.smdl(), "search": "exact", "regions": "grid:9"}
    eager = explain(scorer, **settings)
    compiled = explain(scorer, **settings, config=pysmdl.EngineConfig(compile=True))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 2
    assert compiled.order.tolist() == eager.order.tolist()
    np.testing.assert_allclose(compiled.score, eager.score, atol=1e-5)


def test_a_single_logit_is_refused():
    with pytest.raises(ValueError, match="must give a logit for each of two classes or more"):
        explain(lambda batch: batch.mean((1, 2, 3))[:, None], target=0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_refused(value):
    def features(batch):
        found = batch.flatten(1).clone()
        found[1:, 0] = value
        return found

    with pytest.raises(ScorerError, match="the model returned NaN or infinity in the features of 3 rows of the input"):
        explain(
            classifier(linear_model(), features=features), objective=pysmdl.smdl(), search="exact", regions="grid:4"
        )


def test_confidence_needs_classes():
    scorer = encoder(lambda batch: batch.flatten(1))
    with pytest.raises(
        ValueError, match="confidence term, which needs class probabilities: give the encoder prototypes"
    ):
        explain(scorer, target=None, objective="smdl")
    assert len(explain(scorer, target=None, objective=pysmdl.smdl(confidence=0)).order) == 16


def test_prototypes_may_be_an_array():
    one, other = (explain(encoder(linear_model(), each)) for each in (PROTOTYPES, PROTOTYPES.numpy()))
    assert same(one, other)


def test_a_class_that_no_int32_holds():
    with pytest.raises(ValueError, match=r"target must be below 2\*\*31"):
        explain(linear_model(), target=1 << 31)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_inputs_with_different_numbers_of_tokens_share_batches(batch_size):
    def answers(batch):
        return torch.stack([linear_model(seed=seed)(batch) for seed in range(3)], 1)

    scorer = pysmdl.scorers.tokens(answers)
    targets = [pysmdl.Tokens([0]), pysmdl.Tokens([0, 1, 2]), pysmdl.Tokens([2, 1], [1, 3]), pysmdl.Tokens([1])]
    settings = {"regions": "grid:9", "progress": False}
    items = [(image(seed), target) for seed, target in enumerate(targets)]
    crowd = pysmdl.explain_many(items, scorer, ordered=True, batch_size=batch_size, **settings)
    for (given, target), found in zip(items, crowd, strict=True):
        alone = pysmdl.explain(given, scorer, target, **settings)
        assert same(found, alone)
        np.testing.assert_array_equal(found.reading["tokens"], alone.reading["tokens"])


def test_a_head_that_is_replaced_between_runs_is_taken():
    models = [linear_model(4), linear_model(6)]
    scorer = classifier(lambda batch: models[0](batch))
    explain(scorer, target=3)
    models.pop(0)
    assert explain(scorer, target=5).target == 5


def answer_model(batch):
    return torch.stack([linear_model(seed=seed)(batch) for seed in range(3)], 1)


def test_tokens_read_off_an_image_that_was_squashed_are_warned_of_once(caplog):
    big, scorer = image(height=24, width=18), pysmdl.scorers.tokens(answer_model, size=12)
    settings = {"regions": "grid:4", "progress": False}
    pysmdl.explain(image(), scorer, pysmdl.Tokens([0]), **settings)
    pysmdl.explain(torch.rand(3, 12, 12), scorer, pysmdl.Tokens([0]), **settings)
    pysmdl.explain(big, scorer, pysmdl.Tokens([0], [1]), **settings)
    assert not caplog.records
    pysmdl.explain(big, scorer, pysmdl.Tokens([0]), **settings)
    pysmdl.explain(big, scorer, pysmdl.Tokens([1]), **settings)
    assert len(caplog.records) == 1
    assert "give Tokens(positions, ids), or the processor's own tensor as the image" in caplog.records[0].getMessage()


@pytest.mark.parametrize(
    ("x", "doubtful"),
    [
        (torch.rand(3, 8, 8), False),
        (torch.linspace(-2, 2, 192).view(3, 8, 8), True),
        (torch.linspace(0, 255, 192).view(3, 8, 8), True),
        (torch.linspace(-2, 2, 64).view(1, 8, 8), True),
        (torch.linspace(-2, 2, 256).view(4, 8, 8), False),
        (torch.linspace(-2, 2, 64).view(8, 8), False),
    ],
)
def test_a_tensor_that_is_normalised_is_doubted_where_mean_and_std_are_unknown(x, doubtful):
    text = classifier(linear_model()).input.doubt(x)
    assert (text is not None) == doubtful
    assert not doubtful or "Give mean= and std= to the scorer" in text
    for known in ({"mean": 0.5}, {"std": 0.2}, {"mean": 0, "std": 1}):
        assert classifier(linear_model(), **known).input.doubt(x) is None


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (np.ones(5), "target must have 4 features, as the encoder's; got 5"),
        (np.ones(1), "target must have 4 features, as the encoder's; got 1"),
        (np.ones((1, 4)), r"target must be finite features \[D\] or None for the input's own; got shape \[1, 4\]"),
        (np.array([1, np.nan, 0, 0]), "target must be finite features"),
        (3, r"target must be finite features .*; got 3"),
        ("cat", r"target must be finite features .*; got 'cat'"),
    ],
)
def test_directions_that_are_none_are_named(target, message):
    with pytest.raises(ValueError, match=message):
        explain(encoder(linear_model()), target=target)


@pytest.mark.slow
@pytest.mark.parametrize(
    "as_", [np.asarray, torch.tensor, list, lambda v: np.array(v[::-1])[::-1], lambda v: np.array(v, ">f4")]
)
def test_a_direction_may_be_any_array(as_):
    vector = [1.0, -2, 0.5, 3]
    right = explain(encoder(linear_model()), target=np.array(vector, np.float32))
    found = explain(encoder(linear_model()), target=as_(vector))
    assert same(found, right)
    assert found.target == vector


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.full((3, 4), np.inf), "prototypes must be finite"),
        (np.ones((1, 4)), r"prototypes must be \[K, D\], a row for each of two classes or more; got \[1, 4\]"),
        (np.ones((3, 4)) * 1j, "prototypes must hold real numbers"),
        ("names", "prototypes must hold real numbers"),
    ],
)
def test_prototypes_that_are_none_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        encoder(linear_model(), given)


def test_settings_that_do_not_exist_are_named():
    with pytest.raises(TypeError, match="there is no setting meen of a scorer's input; there are mean, std, size"):
        classifier(linear_model(), meen=0.5)
    with pytest.raises(TypeError, match="features must be callable; got int"):
        classifier(linear_model(), features=3)
