"""Ways in from Captum, Quantus and shapiq: by their contracts, and against the packages themselves where they are."""

from __future__ import annotations

import itertools
import math
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl import scorers
from pysmdl.interop.compat import quantus_explain

from toys import explain, image, linear_model

INPUTS = torch.rand(3, 3, 12, 12, generator=torch.Generator().manual_seed(0))
MASK = torch.arange(144).view(1, 1, 12, 12) // 16


@pytest.mark.slow
@pytest.mark.parametrize("per_eval", [None, 1, 2, 3])
def test_attribute_has_the_shape_of_the_inputs_and_ignores_batching(per_eval):
    method = pysmdl.SubsetAttribution(linear_model())
    found = method.attribute(INPUTS, target=[0, 1, 2], feature_mask=MASK, perturbations_per_eval=per_eval)
    assert found.shape == INPUTS.shape
    assert found.dtype == INPUTS.dtype
    assert torch.equal(found, method.attribute(INPUTS, target=torch.tensor([0, 1, 2]), feature_mask=MASK))
    for i in range(3):
        alone = pysmdl.explain(INPUTS[i], linear_model(), i, regions=MASK[0, 0], baseline=0.0, progress=False)
        np.testing.assert_array_equal(found[i, 1], alone.value_map().astype(np.float32))


def test_attribute_broadcasts_as_captum_does():
    method = pysmdl.SubsetAttribution(linear_model(), search="exact")
    one = method.attribute(INPUTS, target=1, feature_mask=MASK[0, 0], baselines=torch.full((1, 3, 1, 1), 0.5))
    other = method.attribute(INPUTS, target=1, feature_mask=MASK.expand(3, 3, 12, 12), baselines=0.5)
    assert torch.equal(one, other)
    method.attribute(INPUTS[:1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": [1, 2]}, "target must be one for all or 3"),
        ({"feature_mask": MASK.float()}, "feature_mask must hold whole numbers"),
        ({"feature_mask": MASK[..., 1:]}, "feature_mask must broadcast"),
        ({"feature_mask": torch.stack([MASK[0, 0], MASK[0, 0], 8 - MASK[0, 0]])[None]}, "the same in every channel"),
        ({"baselines": torch.zeros(5)}, "baselines must broadcast"),
        ({"inputs": (INPUTS, INPUTS)}, r"inputs must be one tensor, .*; got 2: .* into additional_forward_args"),
        ({"inputs": INPUTS[0, 0, 0]}, r"inputs must be a tensor \[B, C, \*grid\]"),
    ],
)
def test_attribute_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        pysmdl.SubsetAttribution(linear_model()).attribute(**{"inputs": INPUTS, "target": 1, **arguments})


def test_what_else_the_model_takes_goes_along_with_each_masked_input():
    shifts, model = torch.randn(3, 4, generator=torch.Generator().manual_seed(1)), linear_model()

    def forward(batch, shift, scale, names):
        assert shift.shape == (len(batch), 4)
        assert names == ["a"]
        return scale * model(batch) + shift

    method = pysmdl.SubsetAttribution(forward, search="exact", regions="grid:9")
    found = method.explanations(INPUTS, target=1, additional_forward_args=(shifts, 2.0, ["a"]))
    for i in range(3):
        (alone,) = pysmdl.SubsetAttribution(
            lambda batch, i=i: 2.0 * model(batch) + shifts[i], search="exact", regions="grid:9"
        ).explanations(INPUTS[i : i + 1], target=1)
        np.testing.assert_array_equal(found[i].order, alone.order)
        np.testing.assert_allclose(found[i].insertion, alone.insertion, atol=1e-6)
    one = pysmdl.SubsetAttribution(lambda batch, scale: scale * model(batch), search="exact")
    other = pysmdl.SubsetAttribution(lambda batch: 3 * model(batch), search="exact")
    of_one = one.attribute(INPUTS, target=1, feature_mask=MASK, additional_forward_args=3)
    assert torch.equal(of_one, other.attribute(INPUTS, target=1, feature_mask=MASK))


