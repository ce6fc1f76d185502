"""Several inputs at once: each divided and painted over by itself, the model given a dict, players grouped by input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from command_line import call, module, saved

import pysmdl
from pysmdl import regions, scorers
from pysmdl.inputs import sound

from toys import image

TABLE = torch.tensor([0.0, 1, 2, 4, 8, 16])


def both(batch):
    """A pair's score: the image's sum, an eighth of the ids', and a bonus where both have their first player."""
    seen, said = batch["image"].sum((1, 2, 3)), TABLE[batch["text"]]
    return seen + said.sum(1) / 8 + (batch["image"][:, 0, 0, 0] > 0) * (said[:, 0] > 0)


def pair(**settings):
    x = torch.full((1, 4, 4), 0.25)
    given = {"image": x, "text": torch.tensor([5, 3])}
    return pysmdl.explain(given, scorers.scalar(both), progress=False, **{"search": "exact", **settings})


def test_players_of_all_inputs_are_one_set_grouped_by_input(tmp_path):
    found = pair(players={"image": "grid:4", "text": ["loud", "soft"]})
    assert found.players == ("image: 0", "image: 1", "image: 2", "image: 3", "text: loud", "text: soft")
    assert found.by_group().keys() == {"image", "text"}
    assert sum(found.by_group().values()) == pytest.approx(4 + 20 / 8 + 1)
    assert found.area[-1] == 1
    assert found.modality == "several"
    found.save(tmp_path / "x.npz")
    assert pysmdl.load(tmp_path / "x.npz").groups == found.groups


def test_each_input_is_composed_by_itself():
    game = pysmdl.Game(
        {"image": torch.full((1, 4, 4), 0.25), "text": torch.tensor([5, 3])}, scorers.scalar(both),
        players={"image": "grid:4"}, baseline={"image": 0.0, "text": 1},
    )  # fmt: skip
    assert game.n_players == 6
    values = game([[0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0], [1, 0, 0, 0, 1, 1], [0, 1, 1, 1, 0, 0]])
    assert values.tolist() == pytest.approx([0.25, 1 + 0.25 + 1, 17 / 8, 1 + 20 / 8 + 1, 3 + 0.25])


def test_pairs_share_batches_and_change_nothing_for_each_other():
    rng = np.random.default_rng(0)
    items = [
        {"input": {"image": torch.from_numpy(rng.random((1, 4, 4), np.float32)), "text": torch.tensor([i, 5 - i])}}
        for i in range(1, 5)
    ]
    settings = {"players": {"image": "grid:4"}, "search": "exact", "progress": False}
    together = list(pysmdl.explain_many(items, scorers.scalar(both), ordered=True, **settings))
    for item, found in zip(items, together, strict=True):
        alone = pysmdl.explain(item["input"], scorers.scalar(both), **settings)
        assert np.array_equal(alone.order, found.order)
        assert np.array_equal(alone.insertion, found.insertion)


def test_a_picture_and_a_row_in_one_question():
    model = scorers.scalar(lambda batch: batch["photo"].mean((1, 2, 3)) + batch["facts"] @ torch.tensor([1.0, 2]))
    found = pysmdl.explain({"photo": image(), "facts": np.array([3.0, 4])}, model, progress=False,
                           players={"photo": "grid:4", "facts": ["age", "height"]}, search="exact")  # fmt: skip
    assert found.players[-2:] == ("facts: age", "facts: height")
    assert found.pixels is not None
    assert found.by_group()["facts"] == pytest.approx(11, abs=1e-4)


HEARS = """
    said = torch.tensor([float("loud" in text) for text in batch["text"]])
    return batch["image"].square().mean(1)[:, None] * said[:, None] * torch.tensor([[0.0, 9.0]])
"""


