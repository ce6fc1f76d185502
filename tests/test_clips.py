"""Clips from files: frames evenly spaced, in Python and on the command line."""

from __future__ import annotations

import numpy as np
import pytest
from command_line import call, module
from PIL import Image

import pysmdl
from pysmdl import scorers
from pysmdl.errors import ImageError, MissingPackageError
from pysmdl.inputs import clips

from signal_models import video_transformer

YELLOW = "    return (batch[:, 0] - batch[:, 2]).mean((2, 3)).mean(1)[:, None] * torch.tensor([[0.0, 9.0]])\n"


def drawn(count=12, side=32):
    """A dark clip with a yellow square in its second half."""
    frames = np.full((count, side, side, 3), 60, np.uint8)
    frames[count // 2 :, 8:16, 8:16] = (230, 190, 40)
    return frames


def written(path, frames, code="MJPG"):
    """By OpenCV, which writes blue first."""
    cv2 = pytest.importorskip("cv2")
    file = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 10, frames.shape[2:0:-1])
    if not file.isOpened():
        pytest.skip(f"no encoder {code} here")
    for frame in frames:
        file.write(np.ascontiguousarray(frame[..., ::-1]))
    file.release()
    return path


def animated(path, frames):
    first, *rest = map(Image.fromarray, frames)
    first.save(path, save_all=True, append_images=rest, duration=100)
    return path


def yellow(**settings):
    return scorers.scalar(lambda batch: (batch[:, 0] - batch[:, 2]).mean((1, 2, 3)), **settings)


@pytest.mark.parametrize(("name", "code"), [("a.avi", "MJPG"), ("a.mp4", "mp4v"), ("a.webm", "VP80")])
def test_a_file_is_explained_as_its_frames_are(name, code, tmp_path):
    frames = drawn()
    path = written(tmp_path / name, frames, code)
    found = clips.load(path)
    assert found.shape == frames.shape
    assert np.abs(found.astype(int) - frames).mean() < 6, "what its codec loses"
    e = pysmdl.explain(path, yellow(frames=4), players="tubes:2x4x4", progress=False)
    assert (e.modality, e.labels.shape, e.provenance["source"]) == ("clip", (4, 32, 32), str(path))
    best = e.labels == e.order[0]
    assert best[2:, 8:16, 8:16].all()
    again = pysmdl.explain(found[[1, 4, 7, 10]], yellow(), players="tubes:2x4x4", progress=False)
    assert np.array_equal(e.insertion, again.insertion)
    e.plot()


def test_frames_are_in_the_middle_of_equal_parts():
    assert clips.evenly(12, 4).tolist() == [1, 4, 7, 10]
    assert clips.evenly(12, 12).tolist() == list(range(12))
    assert clips.evenly(2, 4).tolist() == [0, 0, 1, 1]
    assert clips.evenly(5, 1).tolist() == [2]
    (e,) = pysmdl.explain_many([drawn()], yellow(frames=3), regions="tubes:1x2x2", progress=False)
    assert np.array_equal(e.shown, drawn()[[2, 6, 10]])


def test_a_gif_is_a_clip_where_frames_are_asked_for_and_else_its_first_picture(tmp_path):
    path = animated(tmp_path / "a.gif", drawn())
    e = pysmdl.explain(path, yellow(frames=6), players="tubes:2x2x2", progress=False)
    assert (e.modality, e.shown.shape) == ("clip", (6, 32, 32, 3))
    assert np.abs(e.shown.astype(int) - drawn()[1::2]).max() < 8, "a palette's colours"
    still = scorers.scalar(lambda batch: batch.mean((1, 2, 3)))
    assert pysmdl.explain(path, still, regions="grid:4", progress=False).modality == "image"


def test_a_models_own_pipeline_takes_as_many_frames_as_the_model_does(tmp_path):
    pytest.importorskip("transformers")
    net, processor = video_transformer()
    path = written(tmp_path / "a.avi", drawn())
    e = pysmdl.explain(path, net, processor=processor, players="tubes:2x2x2", progress=False)
    assert len(e.shown) == 4
    frames = clips.load(path, 4)
    same = pysmdl.explain(frames, net, processor=processor, players="tubes:2x2x2", progress=False)
    assert np.array_equal(e.insertion, same.insertion)


def test_what_is_no_clip_is_told(tmp_path, monkeypatch):
    pytest.importorskip("cv2")
    for name in ("empty.mp4", "empty.gif"):
        (tmp_path / name).write_bytes(b"no frames")
    scorer = yellow(frames=4)
    for name, message in (
        ("none.mp4", "no clip at"),
        ("empty.mp4", "no clip that can be read"),
        ("empty.gif", "cannot read .* as a clip"),
    ):
        with pytest.raises(ImageError, match=message):
            pysmdl.explain(tmp_path / name, scorer, progress=False)
    long = written(tmp_path / "long.avi", drawn(300, 8))
    with pytest.raises(ImageError, match="has 300 frames, more than 256: say how many are taken, frames=16"):
        pysmdl.explain(long, yellow(), progress=False)
    assert len(clips.load(long, 7)) == 7
    with pytest.raises(ValueError, match="frames must be a whole number of at least 1; got 0"):
        yellow(frames=0)
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(MissingPackageError, match=r"needs OpenCV, .*: pip install 'pysmdl\[opencv\]'"):
        pysmdl.explain(long, scorer, progress=False)


@pytest.mark.slow
def test_one_line_of_the_command_line_explains_a_clip_and_draws_its_frames(tmp_path, monkeypatch):
    path = written(tmp_path / "a.avi", drawn())
    model = module(tmp_path, monkeypatch, YELLOW)
    out = tmp_path / "out"
    code, output = call("explain", path, "--model", model, "--frames", "4", "--regions", "tubes:2x4x4", "--out", out)
    assert code == 0, output
    assert sorted(each.name for each in out.iterdir()) == ["a.json", "a.npz", "a.png"]
    e = pysmdl.load(out / "a.npz")
    assert (e.modality, e.labels.shape, len(e.shown)) == ("clip", (4, 32, 32), 4)
