"""adapt() on detectors: transformers' own post-processing, slow loops, and lists of what is found."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl.errors import ScorerError

from detection_models import (
    DETECTORS,
    NAMES,
    best,
    bright,
    detector_of,
    grounding,
    owl,
    raw_head,
    stand_in,
    ultralytics,
)
from library_models import photograph, pixels_of

transformers = pytest.importorskip("transformers")

PHOTO = photograph()
SIDES = PHOTO.shape[:2]
PROMPTS = ["a cat", "a dog"]


def loop(scorer, found, pipeline, post, sides):
    """20 random subsets by the engine and by a slow loop, for baselines in both spaces: the library's post-processing,
    one picture at a time.

    post: an input [1, C, H, W] to boxes [q, 4] in pixels and confidences [q] of the class.
    """
    x, black = pipeline(PHOTO), pipeline(np.zeros_like(PHOTO))
    for baseline, absent in (("black", black), ("zero", torch.zeros_like(x))):
        game = pysmdl.Game(PHOTO, scorer, found.box, regions="grid:9", baseline=baseline)
        kept = np.random.default_rng(1).random((20, game.n_players)) < 0.5
        slow = []
        for row in kept:
            shown = torch.where(torch.from_numpy(row[game.labels]), x, absent)
            with torch.no_grad():
                slow.append(best(*post(shown, sides), found.box.xyxy))
        np.testing.assert_allclose(game(kept), slow, atol=1e-4)
        assert np.ptp(slow) > 1e-3  # the model looks at what is masked


def post_of(model, processor, label):
    """Boxes and confidences of a class; DETR's and YOLOS' lists have a box once, by its likeliest class."""

    def post(x, sides):
        answer = model(x)
        (found,) = processor.post_process_object_detection(answer, threshold=0.0, target_sizes=[sides])
        if type(model).__name__ not in ("DetrForObjectDetection", "YolosForObjectDetection"):
            own = found["labels"] == label
            return found["boxes"][own], found["scores"][own]
        likely = answer.logits.softmax(-1)[0, :, :-1]
        torch.testing.assert_close(likely.max(1).values, found["scores"])
        return found["boxes"], likely[:, label]

    return post


@pytest.mark.parametrize("kind", DETECTORS)
def test_scores_equal_a_loop_of_the_familys_own_post_processing(kind):
    model, processor = detector_of(kind)
    scorer = pysmdl.adapt(model, processor=processor)
    found = scorer.detections(PHOTO, 0.0)[0]
    loop(scorer, found, pixels_of(processor), post_of(model, processor, found.label), SIDES)
    assert found.name == NAMES[found.label]


@pytest.mark.parametrize("kind", DETECTORS)
def test_what_is_found_is_what_the_family_finds_in_the_photographs_pixels(kind):
    model, processor = detector_of(kind)
    scorer = pysmdl.adapt(model, processor=processor)
    with torch.no_grad():
        answer = model(pixels_of(processor)(PHOTO))
    threshold = 0.5 if kind == "Yolos" else 0.35  # above a half no box of a softmax counts for two classes
    (own,) = processor.post_process_object_detection(answer, threshold=threshold, target_sizes=[SIDES])
    found = scorer.detections(PHOTO, threshold, overlap=1)
    order = np.argsort(-own["scores"].numpy(), kind="stable")
    assert len(found) == len(order) > 0
    np.testing.assert_allclose([each.score for each in found], own["scores"][order], atol=1e-5)
    for each in found:
        away = np.abs(own["boxes"].numpy() - each.box.xyxy).max(1) + (own["labels"].numpy() != each.label)
        assert away.min() < 1e-2
    assert len(scorer.detections(PHOTO, threshold)) <= len(found)


def test_grounding_dino_scores_a_phrase_by_the_columns_of_its_tokens():
    model, processor = grounding()
    scorer = pysmdl.adapt(model, processor=processor, prompts=[*PROMPTS, "photo"])
    found = next(each for each in scorer.detections(PHOTO, 0.0) if each.name == "a dog")
    calls = []
    model.model.text_backbone.register_forward_hook(lambda *_: calls.append(1))
    texts = processor(text=[[*PROMPTS, "photo"]], images=PHOTO, return_tensors="pt")
    assert texts["input_ids"][0].tolist() == [1, 4, 5, 10, 4, 6, 10, 7, 10, 2]  # <bos> a cat . a dog . photo . <eos>
    words = {name: texts[name] for name in ("input_ids", "token_type_ids", "attention_mask") if name in texts}

    def post(x, sides):
        answer = model(pixel_values=x, **words)
        sure = answer.logits.sigmoid()
        (own,) = processor.post_process_grounded_object_detection(answer, threshold=-1, target_sizes=[sides])
        return own["boxes"], sure[0, :, 4:6].max(-1).values

    pipeline = pixels_of(processor.image_processor)
    loop(scorer, found, pipeline, post, SIDES)
    boxes, sure = post(pipeline(PHOTO), SIDES)
    np.testing.assert_allclose(found.box.xyxy, boxes[sure.argmax()].detach().numpy(), atol=1e-2)
    calls.clear()
    scorer = pysmdl.adapt(model, processor=processor, prompts=[*PROMPTS, "photo"])
    explained = pysmdl.explain(PHOTO, scorer, target="a dog", regions="grid:4", k=1, progress=False)
    np.testing.assert_allclose(explained.target["xyxy"], found.box.xyxy)
    assert len(calls) == 1  # its text is read once


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "prompts must be a list of texts"),
        ({"prompts": ["a cat. a dog"]}, "must have no full stop, which ends each; got"),
        ({"prompts": ["a cat"] * 9}, "prompts must be 24 tokens at most in all, .*; got 29"),
    ],
)
def test_what_grounding_dino_cannot_read_is_named(words, message):
    model, processor = grounding()
    with pytest.raises(ValueError, match=message):
        pysmdl.adapt(model, processor=processor, **words)


@pytest.mark.parametrize("kind", ["OwlViT", "Owlv2"])
def test_owl_against_prompts_equals_its_own_forward_and_its_text_tower_runs_once(kind):
    model, processor = owl(kind)
    calls = []
    getattr(model, kind.lower()).text_model.register_forward_hook(lambda *_: calls.append(1))
    scorer = pysmdl.adapt(model, processor=processor, prompts=PROMPTS)
    sides = SIDES if kind == "OwlViT" else (64, 64)  # OWLv2 pads: boxes are in the pixels of what it sees
    found = scorer.detections(PHOTO, 0.1)[0]
    explained = pysmdl.explain(PHOTO, scorer, target="a dog", regions="grid:4", progress=False)
    assert len(calls) == 1
    assert (explained.target["labels"], explained.names[1]) == ([1], "a dog")
    assert "2 prompts" in repr(scorer)
    texts = processor.tokenizer(PROMPTS, padding="max_length", max_length=16, return_tensors="pt")

    def post(x, sides):
        answer = model(pixel_values=x, **{name: texts[name] for name in ("input_ids", "attention_mask")})
        images = processor.image_processor
        (own,) = images.post_process_object_detection(answer, threshold=0.0, target_sizes=[sides])
        likely = answer.logits[0].sigmoid()
        torch.testing.assert_close(likely.max(1).values, own["scores"])
        return own["boxes"], likely[:, found.label]

    loop(scorer, found, pixels_of(processor.image_processor), post, sides)


def test_a_class_stands_for_its_best_box_and_none_for_the_best_of_all():
    model, processor = detector_of("Yolos")
    scorer = pysmdl.adapt(model, processor=processor)
    settings = {"regions": "grid:4", "progress": False}
    first = scorer.detections(PHOTO)[0]
    dog = next(each for each in scorer.detections(PHOTO) if each.name == "dog")
    assert first.name == "cat"
    for target, wanted in ((None, first), ("cat", first), ("dog", dog), (1, dog), (np.int64(1), dog)):
        found = pysmdl.explain(PHOTO, scorer, target=target, **settings)
        assert found.target == wanted.box.describe()
        assert found.insertion[-1] == pytest.approx(wanted.score, abs=1e-4)  # on the full input the IoU is 1
    assert str(found).startswith(f"Explanation(dog {dog.score:.2f}")
    direct = pysmdl.explain(PHOTO, model, processor=processor, target="dog", **settings)
    assert direct.target == found.target
    (many,) = pysmdl.explain_many([(PHOTO, "dog")], scorer, **settings)
    assert many.target == found.target


def test_a_class_that_is_not_found_lists_what_is():
    model, processor = detector_of("Yolos")
    scorer = pysmdl.adapt(model, processor=processor)
    with pytest.raises(ValueError, match=r"finds no 'bird' above 0\.5.*at most 0\.\d+.*it finds cat 0\.\d\d at"):
        pysmdl.explain(PHOTO, scorer, target="bird", regions="grid:4", progress=False)
    scorer.decided_at = 0.999
    with pytest.raises(ValueError, match=r"finds nothing above 0\.999.*it finds nothing else"):
        pysmdl.explain(PHOTO, scorer, regions="grid:4", progress=False)
    with pytest.raises(ValueError, match="target 'lynx' is the name of no class"):
        pysmdl.explain(PHOTO, scorer, target="lynx", regions="grid:4", progress=False)
    with pytest.raises(ValueError, match=r"target must be a pysmdl\.Box for a detector, a class or its name, or None"):
        pysmdl.explain(PHOTO, scorer, target=(1, 2, 3, 4), regions="grid:4", progress=False)


def square():
    photo = np.zeros((60, 100, 3), np.uint8)
    photo[20:40, 30:50] = 255
    return photo


@pytest.mark.parametrize(
    "settings",
    [{}, {"size": (30, 50)}, {"size": 30, "crop": 1.0}, {"size": 24, "resize": 30}, {"size": 30, "mask_at": "image"}],
)
def test_boxes_are_in_the_pixels_of_the_photograph_whatever_the_input(settings):
    scorer = pysmdl.scorers.detector(bright, **settings)
    scorer.names = ["none", "cat", "lamp"]
    (found,) = scorer.detections(square())
    np.testing.assert_allclose(found.box.xyxy, (30, 20, 50, 40), atol=2)
    assert str(found).startswith("lamp 0.90 at")
    explained = pysmdl.explain(square(), scorer, target="lamp", regions="grid:4", progress=False)
    np.testing.assert_allclose(explained.target["xyxy"], found.box.xyxy)
    assert explained.insertion[-1] == pytest.approx(0.9, abs=1e-5)


def test_torchvisions_detectors_need_nothing_said():
    model = stand_in("FasterRCNN", "torchvision.models.detection.faster_rcnn", bright)
    found = pysmdl.explain(square(), model, regions="grid:4", progress=False)
    assert found.target == {"xyxy": [30, 20, 50, 40], "labels": [2], "mode": "object"}
    named = pysmdl.adapt(model, names=["none", "cat", "lamp"])
    assert "FasterRCNN, boxes of 3 classes, images at their own size" in repr(named)
    assert named.detections(square())[0].name == "lamp"


def test_ultralytics_raw_head_is_read_and_its_doubles_are_one_object():
    scorer = pysmdl.adapt(ultralytics(raw_head), size=(30, 50))
    (found,) = scorer.detections(square())
    np.testing.assert_allclose(found.box.xyxy, (30, 20, 50, 40), atol=2)
    assert (found.label, found.name, round(found.score, 4)) == (1, "lamp", 0.8)
    scores = [round(each.score, 4) for each in scorer.detections(square(), 0.05, overlap=1)]
    assert scores == [0.8, 0.7, 0.2, 0.1]
    assert [each.name for each in scorer.detections(square(), 0.05)] == ["lamp", "cat", "cat"]
    with pytest.raises(ScorerError, match=r"head must return \[B, 6, Q\].*got \[1, 3, 6\]"):
        pysmdl.adapt(ultralytics(lambda x: torch.zeros(len(x), 3, 6)), size=30).detections(square())
    with pytest.raises(ValueError, match="give size=640"):
        pysmdl.adapt(ultralytics(raw_head))
    with pytest.raises(ValueError, match=r"give yolo\.model, a DetectionModel; got YOLO"):
        pysmdl.adapt(ultralytics(raw_head, "YOLO"), size=30)


@pytest.mark.parametrize("batch", [None, 4])
def test_decode_reads_any_answer_of_any_model(batch):
    sizes = []

    def decode(answer, size):
        sizes.append(size)
        return answer["corners"] * torch.tensor([size[1], size[0]]).repeat(2), answer["p"]

    def net(x):
        assert batch in (None, len(x))
        p = x.mean((1, 2, 3)).clamp(0, 1)[:, None, None] * torch.tensor([[0.2, 1.0]])
        return {"corners": torch.tensor([0.0, 0, 0.5, 1]).expand(len(x), 1, 4), "p": p}

    scorer = pysmdl.adapt(pysmdl.models.base.Model(net, batch=batch), decode=decode, size=(8, 16), names=["cat", "dog"])
    photo = np.full((40, 40, 3), 200, np.uint8)
    (found,) = scorer.detections(photo)
    assert (found.box.xyxy, found.name, round(found.score, 3)) == ((0, 0, 20, 40), "dog", 0.784)
    game = pysmdl.Game(photo, scorer, "dog", regions="grid:4")
    np.testing.assert_allclose(game(np.eye(4, dtype=bool)), 200 / 255 / 4, atol=1e-5)
    assert set(sizes) == {(8, 16)}
    with pytest.raises(ValueError, match=r"decode must be a function of an answer and \(height, width\); got 'boxes'"):
        pysmdl.adapt(net, decode="boxes")


def test_what_cannot_be_adapted_says_why():
    model, processor = owl("OwlViT")
    with pytest.raises(ValueError, match=r'prompts must be a list of texts, as \["a cat", "a dog"\]; got None'):
        pysmdl.adapt(model, processor=processor)
    detr, images = detector_of("Detr")
    with pytest.raises(ValueError, match="gives is for classifiers; DetrForObjectDetection gives boxes"):
        pysmdl.adapt(detr, processor=images, gives="probabilities")
    with pytest.raises(ValueError, match="prompts need a model with a text tower"):
        pysmdl.adapt(detr, processor=images, prompts=PROMPTS)
    with pytest.raises(ValueError, match="does not say what its input is: give processor="):
        pysmdl.explain(PHOTO, detr)
    images.pad_size = {"height": 80, "width": 80}
    with pytest.raises(ValueError, match="set its pad_size to None"):
        pysmdl.adapt(detr, processor=images)
    unknown = type("NewForObjectDetection", (transformers.DetrForObjectDetection,), {"__module__": "transformers.new"})
    other = unknown(detr.config).eval()
    assert pysmdl.adapt(other, decode=lambda answer, size: None, size=64).decode is not None
    with pytest.raises(ValueError, match=r"NewForObjectDetection answers in a form that is not known.*decode="):
        pysmdl.adapt(other, size=64)


def nanodet(answer, size):
    """NanoDet's head: of each cell its classes [B, cells, 80], and 11 bins for how far each side is [B, cells, 44]."""
    parts = [torch.from_numpy(part) for part in answer.values()]
    boxes = []
    for bins in (part for part in parts if part.shape[2] == 44):
        stride = size[0] / bins.shape[1] ** 0.5
        away = bins.view(len(bins), -1, 4, 11).softmax(-1) @ torch.arange(11.0) * stride
        centre = (torch.arange(size[0] // round(stride)) + 0.5) * stride
        points = torch.cartesian_prod(centre, centre).flip(1)
        boxes.append(torch.cat((points - away[..., :2], points + away[..., 2:]), -1))
    return torch.cat(boxes, 1), torch.cat([part for part in parts if part.shape[2] == 80], 1)


@pytest.mark.slow
@pytest.mark.skipif("PYSMDL_NANODET" not in os.environ, reason="PYSMDL_NANODET names no nanodet.onnx")
def test_nanodet_finds_the_astronaut_and_needs_the_face():
    pytest.importorskip("onnxruntime")
    photo = pytest.importorskip("skimage.data").astronaut()
    levels = {"mean": np.divide((103.53, 116.28, 123.675), 255), "std": np.divide((57.375, 57.12, 58.395), 255)}
    scorer = pysmdl.adapt(
        os.environ["PYSMDL_NANODET"], decode=nanodet, names={0: "person", 15: "cat"}, channel_order="bgr", **levels
    )
    (found,) = scorer.detections(photo)
    np.testing.assert_allclose(found.box.xyxy, (15, 14, 364, 507), atol=3)
    assert (found.name, round(found.score, 1)) == ("person", 0.7)
    explained = pysmdl.explain(photo, scorer, target="person", regions="grid:16", progress=False)
    assert explained.target == found.box.describe()
    assert explained.insertion[-1] == pytest.approx(found.score, abs=1e-4)
    assert explained.insertion_auc > explained.deletion_auc + 0.1
    with pytest.raises(ValueError, match=r"finds no 'cat' above 0\.5.*it finds person 0\.7"):
        pysmdl.explain(photo, scorer, target="cat", regions="grid:4", progress=False)


@pytest.mark.parametrize(("name", "wrong"), [("threshold", 1.0), ("threshold", -0.1), ("overlap", 1.5)])
def test_thresholds_are_from_0_to_1(name, wrong):
    scorer = pysmdl.scorers.detector(bright)
    with pytest.raises(ValueError, match=f"{name} must be .*got {wrong}"):
        scorer.detections(square(), **{name: wrong})
