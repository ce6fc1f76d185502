"""Files on disk: written whole or not at all, and read only where reading ends."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import subprocess
import threading
import time

import pytest

import pysmdl
from pysmdl import disk


def names(folder) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(error, tmp_path):
    disk.write(tmp_path / "x", b"old")

    def fail():
        with disk.written(tmp_path / "x") as file:
            file.write(b"new, as far as")
            raise error

    with pytest.raises(error):
        fail()
    assert (tmp_path / "x").read_bytes() == b"old"
    assert names(tmp_path) == ["x"]


def test_nothing_is_seen_before_all_is_written(tmp_path):
    with disk.written(tmp_path / "x") as file:
        file.write(b"new")
        assert not (tmp_path / "x").exists()
    assert (tmp_path / "x").read_bytes() == b"new"
    assert names(tmp_path) == ["x"]


def test_permissions_and_links_stay(tmp_path):
    (tmp_path / "x").write_bytes(b"old")
    (tmp_path / "x").chmod(0o640)
    (tmp_path / "link").symlink_to(tmp_path / "x")
    disk.write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "x").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640
    disk.write(tmp_path / "y", b"")
    (tmp_path / "z").write_bytes(b"")
    assert (tmp_path / "y").stat().st_mode == (tmp_path / "z").stat().st_mode


def test_errors_name_the_file_that_was_meant(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "no" / "x", tmp_path / ("long" * 100)):
        with pytest.raises(OSError) as caught:
            disk.write(path, b"")
        assert caught.value.filename == str(path)
    with pytest.raises(IsADirectoryError):
        disk.write(tmp_path / "folder", b"")
    assert names(tmp_path) == ["folder"]


def test_a_pipe_is_written_to_as_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    disk.write(tmp_path / "pipe", b"through")
    reader.join()
    assert read == [b"through"]


def test_the_number_of_an_open_file_is_no_path(tmp_path):
    with open(tmp_path / "mine", "w+") as mine:
        with pytest.raises(pysmdl.errors.StoreError, match=r"is not a saved explanation: .*not int"):
            pysmdl.load(mine.fileno())
        mine.write("still open")


def test_only_ordinary_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / "socket", tmp_path / "link", tmp_path, "/dev/zero"):
        with pytest.raises(OSError, match="Not an ordinary file"):
            disk.opened(path)
    with pytest.raises(FileNotFoundError):
        disk.opened(tmp_path / "none")
    (tmp_path / "x").write_bytes(b"x")
    with disk.opened(tmp_path / "x") as file:
        assert file.read() == b"x"


@pytest.mark.parametrize("mover", ["mv", "none"])
def test_files_of_a_folder_are_written_together(mover, tmp_path, monkeypatch):
    if mover == "none":
        monkeypatch.setenv("PATH", "")
    contents = {"-a.png": b"1", "b c.npz": b"2", "d\udcff.json": b"3"}
    for _ in range(2):
        disk.write_together(tmp_path, contents)
        assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == contents


def test_where_one_cannot_be_written_none_is(tmp_path):
    disk.write_together(tmp_path, {"a": b"old", "b": b"old"})
    (tmp_path / "c").mkdir()
    for name in ("c", "long" * 100):
        with pytest.raises(OSError) as caught:
            disk.write_together(tmp_path, {"a": b"new", "b": b"new", name: b"new"})
        assert caught.value.filename == str(tmp_path / name)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == b"old"
        assert names(tmp_path) == ["a", "b", "c"]


def test_a_mover_that_fails_is_an_error(tmp_path, monkeypatch):
    def popen(command, **settings):
        return real(["sh", "-c", "echo no luck >&2; exit 1"], **settings)

    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(OSError, match="no luck"):
        disk.write_together(tmp_path, {"a": b""})
    assert names(tmp_path) == []


def test_a_folder_is_made_tried_and_cleared(tmp_path):
    left, held = tmp_path / ".pysmdl-left", tmp_path / ".pysmdl-held"
    for each in (left, held):
        each.mkdir()
        (each / "x").write_bytes(b"")
    lock = os.open(held, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    disk.ready(tmp_path)
    assert left.exists(), "somebody may just have made it"
    old = time.time() - 60
    for each in (left, held):
        os.utime(each, (old, old))
    disk.ready(tmp_path)
    assert names(tmp_path) == [held.name]
    os.close(lock)
    disk.ready(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        disk.ready(tmp_path / "file")
