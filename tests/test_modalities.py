"""Sounds, clips and spectrograms: read, explained, drawn, shown on the page, played; the same from the command line."""

from __future__ import annotations

import csv
import wave
from dataclasses import replace
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from command_line import call
from PIL import Image

import pysmdl
from pysmdl import regions, scorers
from pysmdl.errors import ImageError
from pysmdl.explanation.plotting import OTHERS, plot
from pysmdl.explanation.sheets import with_sheet
from pysmdl.inputs import sound
from pysmdl.reporting.entries import entry

RATE = 8000


def tones():
    """Two seconds of noise with a low tone at 0.2 to 0.5 s and a high one at 1.2 to 1.5 s."""
    t = np.arange(2 * RATE) / RATE
    x = 0.02 * np.random.default_rng(0).normal(size=len(t))
    for start, pitch in ((0.2, 200), (1.2, 900)):
        part = (t >= start) & (t < start + 0.3)
        x[part] += 0.6 * np.sin(2 * np.pi * pitch * t[part])
    return x.astype(np.float32)


def pitches(batch):
    """Logits by how much of each of the two tones a waveform [B, N] has."""
    t = torch.arange(batch.shape[1]) / RATE

    def strength(pitch):
        phase = 2 * np.pi * pitch * t
        return (batch @ phase.cos()) ** 2 + (batch @ phase.sin()) ** 2

    return torch.stack((strength(200), strength(900)), 1) / 1e5


def of_tones(path_or_array, **settings):
    scorer = scorers.classifier(pitches)
    scorer.names = ["low", "high"]
    return pysmdl.explain(path_or_array, scorer, 1, progress=False, **{"search": "exact", **settings})


@pytest.fixture
def recording(tmp_path):
    (tmp_path / "tones.wav").write_bytes(sound.wav(tones(), RATE))
    return tmp_path / "tones.wav"


def clip(frames=8):
    """A yellow ball that rolls over grey ground from left to right."""
    found = np.full((frames, 24, 32, 3), 90, np.uint8)
    y, x = np.mgrid[:24, :32]
    for t in range(frames):
        found[t][(y - 12) ** 2 + (x - 4 - 3 * t) ** 2 < 16] = (230, 190, 40)
    return found


def of_clip(**settings):
    model = scorers.scalar(lambda batch: (batch[:, 0] - batch[:, 2]).mean((1, 2, 3)))
    return pysmdl.explain(clip(), model, progress=False, **{"search": "exact", "players": "tubes:4x3x4", **settings})


def of_spectrogram(**settings):
    x = torch.rand(1, 24, 40) * 0.1
    x[0, 12:18, 10:20] = 1
    model = scorers.scalar(lambda batch: batch[:, 0, 12:18].mean((1, 2)))
    return pysmdl.explain(x, model, progress=False, **{"search": "exact", "players": "bands:4x4", **settings})


def of_row():
    scorer = scorers.table(lambda rows: rows @ np.array([1.0, -2, 0.5]), ["age", "height", "a long name " * 6])
    return pysmdl.explain([3.0, 1, 2], scorer, progress=False, search="exact")


def of_names():
    x = np.ones(6)
    players = regions.players([f"part {i}" for i in range(6)], list("ababab"))
    return pysmdl.explain(x, scorers.scalar(lambda b: b @ torch.arange(6.0)), players=players, progress=False)


EVERY = {"sound": None, "clip": of_clip, "spectrogram": of_spectrogram, "table": of_row, "names": of_names}


@pytest.fixture(params=EVERY)
def each(request):
    if request.param != "sound":
        return EVERY[request.param]()
    return of_tones({"array": tones(), "sampling_rate": RATE})


