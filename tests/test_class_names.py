"""Files of class names: each class keeps its number, whatever editor wrote the file."""

from __future__ import annotations

import os
import re

import pytest
from command_line import ANSWER, call, module, saved

import pysmdl
from pysmdl.cli.arguments import class_names

from toys import explain, image, linear_model

NAMES = ("cat", "dog", "", "großes Pferd")


@pytest.mark.parametrize(
    "content",
    [
        "cat\ndog\n\ngroßes Pferd\n".encode(),
        "cat\ndog\n\ngroßes Pferd".encode(),
        "cat\n dog\t\n  \ngroßes Pferd\n\n\n".encode(),
        "cat\r\ndog\r\n\r\ngroßes Pferd\r\n".encode(),
        "cat\rdog\r\rgroßes Pferd\r".encode(),
        "\ufeffcat\ndog\n\ngroßes Pferd\n".encode(),
        "\ufeffcat\r\ndog\r\n\r\ngroßes Pferd\r\n".encode("utf-16-le"),
        "\ufeffcat\ndog\n\ngroßes Pferd\n".encode("utf-16-be"),
    ],
)
def test_a_line_is_a_class(content, tmp_path):
    (tmp_path / "names.txt").write_bytes(content)
    assert class_names("model:net", tmp_path / "names.txt") == NAMES


def test_separators_within_a_name_end_no_line(tmp_path):
    (tmp_path / "names.txt").write_bytes("a\x0cb\x1cc\u2028d\x85e\nf\n".encode())
    assert class_names("model:net", tmp_path / "names.txt") == ("a\x0cb\x1cc\u2028d\x85e", "f")


def test_what_is_no_text_is_named_with_its_line(tmp_path):
    (tmp_path / "names.txt").write_bytes(b"cat\ndog\n" + "Bär\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"names must be text in UTF-8; line 3 of .*names\.txt is not"):
        class_names("model:net", tmp_path / "names.txt")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(OSError, match="Not an ordinary file"):
            class_names("model:net", path)


def test_a_file_without_end_is_refused(tmp_path):
    with (tmp_path / "names.txt").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match="names must be text of 64 MiB at most"):
        class_names("model:net", tmp_path / "names.txt")


@pytest.mark.parametrize("given", [NAMES[:3], [*NAMES, "one too many"]])
def test_names_of_another_number_of_classes_are_doubted_once(given, caplog):
    items = [(image(seed), 1) for seed in range(3)]
    found = list(pysmdl.explain_many(items, linear_model(), regions="grid:9", names=given, progress=False))
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"names are {len(given)}, and the model has 4 classes: are they its own?"]
    assert all(each.names[1] == "dog" for each in found)


@pytest.mark.parametrize("given", [NAMES, {1: "dog"}, None])
def test_names_of_its_own_classes_or_of_some_are_not_doubted(given, caplog):
    explain(linear_model(), target=1, names=given)
    assert not caplog.records


@pytest.mark.slow
def test_a_class_without_a_name_is_shown_by_its_number(tmp_path, monkeypatch):
    (tmp_path / "names.txt").write_text("\n\ndog\n")
    code, output = call(
        "explain", saved(tmp_path / "x.png"), "--model", module(tmp_path, monkeypatch, ANSWER), "--target", "1",
        "--names", tmp_path / "names.txt", "--regions", "grid:4", "--out", tmp_path / "out",
    )  # fmt: skip
    assert code == 0, output
    assert pysmdl.load(tmp_path / "out" / "x.npz").target == 1
    assert re.search(r"x\.png +│ 1 ", output)
    titles = [explain(linear_model(), target=0).plot(names=names).axes[0].get_title() for names in (["", "b"], ["a"])]
    assert titles[0].startswith("why class 0?")
    assert titles[1].startswith("why a?")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["US$ 5 and $ 10", "$x^{$", "a_b", r"\alpha$$", "<b>", "100 %"])
def test_a_name_of_any_characters_can_be_drawn(name, tmp_path):
    figure = explain(linear_model(), target=0).plot(names=[name] * 4)
    figure.savefig(tmp_path / "x.png")
    assert name in figure.axes[0].get_title()
