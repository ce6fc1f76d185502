"""Real networks on voices and texts: what they hear and read, and which times and words are the reason."""

from __future__ import annotations

import numpy as np
import pytest

import pysmdl

from real import topics, voices
from real.files import BUILD, there
from real.whisper import Whisper

pytestmark = pytest.mark.slow
WHISPER = pytest.mark.real("models/whisper/model.bin", "models/whisper/tokenizer.json", "voices/Rear_Right.wav")
SILERO = pytest.mark.real("models/silero/silero_vad_16k_sequence.onnx", "voices/Noise.wav")
MINILM = pytest.mark.real(
    "models/minilm/model.safetensors", "models/minilm/config.json", "models/minilm/tokenizer.json"
)
SPOKEN = {  # a text, its topic, the words that may come first
    "The senate passed the budget after a long debate": ("politics", {"senate", "budget", "debate"}),
    "Simmer the onions gently until the sauce thickens": ("cooking", {"Simmer", "onions", "sauce"}),
    "The telescope found a faint comet beyond Jupiter": ("astronomy", {"telescope", "comet", "Jupiter"}),
    "The keeper saved the penalty and his team won the cup": ("sport", {"penalty", "team", "cup"}),
}


@pytest.fixture(scope="module")
def whisper():
    return Whisper()


@WHISPER
def test_seven_of_eight_clips_are_heard_as_what_they_say(whisper):
    heard = {}
    for clip in voices.clips():
        said = whisper.text(whisper.hear(whisper.spectrogram(clip))).lower().strip(".").replace(",", "")
        heard[clip.stem.replace("_", " ").lower()] = said
    assert len(heard) == 8
    assert {name: said for name, said in heard.items() if name != said} == {"rear right": "we're right"}


@WHISPER
def test_a_words_reasons_lie_in_the_time_in_which_it_is_said(whisper):
    clip = there("voices/Rear_Right.wav")
    mel, regions = whisper.spectrogram(clip), voices.spans(160, 40, 3000, 80)
    said = whisper.hear(mel)
    settings = {"regions": regions, "baseline": float(mel.min()), "search": "exact", "progress": False}
    first = {
        word: pysmdl.explain(mel, whisper.scorer(said), target, **settings).order[0] * 0.4
        for word, target in whisper.words(said)
    }
    assert first == {"We're": 0.0, "right": 0.8}  # seconds from which on


@SILERO
def test_speech_is_where_the_voice_is():
    silero, wave = voices.Silero(), voices.waveform(there("voices/Front_Center.wav"))
    regions = silero.spans(wave)
    spoken = np.add.reduceat(silero(wave[None].numpy())[0] > 0.5, np.arange(0, 45, 3)) > 0
    assert 0 < spoken.sum() < len(spoken) == regions.max() + 1
    found = pysmdl.explain(wave, silero.scorer(), regions=regions, baseline=0.0, progress=False)
    first = found.order[: spoken.sum() // 2]
    assert spoken[first].all()
    assert not spoken[found.order[-3:]].any()
    assert found.insertion[-1] > 0.9
    assert found.deletion[-1] < 0.1


@SILERO
def test_noise_is_no_speech():
    assert voices.Silero()(voices.waveform(BUILD / "voices" / "Noise.wav")[None].numpy()).max() < 0.1


@MINILM
def test_a_text_is_of_its_topic_for_its_words():
    encoder = topics.MiniLM()
    scorer = encoder.scorer([f"a text about {topic}" for topic, _ in SPOKEN.values()])
    for text, (topic, first) in SPOKEN.items():
        regions, words = encoder.words(text)
        assert words == text.split()
        found = pysmdl.explain(
            encoder.ids(text), scorer, regions=regions, baseline=topics.PADDING, search="exact", progress=False
        )
        assert scorer.names[found.target] == f"a text about {topic}"
        assert words[found.order[0]] in first
        assert found.insertion_auc - found.deletion_auc > 0.2
