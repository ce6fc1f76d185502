"""docs/models.md: each line of its table runs as written, on a model of its family."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from answer_models import FAMILIES as ANSWERING
from answer_models import whisper
from language_models import bert, byte_level, gpt2

import pysmdl

from detection_models import bright, detector_of, grounding, owl, raw_head, stand_in, ultralytics
from documents import PAGES
from library_models import PROMPTS, made, pair, photograph, sharpened
from signal_models import frames, noise, video_transformer, wav2vec2

LINES = re.findall(r"^\| ([^|]*) \| `(pysmdl\.explain\(.*\))` \|$", PAGES["docs/models.md"], re.MULTILINE)


def hugging_face() -> dict[str, Any]:
    model, processor = made("ViT")
    return {"vit": model, "processor": processor}


def of_pipeline() -> dict[str, Any]:
    model, processor = made("ViT")
    library = pytest.importorskip("transformers")
    return {"pipe": library.pipeline("image-classification", model=model, image_processor=processor)}


def small_timm() -> dict[str, Any]:
    timm = pytest.importorskip("timm")
    model = sharpened(timm.create_model("resnet18", num_classes=10), 64)
    model.pretrained_cfg = {**model.pretrained_cfg, "input_size": (3, 64, 64)}
    return {"net": model}


def small_torchvision() -> dict[str, Any]:
    models = pytest.importorskip("torchvision").models
    return {"resnet": sharpened(models.mobilenet_v3_small()), "weights": models.MobileNet_V3_Small_Weights.DEFAULT}


def of_clip() -> dict[str, Any]:
    model, processor = pair("CLIP")
    return {"clip": model, "processor": processor}


def of_siglip() -> dict[str, Any]:
    model, processor = pair("Siglip")
    return {"siglip": model, "processor": processor}


def of_open_clip() -> dict[str, Any]:
    library = pytest.importorskip("open_clip")
    vision = {"image_size": 32, "layers": 2, "width": 32, "patch_size": 8, "head_width": 16}
    model = library.CLIP(16, vision, {"width": 32, "heads": 2, "layers": 2})
    preprocess = library.image_transform(32, is_train=False)
    normal = {"mean": library.OPENAI_DATASET_MEAN, "std": library.OPENAI_DATASET_STD}
    library.model.set_model_preprocess_cfg(model, {"size": 32, **normal})
    return {"pair": sharpened(model), "preprocess": preprocess, "tokenizer": library.tokenize}


def tower() -> dict[str, Any]:
    transformers = pytest.importorskip("transformers")
    model, processor = pair("CLIP")
    vision = transformers.CLIPVisionModelWithProjection(model.config.vision_config)
    return {"tower": sharpened(vision), "processor": processor.image_processor}


def of_yolos() -> dict[str, Any]:
    model, processor = detector_of("Yolos")
    return {"detr": model, "processor": processor}


def of_owl() -> dict[str, Any]:
    model, processor = owl("OwlViT")
    return {"owl": model, "processor": processor}


def of_dino() -> dict[str, Any]:
    model, processor = grounding()
    return {"dino": model, "processor": processor}


def faster_rcnn() -> dict[str, Any]:
    weights = SimpleNamespace(meta={"categories": ["__background__", "cat", "lamp"]})
    return {"frcnn": stand_in("FasterRCNN", "torchvision.models.detection.faster_rcnn", bright), "weights": weights}


def yolo() -> dict[str, Any]:
    return {"yolo": SimpleNamespace(model=ultralytics(raw_head))}


def of_sounds() -> dict[str, Any]:
    model, extractor = wav2vec2()
    return {"heard": model, "extractor": extractor, "sound": noise()}


def of_clips() -> dict[str, Any]:
    model, processor = video_transformer()
    return {"watched": model, "processor": processor, "frames": frames()}


def of_texts() -> dict[str, Any]:
    return {"reads": bert(), "tokenizer": byte_level()}


def of_language() -> dict[str, Any]:
    return {"writes": gpt2(), "tokenizer": byte_level()}


def of_whisper() -> dict[str, Any]:
    model, processor = whisper()
    return {"whisper": model, "processor": processor, "heard": torch.randn(1, 8, 100).clamp(-1, 1.5)}


def answering(name: str, word: str) -> Callable[[], dict[str, Any]]:
    """A model that answers in words, under the name that the line has for it."""

    def made_as() -> dict[str, Any]:
        family = ANSWERING[name]()
        return {word: family.model, "processor": family.processor}

    return made_as


def grounded() -> dict[str, Any]:
    found = answering("Florence-2", "florence")()
    said = found["processor"].tokenizer("the cat <loc_1> <loc_2> <loc_400> <loc_900>", add_special_tokens=False)
    found["florence"].generate = lambda **given: torch.tensor([[2, *said["input_ids"], 2]])
    return found


def decoded() -> dict[str, Any]:
    def decode(answer, size):
        return torch.tensor([0.0, 0, size[1], size[0]]).expand(len(answer), 1, 4), answer[:, None]

    return {"net": lambda batch: 2 * batch.mean((2, 3)), "decode": decode}


def callables() -> dict[str, Any]:
    def preprocess(picture):
        return torch.tensor(list(picture.resize((16, 16)).tobytes())).view(16, 16, 3).permute(2, 0, 1) / 255

    return {"model": lambda batch: (9 * batch.mean((2, 3))).softmax(1), "preprocess": preprocess}


FAMILIES: dict[str, Callable[[], dict[str, Any]]] = {
    "Hugging Face's image classifiers": hugging_face,
    "timm": small_timm,
    "torchvision": small_torchvision,
    "a pipeline of transformers": of_pipeline,
    "CLIP of Hugging Face": of_clip,
    "SigLIP": of_siglip,
    "open_clip, by": of_open_clip,
    "open_clip with": of_open_clip,
    "vision towers": tower,
    "Hugging Face's detectors": of_yolos,
    "OWL-ViT": of_owl,
    "Grounding DINO": of_dino,
    "torchvision's detectors": faster_rcnn,
    "ultralytics": yolo,
    "LLaVA:": answering("LLaVA", "llava"),
    "LLaVA-NeXT": answering("LLaVA-NeXT", "llava"),
    "Qwen2-VL": answering("Qwen2.5-VL", "qwen"),
    "GLM-4.1V": answering("GLM-4.1V", "glm"),
    "Gemma 3": answering("Gemma 3", "gemma"),
    "PaliGemma": answering("PaliGemma", "paligemma"),
    "InternVL": answering("InternVL", "internvl"),
    "Pixtral": answering("Mistral 3", "mistral"),
    "Idefics3": answering("Idefics3", "idefics"),
    "BLIP, captions": answering("BLIP", "blip"),
    "BLIP-2": answering("BLIP-2", "blip"),
    "Florence-2": answering("Florence-2", "florence"),
    "Florence-2, Grounding": grounded,
    "GIT": answering("GIT", "git"),
    "TrOCR": answering("TrOCR", "trocr"),
    "Whisper": of_whisper,
    "Donut": answering("Donut", "donut"),
    "classifiers of sounds": of_sounds,
    "classifiers of clips": of_clips,
    "classifiers of texts": of_texts,
    "causal": of_language,
    "any other detector": decoded,
    "any callable": callables,
}


def test_every_family_has_its_line():
    assert len(LINES) == len(FAMILIES)
    for (family, _), start in zip(LINES, FAMILIES, strict=True):
        assert family.startswith(start)


@pytest.mark.slow
@pytest.mark.parametrize(("start", "line"), zip(FAMILIES, (line for _, line in LINES), strict=True))
def test_a_line_runs_as_written(start, line):
    names = FAMILIES[start]()
    found = eval(line, {"pysmdl": pysmdl, "image": photograph(), **names})
    assert isinstance(found, pysmdl.Explanation)
    assert sorted(found.order.tolist()) == list(range(found.n))
    wanted = re.search(r'target="([^"]*)"', line)
    if wanted and isinstance(found.target, dict) and "texts" in found.target:
        assert "".join(found.target["texts"]).strip() == wanted.group(1)
    elif wanted:
        index = found.target["labels"][0] if isinstance(found.target, dict) else found.target
        assert wanted.group(1) in (found.names[index] if found.names else PROMPTS)