def test_the_setting_baseline_counts_where_a_call_gives_none():
    settings = {"search": "exact", "baseline": "mean"}
    method = pysmdl.SubsetAttribution(linear_model(), **settings)
    found = method.attribute(INPUTS, target=1, feature_mask=MASK)
    for each, own in zip(INPUTS, found, strict=True):
        alone = pysmdl.explain(each, linear_model(), 1, regions=MASK[0, 0], progress=False, **settings)
        np.testing.assert_array_equal(own[0], alone.value_map().astype(np.float32))
    quantus = quantus_explain(linear_model(), INPUTS.numpy(), np.array([1, 1, 1]), regions="grid:9", **settings)
    plain = quantus_explain(linear_model(), INPUTS.numpy(), np.array([1, 1, 1]), regions="grid:9", search="exact")
    assert not np.array_equal(quantus, plain)
    zeros = pysmdl.SubsetAttribution(linear_model(), search="exact").attribute(INPUTS, target=1, feature_mask=MASK)
    assert torch.equal(method.attribute(INPUTS, 0, 1, MASK), zeros)
    assert not torch.equal(found, zeros)


@pytest.mark.parametrize(("name", "error"), [("baseline", ValueError), ("base", TypeError)])
def test_unknown_names_are_refused(name, error):
    with pytest.raises(error, match=name):
        quantus_explain(linear_model(), INPUTS.numpy(), np.array([0, 1, 2]), **{name: "grey"})


def test_quantus_gets_arrays():
    settings = {"regions": "grid:9", "kind": "ranks"}
    found = quantus_explain(linear_model(), INPUTS.numpy(), np.array([0, 1, 2]), **settings)
    assert found.shape == (3, 1, 12, 12)
    assert found.dtype == np.float32
    assert found.max() == 1
    values = quantus_explain(linear_model(), INPUTS.numpy(), np.array([0, 1, 2]), regions="grid:9")
    alone = pysmdl.explain(INPUTS[2], linear_model(), 2, regions="grid:9", baseline=0.0, progress=False)
    assert values[2].sum() == pytest.approx(alone.insertion[-1] - alone.insertion[0], abs=1e-5)


def test_a_kind_of_map_that_there_is_not_is_named():
    with pytest.raises(ValueError, match="kind must be one of 'ranks', 'values'; got 'gain'"):
        pysmdl.SubsetAttribution(linear_model(), kind="gain")


def test_a_game_follows_shapiqs_protocol():
    game = pysmdl.Game(image(), linear_model(), 1, regions="grid:9")
    coalitions = np.random.default_rng(0).random((40, 9)) < 0.5
    values = game(coalitions)
    assert values.shape == (40,)
    assert game(coalitions[3])[0] == values[3]
    full = explain(linear_model(), regions="grid:9")
    assert game.grand_value == pytest.approx(full.deletion[0], abs=1e-6)
    assert game.empty_value == pytest.approx(full.insertion[0], abs=1e-6)
    centred = pysmdl.Game(image(), linear_model(), 1, regions="grid:9", normalize=True)
    np.testing.assert_allclose(centred(coalitions), values - game.empty_value, atol=1e-6)


def test_a_game_asks_each_coalition_once_in_whatever_thread():
    seen = []

    def model(batch):
        seen.extend(row.numpy().tobytes() for row in batch)
        time.sleep(0.005)
        return batch.mean((2, 3))

    game = pysmdl.Game(image(), model, 1, regions="grid:9")
    some = np.random.default_rng(0).random((60, 9)) < 0.5
    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(game, [some] * 4)
    assert all(np.array_equal(first, each) for each in others)
    assert game.evaluations == len(seen) == len(set(seen))


