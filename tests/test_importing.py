"""Models by name: the working folder is searched for them and what they import, and for nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest
from command_line import saved

NET = "def net(batch):\n    return batch.mean((2, 3))\n"
MARK = "import pathlib\npathlib.Path('RAN').touch()\n"


def explained(folder, model: str, flags: tuple[str, ...] = ("-P",)) -> subprocess.CompletedProcess:
    """An explanation in a process of its own, whose path does not begin with the folder (as that of `pysmdl`)."""
    saved(folder / "x.png", size=32)
    own = [] if sys.version_info < (3, 11) else list(flags)
    return subprocess.run(
        [sys.executable, *own, "-m", "pysmdl", "explain", "x.png", "--model", model, "--out", "out"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("flags", [("-P",), ()])
def test_a_file_beside_the_images_takes_no_packages_place(flags, tmp_path):
    (tmp_path / "mine.py").write_text(NET)
    for name in ("skimage", "pyarrow_not_installed", "matplotlib", "colorsys"):
        (tmp_path / f"{name}.py").write_text(MARK)
    done = explained(tmp_path, "mine:net", flags)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "RAN").exists()


@pytest.mark.slow
def test_a_model_may_import_what_lies_beside_it_at_once_or_later(tmp_path):
    (tmp_path / "mine.py").write_text("import layers\n\ndef net(batch):\n    return layers.of(batch)\n")
    (tmp_path / "layers.py").write_text("def of(batch):\n    import deeper.still\n    return deeper.still.net(batch)\n")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "still.py").write_text(NET)
    done = explained(tmp_path, "mine:net")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_what_a_model_imports_is_installed_or_beside_it_in_that_order(tmp_path):
    (tmp_path / "mine.py").write_text("import colorsys, numpy\n" + NET)
    (tmp_path / "colorsys.py").write_text(MARK)
    done = explained(tmp_path, "mine:net")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "RAN").exists()


@pytest.mark.slow
@pytest.mark.parametrize("package", [True, False])
def test_a_model_in_a_folder_of_the_working_folder(package, tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "mine.py").write_text("from parts.other import net\n")
    (tmp_path / "parts" / "other.py").write_text(NET)
    if package:
        (tmp_path / "parts" / "__init__.py").write_text("")
    done = explained(tmp_path, "parts.mine:net")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_model_that_was_asked_for_goes_before_an_installed_module(tmp_path):
    (tmp_path / "wave.py").write_text(NET)
    done = explained(tmp_path, "wave:net")
    assert done.returncode == 0, done.stderr
    (tmp_path / "random.py").write_text(NET)
    done = explained(tmp_path, "random:net")
    assert done.returncode == 2
    assert "random.py has the name of a module that is in use: rename it" in done.stderr


@pytest.mark.slow
def test_a_folder_of_images_is_no_package(tmp_path):
    (tmp_path / "colorsys").mkdir()
    done = explained(tmp_path, "colorsys:rgb_to_hsv")
    assert "the model failed" in done.stderr, "which is the installed one"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nowhere_at_all\n", "cannot import mine: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("def (:\n", "cannot import mine: SyntaxError: "),
        ("1 / 0\n", "cannot import mine: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit('usage')\n", "cannot import mine: SystemExit: usage"),
        ("", "mine has no net"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named(text, message, tmp_path):
    (tmp_path / "mine.py").write_text(text)
    done = explained(tmp_path, "mine:net")
    assert done.returncode == 2
    assert f"model 'mine:net': {message}" in done.stderr
    assert "Traceback" not in done.stderr
