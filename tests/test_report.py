"""The report's file: what it holds of explanations, where it takes them from, and how it is written."""

from __future__ import annotations

import builtins
import json
import logging
import subprocess
import sys
import weakref
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import typer
from command_line import call

import pysmdl

from report_samples import entries, grid_of_regions, mixed, noise, sample
from toys import made


@pytest.fixture
def page(tmp_path) -> Path:
    return tmp_path / "report.html"


def test_it_holds_what_an_explanation_says(page):
    given = sample(2)
    assert pysmdl.report(given, page) == 1
    ((found, _),) = entries(page)
    assert (found["id"], found["title"], found["says"], found["wrong"]) == ("picture 2", "cat", "cat", False)
    assert found["order"] == given.order.tolist()
    for name in ("insertion", "deletion", "area"):
        np.testing.assert_allclose(found[name], getattr(given, name), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(found["values"], given.values()[given.order], rtol=1e-3, atol=1e-6)
    summary = pysmdl.metrics.summary(given)
    assert found["metrics"] == pytest.approx(summary, rel=1e-3)
    runs = found["labels"]["runs"]
    labels = np.repeat(runs[::2], runs[1::2]).reshape(found["labels"]["height"], found["labels"]["width"])
    np.testing.assert_array_equal(labels, given.labels)
    assert dict(found["made"]) == {"search": "guided", "objective": "pair", "model": "a net", "source": "photo.jpg"}
    assert found["picture"].startswith("data:image/")
    assert found["words"] == given.verbalise()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("package.module.Net", "Net"),
        ("__main__.model", "model"),
        ("__main__.<lambda>", None),
        ("a/net.v2.onnx", "net.v2.onnx"),
        ("https://models.example/a", "https://models.example/a"),
        ("package.ViT (google/vit)", "ViT (google/vit)"),
        ("package.ViT (/home/me/folders/vit)", "ViT (vit)"),
        (None, None),
        ("", None),
    ],
)
def test_the_model_goes_by_its_own_name(name, shown, page):
    pysmdl.report(sample(0, provenance={"model": name}), page)
    ((found, _),) = entries(page)
    assert found["model"] == shown
    assert "/home/me" not in page.read_text()


def test_the_question_of_one_number_is_why_this_score(page):
    pysmdl.report([sample(0, target="the score", predicted=None), sample(1)], page)
    assert [found["why"] for found, _ in entries(page)] == ["Why this score?", "Why cat?"]


def test_every_kind_of_explanation_has_its_place(page):
    given = mixed()
    assert pysmdl.report(given, page) == len(given)
    found = [entry for entry, _ in entries(page)]
    assert [each["wrong"] for each in found[:8]] == [False, True, True, False, False, False, None, False]
    assert [each["flat"] for each in found[:6]] == [False, False, False, False, True, False]
    assert "picture" not in found[5]
    assert found[6]["box"] == pytest.approx([0.25, 0.25, 0.75, 0.75])
    assert found[7]["frame"] == [0.25, 0, 0.75, 1]
    assert found[9]["insertion"][5:9] == [None] * 4
    assert found[11]["values"] == pytest.approx(given[11].attribution[given[11].order].tolist(), rel=1e-3)


def test_odd_explanations_do_not_end_a_page(page):
    nothing = made([0.5], [0.5], [0.0], labels=[[0, 0]], order=np.zeros(0, int), pixels=np.zeros((1, 2, 3), np.uint8))
    unmeasured = made([np.nan] * 4, [np.nan] * 4, labels=[[0, 1, 2]], pixels=np.zeros((1, 3, 3), np.uint8))
    forged = sample(target=[0.25, 0.5])  # features, and answers all the same
    own = sample(target="a word", predicted=None)
    assert pysmdl.report([nothing, unmeasured, forged, own], page) == 4
    found = [entry for entry, _ in entries(page)]
    assert [each["shown"] for each in found] == [0, 3, 24, 24]
    assert [each["title"] for each in found] == ["class 0", "class 0", "these features", "a word"]
    assert set(found[2]["metrics"]) == {"insertion_auc", "deletion_auc"}


def test_no_explanation_takes_more_than_60_kb(page):
    labels = np.arange(400 * 400).reshape(400, 400) // 7 % 900  # runs of seven points
    many = made(np.linspace(0, 1, 5001), np.linspace(1, 0, 5001), labels=np.arange(5000).reshape(50, 100))
    many.pixels = noise(600)
    wordy = sample(id="é" * 5000, notes={f"note {i}": "ü" * 400 for i in range(200)}, pixels=noise(400))
    scattered = sample(labels=np.arange(250_000).reshape(500, 500) % 24, pixels=noise(500))
    rough = made(np.linspace(0, 1, 901), np.linspace(1, 0, 901), labels=labels, pixels=noise(400))
    pysmdl.report([many, wordy, scattered, rough], page)
    found = list(entries(page))
    assert len(found) == 4
    assert max(size for _, size in found) < 60_000
    assert all(len(entry["picture"]) > 1000 for entry, _ in found)
    assert (found[0][0]["n"], found[0][0]["shown"], len(found[0][0]["area"])) == (5000, 1000, 1001)


