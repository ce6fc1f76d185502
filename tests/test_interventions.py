"""Interventions: how much an answer changes, and whether it flips, where a whole group is taken away."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pysmdl import scorers
from pysmdl.studies import interventions

WORDS = torch.tensor([5, 9, 3])


def pair(brightness):
    image = np.full((8, 8, 3), int(255 * brightness), np.uint8)
    return {"image": {"photo": image, "text": WORDS}}


def says(batch):
    """Class 1 where the photograph and the third word together are more than half."""
    told = 0.6 * batch["photo"].mean((1, 2, 3)) + 0.3 * (batch["text"][:, 2] == 3)
    return torch.stack((0 * told, 10 * (told - 0.5)), 1)


PLAYERS = {"photo": "grid:4", "text": ["a", "b", "c"]}


def test_the_score_changes_and_the_answer_flips_as_by_hand():
    items = [pair(1.0), pair(0.8), pair(0.0)]
    found = interventions(items, scorers.classifier(says), players=PLAYERS, baseline={"photo": "black", "text": 0})
    assert found.groups == ("photo", "text")

    def p(photo, text):
        return 1 / (1 + np.exp(-10 * (0.6 * photo + 0.3 * text - 0.5)))

    shade = int(255 * 0.8) / 255
    assert found.whole == pytest.approx([p(1, 1), p(shade, 1), 1 - p(0, 1)], abs=1e-5)
    without = [[p(0, 1), p(1, 0)], [p(0, 1), p(shade, 0)], [1 - p(0, 1), 1 - p(0, 0)]]
    assert found.without == pytest.approx(np.array(without), abs=1e-5)
    assert found.flipped.tolist() == [[1, 0], [1, 1], [0, 0]]
    assert found.flip_rate() == {"photo": pytest.approx(2 / 3), "text": pytest.approx(1 / 3)}
    changes = (np.array(without) - found.whole[:, None]).mean(0)
    assert list(found.change().values()) == pytest.approx(changes, abs=1e-6)
    assert found.evaluations == 9


def test_a_chats_messages_are_groups_by_who_said_them_and_groups_may_be_given():
    def model(texts):
        return [[0.2, 0.8] if "red" in text and "key" in text else [0.9, 0.1] for text in texts]

    scorer = scorers.string(lambda texts: np.array(model(texts), np.float32), gives="probabilities")
    chats = [
        [{"role": "user", "content": "The key is here."}, {"role": "assistant", "content": "It is red."}],
        [{"role": "user", "content": "A red key."}, {"role": "assistant", "content": "I see."}],
        [{"role": "user", "content": "Is it red? The key, I mean."}],
    ]
    found = interventions(chats, scorer, players="messages")
    assert found.groups == ("user", "assistant")
    assert found.flip_rate() == {"user": 1.0, "assistant": 0.5}
    assert np.isnan(found.without[2, 1]), "that chat has no such message"
    own = {"key": ["key "], "first two": [0, 1]}
    by_word = interventions(["the key is red"], scorer, players="words", groups=own, removal="delete")
    assert by_word.flipped.tolist() == [[1, 1]]


def test_what_a_sigmoid_or_a_number_says_flips_or_does_not():
    row = torch.tensor([[3.0, -1.0]])

    def logits(batch):
        return torch.stack((batch[:, 0, 0] - 1, 9 + 0 * batch[:, 0, 0]), 1)

    groups = {"first": [0], "second": [1]}
    there = scorers.classifier(logits, gives="sigmoid")
    found = interventions([(row, 0)], there, players="columns", baseline=0, groups=groups)
    assert found.flipped.tolist() == [[1, 0]]
    number = scorers.scalar(lambda batch: batch[:, 0, 0])
    found = interventions([row], number, players="columns", baseline=0, groups=groups)
    assert found.change() == {"first": -3.0, "second": 0.0}
    with pytest.raises(ValueError, match="gives a score and no answer"):
        found.flip_rate()


def test_what_has_no_groups_is_refused():
    scorer = scorers.scalar(lambda batch: batch.mean((1, 2)))
    x = torch.ones(1, 4)
    with pytest.raises(ValueError, match="players have no groups of their own: give groups="):
        interventions([x], scorer, players="columns")
    with pytest.raises(ValueError, match=r"groups must name players of the input, .*; 'a' has \[7\]"):
        interventions([x], scorer, players="columns", groups={"a": [0, 7]})
    with pytest.raises(ValueError, match="items must be inputs, one at least"):
        interventions([], scorer)
    with pytest.raises(TypeError, match="interventions has no setting 'search'"):
        interventions([x], scorer, search="exact")


def test_inputs_share_batches():
    seen = []

    def model(batch):
        seen.append(len(batch))
        return torch.stack((batch.mean((1, 2)), 0 * batch[:, 0, 0]), 1)

    items = [torch.full((1, 4), float(i)) for i in range(20)]
    groups = {"first": [0, 1], "second": [2, 3]}
    found = interventions(items, scorers.classifier(model), players="columns", baseline=0, groups=groups, batch_size=64)
    assert found.evaluations == sum(seen) == 60
    assert len(seen) <= 3
    one_by_one = [interventions([each], scorers.classifier(model), players="columns", baseline=0, groups=groups)
                  for each in items]  # fmt: skip
    assert np.array_equal(found.without, np.concatenate([each.without for each in one_by_one]))
    with pytest.raises(ValueError, match="items must be an iterable of inputs; got a single one"):
        interventions("a text", scorers.string(lambda texts: [1.0 for _ in texts]), players="words")