def test_a_recording_is_explained_by_its_seconds(recording):
    found = of_tones(recording)
    assert (found.n, found.modality, found.rate) == (20, "sound", RATE)
    assert found.players[12] == "1.20 to 1.30 s"
    assert {found.players[i] for i in found.order[:3]} == {f"{s:.2f} to {s + 0.1:.2f} s" for s in (1.2, 1.3, 1.4)}
    kept = found.view(3)
    assert kept.shape == (2 * RATE,)
    assert not kept[: int(1.2 * RATE)].any()
    assert np.array_equal(kept[int(1.2 * RATE) : int(1.5 * RATE)], found.shown[int(1.2 * RATE) : int(1.5 * RATE)])
    said = found.verbalise()
    assert "of 20 segments" in said
    assert '"1.' in said


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_files_of_every_width_are_read(width, channels, tmp_path):
    x = np.clip(tones(), -1, 1)[:1000]
    whole = np.round(x.astype(np.float64) * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    of_bytes = (whole + 128 if width == 1 else whole).astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width]
    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(11025)
        file.writeframes(np.repeat(of_bytes, channels, 0).tobytes())
    samples, rate = sound.load(tmp_path / "x.wav")
    assert rate == 11025
    assert np.abs(samples - x).max() < 1.1 / 2 ** (8 * width - 1)


@pytest.mark.parametrize("kind", [("x.flac", None), ("x.wav", "FLOAT")], ids=str)
def test_other_files_are_read_by_soundfile(kind, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    name, subtype = kind
    soundfile.write(tmp_path / name, np.stack((tones(), 0 * tones()), 1), RATE, subtype=subtype)
    samples, rate = sound.load(tmp_path / name)
    assert rate == RATE
    assert np.abs(samples - tones() / 2).max() < 1e-4
    assert of_tones(tmp_path / name, players="time:4").order[0] == 2


def test_a_sound_comes_at_the_rate_of_the_model(recording):
    seen = []
    model = scorers.scalar(lambda batch: seen.append(batch.shape[1]) or batch.abs().mean(1), rate=16000)
    found = pysmdl.explain(recording, model, players="time:2", progress=False)
    assert set(seen) == {4 * RATE}
    assert found.rate == 16000
    by_array = pysmdl.explain({"array": tones(), "sampling_rate": RATE}, model, players="time:2", progress=False)
    assert np.allclose(by_array.insertion, found.insertion, atol=1e-3)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32])
def test_samples_that_are_whole_numbers_are_those_of_a_file(kind):
    wave = np.array([-1, -0.5, 0, 0.5])
    whole = np.round(wave * 2.0 ** (8 * np.dtype(kind).itemsize - 1) + (128 if kind == np.uint8 else 0)).astype(kind)
    scorer = scorers.scalar(lambda batch: batch.sum(1))
    found = pysmdl.explain({"array": whole, "sampling_rate": 4}, scorer, search="occlusion", progress=False)
    assert found.attribution.tolist() == pytest.approx(wave)
    assert found.view(4).tolist() == wave.tolist()


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16])
def test_an_array_of_channels_is_the_mean_of_them_as_a_file_is(kind):
    left, right = tones(), 0.5 * tones()
    scale = 1 if kind != np.int16 else 2**14
    both = (np.stack((left, right)) * scale).astype(kind)
    mean = both.mean(0, dtype=np.float32) / (1 if kind != np.int16 else 2**15)
    for given in (both, both.T, {"array": both, "sampling_rate": RATE}, {"array": both.T, "sampling_rate": RATE}):
        found = of_tones(given, players="time:4")
        assert (found.modality, found.order[0]) == ("sound", 2)
        assert np.allclose(found.shown, mean, atol=1e-4)


def test_a_tensor_of_channels_goes_in_as_it_is_and_its_channels_are_silenced_together():
    model = scorers.scalar(lambda batch: batch[:, 0].abs().mean(1) - batch[:, 1].abs().mean(1))  # [B, 2, N]
    both = torch.from_numpy(np.stack((tones(), 0 * tones())))
    found = pysmdl.explain(both, model, players="time:4", progress=False)
    assert (found.n, found.order[0] in (0, 2)) == (4, True)


def test_an_array_is_at_the_rate_that_its_scorer_says():
    model = scorers.scalar(lambda batch: batch.abs().mean(1), rate=RATE)
    whole = np.round(tones() * 2**14).astype(np.int16)  # as scipy reads files
    for given in (tones(), whole, torch.from_numpy(tones())):
        found = pysmdl.explain(given, model, players="time:4", progress=False)
        assert (found.modality, found.rate, found.players[1]) == ("sound", RATE, "0.50 to 1.00 s")
    assert np.allclose(pysmdl.explain(whole, model, players="time:4", progress=False).shown, tones() / 2, atol=1e-4)
    short = pysmdl.explain(np.ones(8, np.float32), model, progress=False)
    assert short.modality == "sound"