def test_a_sound_and_a_text_on_the_command_line_are_drawn_played_and_printed(tmp_path, monkeypatch):
    samples = np.sin(np.arange(800)) * (np.arange(800) >= 400)
    (tmp_path / "x.wav").write_bytes(sound.wav(samples, 8000))
    code, said = call(
        "explain", tmp_path / "x.wav", "--text", "a loud bang", "--model", module(tmp_path, monkeypatch, HEARS),
        "--regions", "time:2", "--out", tmp_path,
    )  # fmt: skip
    assert code == 0, said
    assert "a loud bang" in said
    assert {path.suffix for path in tmp_path.glob("x*")} >= {".png", ".json", ".npz"}
    (kept,) = [path for path in tmp_path.glob("*.wav") if path.name != "x.wav"]
    played, rate = sound.load(kept)
    assert rate == 8000
    assert played[400:].any()
    assert not played[:400].any()


def test_what_several_inputs_cannot_have_is_refused():
    with pytest.raises(ValueError, match=r"given by name, of image, text, such as \{'image': 'grid:4'\}; got 'grid:4'"):
        pair(players="grid:4")
    with pytest.raises(ValueError, match="given by name"):
        pair(players={"sound": "time:4"})
    with pytest.raises(ValueError, match='several inputs need removal="baseline"'):
        pair(baseline=pysmdl.removal.noise(1.0))
    with pytest.raises(
        ValueError, match="baseline of several inputs must be the same each time; of 'image' it is a fill"
    ):
        pair(baseline={"image": pysmdl.removal.noise(1.0)})
    with pytest.raises(ValueError, match=r"baseline of several inputs is given by name, of image, text; got \['txt'\]"):
        pair(baseline={"txt": 0})
    with pytest.raises(ValueError, match=r"several inputs need names that are text; got \[0, 1\]"):
        pysmdl.explain({0: image(), 1: np.ones(3)}, scorers.scalar(lambda batch: batch[0]), progress=False)
    masks = np.ones((2, 4, 4), bool)
    with pytest.raises(ValueError, match="those of 'image' do"):
        pair(players={"image": regions.overlapping(masks)})


def matches(batch):
    """How well a picture fits what is said of it: its red where that says red, less twice that where it says not."""
    said = torch.tensor([("red" in text) - 2.0 * ("red" in text and "not" in text) for text in batch["text"]])
    return batch["photo"][:, 0].mean((1, 2)) * said


def red(text="A not so red car.", **settings):
    photo = np.zeros((8, 8, 3), np.uint8)
    photo[:4, :4] = (255, 0, 0)
    settings = {"players": {"photo": "grid:4"}, "search": "exact", **settings}
    return pysmdl.explain({"photo": photo, "text": text}, scorers.scalar(matches), progress=False, **settings)


def test_a_photograph_and_a_text_are_explained_together():
    found = red("It is a red car.")
    assert found.players[:4] == ("photo: 0", "photo: 1", "photo: 2", "photo: 3")
    assert found.players[4:] == ("text: It", "text: is", "text: a", "text: red", "text: car.")
    assert found.insertion[-1] == pytest.approx(0.25)
    assert set(found.order[:2].tolist()) == {0, 7}  # the red corner, and the word
    assert found.insertion[2:6].tolist() == pytest.approx([0.25] * 4)
    assert found.by_group().keys() == {"photo", "text"}
    shown = found.view(2)
    assert shown["text"] == "red "
    assert shown["photo"][:4, :4].tolist() == [[[255, 0, 0]] * 4] * 4
    assert not shown["photo"][4:].any()


def test_what_the_model_is_given_of_a_text_is_what_is_left_of_it():
    seen = []

    def model(batch):
        seen.extend(batch["text"])
        return batch["photo"].mean((1, 2, 3))

    given = {"photo": torch.ones(3, 4, 4), "text": "one two three"}
    game = pysmdl.Game(given, scorers.scalar(model), players={"photo": "grid:4"})
    game([[1, 1, 1, 1, 1, 0, 1], [0, 0, 0, 0, 0, 1, 0]])
    assert seen[-2:] == ["one three", "two"]
    by_name = {"players": {"photo": "grid:4", "text": "words"}, "baseline": {"photo": 0.0, "text": "[MASK]"}}
    game = pysmdl.Game(given, scorers.scalar(model), **by_name)
    assert game([[0, 0, 0, 0, 1, 0, 1], [1, 1, 1, 1, 0, 1, 0]]).tolist() == [0, 1]
    assert seen[-2:] == ["one [MASK] three", "[MASK] two [MASK]"]