def test_a_game_asks_each_coalition_once():
    seen = []

    def model(batch):
        seen.append(len(batch))
        return linear_model()(batch)

    game = pysmdl.Game(image(), model, None, regions="grid:4")
    every = np.array(list(itertools.product([False, True], repeat=4)))
    game(every)
    game(every[::-1])
    assert sum(seen) == 16 == game.evaluations  # the full input, off which the target was read, among them
    for shape in ((2, 5), (2, 4, 4)):
        with pytest.raises(ValueError, match="coalitions must have 4 players"):
            game(np.ones(shape, bool))


@pytest.mark.parametrize(("coalition", "got"), [([0, 2, 1, 3], "2"), ([1, 0, np.nan, 0], "nan"), ([-1, 0, 1, 0], "-1")])
def test_numbers_of_players_are_no_coalition(coalition, got):
    game = pysmdl.Game(image(), linear_model(), 1, regions="grid:4")
    with pytest.raises(ValueError, match=f"coalitions must be True or False for each player; got .*{got}"):
        game(np.array(coalition))
    np.testing.assert_array_equal(game([1, 0, 1, 0]), game(np.array([True, False, True, False])))


# Arrays that people have, and memory that is theirs.


def backwards(array):
    return np.ascontiguousarray(array[..., ::-1])[..., ::-1]


def foreign(array):
    return array.astype(array.dtype.newbyteorder(">"))


def read_only(array):
    copied = array.copy()
    copied.flags.writeable = False
    return copied


@pytest.mark.slow
@pytest.mark.parametrize("as_", [np.asarray, backwards, foreign, read_only, np.asfortranarray, torch.from_numpy])
def test_masks_baselines_and_inputs_may_be_any_arrays(as_):
    method = pysmdl.SubsetAttribution(linear_model(), search="exact")
    mask, hidden = MASK.numpy().astype(np.int64), np.random.default_rng(0).random((1, 3, 12, 12), np.float32)
    right = method.attribute(INPUTS, torch.from_numpy(hidden), 1, MASK)
    assert torch.equal(method.attribute(INPUTS, as_(hidden), 1, as_(mask)), right)
    targets = np.array([0, 1, 2])
    plain = quantus_explain(linear_model(), INPUTS.numpy(), targets, regions="grid:9")
    found = quantus_explain(linear_model(), as_(INPUTS.numpy()), as_(targets), regions="grid:9")
    np.testing.assert_array_equal(found, plain)
    double = quantus_explain(linear_model(), as_(INPUTS.numpy().astype(np.float64)), as_(targets), regions="grid:9")
    np.testing.assert_array_equal(double, plain)


@pytest.mark.parametrize("shape", [(7,), (3, 7), (3, 12)])
def test_inputs_without_a_grid_are_refused_by_name(shape):
    with pytest.raises(ValueError, match=r"inputs must be a tensor \[B, C, \*grid\] of at least 3 dimensions; got \["):
        quantus_explain(linear_model(), np.zeros(shape, np.float32), np.zeros(shape[0], int))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"baselines": "black"}, "baselines must hold real numbers; got str"),
        ({"baselines": np.ones((1, 3, 12, 12)) * 1j}, "baselines must hold real numbers"),
        ({"feature_mask": MASK > 3}, "feature_mask must hold whole numbers; got torch.bool"),
        ({"feature_mask": "grid"}, "feature_mask must hold real numbers"),
    ],
)
def test_what_is_no_array_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        pysmdl.SubsetAttribution(linear_model()).attribute(**{"inputs": INPUTS, "target": 1, **arguments})


LABELS = (np.arange(12)[:, None] // 4 * 3 + np.arange(12) // 4).astype(np.int32)
OURS = {
    "image": lambda: image(),
    "tensor": lambda: torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(1)),
    "baseline": lambda: np.random.default_rng(0).random((3, 12, 12), np.float32),
    "baseline tensor": lambda: torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(1)),
    "baseline of each channel": lambda: np.array([0.1, 0.2, 0.3], np.float32),
    "labels": LABELS.copy,
}