def test_files_that_a_data_set_holds_are_sounds_or_images(recording):
    content = recording.read_bytes()
    same = of_tones(recording, players="time:4")
    for given in ({"bytes": content, "path": None}, {"bytes": None, "path": str(recording)}):
        assert np.array_equal(of_tones(given, players="time:4").insertion, same.insertion)
    buffer = BytesIO()
    Image.fromarray(clip()[0]).save(buffer, "PNG")
    model = scorers.scalar(lambda batch: batch.mean((1, 2, 3)))
    found = pysmdl.explain({"bytes": buffer.getvalue(), "path": "a.png"}, model, regions="grid:4", progress=False)
    assert np.array_equal(found.pixels, clip()[0])
    with pytest.raises(ImageError, match="bytes and path must not both be None"):
        of_tones({"bytes": None, "path": None})


def test_a_decoder_of_a_data_set_is_a_sound():
    class Decoder:
        def get_all_samples(self):
            return SimpleNamespace(data=torch.from_numpy(np.stack((tones(), tones()))), sample_rate=RATE)

    found = of_tones(Decoder(), players="time:4")
    assert found.order[0] == 2
    assert found.rate == RATE


def test_segments_are_called_by_as_many_digits_as_tell_them_apart():
    loud = scorers.scalar(lambda batch: batch.square().mean(1), rate=RATE)
    e = pysmdl.explain(tones()[:5], loud, players="time:20", progress=False)
    assert e.players[:2] == ("0.0000 to 0.0001 s", "0.0001 to 0.0003 s")
    e = pysmdl.explain(tones(), loud, players="grid:4", progress=False)
    assert e.players[:2] == ("0.00 to 0.50 s", "0.50 to 1.00 s")


def test_bytes_are_samples_where_a_scorer_hears():
    levels = np.array([128, 192, 64, 128] * 100, np.uint8)
    e = pysmdl.explain(levels, scorers.scalar(lambda batch: batch.sum(1), rate=RATE), players="time:4", progress=False)
    assert e.shown[:4].tolist() == [0, 0.5, -0.5, 0]


def test_what_is_no_sound_is_refused(tmp_path):
    (tmp_path / "x.wav").write_bytes(b"RIFF and nothing more")
    with pytest.raises(ImageError, match="no sound"):
        of_tones(tmp_path / "y.wav")
    with pytest.raises((ImageError, ImportError)):
        of_tones(tmp_path / "x.wav")
    with pytest.raises(ImageError, match="a sound must hold finite samples; 2 are NaN or infinite, the first number 1"):
        of_tones({"array": [1.0, np.nan, np.inf], "sampling_rate": RATE})
    (tmp_path / "empty.wav").write_bytes(sound.wav(np.zeros(0), RATE))
    with pytest.raises(ImageError, match=r"the sound .*empty\.wav must hold samples .*; got none"):
        of_tones(tmp_path / "empty.wav")
    (tmp_path / "x.m4a").write_bytes(b"0000ftypM4A ")
    with pytest.raises((ImageError, ImportError), match=r"x\.m4a"):
        of_tones(tmp_path / "x.m4a")
    for rate in (0.5, "8000"):
        with pytest.raises(ValueError, match="sampling_rate must be a finite number of at least 1"):
            of_tones({"array": [1.0, 0], "sampling_rate": rate})
    with pytest.raises(ImageError, match=r"floats in -1\.\.1, or uint8, int16 or int32; got int64"):
        of_tones({"array": np.arange(9), "sampling_rate": RATE})
    with pytest.raises(ValueError, match="rate must be a whole number"):
        scorers.scalar(lambda batch: batch, rate=0)


def test_a_clip_of_frames_is_explained_through_time():
    found = of_clip()
    assert (found.modality, found.n, found.labels.shape) == ("clip", 48, (8, 24, 32))
    ball = (clip()[..., 2] == 40).astype(float)
    share = np.array([ball[found.labels == i].sum() for i in found.order[:8]])
    assert (share > 0).all(), "the first tubes are those that the ball rolls through"
    kept = found.view(found.n)
    assert kept.shape == clip().shape
    assert np.array_equal(kept, found.shown)
    with pytest.raises(ValueError, match=r"regions='slico:9' needs an image; give .tubes:4x4x4., .tubes:5x25. or"):
        pysmdl.explain(
            clip(), scorers.scalar(lambda batch: batch.mean((1, 2, 3, 4))), players="slico:9", progress=False
        )


