"""Classifiers of sounds and clips as transformers has them, against their own pipelines."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl.errors import ImageError

from signal_models import (
    RATE,
    frames,
    noise,
    shifted_video_transformer,
    spectrogram_transformer,
    video_transformer,
    wav2vec2,
)


@pytest.mark.parametrize("make", [wav2vec2, spectrogram_transformer])
def test_a_sound_scores_as_the_masked_sound_does_in_the_models_own_pipeline(make):
    net, extractor = make()
    scorer, given = pysmdl.adapt(net, processor=extractor), noise()
    game = pysmdl.Game({"array": given, "sampling_rate": RATE}, scorer, target="hiss", players="time:10")
    kept = np.random.default_rng(2).random((20, 10)) < 0.5
    found = game(kept)
    ends = np.linspace(0, len(given), 11).round().astype(int)
    for row, value in zip(kept, found, strict=True):
        masked = np.concatenate([given[a:b] * on for a, b, on in zip(ends, ends[1:], row, strict=False)])
        with torch.no_grad():
            logits = net(**extractor(masked, sampling_rate=RATE, return_tensors="pt")).logits
        assert value == pytest.approx(float(logits.softmax(1)[0, 1]), abs=1e-4)


def test_a_sound_is_explained_in_one_line_with_names_and_seconds():
    net, extractor = wav2vec2()
    e = pysmdl.explain(noise(), net, processor=extractor, target="click", players="time:8")
    assert (e.modality, e.n, e.names[2]) == ("sound", 8, "click")
    assert "Wav2Vec2ForSequenceClassification, 3 classes" in repr(pysmdl.adapt(net, processor=extractor))


@pytest.mark.parametrize("make", [video_transformer, shifted_video_transformer])
def test_a_clip_scores_as_in_the_models_own_pipeline_and_is_masked_as_the_model_sees_it(make):
    net, processor = make()
    scorer, given = pysmdl.adapt(net, processor=processor), frames()
    x = processor(list(given), return_tensors="pt")["pixel_values"]
    black = processor(list(given * 0), return_tensors="pt")["pixel_values"]
    game = pysmdl.Game(given, scorer, target="hiss", players="tubes:2x2x2")
    kept = np.random.default_rng(3).random((20, 8)) < 0.5
    for row, value in zip(kept, game(kept), strict=True):
        on = torch.from_numpy(row.reshape(2, 2, 2)).repeat_interleave(2, 0)
        on = on.repeat_interleave(16, 1).repeat_interleave(16, 2)[None, :, None]
        with torch.no_grad():
            logits = net(torch.where(on, x, black)).logits
        assert value == pytest.approx(float(logits.softmax(1)[0, 1]), abs=1e-6)
    shown = scorer.reader.read(given, scorer.input, False).shown
    assert np.abs(shown.astype(int).mean() - given[:, :, 8:48].mean()) < 2  # the middle, as it was


def test_a_clip_of_another_number_of_frames_is_refused():
    net, processor = video_transformer()
    with pytest.raises(ImageError, match="clips of 4 frames; got 6"):
        pysmdl.explain(frames(6), net, processor=processor)


@pytest.mark.parametrize(("make", "kind"), [(wav2vec2, "feature extractor"), (video_transformer, "video processor")])
def test_the_missing_processor_is_named(make, kind):
    net, _ = make()
    with pytest.raises(ValueError, match=f"needs processor=, the {kind}"):
        pysmdl.explain(noise(), net)
