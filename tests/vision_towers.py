"""Small random vision transformers of five kinds, each with a slow loop that really drops the tokens of one subset."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature

import numpy as np
import pytest
import torch
from torch import Tensor, nn

SIDE, PATCH = 32, 8  # 16 patches
SLOW = Callable[[nn.Module, Tensor, Tensor], Tensor]


def hugging_face(kind: str, **settings: str) -> nn.Module:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    shared = {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "image_size": SIDE,
        "patch_size": PATCH,
        **settings,
    }
    if kind == "vit":
        model = transformers.ViTForImageClassification(
            transformers.ViTConfig(**shared, intermediate_size=64, num_labels=5)
        )
    elif kind.startswith("deit"):
        made = transformers.DeiTForImageClassification
        made = transformers.DeiTForImageClassificationWithTeacher if kind == "deit with teacher" else made
        model = made(transformers.DeiTConfig(**shared, intermediate_size=64, num_labels=5))
    elif kind == "clip":
        config = transformers.CLIPVisionConfig(**shared, intermediate_size=64, projection_dim=12)
        model = transformers.CLIPVisionModelWithProjection(config)
    elif kind == "clip with classes":
        config = transformers.CLIPConfig(vision_config={**shared, "intermediate_size": 64}, num_labels=5)
        model = transformers.CLIPForImageClassification(config)
    elif kind == "dinov2":
        model = transformers.Dinov2ForImageClassification(transformers.Dinov2Config(**shared, num_labels=5))
    else:
        config = transformers.Dinov2WithRegistersConfig(**shared, num_labels=5, num_register_tokens=3)
        model = transformers.Dinov2WithRegistersForImageClassification(config)
    for parameter in model.parameters():  # random everything: fresh biases and class tokens are zero
        nn.init.normal_(parameter, std=0.2)
    return model.eval()


def timm_vit(pool: str = "token", **more: bool) -> nn.Module:
    timm = pytest.importorskip("timm.models.vision_transformer")
    torch.manual_seed(0)
    size = {"num_classes": 5, "embed_dim": 32, "depth": 3, "num_heads": 4}
    model = timm.VisionTransformer(SIDE, PATCH, global_pool=pool, **size, **more)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model.eval()


def run(blocks: nn.ModuleList, tokens: Tensor, **masks: None) -> Tensor:
    for block in blocks:
        answer = block(tokens, **masks)
        tokens = answer[0] if isinstance(answer, tuple) else answer
    return tokens


def slow_vit(model: nn.Module, x: Tensor, keep: Tensor) -> Tensor:
    base = model.deit if hasattr(model, "deit") else model.vit
    tokens = run(getattr(base, "layers", None) or base.encoder.layer, base.embeddings(x)[:, keep])
    final = base.layernorm(tokens)
    if hasattr(model, "distillation_classifier"):
        return (model.cls_classifier(final[:, 0]) + model.distillation_classifier(final[:, 1])) / 2
    return model.classifier(final[:, 0])


def slow_clip(model: nn.Module, x: Tensor, keep: Tensor) -> Tensor:
    base = model.vision_model
    names = signature(type(base.encoder.layers[0]).forward).parameters
    masks = {name: None for name in ("attention_mask", "causal_attention_mask") if name in names}
    tokens = run(base.encoder.layers, base.pre_layrnorm(base.embeddings(x))[:, keep], **masks)
    return model.visual_projection(base.post_layernorm(tokens[:, 0]))


def slow_clip_classes(model: nn.Module, x: Tensor, keep: Tensor) -> Tensor:
    base = model.vision_model
    names = signature(type(base.encoder.layers[0]).forward).parameters
    masks = {name: None for name in ("attention_mask", "causal_attention_mask") if name in names}
    patches = run(base.encoder.layers, base.pre_layrnorm(base.embeddings(x))[:, keep], **masks)[:, 1:]
    return model.classifier(patches.mean(1) if patches.shape[1] else torch.zeros_like(patches.sum(1)))


def slow_dinov2(model: nn.Module, x: Tensor, keep: Tensor) -> Tensor:
    base = getattr(model, "dinov2", None) or model.dinov2_with_registers
    prefix = 1 + getattr(base.config, "num_register_tokens", 0)
    final = base.layernorm(run(base.encoder.layer, base.embeddings(x)[:, keep]))
    patches = final[:, prefix:].mean(1) if final.shape[1] > prefix else torch.zeros_like(final[:, 0])
    return model.classifier(torch.cat((final[:, 0], patches), 1))


def slow_timm(model: nn.Module, x: Tensor, keep: Tensor) -> Tensor:
    tokens = model.norm(run(model.blocks, model.norm_pre(model._pos_embed(model.patch_embed(x)))[:, keep]))
    if model.global_pool == "avg" and tokens.shape[1] == 1 and not model.pool_include_prefix:
        return model.head(model.fc_norm(torch.zeros_like(tokens[:, 0])))
    return model.forward_head(tokens)


TOWERS: dict[str, tuple[Callable[[], nn.Module], SLOW, int]] = {
    "vit": (lambda: hugging_face("vit"), slow_vit, 1),
    "deit": (lambda: hugging_face("deit"), slow_vit, 2),
    "deit with teacher": (lambda: hugging_face("deit with teacher"), slow_vit, 2),
    "clip": (lambda: hugging_face("clip"), slow_clip, 1),
    "clip with classes": (lambda: hugging_face("clip with classes"), slow_clip_classes, 1),
    "dinov2": (lambda: hugging_face("dinov2"), slow_dinov2, 1),
    "dinov2 with registers": (lambda: hugging_face("registers"), slow_dinov2, 4),
    "timm token": (lambda: timm_vit("token"), slow_timm, 1),
    "timm avg": (lambda: timm_vit("avg"), slow_timm, 1),
    "timm avg of all": (lambda: timm_vit("avg", pool_include_prefix=True), slow_timm, 1),
}


def patch_labels(seed: int, regions: int = 6) -> np.ndarray:
    """A label map on patches, each region with at least one, some patches always shown; [SIDE, SIDE]."""
    rng = np.random.default_rng(seed)
    of_patch = np.concatenate((np.arange(regions), rng.integers(-1, regions, 16 - regions)))
    of_patch = rng.permutation(of_patch).reshape(4, 4)
    return np.repeat(np.repeat(of_patch, PATCH, 0), PATCH, 1)