def test_texts_of_any_length_share_batches_with_their_pictures():
    texts = ["red", "It is not red at all, is it?", "A car: red"]
    photos = [image(i, 8, 8) for i in range(3)]
    items = [{"input": {"photo": photo, "text": text}} for photo, text in zip(photos, texts, strict=True)]
    settings = {"players": {"photo": "grid:4"}, "search": "exact", "progress": False}
    found = list(pysmdl.explain_many(items, scorers.scalar(matches), ordered=True, **settings))
    for item, each in zip(items, found, strict=True):
        alone = pysmdl.explain(item["input"], scorers.scalar(matches), **settings)
        assert each.order.tolist() == alone.order.tolist()
        assert np.array_equal(each.insertion, alone.insertion)


def test_a_text_is_divided_as_its_name_says_and_may_be_a_file_or_a_chat(tmp_path):
    (tmp_path / "said.txt").write_text("It is red. It is late.")
    for text in ("It is red. It is late.", tmp_path / "said.txt", str(tmp_path / "said.txt")):
        assert red(text, players={"text": "sentences", "photo": "grid:4"}).players[4:] == (
            "text: It is red.", "text: It is late.",
        )  # fmt: skip
    chat = [{"role": "user", "content": "Is it red?"}, {"role": "assistant", "content": "No."}]
    assert red(chat, players={"photo": "grid:4", "text": "messages"}).n == 6
    assert red("red car", players={"photo": "grid:4", "text": ["red", "car"]}).n == 6
    assert red("car.png", players={"photo": "grid:4", "text": "characters"}).n == 4 + 7


def test_a_path_among_several_inputs_is_a_file(tmp_path):
    path = saved(tmp_path / "a.png", size=8)
    given = {"photo": str(path), "text": "red"}
    found = pysmdl.explain(given, scorers.scalar(matches), players={"photo": "grid:4"}, progress=False)
    assert found.n == 5
    with pytest.raises(pysmdl.errors.ImageError, match=r"no such image: missing\.png"):
        pysmdl.explain({**given, "photo": "missing.png"}, scorers.scalar(matches), progress=False)
    with pytest.raises(pysmdl.errors.ImageError, match="the text is empty"):
        red("")
    with pytest.raises(ValueError, match="baseline of the text 'text' must be what stands for an absent span"):
        red(baseline={"text": 0})


MODEL = """
import torch

from pysmdl import scorers


def fits(batch):
    said = torch.tensor([float("red" in text) for text in batch["text"]])
    return batch["image"][:, 0].mean((1, 2)) * said


scorer = scorers.scalar(fits)
"""


def test_files_with_a_text_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beside.py").write_text(MODEL)
    saved(tmp_path / "a.png")
    common = ("explain", "a.png", "--model", "beside:scorer", "--regions", "grid:4", "--plot", "bars")
    code, said = call(*common, "--text", "It is late. It is red.", "--players", "sentences", "--out", "made")
    assert code == 0, said
    made = pysmdl.load(tmp_path / "made" / "a.npz")
    assert made.players[3:] == ("image: 3", "text: It is late.", "text: It is red.")
    assert (tmp_path / "made" / "a.png").is_file()
    code, said = call(*common, "--text", "red", "--text", "It is red", "--out", "two")
    assert code == 0, said
    assert [pysmdl.load(tmp_path / "two" / f"a-{i}.npz").n for i in (1, 2)] == [5, 7]
    code, said = call(*common, "--text", "red", "--dry-run")
    assert code == 0, said
    assert "evaluations at most" in said


PAIR = {"photo": image(0, 8, 8), "text": "a red car"}


def of_pair(model, **settings):
    scorer = scorers.scalar(model, **settings)
    return pysmdl.explain(PAIR, scorer, players={"photo": "grid:4"}, search="occlusion", progress=False)


def said(batch):
    return torch.tensor([float(len(text)) for text in batch["text"]])


