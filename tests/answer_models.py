"""Tiny random models of transformers that answer a picture with words, with processors and tokenizers made here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from library_models import CUT, processor_of

WORDS = "a the cat dog sits stands runs on under mat tree red blue big small what is in picture ? one two here now".split()
SPECIAL = ["<pad>", "<bos>", "<eos>", "<unk>", "<image>"]
QUESTION = "what is in the picture ?"
TEXT = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
VISION = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}


def tokenizer(extra: tuple[str, ...] = (), begins: bool = True, **settings: Any) -> Any:
    """Words to numbers, after a beginning where that is wanted."""
    tokenizers, transformers = pytest.importorskip("tokenizers"), pytest.importorskip("transformers")
    words = [*SPECIAL, *WORDS, *extra]
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, "<unk>"))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    if begins:
        plain.post_processor = tokenizers.processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    names = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}
    marks = {"additional_special_tokens": ["<image>", *extra], "model_input_names": ["input_ids", "attention_mask"]}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=plain, **names, **marks, **settings)


@dataclass
class Family:
    """A model with its processor, and its own way from a picture and an answer to logits, written out here.

    Attributes:
        prompt: What it is asked; None where it is asked nothing.
        decodes: What its decoder begins with, where it has an encoder of its own.
        asked: What its processor is told, if not the prompt.
    """

    model: Any
    processor: Any
    prompt: str | None = QUESTION
    decodes: list[int] | None = None
    asked: str | None = None

    def given(self, picture: Any) -> dict[str, Any]:
        """What the processor makes of a picture of Pillow's, and the prompt."""
        if self.asked is None and self.decodes is not None:
            return {"pixel_values": self.processor(images=picture, return_tensors="pt")["pixel_values"]}
        return dict(self.processor(images=picture, text=[self.asked], return_tensors="pt"))

    def before(self, given: dict[str, Any]) -> list[int]:
        """What an answer follows on."""
        return given["input_ids"][0].tolist() if self.decodes is None else self.decodes

    def forced(self, given: dict[str, Any], tokens: Tensor) -> dict[str, Any]:
        """What the model is given to answer in these tokens, all of it shown."""
        if self.decodes is not None:
            return {**given, "decoder_input_ids": tokens}
        fed = {**given, "input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
        if "mm_token_type_ids" in given:
            more = tokens.shape[1] - given["input_ids"].shape[1]
            fed["mm_token_type_ids"] = nn.functional.pad(given["mm_token_type_ids"], (0, more))
        return fed

    def masked(self, given: dict[str, Any], kept: Any, absent: dict[str, Any] | None) -> dict[str, Any]:
        """The same where only some points of what it sees are shown [H, W], and else another picture's, or 0."""
        x = given["pixel_values"]
        other = torch.zeros_like(x) if absent is None else absent["pixel_values"]
        return {**given, "pixel_values": torch.where(self.shown(kept, x), x, other)}

    def shown(self, kept: Any, x: Tensor) -> Tensor:
        """Which of the pixel values are of points that are shown."""
        return torch.from_numpy(kept)


def llava() -> Family:
    transformers = pytest.importorskip("transformers")
    words = tokenizer()
    text = transformers.LlamaConfig(vocab_size=len(words), **TEXT)
    vision = transformers.CLIPVisionConfig(**VISION, image_size=32, patch_size=8)
    config = transformers.LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=4, vision_feature_layer=-1
    )
    model = loud(transformers.LlavaForConditionalGeneration, config)
    processor = transformers.LlavaProcessor(
        processor_of("CLIP", **CUT), words, patch_size=8, vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )  # fmt: skip
    return Family(model, processor, asked=f"<image>\n{QUESTION}")


class Patches(Family):
    """Qwen's: what is shown is made into patches by the processor itself, of a picture of ones and zeros."""

    def shown(self, kept: Any, x: Tensor) -> Tensor:
        as_it_is = {"do_resize": False, "do_rescale": False, "do_normalize": False, "input_data_format": "channels_last"}
        ones = np.repeat(kept[:, :, None], 3, 2).astype(np.uint8)
        return self.processor.image_processor(images=ones, return_tensors="pt", **as_it_is)["pixel_values"] > 0


def qwen(kind: str = "Qwen2_5_VL") -> Family:
    transformers = pytest.importorskip("transformers")
    marks = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    words = tokenizer(marks, begins=False)
    image, video, start, end = words.convert_tokens_to_ids(list(marks))
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}
    text = {**TEXT, "vocab_size": len(words), "rope_parameters": rope}
    vision = {"depth": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48, "out_hidden_size": 32,
              "fullatt_block_indexes": [1], "window_size": 56, "patch_size": 7, "temporal_patch_size": 2}  # fmt: skip
    if kind == "Qwen2VL":
        vision = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "patch_size": 7}
    config = getattr(transformers, f"{kind}Config")(
        text_config=text, vision_config=vision, image_token_id=image, video_token_id=video,
        vision_start_token_id=start, vision_end_token_id=end,
    )  # fmt: skip
    model = loud(getattr(transformers, f"{kind}ForConditionalGeneration"), config)
    images = processor_of("Qwen2VL", patch_size=7, size={"shortest_edge": 28 * 28, "longest_edge": 56 * 84})
    plain = getattr(transformers, f"{kind}Processor")
    processor = type(plain.__name__, (plain,), {"get_attributes": classmethod(lambda _: ["image_processor", "tokenizer"])})
    return Patches(model, processor(images, words), asked=f"<|image_pad|>\n{QUESTION}")


def loud(kind: Any, config: Any, most: int = 6) -> Any:
    """A model of random weights large enough that each picture is answered otherwise, and at some length."""
    torch.manual_seed(0)
    model = kind(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.mul_((1.0 if "embed" in name else 1.8 / weight.shape[-1] ** 0.5) / weight.std())
        model.get_output_embeddings().weight[: len(SPECIAL)] = 0  # it says words alone
    model.generation_config.max_new_tokens = most
    return model


FAMILIES: dict[str, Callable[[], Family]] = {
    "LLaVA": llava,
    "Qwen2.5-VL": qwen,
    "Qwen2-VL": lambda: qwen("Qwen2VL"),
}
