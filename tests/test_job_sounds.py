"""Jobs over sounds: from WebDataset's tars, and from manifests that name or hold them."""

from __future__ import annotations

import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import pysmdl
from pysmdl import jobs
from pysmdl.inputs import sound

LOUDNESS = pysmdl.scorers.scalar(lambda batch: batch.abs().mean(1))


def recording(seed):
    """A WAV file of 800 samples, loud in one of its quarters."""
    return sound.wav(np.where(np.arange(800) // 200 == seed % 4, 0.5, 0.01), 8000)


def loudest(inputs, store):
    """Of each sound in a job its first quarter."""
    jobs.run(inputs, LOUDNESS, store, players="time:4", search="exact", progress=False)
    found = pysmdl.open_store(store)
    assert found.failures == {}
    assert {found[id].modality for id in found.ids} == {"sound"}
    return [int(found[id].order[0]) for id in sorted(found.ids)]


def test_sounds_are_read_from_a_tar(tmp_path):
    with tarfile.open(tmp_path / "sounds.tar", "w") as tar:
        for seed in range(3):
            for extension, each in {"wav": recording(seed), "json": b"{}"}.items():
                member = tarfile.TarInfo(f"{seed}.{extension}")
                member.size = len(each)
                tar.addfile(member, io.BytesIO(each))
    assert loudest(str(tmp_path / "sounds.tar"), tmp_path / "s") == [0, 1, 2]


def test_sounds_are_read_from_manifests(tmp_path):
    for seed in range(3):
        (tmp_path / f"{seed}.wav").write_bytes(recording(seed))
    rows = [{"audio": f"{seed}.wav", "id": str(seed)} for seed in range(3)]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "m.csv").write_text("audio,id\n" + "".join(f"{row['audio']},{row['id']}\n" for row in rows))
    packed = [{"audio": {"bytes": recording(seed), "path": None}, "id": str(seed)} for seed in range(3)]
    pq.write_table(pa.Table.from_pylist(packed), tmp_path / "m.parquet")
    for kind in ("jsonl", "csv", "parquet"):
        assert loudest(tmp_path / f"m.{kind}", tmp_path / kind) == [0, 1, 2]


def test_what_begins_as_a_sound_is_one():
    for start in (b"RIFF\x00\x00\x00\x00WAVE", b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"FORM0000AIFF"):
        assert sound.is_sound(start + b"...")
    for start in (b"\x89PNG", b"\xff\xd8\xff", b"RIFF\x00\x00\x00\x00WEBP", b"GIF89a", b"BM"):
        assert not sound.is_sound(start + b"...")
