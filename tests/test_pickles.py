"""What is handed to other processes: searches, objectives, removals, models' scorers, an Explainer with all of them."""

from __future__ import annotations

import asyncio
import copy
import multiprocessing
import pickle

import language_models
import numpy as np
import pytest
import torch
from answer_models import llava
from onnx_files import network, write
from serving import serving
from torch import nn
from vision_towers import hugging_face

import pysmdl
from pysmdl import heads, methods, models, regions, removal, scorers, search

import detection_models
import library_models
from toys import image

SEARCHES = {
    **search.SEARCHES,
    **methods.METHODS,
    "reagent": methods.reagent,
    "fixed": lambda: search.fixed(iter([3, 1])),
    "phase_window, its own seed": lambda: search.phase_window(seed=None, window_share=0.5),
    "soft sobol": lambda: methods.sobol(masks="soft"),
}
HEADS = (
    heads.probability(), heads.log_odds(base=2), heads.margin(), heads.contrast(None, 0), heads.entropy(), heads.jsd(),
    heads.kl(2.0), heads.hellinger(), heads.ranking(3), heads.value(), heads.confidence(), heads.log_probability(),
)  # fmt: skip
TABLE = np.random.default_rng(0).normal(size=(40, 4))


def again(made):
    return pickle.loads(pickle.dumps(made))


def fallen(text: str) -> float:
    return len(text) / 100


def said(prompts: list[str], seed: int) -> list[str]:
    return [prompt[seed % 3 :: 2] for prompt in prompts]


def lengths(answers: list[str]) -> list[float]:
    return [len(each) / 99 for each in answers]


async def brightness(view: np.ndarray) -> list[float]:
    await asyncio.sleep(0)
    return [float(view.mean()) / 50, float(view[:4].mean()) / 50]


def same(one: pysmdl.Explanation, other: pysmdl.Explanation) -> None:
    np.testing.assert_array_equal(one.order, other.order)
    np.testing.assert_array_equal(one.insertion, other.insertion)
    assert {**one.notes, "batches": 0} == {**other.notes, "batches": 0}


def agree(model: object, given: object, used: bool = True, **settings: object) -> None:
    """An explainer and what comes of its pickle say the same, also where it was used before."""
    explainer = pysmdl.Explainer(model, batch_size=8, **settings)
    restored = again(explainer)
    (first,), (second,) = explainer.run([given]), restored.run([given])
    same(first, second)
    if used:
        (third,) = again(explainer).run([given])
        same(first, third)


@pytest.mark.parametrize("make", SEARCHES.values(), ids=SEARCHES)
def test_a_search_from_a_pickle_finds_what_it_found(make):
    made = make()
    found = again(made)
    assert (found.name, found.parameters) == (made.name, made.parameters)
    settings = {"regions": "grid:6", "progress": False, "seed": 3}
    same(*(pysmdl.explain(image(), network(), 1, search=each, **settings) for each in (made, again(found))))


def test_what_is_changed_by_hand_is_not_undone_by_a_pickle():
    from dataclasses import replace

    renamed = replace(methods.lime(), name="mine")
    with pytest.raises((AttributeError, pickle.PicklingError), match="local object"):  # it has the functions themselves
        pickle.dumps(renamed)
    assert copy.copy(search.exact()).name == "exact"


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.name)
def test_a_head_from_a_pickle_reads_the_same(head):
    found, generator = again(head), torch.Generator().manual_seed(0)
    raw, reference = (torch.randn(5, 4, generator=generator) for _ in range(2))
    target = torch.tensor([0, 1, 2, 3, 1])
    torch.testing.assert_close(found(raw, reference, target), head(raw, reference, target), rtol=0, atol=0)
    assert (found.name, found.made_with, found.bounded) == (head.name, head.made_with, head.bounded)


@pytest.mark.parametrize("preset", ["smdl", "lima", "vps", "eagle", "pair"])
def test_an_objective_from_a_pickle_is_equal(preset):
    made = getattr(pysmdl, preset)()
    assert again(made) == made


@pytest.mark.parametrize("name", removal.REMOVALS)
def test_a_removal_from_a_pickle_is_one(name):
    assert again(removal.resolve(name)).name == removal.resolve(name).name


def test_settings_and_regions_from_pickles_are_as_they_were():
    config = pysmdl.EngineConfig(batch_size=3)
    assert again(config) == config
    pixels = image(0, 24, 24)
    for made in (regions.slico(pixels, 9), regions.prior(pixels.mean(2), 6, 8)(pixels)):
        np.testing.assert_array_equal(again(made).labels, made.labels)
    np.testing.assert_array_equal(again(regions.prior(pixels.mean(2), 6, 8))(pixels).labels, made.labels)


EXPLAINED = {
    "exact": {"search": "exact"},
    "a method": {"search": methods.rise(evaluations=60)},
    "a preset": {"preset": "lima", "head": heads.margin()},
    "drawn": {"baseline": removal.noise(0.1, draws=2)},
    "wavelet": {"removal": removal.wavelet(2), "regions": "subbands"},
    "drawn regions": {"regions": regions.prior(np.arange(144.0).reshape(12, 12), 6, 6)},
}


@pytest.mark.parametrize("settings", EXPLAINED.values(), ids=EXPLAINED)
def test_an_explainer_from_a_pickle_explains_the_same(settings):
    agree(network(), image(), **{"regions": "grid:6", **settings})


def explained(made: bytes, given: object) -> pysmdl.Explanation:
    """In another process."""
    (found,) = pickle.loads(made).run([given])
    return found


