"""Clips from files: frames evenly spaced, in Python and on the command line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from command_line import call, module
from PIL import Image

import pysmdl
from pysmdl import scorers
from pysmdl.errors import ImageError, MissingPackageError
from pysmdl.inputs import clips, folders, frames

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
    assert frames.evenly(12, 4).tolist() == [1, 4, 7, 10]
    assert frames.evenly(12, 12).tolist() == list(range(12))
    assert frames.evenly(2, 4).tolist() == [0, 0, 1, 1]
    assert frames.evenly(5, 1).tolist() == [2]
    (e,) = pysmdl.explain_many([drawn()], yellow(frames=3), regions="tubes:1x2x2", progress=False)
    assert np.array_equal(e.shown, drawn()[[2, 6, 10]])


def test_a_gif_is_a_clip_where_frames_are_asked_for_and_else_its_first_picture(tmp_path):
    path = animated(tmp_path / "a.gif", drawn())
    e = pysmdl.explain(path, yellow(frames=6), players="tubes:2x2x2", progress=False)
    assert (e.modality, e.shown.shape) == ("clip", (6, 32, 32, 3))
    assert np.abs(e.shown.astype(int) - drawn()[1::2]).max() < 8, "a palette's colours"
    still = scorers.scalar(lambda batch: batch.mean((1, 2, 3)))
    assert pysmdl.explain(path, still, regions="grid:4", progress=False).modality == "image"


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff"])
def test_other_pictures_that_move_are_clips_likewise(suffix, tmp_path):
    path = animated(tmp_path / f"a.{suffix}", drawn())
    e = pysmdl.explain(path, yellow(frames=6), players="tubes:2x2x2", progress=False)
    assert (e.modality, e.shown.shape) == ("clip", (6, 32, 32, 3))
    assert np.abs(e.shown.astype(int) - drawn()[1::2]).max() < 16
    still = scorers.scalar(lambda batch: batch.mean((1, 2, 3)))
    assert pysmdl.explain(path, still, regions="grid:4", progress=False).modality == "image"
    with pytest.raises(ValueError, match="pictures that move are clips where a scorer has frames="):
        pysmdl.explain(path, still, players="tubes:2x2x2", progress=False)
    Image.fromarray(drawn()[0]).save(tmp_path / f"still.{suffix}")
    seen = scorers.scalar(lambda batch: batch.mean((1, 2, 3)), frames=6)
    assert pysmdl.explain(tmp_path / f"still.{suffix}", seen, regions="grid:4", progress=False).modality == "image"
    (tmp_path / "notes.txt").write_text("no clip")
    assert folders.images([str(tmp_path)], frames=True) == [tmp_path, path]


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


def read(given, **settings):
    return pysmdl.explain(given, yellow(**settings), players="tubes:2x2x2", search="exact", progress=False)


@pytest.mark.parametrize(
    "form",
    [
        lambda frames: frames.transpose(0, 3, 1, 2),
        lambda frames: frames.transpose(3, 0, 1, 2),
        lambda frames: frames[None],
        lambda frames: frames[::-1][::-1],
        torch.from_numpy,
        lambda frames: torch.from_numpy(frames).permute(0, 3, 1, 2),
        lambda frames: torch.from_numpy(frames).permute(3, 0, 1, 2),
        lambda frames: np.concatenate((frames, np.full_like(frames[..., :1], 255)), 3),
        list,
        lambda frames: list(torch.from_numpy(frames)),
        lambda frames: tuple(map(Image.fromarray, frames)),
    ],
    ids=[
        "channels second",
        "channels first",
        "a batch of one",
        "strides",
        "tensor",
        "tensor, channels second",
        "tensor, channels first",
        "alpha",
        "list",
        "tensors",
        "Pillow's",
    ],
)
def test_frames_come_in_any_form(form):
    found, same = read(form(drawn(8))), read(drawn(8))
    assert found.modality == "clip"
    assert np.array_equal(found.shown, same.shown)
    assert np.array_equal(found.insertion, same.insertion)


def test_grey_frames_have_three_equal_channels():
    grey = drawn(8)[..., 1]
    for given in (grey, grey[..., None], grey[:, None], list(grey)):
        assert np.array_equal(read(given).shown, np.repeat(grey[..., None], 3, 3))
    with pytest.raises(ImageError, match=r"an image array must be \[H, W, 3\]"):
        read(grey[:3])  # rather an image with its channels first


def test_frames_that_make_no_clip_are_told():
    frames = list(drawn(8))
    with pytest.raises(ImageError, match=r"frames of a clip must be of one size, or a scorer's size=; got \(16, 32\)"):
        read([*frames, frames[0][:16]])
    assert read([*frames, frames[0][:16]], size=16).shown.shape == (9, 16, 16, 3)
    with pytest.raises(ImageError, match="a clip must have frames; got none"):
        read(drawn(8)[:0])
    with pytest.raises(ImageError, match="a clip must be one"):
        read(np.stack((drawn(8), drawn(8))))


def test_a_folder_of_frames_is_a_clip_in_the_order_of_their_numbers(tmp_path):
    frames = drawn(12)
    for place, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"frame{place + 1}.png")
    (tmp_path / "notes.txt").write_text("no frame")
    assert np.array_equal(read(tmp_path).shown, frames)
    assert np.array_equal(read(str(tmp_path), frames=4).shown, frames[[1, 4, 7, 10]])
    (tmp_path / "none").mkdir()
    with pytest.raises(ImageError, match=r"must have the frames of a clip in it, pictures; .*none has none"):
        read(tmp_path / "none")


def test_gifs_beside_clips_are_clips_and_beside_pictures_pictures(tmp_path):
    for name in ("a.gif", "b.mp4", "c/d.avi"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in folders.images([str(tmp_path)])] == ["a.gif", "b.mp4", "d.avi"]
    (tmp_path / "c" / "e.png").touch()
    assert [path.name for path in folders.images([str(tmp_path)])] == ["a.gif", "e.png"]
    with_frames = folders.images([str(tmp_path)], frames=True)
    assert [path.name for path in with_frames] == ["a.gif", "b.mp4", "c", "d.avi"]


OWN = """
from pysmdl import scorers