def test_large_label_maps_are_taken_at_fewer_points(page):
    pysmdl.report(sample(labels=grid_of_regions(600, 900)), page)
    ((found, _),) = entries(page)
    runs = found["labels"]["runs"]
    assert (found["labels"]["height"], found["labels"]["width"]) == (171, 256)
    assert sum(runs[1::2]) == 171 * 256
    assert set(runs[::2]) == set(range(24))


def test_a_stream_is_read_one_at_a_time(page):
    alive: list[weakref.ref] = []

    def stream():
        for seed in range(6):
            assert sum(ref() is not None for ref in alive) <= 1, "earlier ones are kept"
            found = sample(seed)
            alive.append(weakref.ref(found))
            yield found

    assert pysmdl.report(stream(), page) == 6


def test_folders_are_read_in_order_and_damaged_files_named(page, tmp_path, caplog):
    for seed in (1, 0):
        sample(seed).save(tmp_path / f"{seed}.npz")
    (tmp_path / "0b<i>.npz").write_bytes((tmp_path / "0.npz").read_bytes()[:500])
    with caplog.at_level(logging.WARNING, "pysmdl"):
        assert pysmdl.report(tmp_path, page) == 2
    assert [entry["id"] for entry, _ in entries(page)] == ["picture 0", "picture 1"]
    assert "0b<i>.npz skipped: " in caplog.text
    text = page.read_text()
    assert "1 left out" in text
    assert "0b&lt;i&gt;.npz: " in text
    assert str(tmp_path) not in text
    assert pysmdl.report([tmp_path / "0.npz", sample(5), str(tmp_path / "1.npz")], page) == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], r"explanations must hold at least one that can be read; none"),
        (3, r"explanations must be a pysmdl\.Explanation, a file or a folder; got int"),
        ([3], r"explanations\[0\] must be a pysmdl\.Explanation, a file or a folder; got int"),
        ("empty", r"explanations must be a folder with \.npz files.*; got empty"),
    ],
)
def test_what_is_no_explanation_is_refused_and_the_old_page_stays(given, message, page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    page.write_text("old")
    with pytest.raises(ValueError, match=message):
        pysmdl.report(given, page)
    assert page.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "report.html"]


def test_a_stream_that_breaks_leaves_the_old_page(page):
    def stream():
        yield sample()
        raise KeyboardInterrupt

    page.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        pysmdl.report(stream(), page)
    assert page.read_text() == "old"


def test_a_folder_that_is_not_there(page, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        pysmdl.report(tmp_path / "nowhere", page)
    assert not page.exists()


def test_without_jinja_it_says_what_to_install(page, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.partition(".")[0] == "jinja2":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(pysmdl.errors.MissingPackageError, match=r"Jinja2.*pip install 'pysmdl\[report\]'"):
        pysmdl.report(sample(), page)
    assert not page.exists()


def test_names_are_data(page):
    hostile = "</script><img src=x onerror=alert(1)><!--"
    pysmdl.report(sample(id=hostile, names={3: hostile}, notes={hostile: hostile}), page, title=hostile)
    text = page.read_text()
    assert "<img" not in text
    assert "<!--" not in text
    ((found, _),) = entries(page)
    assert (found["id"], found["title"]) == (hostile, hostile)
    assert json.loads(json.dumps(found["made"]))[0] == [hostile, hostile]


def test_the_script_sets_no_html_and_asks_for_nothing():
    script = (files("pysmdl.reporting") / "page.js").read_text()
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "fetch(",
        "XMLHttpRequest",
        "</",
    ):
        assert word not in script, word


def test_the_command_writes_a_page_and_opens_it(page, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(typer, "launch", opened.append)
    for name, seed in (("one", 0), ("two", 1)):
        (tmp_path / name).mkdir()
        sample(seed).save(tmp_path / name / "a.npz")
    code, said = call("report", tmp_path / "one", tmp_path / "two", "--out", page, "--title", "Two methods")
    assert (code, opened) == (0, [])
    assert f"2 explanations are in {page}" in said
    assert "<h1>Two methods</h1>" in page.read_text()
    (tmp_path / "two" / "b.npz").write_bytes(b"PK")
    assert call("report", tmp_path / "two", "--out", page, "--open")[0] == 1  # a file was left out
    assert opened == [page.resolve().as_uri()]
    assert call("report", tmp_path / "nowhere", "--out", page)[0] == 2
    code, said = call("report", tmp_path / "one", "--out", tmp_path / "new" / "folder" / "page.html")
    assert (code, "1 explanation is in" in said) == (0, True)


@pytest.mark.slow
def test_memory_stays_flat(page):
    """40 explanations of photographs of 3000 x 2000, 1.6 GB in all, in less than half of that."""
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import numpy as np, pysmdl\n"
        "from report_samples import grid_of_regions, picture, sample\n"
        "labels = grid_of_regions(2000, 3000).astype(np.int32)\n"
        "def stream():\n"
        "    for i in range(40):\n"
        "        pixels = picture(i, 20, 30).repeat(100, 0).repeat(100, 1)\n"
        "        yield sample(pixels=pixels, labels=labels, size=(2000, 3000))\n"
        f"assert pysmdl.report(stream(), {str(page)!r}) == 40\n"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"  # ru_maxrss begins with the parent's
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 700_000  # KiB