@pytest.mark.parametrize("name", OURS)
def test_a_game_is_of_what_it_was_given_though_that_is_filled_anew(name):
    given, coalitions = OURS[name](), np.random.default_rng(0).random((20, 9)) < 0.5

    def game():
        shown = given if name in ("image", "tensor") else image()
        hidden = given if name.startswith("baseline") else 0.0
        return pysmdl.Game(shown, linear_model(), 1, baseline=hidden, regions=given if name == "labels" else LABELS)

    right, found = game()(coalitions), game()
    given[:] = 0
    np.testing.assert_array_equal(found(coalitions), right)
    found.labels[:] = 0
    np.testing.assert_array_equal(found(~coalitions[:3]), found(~coalitions)[:3])


# The packages themselves: `make compat` runs these in an environment of their own.


def test_against_captum():
    captum = pytest.importorskip("captum.attr")
    mask = MASK.expand(3, 1, 12, 12)
    theirs = captum.FeatureAblation(lambda x: linear_model()(x).softmax(1))
    shared = {"target": 1, "feature_mask": mask, "baselines": 0}
    drop = theirs.attribute(INPUTS, **shared, perturbations_per_eval=2)
    mine = pysmdl.SubsetAttribution(linear_model(), search="occlusion").explanations(INPUTS, 0, 1, mask)
    assert drop.shape == pysmdl.SubsetAttribution(linear_model()).attribute(INPUTS, **shared).shape
    for i in range(3):
        np.testing.assert_allclose(mine[i].attribution[mine[i].labels], drop[i, 0], atol=1e-5)


def test_against_shapiq():
    shapiq = pytest.importorskip("shapiq")
    game = pysmdl.Game(image(), linear_model(), 1, regions="grid:9", normalize=True)
    computer = shapiq.ExactComputer(n_players=9, game=game)
    values = computer("SV").get_n_order_values(1)
    by_hand = np.zeros(9)
    for size in range(9):
        weight = math.factorial(size) * math.factorial(8 - size) / math.factorial(9)
        for subset in itertools.combinations(range(9), size):
            for player in set(range(9)) - set(subset):
                without, with_it = np.isin(np.arange(9), subset), np.isin(np.arange(9), (*subset, player))
                by_hand[player] += weight * (game(with_it) - game(without))[0]
    np.testing.assert_allclose(values, by_hand, atol=1e-6)


@pytest.mark.parametrize(("index", "theirs"), [("sii", "SII"), ("bii", "BII"), ("stii", "STII")])
def test_interactions_against_shapiq(index, theirs):
    shapiq = pytest.importorskip("shapiq")
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1)).eval()
    scorer, x = scorers.scalar(lambda batch: net(batch[:, 0])[:, 0]), torch.rand(1, 8)
    settings = {"players": "columns", "baseline": "zero"}
    computer = shapiq.ExactComputer(n_players=8, game=pysmdl.Game(x, scorer, normalize=True, **settings))
    wanted = computer(theirs, order=2)
    found = pysmdl.studies.interactions(x, scorer, index=index, **settings)
    for i, j in itertools.combinations(range(8), 2):
        assert found.matrix[i, j] == pytest.approx(wanted[(i, j)], abs=1e-6)


def test_against_quantus():
    quantus = pytest.importorskip("quantus")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(432, 4)

        def forward(self, x):
            return self.layer(x.flatten(1))

    torch.manual_seed(0)
    metric = quantus.Sparseness(disable_warnings=True)
    scores = metric(
        model=Net().eval(),
        x_batch=INPUTS.numpy(),
        y_batch=np.array([0, 1, 2]),
        explain_func=quantus_explain,
        explain_func_kwargs={"regions": "grid:9"},
    )
    assert len(scores) == 3
    assert np.isfinite(scores).all()