scorer = scorers.scalar(lambda batch: batch.mean((1, 2, 3, 4)), frames=3)
"""


def test_folders_of_frames_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        for place, frame in enumerate(drawn(4)):
            path = tmp_path / "in" / name / f"{place}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(frame).save(path)
    model = module(tmp_path, monkeypatch, YELLOW)
    common = ("--frames", 2, "--regions", "tubes:1x2x2", "--search", "exact", "--plot", "none")
    code, said = call("explain", "in", "--model", model, *common)
    assert code == 0, said
    for name in ("one", "two"):
        assert pysmdl.load(tmp_path / "explanations" / f"{name}.npz").modality == "clip"
    (tmp_path / "video.py").write_text("from pysmdl import adapt\nfrom signal_models import video_transformer\n"
                                       "net, processor = video_transformer()\n"
                                       "scorer = adapt(net, processor=processor)\n")  # fmt: skip
    code, said = call("explain", "in", "--model", "video:scorer", "--out", "video", *common[2:])
    assert code == 0, said
    assert len(list((tmp_path / "video").glob("*.npz"))) == 2
    (tmp_path / "own.py").write_text(OWN)
    code, said = call("explain", "in", "--model", "own:scorer", "--out", "own", *common[2:])
    assert code == 0, said
    assert len(list((tmp_path / "own").glob("*.npz"))) == 2


def test_a_label_map_of_one_frame_is_held_through_all():
    halves = np.repeat([[0, 1]], 32, 0).repeat(16, 1)
    found = pysmdl.explain(drawn(8), yellow(), players=halves, search="exact", progress=False)
    assert (found.n, found.labels.shape, found.order[0]) == (2, (8, 32, 32), 0)


def test_frames_are_resized_after_they_are_masked_where_the_scorer_says_so():
    found = pysmdl.explain(
        drawn(8), yellow(size=16, mask_at="image"), players="tubes:2x2x2", search="exact", progress=False
    )
    assert found.labels.shape == (8, 32, 32)
    assert found.order[0] == 4
