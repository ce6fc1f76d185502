"""A model by its file: ONNX, TorchScript, programs. The orders are the module's own."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx_files import network, write
from serving import serving

import pysmdl
from pysmdl import scorers
from pysmdl.cli.arguments import load_model
from pysmdl.models import onnx_files
from pysmdl.models.onnx_files import OnnxModel, answers_to

from toys import image

pytest.importorskip("onnxruntime")


def explain(model, seed: int = 0, **settings):
    settings = {"regions": "grid:16", "search": "exact", "progress": False, **settings}
    return pysmdl.explain(image(seed), model, 1, **settings)


@pytest.mark.parametrize("rows", ["n", 1, 8])
@pytest.mark.parametrize("last", [False, True])
def test_an_onnx_file_gives_the_modules_own_order(rows, last, tmp_path):
    net = network()
    path = write(tmp_path / "net.onnx", net, rows, last=last)
    found, plain = explain(str(path)), explain(net)
    np.testing.assert_array_equal(found.order, plain.order)
    np.testing.assert_allclose(found.insertion, plain.insertion, atol=1e-6)
    assert found.provenance["model"] == "net.onnx"
    np.testing.assert_array_equal(explain(path).order, plain.order)
    np.testing.assert_array_equal(explain(scorers.classifier(path)).order, plain.order)
    np.testing.assert_array_equal(explain(load_model(str(path))).order, plain.order)


def test_half_precision_is_fed_half_precision(tmp_path):
    net = network()
    model = OnnxModel(write(tmp_path / "net.onnx", net, 8, half=True))
    assert (model.dtype, model.batch, model.size) == (torch.float16, 8, (12, 12))
    found = explain(scorers.classifier(model))
    np.testing.assert_allclose(found.insertion, explain(net).insertion, atol=5e-3)


def test_an_onnx_file_brings_its_size(tmp_path):
    path = write(tmp_path / "net.onnx", network())
    photo = image(0, 40, 60)
    found = pysmdl.explain(photo, path, regions="grid:9", progress=False)
    plain = pysmdl.explain(photo, scorers.classifier(network(), size=12), regions="grid:9", progress=False)
    np.testing.assert_array_equal(found.order, plain.order)
    normalised = scorers.classifier(path, mean=0.5, std=0.2)
    assert normalised.input.size == (12, 12)
    assert normalised.input.mean == (0.5,)


def test_scripts_and_programs_by_their_files(tmp_path):
    net, batch = network(), torch.rand(2, 3, 12, 12)
    torch.jit.save(torch.jit.trace(net, batch), str(tmp_path / "net.pt"))
    shapes = ({0: torch.export.Dim("n", min=1, max=4096)},)
    torch.export.save(torch.export.export(net, (batch,), dynamic_shapes=shapes), str(tmp_path / "net.pt2"))
    torch.jit.save(torch.jit.freeze(torch.jit.trace(net, batch)), str(tmp_path / "frozen.pt"))
    plain = explain(net)
    for name in ("net.pt", "frozen.pt", "net.pt2"):
        np.testing.assert_array_equal(explain(str(tmp_path / name)).order, plain.order)
        game = pysmdl.Game(image(), tmp_path / name, 1, regions="grid:16")
        assert game.grand_value == pytest.approx(float(plain.deletion[0]), abs=1e-6)


def test_an_endpoint_by_its_url(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as served:
        found, other = explain(served.url, regions="grid:4"), explain(load_model(served.url), regions="grid:4")
    assert served.count == 2 * found.evaluations
    np.testing.assert_array_equal(found.order, other.order)
    with pytest.raises(ValueError, match="a server has its own; got 'cpu'"):
        explain(served.url, device="cpu")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("gone.onnx", None, r"model must be a file of .*, or a callable; there is no file .*gone\.onnx"),
        ("gone", None, r"there is no file"),
        ("bad.onnx", b"not a model", r"bad\.onnx is no ONNX model that can be run"),
        ("bad.pt", b"not a model", r"bad\.pt is no TorchScript file"),
    ],
)
def test_a_path_that_is_no_model_is_named(name, content, says, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=says):
        explain(str(tmp_path / name))


@pytest.mark.parametrize("whole", [False, True])
def test_weights_that_torch_saved_are_not_called_damaged(whole, tmp_path):
    net = network()
    torch.save(net if whole else net.state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"weights\.pt is what torch\.save wrote, not TorchScript: load it in Python"):
        explain(str(tmp_path / "weights.pt"))


@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
def test_a_device_that_is_not_here_is_named_for_a_file(suffix, tmp_path):
    net, batch = network(), torch.rand(2, 3, 12, 12)
    torch.jit.save(torch.jit.trace(net, batch), str(tmp_path / "net.pt"))
    torch.export.save(torch.export.export(net, (batch,)), str(tmp_path / "net.pt2"))
    with pytest.raises(ValueError, match=r"device must be cpu.* on this machine; got 'gpu'"):
        explain(str(tmp_path / f"net{suffix}"), device="gpu")


@pytest.mark.parametrize("half", [False, True])
def test_a_batch_is_read_where_it_lies(half, tmp_path):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(write(tmp_path / "net.onnx", network(), half=half)))
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    batch = torch.rand(5, 3, 12, 12, dtype=torch.float16 if half else torch.float32)
    for each in (batch, batch.to(memory_format=torch.channels_last)):
        (found,) = answers_to(session, taken.name, [given.name], each)
        np.testing.assert_array_equal(found, session.run(None, {taken.name: batch.numpy()})[0])


@pytest.mark.parametrize(("loaded", "device", "takes"), [(True, "cuda:1", torch.Tensor), (False, "cpu", np.ndarray)])
def test_where_the_gpus_provider_was_loaded_batches_are_made_there(loaded, device, takes, tmp_path, monkeypatch):
    given = []

    class Session:
        def __init__(self, inner):
            self.get_inputs, self.get_outputs = inner.get_inputs, inner.get_outputs

        def get_providers(self):
            return ["CUDAExecutionProvider"] * loaded + ["CPUExecutionProvider"]

        def run(self, _, batches):
            given.extend(batches.values())
            return [np.zeros((2, 4), np.float32)]

    make = onnx_files._session
    monkeypatch.setattr(onnx_files, "_session", lambda path, device: Session(make(path, None)))
    monkeypatch.setattr(onnx_files, "answers_to", lambda s, taken, names, batch: s.run(None, {taken: batch}))
    monkeypatch.setattr("pysmdl.models.inspect.device_here", torch.device)  # as if this machine had it
    model = OnnxModel(write(tmp_path / "net.onnx", network()), "cuda:1")
    assert model.device == torch.device(device)
    model(torch.zeros(2, 3, 12, 12))
    assert type(given[0]) is takes


@pytest.mark.parametrize("device", ["mps", "gpu"])
def test_a_device_that_onnx_runtime_lacks_is_named(tmp_path, device):
    path = write(tmp_path / "net.onnx", network())
    with pytest.raises(ValueError, match=rf"device must be one that this ONNX Runtime runs on, .*; got '{device}'"):
        OnnxModel(Path(path), device)


def test_without_onnx_runtime_it_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "net.onnx", network())
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(pysmdl.errors.MissingPackageError, match=r"needs onnxruntime, .*: pip install 'pysmdl\[onnx\]'"):
        explain(path)