def test_a_model_is_given_each_input_as_its_scorer_says():
    """In NumPy, with channels last, in batches of one size, resized after it was masked."""
    seen = []

    def model(batch):
        seen.append((type(batch["photo"]), tuple(batch["photo"].shape), len(batch["text"])))
        return said(batch)

    plain = of_pair(model)
    for settings, shape in (
        ({"takes": "numpy"}, (3, 8, 8)),
        ({"layout": "nhwc"}, (8, 8, 3)),
        ({"batch": 4}, (3, 8, 8)),
        ({"size": 4, "mask_at": "image"}, (3, 4, 4)),
    ):
        seen.clear()
        found = of_pair(model, **settings)
        assert found.attribution.tolist() == plain.attribution.tolist()
        assert {each[1][1:] for each in seen} == {shape}
        assert all(each[1][0] == each[2] for each in seen)
        assert {each[0] for each in seen} == {np.ndarray if "takes" in settings else torch.Tensor}
        if "batch" in settings:
            assert {each[2] for each in seen} == {4}


def test_which_of_several_inputs_is_wrong_is_told():
    for text, message in (
        (None, "image must be .*; got NoneType"),
        ("", "the text is empty"),
    ):
        with pytest.raises(pysmdl.errors.ImageError, match=f"input 'text': {message}"):
            red(text)
    with pytest.raises(ValueError, match=r"several inputs at once as its input; got \['photo', 'text'\]"):
        list(pysmdl.explain_many([PAIR], scorers.scalar(said), progress=False))


@pytest.mark.parametrize(
    ("given", "players"),
    [
        ({"question": "is it red", "context": "A red car. A blue one."}, {"context": "sentences"}),
        ({"sound": np.sin(np.arange(900) / 5), "text": "a tone"}, {"sound": "time:4"}),
        ({"clip": np.stack([image(i, 8, 8) for i in range(4)]), "text": "it moves"}, {"clip": "tubes:2x2x2"}),
        ({"photo": image(0, 8, 8), "sound": np.ones(900), "row": [1.0, 2, 3], "text": "all"}, {"photo": "grid:4"}),
        ({"a/b": image(0, 8, 8), "a/b/x": "a text", "": "another"}, {"a/b": "grid:4"}),
    ],
    ids=lambda given: " and ".join(given) if isinstance(given, dict) else "",
)
def test_any_inputs_go_together(given, players):
    """What each adds to a sum of all is its own."""

    def of_one(each):
        found = (
            [float(len(text)) for text in each] if isinstance(each, list) else each.float().flatten(1).mean(1).tolist()
        )
        return torch.tensor(found)

    model = scorers.scalar(lambda batch: sum(map(of_one, batch.values())))
    found = pysmdl.explain(given, model, players=players, search="kernel_shap", progress=False)
    whole = {name: found.by_group()[name] for name in given}
    assert sum(whole.values()) == pytest.approx(found.deletion[0] - found.insertion[0], abs=1e-3)
    for name, each in given.items():
        if isinstance(each, str):
            assert whole[name] == pytest.approx(len(each), abs=2)  # the spaces where it ends


def test_an_input_may_stay_as_it_is_and_is_drawn_as_such():
    found = pair(players={"image": "shown", "text": ["loud", "soft"]})
    assert found.players == ("text: loud", "text: soft")
    assert found.insertion.tolist() == pytest.approx([4, 4 + 16 / 8 + 1, 4 + 20 / 8 + 1])
    assert found.by_group().keys() == {"text"}
    photo = np.full((8, 8, 3), 90, np.uint8)
    drawn = pysmdl.explain(
        {"photo": photo, "text": "a dark evening"}, scorers.scalar(lambda batch: batch["photo"].mean((1, 2, 3))),
        players={"photo": "grid:4", "text": "shown"}, progress=False,
    )  # fmt: skip
    titles = [axes.get_title() for axes in drawn.plot().axes]
    assert any(title.endswith(", always shown") for title in titles)
    with pytest.raises(
        ValueError, match="players of several inputs must be of one of them; all are 'shown': image, tex"
    ):
        pair(players={"image": "shown", "text": "shown"})
