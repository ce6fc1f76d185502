"""Tiny random detectors of the classes that transformers has, their processors, and how a slow loop scores a box."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from library_models import BODY, processor_of, tokenizer

NAMES = {0: "cat", 1: "dog", 2: "bird"}
SQUASHED = {"size": {"height": 64, "width": 64}}
SHORTEST = {"size": {"shortest_edge": 48, "longest_edge": 64}}
DECODER = {
    "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "num_queries": 12,
}  # fmt: skip
STAGES = {"embedding_size": 8, "hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1], "layer_type": "basic"}
# What the configuration is given, beside a backbone where it takes one; the processor's kind and its size.
DETECTORS = {
    "Detr": (DECODER, "Detr", SHORTEST),
    "ConditionalDetr": (DECODER, "ConditionalDetr", SHORTEST),
    "DeformableDetr": (DECODER | {"d_model": 32, "decoder_layers": 2, "num_feature_levels": 1, "encoder_n_points": 2,
                                  "decoder_n_points": 2}, "DeformableDetr", SQUASHED),
    "Yolos": (BODY | {"image_size": [64, 64], "patch_size": 8, "num_detection_tokens": 12}, "Yolos", SQUASHED),
    "RTDetr": ({"encoder_hidden_dim": 16, "encoder_in_channels": [8, 8, 8], "encoder_ffn_dim": 16, "d_model": 16,
                "encoder_attention_heads": 2, "decoder_attention_heads": 2, "decoder_in_channels": [16, 16, 16],
                "decoder_layers": 1, "decoder_ffn_dim": 16, "num_queries": 12, "num_denoising": 0,
                "hidden_expansion": 0.5}, "RTDetr", SQUASHED),
}  # fmt: skip


def detector_of(kind: str) -> tuple[Any, Any]:
    """A detector of a kind, and its processor."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(3)
    settings, processor, size = DETECTORS[kind]
    if kind == "RTDetr":
        stages = transformers.RTDetrResNetConfig(**STAGES, out_features=["stage2", "stage3", "stage4"])
        settings = settings | {"backbone_config": stages}
    elif kind != "Yolos":
        last = transformers.ResNetConfig(**STAGES, out_features=["stage4"])
        settings = settings | {"backbone_config": last}
    names = {0: "cat"} if kind == "RTDetr" else NAMES  # its post-processing keeps no more pairs than there are boxes
    config = getattr(transformers, f"{kind}Config")(**settings, num_labels=len(names), id2label=names)
    model = getattr(transformers, f"{kind}ForObjectDetection")(config)
    return told_apart(model), processor_of(processor, **size)


def owl(kind: str) -> tuple[Any, Any]:
    """OWL-ViT or OWLv2, and its processor."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    text = BODY | {"vocab_size": 10, "max_position_embeddings": 16, "pad_token_id": 0}
    vision = BODY | {"image_size": 64, "patch_size": 16}
    config = getattr(transformers, f"{kind}Config")(text_config=text, vision_config=vision, projection_dim=32)
    model = getattr(transformers, f"{kind}ForObjectDetection")(config)
    processor = getattr(transformers, f"{kind}Processor")(processor_of(kind, **SQUASHED), tokenizer())
    return told_apart(model), processor


def grounding() -> tuple[Any, Any]:
    """Grounding DINO, and its processor."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    words = tokenizer((".",))
    swin = transformers.SwinConfig(
        image_size=64, patch_size=4, embed_dim=16, depths=[1, 1, 1], num_heads=[1, 2, 2], window_size=4,
        out_features=["stage2", "stage3"],
    )  # fmt: skip
    text = transformers.BertConfig(**BODY, vocab_size=len(words), max_position_embeddings=32, pad_token_id=0)
    config = transformers.GroundingDinoConfig(
        backbone_config=swin, text_config=text, d_model=32, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=32,
        decoder_ffn_dim=32, encoder_attention_heads=2, decoder_attention_heads=2, num_queries=12, num_feature_levels=2,
        max_text_len=24, fusion_droppath=0.0, fusion_dropout=0.0,
    )  # fmt: skip
    model = transformers.GroundingDinoForObjectDetection(config)
    processor = transformers.GroundingDinoProcessor(processor_of("GroundingDino", **SHORTEST), words)
    return told_apart(model), processor


def told_apart(model: Any) -> Any:
    """The same with weights large enough for the picture to decide, and for boxes to lie in different places."""
    model.eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                looked_up = any(word in name for word in ("query", "token", "position"))
                weight.normal_(0, 1.0 if looked_up else 1.5 / weight[0].numel() ** 0.5)
    return model


def best(boxes: Any, scores: Any, box: Any) -> float:
    """IoU x confidence of the best of some boxes [q, 4] with confidences [q]."""
    most = 0.0
    for own, score in zip(np.asarray(boxes, np.float64), np.asarray(scores, np.float64), strict=True):
        low, high = np.maximum(own[:2], box[:2]), np.minimum(own[2:], box[2:])
        common = (high - low).clip(0).prod()
        area = (own[2:] - own[:2]).prod() + (box[2] - box[0]) * (box[3] - box[1])
        most = max(most, float(score * common / (area - common)))
    return most


def bright(batch: Any) -> Any:
    """The bright rectangle of each row, as torchvision's detectors give it: a list of mappings, all classes from 1."""
    found = []
    for pixels in batch:
        y, x = torch.nonzero(pixels[0] > 0.5, as_tuple=True)
        boxes = torch.stack((x.min(), y.min(), x.max() + 1, y.max() + 1))[None].float() if len(x) else torch.zeros(0, 4)
        shares = torch.full((len(boxes),), 0.9)
        found.append({"boxes": boxes, "labels": torch.full((len(boxes),), 2), "scores": shares})
    return found


def stand_in(name: str, module: str, answer: Any) -> Any:
    """A model of a library that is not installed, as far as adapt() looks at it."""
    return type(name, (torch.nn.Module,), {"forward": lambda self, x: answer(x), "__module__": module})().eval()


def ultralytics(answer: Any, name: str = "DetectionModel") -> Any:
    """A network of ultralytics'."""
    model = stand_in(name, "ultralytics.nn.tasks", answer)
    model.names = {0: "cat", 1: "lamp"}
    return model


def raw_head(x: Any) -> Any:
    """[B, 4 + K, Q] and what else it gives in evaluation: the bright rectangle, twice, and one that nobody believes."""
    rows = []
    for found in bright(x):
        x0, y0, x1, y1 = found["boxes"][0].tolist() if len(found["boxes"]) else (0, 0, 1, 1)
        sure = 1.0 if len(found["boxes"]) else 0.0
        box, flat = ([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, share * (y1 - y0)] for share in (1, 0.95))
        rows.append([[*box, 0.1, 0.8 * sure], [*flat, 0.0, 0.7 * sure], [5, 5, 4, 4, 0.2, 0.0]])
    return torch.tensor(rows).transpose(1, 2), [x]
