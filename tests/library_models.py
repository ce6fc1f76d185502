"""Tiny random instances of the classes that libraries have, and what each library itself makes of a photograph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import pysmdl

CLOSE = 1e-4  # of a probability
PROMPTS = ["a cat", "a dog", "the photo of a dog"]
NAMES = {0: "tench, Tinca tinca", 1: "tabby, tabby cat", 2: "tiger cat", 3: "lynx", 4: "box turtle"}
BODY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
SQUARE = {"image_size": 32, "patch_size": 8}
CUT = {"size": {"shortest_edge": 37}, "crop_size": {"height": 32, "width": 32}}
SQUASHED = {"size": {"height": 32, "width": 32}}
KINDS = {  # what the class and its configuration are called; the configuration's size; the processor and its size
    "ViT": (BODY | SQUARE, "ViT", SQUASHED),
    "DeiT": (BODY | SQUARE, "DeiT", {"size": {"height": 37, "width": 37}, "crop_size": CUT["crop_size"]}),
    "Beit": (BODY | SQUARE, "Beit", {**SQUASHED, "do_center_crop": False}),
    "Dinov2": (BODY | SQUARE, "Bit", CUT),
    "ResNet": ({"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}, "ConvNext",
               {"size": {"shortest_edge": 32}}),
    "ConvNext": ({"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2}, "ConvNext",
                 {"size": {"shortest_edge": 384}}),
    "Swin": ({"image_size": 32, "patch_size": 4, "embed_dim": 16, "depths": [1, 1], "num_heads": [1, 2],
              "window_size": 4}, "ViT", SQUASHED),
    "MobileViT": ({"image_size": 64, "hidden_sizes": [8, 12, 16], "neck_hidden_sizes": [8, 8, 8, 8, 8, 8, 16],
                   "num_attention_heads": 2}, "MobileViT",
                  {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}}),
}  # fmt: skip


def photograph(height: int = 117, width: int = 170) -> np.ndarray:
    """Something with structure at every scale, wider than high."""
    rng = np.random.default_rng(5)
    layers = [Image.fromarray(rng.integers(0, 255, (n, n + 3, 3), dtype=np.uint8)) for n in (3, 9, 40)]
    large = [np.asarray(each.resize((width, height), Image.Resampling.BICUBIC), np.float64) for each in layers]
    return np.mean(large, axis=0).astype(np.uint8)


def agrees(
    model: Any,
    pipeline: Callable[[Any], Tensor],
    answer: Callable[[Tensor], Tensor],
    target: Any,
    index: int,
    **words: Any,
) -> None:
    """What pysmdl scores equals a slow loop of the library's own: the full photograph, and 20 random subsets of its
    regions, for a baseline in pixels and one in model space.

    Args:
        pipeline: A picture of Pillow's to the model's input [1, C, H, W].
        answer: A batch to probabilities [B, K].
        target, index: A class, as explain() takes it, and its number.
    """
    photo = photograph()
    x, black = pipeline(Image.fromarray(photo)), pipeline(Image.fromarray(np.zeros_like(photo)))
    with torch.no_grad():
        own = answer(x)[0]
    found = pysmdl.explain(photo, model, regions="grid:9", progress=False, **words)
    assert found.target == int(own.argmax())
    assert found.insertion[-1] == pytest.approx(float(own.max()), abs=CLOSE)
    for baseline, absent in (("black", black), ("zero", torch.zeros_like(x))):
        game = pysmdl.Game(photo, model, target, regions="grid:9", baseline=baseline, **words)
        kept = np.random.default_rng(1).random((20, game.n_players)) < 0.5
        shown = torch.from_numpy(kept[:, game.labels])[:, None]
        with torch.no_grad():
            slow = torch.cat([answer(torch.where(each, x, absent))[:, index] for each in shown])
        np.testing.assert_allclose(game(kept), slow.numpy(), atol=CLOSE)
        assert np.ptp(game(kept)) > 10 * CLOSE  # the model looks at what is masked


def sharpened(model: nn.Module, side: int | None = None) -> Any:
    """Random weights that make something of the picture: answers far enough apart to tell.

    Args:
        side: Of the model's input, where its last linear layer gives logits that are to differ by about 1.
    """
    model.eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1 and "embed" not in name:
                weight.mul_(4)
        if side is None:
            return model
        head = [each for each in model.modules() if isinstance(each, nn.Linear)][-1]
        noise = nn.functional.interpolate(torch.randn(8, 3, 4, 4, generator=torch.manual_seed(1)), side)
        answer = model(noise)
        logits = getattr(answer, "logits", answer)
        head.weight.div_(logits.std(0).mean())
        head.bias.zero_()
    return model


def processor_of(kind: str, **settings: Any) -> Any:
    """An image processor of transformers; those on Pillow alone, which need no torchvision, where it has such."""
    transformers = pytest.importorskip("transformers")
    name = f"{kind}ImageProcessor"
    return (getattr(transformers, f"{name}Pil", None) or getattr(transformers, name))(**settings)


def made(kind: str) -> tuple[Any, Any]:
    """A classifier of a kind, and its processor."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(3)
    size, processor, settings = KINDS[kind]
    config = getattr(transformers, f"{kind}Config")(**size, num_labels=5, id2label=NAMES)
    side = 64 if kind == "MobileViT" else 32
    model = sharpened(getattr(transformers, f"{kind}ForImageClassification")(config), side)
    return model, processor_of(processor, **settings)


def pixels_of(processor: Any) -> Callable[[Any], Tensor]:
    return lambda picture: processor(images=picture, return_tensors="pt")["pixel_values"]


def tokenizer(more: tuple[str, ...] = ()) -> Any:
    """Words to numbers, between a beginning and an end."""
    tokenizers, transformers = pytest.importorskip("tokenizers"), pytest.importorskip("transformers")
    words = ["<pad>", "<bos>", "<eos>", "<unk>", "a", "cat", "dog", "photo", "of", "the", *more]
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, "<unk>"))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    plain.post_processor = tokenizers.processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 1), ("<eos>", 2)]
    )
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "model_input_names": ["input_ids", "attention_mask"]}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=plain, **names)


def pair(kind: str) -> tuple[Any, Any]:
    """Both towers of CLIP or SigLIP, and their processor."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    text = BODY | {
        "vocab_size": 10,
        "max_position_embeddings": 16,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    config = getattr(transformers, f"{kind}Config")(text_config=text, vision_config=BODY | SQUARE)
    images = processor_of(kind, **(CUT if kind == "CLIP" else SQUASHED))
    plain = getattr(transformers, f"{kind}Processor")  # before release 5 it insists on a tokenizer of the kind
    processor = type(plain.__name__, (plain,), {"tokenizer_class": "PreTrainedTokenizerFast"})(images, tokenizer())
    return sharpened(getattr(transformers, f"{kind}Model")(config)), processor