@pytest.mark.parametrize("kind", OTHERS)
def test_every_input_draws_itself(kind, each, tmp_path):
    each.save(tmp_path / "x.npz")
    read = pysmdl.load(tmp_path / "x.npz")
    for explanation in (each, read):
        drawn = explanation.plot(kind=kind)
        drawn.savefig(tmp_path / "x.png", dpi=40)
    texts = " ".join(text.get_text() for axes in drawn.axes for text in (*axes.texts, *axes.get_yticklabels()))
    if each.modality == "table" and kind != "curves":
        assert "age = 3" in texts
        assert "…" in texts


def test_steps_and_several_beside_each_other_are_drawn_on_sheets(each, tmp_path):
    for drawn in (each.plot(kind="steps"), each.plot(kind="order"), plot([each, each]), plot([each], kind="curves")):
        drawn.savefig(tmp_path / "x.png", dpi=40)


def test_a_sheet_has_every_player_where_it_is_shown(each):
    sheet = with_sheet(each)
    assert sheet.pixels.shape[:2] == sheet.labels.shape
    assert set(np.unique(sheet.labels)) - {-1} == set(range(each.n))
    assert (sheet.n, sheet.pixels.dtype) == (each.n, np.uint8)
    image = replace(sheet, modality="image")
    assert with_sheet(image) is image


def test_the_page_shows_every_input(each, tmp_path):
    found = entry(each, 0)
    assert found["picture"].startswith("data:image/")
    assert max(found["labels"]["runs"][::2]) == each.n - 1
    pysmdl.report([each], tmp_path / "x.html")


def test_a_notebook_plays_what_is_kept():
    html = of_tones({"array": tones(), "sampling_rate": RATE})._repr_html_()
    assert html.count("<audio controls") == 2
    assert "<audio" not in of_row()._repr_html_()


MODELS = """
import numpy as np, torch
from pysmdl import scorers
def tone(batch):
    t = torch.arange(batch.shape[1]) / 8000
    def strength(pitch):
        return (batch @ (6.2831853 * pitch * t).cos()) ** 2 + (batch @ (6.2831853 * pitch * t).sin()) ** 2
    return torch.stack((strength(200), strength(900)), 1) / 1e5
rows = scorers.table(lambda rows: rows @ np.array([1.0, -2, 0.5]), ["age", "height", "weight"])
"""


def test_the_command_line_explains_sounds_and_rows(recording, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "models_of_sounds_and_rows.py").write_text(MODELS)
    settings = ("--model", "models_of_sounds_and_rows:tone", "--players", "time:10", "--out", tmp_path / "out")
    assert call("explain", recording, *settings)[0] == 0
    found = pysmdl.load(tmp_path / "out" / "tones.npz")
    assert (found.n, found.modality, found.provenance["regions"]) == (10, "sound", "time:10")
    samples, rate = sound.load(tmp_path / "out" / "tones.wav")
    assert rate == RATE
    assert np.allclose(samples, np.where(samples != 0, tones(), 0), atol=1e-3)
    assert (tmp_path / "out" / "tones.png").stat().st_size > 10_000
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["weight", "name", "age", "height"], [2, "a", 3, 1], [4, "b", 0, 1], [1, "c", 1, 1]]
        )
    rows = ("--model", "models_of_sounds_and_rows:rows", "--out", tmp_path / "out")
    assert call("explain", f"{tmp_path / 'rows.csv'}:1", *rows)[0] == 0
    row = pysmdl.load(tmp_path / "out" / "rows-1.npz")
    assert row.values().tolist() == pytest.approx([0, -2, 2])
    assert (row.players, row.modality) == (("age", "height", "weight"), "table")
    code, said = call("explain", f"{tmp_path / 'rows.csv'}:7", *rows)
    assert code != 0
    assert "are 0 to 2" in said