def test_an_explainer_works_in_a_process_that_was_spawned():
    explainer = pysmdl.Explainer(network(), regions="grid:9", search="scoped", names=["a", "b", "c", "d"])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(explained, (pickle.dumps(explainer), image()))
    (here,) = explainer.run([image()])
    same(found, here)
    assert found.names == here.names


def photo(height: int = 32, width: int = 32) -> np.ndarray:
    return image(3, height, width)


def of_files(folder, kind):
    net = network()
    if kind == "onnx":
        pytest.importorskip("onnxruntime")
        return write(folder / "net.onnx", net)
    if kind == "pt2":
        torch.export.save(torch.export.export(net, (torch.zeros(1, 3, 12, 12),)), folder / "net.pt2")
        return folder / "net.pt2"
    traced = torch.jit.trace(net, torch.zeros(1, 3, 12, 12))
    traced.save(str(folder / "net.pt"))
    return folder / "net.pt" if kind == "torchscript" else traced


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
@pytest.mark.parametrize("kind", ["onnx", "pt2", "torchscript", "a TorchScript module"])
def test_models_of_files_are_opened_anew(kind, tmp_path, monkeypatch):
    model = of_files(tmp_path, kind)
    monkeypatch.chdir(tmp_path)
    scorer = scorers.classifier(model if kind.startswith("a ") else model.name)
    monkeypatch.chdir(tmp_path.parent)
    agree(scorer, image(), regions="grid:6")


def of_texts(kind):
    if kind == "string":
        return scorers.string(fallen, batched=False), {}
    if kind == "classes":
        return language_models.bert(), {"tokenizer": language_models.word_pieces()}
    if kind == "rollouts":
        return scorers.rollout(said, lengths, repeats=3), {}
    return language_models.gpt2(), {"tokenizer": language_models.byte_level(), "prompt": "Read: {} So"}


@pytest.mark.parametrize("kind", ["string", "classes", "rollouts", "language model"])
def test_scorers_of_texts_go_through_pickles(kind):
    pytest.importorskip("transformers")
    model, settings = of_texts(kind)
    agree(model, "The cat sat on the mat.", players="words", **settings)


@pytest.mark.parametrize("kind", ["LogisticRegression", "SVC", "LinearRegression", "a function"])
def test_scorers_of_rows_go_through_pickles(kind):
    from sklearn import linear_model, svm

    labels = TABLE[:, 0] + TABLE[:, 1] > 0
    model = {
        "LogisticRegression": lambda: linear_model.LogisticRegression().fit(TABLE, labels),
        "SVC": lambda: svm.SVC().fit(TABLE, labels),
        "LinearRegression": lambda: linear_model.LinearRegression().fit(TABLE, TABLE @ np.arange(4)),
        "a function": lambda: scorers.table(np.sum, gives="value"),
    }[kind]()
    if kind == "a function":
        assert again(model).model.name == model.model.name
        return
    agree(model, TABLE[0], baseline=TABLE)


def pair_of_towers():
    model, processor = library_models.pair("CLIP")
    return model, {"processor": processor, "prompts": library_models.PROMPTS}


PICTURED = {
    "prompts": pair_of_towers,
    "towers": lambda: (library_models.pair("CLIP")[0], {"processor": library_models.pair("CLIP")[1]}),
    "a tower of Hugging Face's": lambda: (hugging_face("vit"), {"removal": "token-drop", "regions": "grid:16"}),
    "passes": lambda: (
        scorers.custom(
            models.passes(nn.Sequential(*network(), nn.Dropout(0.3)).eval(), 2), heads.uncertainty(), dims=3, size=12
        ),
        {},
    ),
}


@pytest.mark.parametrize("make", PICTURED.values(), ids=PICTURED)
def test_scorers_of_pictures_go_through_pickles(make):
    pytest.importorskip("transformers")
    model, settings = make()
    agree(model, photo(), **{"regions": "grid:6", "evaluations": 60, **settings})


def test_a_detector_that_is_asked_goes_through_pickles():
    pytest.importorskip("transformers")
    model, processor = detection_models.owl("Owlv2")
    scorer = pysmdl.adapt(model, processor=processor, prompts=["a cat", "a dog"])
    x = torch.rand(1, 3, 64, 64)
    assert str(again(scorer)) == str(scorer)
    for name, value in scorer.forward(x).items():
        torch.testing.assert_close(again(scorer).forward(x)[name], value)


def test_a_model_that_answers_a_picture_goes_through_pickles():
    family = llava()
    # Once it has run, transformers' own hooks on it are functions that only cloudpickle takes.
    agree(family.model, photo(), used=False, processor=family.processor, prompt="what?", regions="grid:4")


def test_endpoints_send_by_connections_of_their_own():
    agree(scorers.endpoint(brightness, encode="array"), image(), regions="grid:4")
    with serving() as server:
        agree(server.url, image(), regions="grid:4")
        asked = scorers.chat(server.url, ["yes", "no"], "Is it?")
        assert again(asked).names == asked.names


def test_a_game_that_was_played_goes_on_from_a_pickle():
    game = pysmdl.Game(image(), network(), 1, regions="grid:6")
    member = np.random.default_rng(0).random((5, 6)) > 0.5
    values = game(member)
    found = again(game)
    np.testing.assert_array_equal(found(member), values)
    assert found.evaluations == game.evaluations
    np.testing.assert_array_equal(found(~member), game(~member))


def test_what_cannot_be_pickled_is_named():
    explainer = pysmdl.Explainer(scorers.classifier(network(), head=lambda raw, reference, target: raw[:, 0]))
    with pytest.raises((AttributeError, pickle.PicklingError), match=r"test_what_cannot_be_pickled_is_named.*lambda"):
        pickle.dumps(explainer)
