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

WORDS = [
    "a",
    "the",
    "cat",
    "dog",
    "sits",
    "stands",
    "runs",
    "on",
    "under",
    "mat",
    "tree",
    "red",
    "blue",
    "big",
    "small",
    "what",
    "is",
    "in",
    "picture",
    "?",
    "one",
    "two",
    "here",
    "now",
]
SPECIAL = ["<pad>", "<bos>", "<eos>", "<unk>", "<image>"]
EXACT = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
PINPOINTS = [[32, 64], [64, 32], [64, 64], [96, 32]]  # sides of LLaVA-NeXT's canvases
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
        plain.post_processor = tokenizers.processors.TemplateProcessing(
            single="<bos> $A", special_tokens=[("<bos>", 1)]
        )
    names = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}
    marks = {"additional_special_tokens": ["<image>", *extra], "model_input_names": ["input_ids", "attention_mask"]}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=plain, **names, **marks, **settings)


def release_5() -> Any:
    """transformers, whose classes are made otherwise before its release 5, if they are there."""
    transformers = pytest.importorskip("transformers")
    if int(transformers.__version__.partition(".")[0]) < 5:
        pytest.skip("made for transformers 5")
    return transformers


@dataclass
class Family:
    """A model with its processor, and its own way from a picture and an answer to logits, written out here.

    Attributes:
        prompt: What it is asked; None where it is asked nothing.
        decodes: What its decoder begins with, where it has an encoder of its own.
        asked: What its processor is told, if not the prompt.
        follows: The type of an answer's tokens, where tokens have types.
    """

    model: Any
    processor: Any
    prompt: str | None = QUESTION
    decodes: list[int] | None = None
    asked: str | None = None
    follows: int = 0

    def given(self, picture: Any) -> dict[str, Any]:
        """What the processor makes of a picture of Pillow's, or a list of them, and the prompt."""
        if self.asked is None and self.decodes is not None:
            return {"pixel_values": self.processor(images=picture, return_tensors="pt")["pixel_values"]}
        images = [picture] if isinstance(picture, list) else picture
        found = dict(self.processor(images=images, text=[self.asked], return_tensors="pt"))
        return {name: value for name, value in found.items() if name not in ("labels", "num_crops")}

    def before(self, given: dict[str, Any]) -> list[int]:
        """What an answer follows on."""
        return given["input_ids"][0].tolist() if self.decodes is None else self.decodes

    def forced(self, given: dict[str, Any], tokens: Tensor) -> dict[str, Any]:
        """What the model is given to answer in these tokens, all of it shown."""
        if self.decodes is not None:
            return {**given, "decoder_input_ids": tokens}
        fed = {**given, "input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
        more = tokens.shape[1] - given["input_ids"].shape[1]
        for name in {"mm_token_type_ids", "token_type_ids"} & given.keys():
            fed[name] = nn.functional.pad(given[name], (0, more), value=self.follows)
        return fed

    def masked(self, given: dict[str, Any], kept: Any, absent: dict[str, Any] | None) -> dict[str, Any]:
        """The same where only some points of what it sees are shown [H, W], and else another picture's, or 0."""
        x = given["pixel_values"]
        other = torch.zeros_like(x) if absent is None else absent["pixel_values"]
        return {**given, "pixel_values": torch.where(self.shown(kept, x), x, other)}

    def shown(self, kept: Any, x: Tensor) -> Tensor:
        """Which of the pixel values are of points that are shown."""
        return torch.from_numpy(kept)


def probabilities(family: Family, given: dict[str, Any], answer: list[int]) -> torch.Tensor:
    """Of each token of an answer that is given, from the logits at all positions. [T]."""
    before = family.before(given)
    tokens = torch.tensor([before + answer])
    fed = family.forced(given, tokens)
    with torch.no_grad():
        logits = family.model(**fed).logits[0].float()
    at = logits.shape[0] - tokens.shape[1] + len(before) - 1 + torch.arange(len(answer))
    return logits.softmax(-1)[at, torch.tensor(answer)]


def llava() -> Family:
    transformers = pytest.importorskip("transformers")
    vision = transformers.CLIPVisionConfig(**VISION, image_size=32, patch_size=8)
    return _llava(vision, processor_of("CLIP", **CUT), "default")


def llava_of_siglip(side: int = 36) -> Family:
    """With a tower that has no class token, and of whose picture's last points no token is made."""
    transformers = pytest.importorskip("transformers")
    vision = transformers.SiglipVisionConfig(**VISION, image_size=side, patch_size=8)
    return _llava(vision, processor_of("Siglip", size={"height": side, "width": side}), "full")


def _llava(vision: Any, images: Any, keeps: str) -> Family:
    transformers = pytest.importorskip("transformers")
    words = tokenizer()
    text = transformers.LlamaConfig(vocab_size=len(words), **TEXT)
    config = transformers.LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=4, vision_feature_layer=-1,
        vision_feature_select_strategy=keeps,
    )  # fmt: skip
    model = loud(transformers.LlavaForConditionalGeneration, config)
    processor = transformers.LlavaProcessor(
        images, words, patch_size=8, vision_feature_select_strategy=keeps,
        num_additional_image_tokens=int(keeps == "default"),
    )  # fmt: skip
    return Family(model, processor, asked=f"<image>\n{QUESTION}")


class Lines:
    """As PixtralProcessor, which needs torchvision for itself: lines of image tokens, each with its end."""

    image_token = "[IMG]"

    def __init__(self, image_processor: Any, words: Any, patch_size: int, spatial_merge_size: int) -> None:
        self.image_processor, self.tokenizer = image_processor, words
        self.patch_size, self.spatial_merge_size = patch_size, spatial_merge_size

    def __call__(self, images: Any, text: list[str], return_tensors: str, **settings: Any) -> dict[str, Any]:
        side = self.patch_size * self.spatial_merge_size
        made = self.image_processor(images=images, return_tensors="pt", patch_size=side)
        first, *parts = text[0].split(self.image_token)
        for (high, wide), part in zip(made["image_sizes"].tolist(), parts, strict=True):
            lines = [" [IMG]" * (wide // side)] * (high // side)
            first += " [IMG_BREAK]".join(lines) + " [IMG_END] " + part
        return {**self.tokenizer([first], return_tensors="pt", **settings), **made}


def pixtral(kind: str = "Mistral3") -> Family:
    """Pixtral's tower before Mistral's language model, or LLaVA's."""
    transformers = release_5()
    words = tokenizer(("[IMG]", "[IMG_BREAK]", "[IMG_END]"))
    image = words.convert_tokens_to_ids("[IMG]")
    vision = transformers.PixtralVisionConfig(**VISION, image_size=96, patch_size=8, head_dim=16)
    merged, own = (
        (2, {"spatial_merge_size": 2}) if kind == "Mistral3" else (1, {"vision_feature_select_strategy": "full"})
    )
    config = getattr(transformers, f"{kind}Config")(
        vision_config=vision, text_config=transformers.MistralConfig(vocab_size=len(words), **TEXT),
        image_token_index=image, vision_feature_layer=-1, **own,
    )  # fmt: skip
    model = loud(getattr(transformers, f"{kind}ForConditionalGeneration"), config)
    images = processor_of("Pixtral", size={"longest_edge": 96}, patch_size=8)
    return Family(model, Lines(images, words, 8, merged), asked=f"[IMG]\n{QUESTION}")


def paligemma(kind: str = "Gemma", **settings: Any) -> Family:
    """Whose prompt sees itself in both directions; of Gemma2 its logits have a cap, and half its layers a window."""
    transformers = release_5()
    words = tokenizer(begins=False)
    vision = transformers.SiglipVisionConfig(**VISION, image_size=32, patch_size=8)
    text = getattr(transformers, f"{kind}Config")(vocab_size=len(words) + 1152, head_dim=16, **TEXT, **settings)
    config = transformers.PaliGemmaConfig(
        vision_config=vision, text_config=text, image_token_index=4, projection_dim=32, tie_word_embeddings=False
    )
    model = quiet(loud(transformers.PaliGemmaForConditionalGeneration, config))
    images = processor_of("Siglip", size={"height": 32, "width": 32})
    images.image_seq_length = 16
    processor = without_video("PaliGemma")(images, words)
    return Family(model, processor, asked=f"<image>{QUESTION}", follows=1)


def gemma3() -> Family:
    """Whose picture sees itself in both directions; one of its two layers has a window."""
    transformers = release_5()
    marks = ("<start_of_image>", "<end_of_image>", "<image_soft_token>")
    words = tokenizer(marks)
    words.boi_token, words.eoi_token, words.image_token = marks
    words.boi_token_id, words.eoi_token_id, words.image_token_id = words.convert_tokens_to_ids(list(marks))
    vision = transformers.SiglipVisionConfig(**VISION, image_size=32, patch_size=4)
    text = transformers.Gemma3TextConfig(
        vocab_size=len(words) - 1, head_dim=16, query_pre_attn_scalar=16, sliding_window=12,
        layer_types=["sliding_attention", "full_attention"], **TEXT,
    )  # fmt: skip
    config = transformers.Gemma3Config(
        vision_config=vision, text_config=text, image_token_index=words.image_token_id, mm_tokens_per_image=16,
        boi_token_index=words.boi_token_id, eoi_token_index=words.eoi_token_id, tie_word_embeddings=False,
    )  # fmt: skip
    model = quiet(loud(transformers.Gemma3ForConditionalGeneration, config))
    nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight, std=0.2)  # 0 where untrained
    processor = without_video("Gemma3")(
        processor_of("Gemma3", size={"height": 32, "width": 32}), words, image_seq_length=16
    )
    return Family(model, processor, asked=f"<start_of_image>\n{QUESTION}")


def quiet(model: Any) -> Any:
    """The same, of words that are small beside what its layers add: Gemma's are large."""
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(0.1)
    return model


def vipllava() -> Any:
    """One of a family that is not known here."""
    transformers = pytest.importorskip("transformers")
    vision = transformers.CLIPVisionConfig(**VISION, image_size=32, patch_size=8)
    config = transformers.VipLlavaConfig(
        vision_config=vision, text_config=transformers.LlamaConfig(vocab_size=40, **TEXT), image_token_index=4,
        vision_feature_layers=[-1, -2],
    )  # fmt: skip
    return transformers.VipLlavaForConditionalGeneration(config).eval()


class Patches(Family):
    """Qwen's: what is shown is made into patches by the processor itself, of a picture of ones and zeros."""

    def shown(self, kept: Any, x: Tensor) -> Tensor:
        as_it_is = {
            "do_resize": False,
            "do_rescale": False,
            "do_normalize": False,
            "input_data_format": "channels_last",
        }
        ones = np.repeat(kept[:, :, None], 3, 2).astype(np.uint8)
        return self.processor.image_processor(images=ones, return_tensors="pt", **as_it_is)["pixel_values"] > 0


def qwen(kind: str = "Qwen2_5_VL") -> Family:
    transformers = release_5()
    marks = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    words = tokenizer(marks, begins=False)
    image, video, start, end = words.convert_tokens_to_ids(list(marks))
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}
    text = {**TEXT, "vocab_size": len(words), "rope_parameters": rope}
    vision = {"depth": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48, "out_hidden_size": 32,
              "fullatt_block_indexes": [1], "window_size": 56, "patch_size": 7, "temporal_patch_size": 2}  # fmt: skip
    if kind == "Qwen2VL":
        vision = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "patch_size": 7}
    if kind.startswith("Qwen3VL"):
        vision = {**vision, "depth": 3, "num_position_embeddings": 16, "deepstack_visual_indexes": [0, 2]}
        text = {**text, "head_dim": 16}
    if kind == "Qwen3_5":  # half of whose layers keep a state
        text |= {"linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 16, "head_dim": 16,
                 "linear_value_head_dim": 16, "layer_types": ["linear_attention", "full_attention"],
                 "rope_parameters": {**rope, "partial_rotary_factor": 1.0, "mrope_interleaved": True}}  # fmt: skip
        vision = {**vision, "num_position_embeddings": 16}
        del vision["fullatt_block_indexes"], vision["window_size"]
    if kind == "Qwen3VLMoe":
        text = {**text, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
    config = getattr(transformers, f"{kind}Config")(
        text_config=text, vision_config=vision, image_token_id=image, video_token_id=video,
        vision_start_token_id=start, vision_end_token_id=end,
    )  # fmt: skip
    model = loud(getattr(transformers, f"{kind}ForConditionalGeneration"), config)
    images = processor_of("Qwen2VL", patch_size=7, size={"shortest_edge": 28 * 28, "longest_edge": 56 * 84})
    return Patches(
        model,
        without_video("Qwen3VL" if kind.startswith("Qwen3") else kind)(images, words),
        asked=f"<|image_pad|>\n{QUESTION}",
    )


def glm() -> Family:
    transformers = release_5()
    marks = [f"<|{mark}{kind}|>" for mark in ("", "begin_of_", "end_of_") for kind in ("image", "video")]
    words = tokenizer(tuple(marks), begins=False)
    image, video, *ends = words.convert_tokens_to_ids(marks)
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4, "partial_rotary_factor": 1.0}
    vision = {"depth": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48, "out_hidden_size": 32,
              "patch_size": 7, "temporal_patch_size": 2, "image_size": 56}  # fmt: skip
    config = transformers.Glm4vConfig(
        text_config={**TEXT, "vocab_size": len(words), "rope_parameters": rope}, vision_config=vision,
        image_token_id=image, video_token_id=video, image_start_token_id=ends[0], video_start_token_id=ends[1],
        image_end_token_id=ends[2], video_end_token_id=ends[3],
    )  # fmt: skip
    model = loud(transformers.Glm4vForConditionalGeneration, config)
    images = processor_of("Glm4v", patch_size=7, size={"shortest_edge": 2 * 28 * 28, "longest_edge": 2 * 56 * 84})
    return Patches(model, without_video("Glm4v")(images, words), asked=f"<|image|>\n{QUESTION}")


def without_video(kind: str) -> Any:
    """A processor's class where nothing of videos is asked for: that half of it needs torchvision."""
    plain = getattr(pytest.importorskip("transformers"), f"{kind}Processor")
    own = {
        "get_attributes": classmethod(
            lambda _: ["feature_extractor" if kind == "Whisper" else "image_processor", "tokenizer"]
        )
    }
    return type(plain.__name__, (plain,), own)


class Tiles(Family):
    """Tiles of a canvas, row by row, and a small view of all, whose points are those of the canvas at their middle."""

    def shown(self, kept: Any, x: Tensor) -> Tensor:
        side = x.shape[-1]
        down, across = (length // side for length in kept.shape)
        cut = [kept[i * side :, j * side :][:side, :side] for i in range(down) for j in range(across)]
        if down * across > 1:
            at = [[int((i + 0.5) * length / side) for i in range(side)] for length in kept.shape]
            cut.append(kept[np.ix_(*at)])
        return torch.from_numpy(np.stack(cut))[:, None]


def internvl() -> Family:
    transformers = release_5()
    marks = ("<img>", "</img>", "<IMG_CONTEXT>", "<video>")
    words = tokenizer(marks, begins=False)
    start, end, image, _ = words.convert_tokens_to_ids(list(marks))
    words.start_image_token, words.end_image_token, words.context_image_token, words.video_token = marks
    words.start_image_token_id, words.end_image_token_id, words.context_image_token_id = start, end, image
    text = transformers.Qwen2Config(vocab_size=len(words), **TEXT)
    vision = transformers.InternVLVisionConfig(**VISION, image_size=32, patch_size=8)
    config = transformers.InternVLConfig(vision_config=vision, text_config=text, image_token_id=image)
    model = loud(transformers.InternVLForConditionalGeneration, config)
    images = processor_of("GotOcr2", size={"height": 32, "width": 32}, max_patches=6)
    processor = without_video("InternVL")(images, words, image_seq_length=4)
    return Tiles(model, processor, asked=f"<IMG_CONTEXT>\n{QUESTION}")


def aya() -> Family:
    transformers = release_5()
    marks = ("<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_PATCH|>", "TILE", "TILE_GLOBAL")
    words = tokenizer((*marks, *(f"TILE_{i}" for i in range(1, 7))), begins=False)
    config = transformers.AyaVisionConfig(
        vision_config=transformers.SiglipVisionConfig(**VISION, image_size=32, patch_size=8),
        text_config=transformers.Cohere2Config(vocab_size=len(words), **TEXT), downsample_factor=2,
        image_token_index=words.convert_tokens_to_ids("<|IMG_PATCH|>"), vision_feature_layer=-1,
    )  # fmt: skip
    model = loud(transformers.AyaVisionForConditionalGeneration, config)
    images = processor_of("GotOcr2", size={"height": 32, "width": 32}, max_patches=6)
    processor = without_video("AyaVision")(images, words, patch_size=8, img_size=32, downsample_factor=2)
    return Tiles(model, processor, asked=f"<image>\n{QUESTION}")


class NestedTiles(Tiles):
    """Idefics3's: a tile that is 0 everywhere counts as padding, so it is not quite 0 here."""

    def masked(self, given: dict[str, Any], kept: Any, absent: dict[str, Any] | None) -> dict[str, Any]:
        found = super().masked(given, kept, absent)
        x = found["pixel_values"]
        return {**found, "pixel_values": torch.where(x == 0, 1e-30, x)}


class PaddedTiles(Family):
    """LLaVA-NeXT's: a small view first, then tiles of the picture in the middle of a canvas."""

    def shown(self, kept: Any, x: Tensor) -> Tensor:
        side, (high, wide) = x.shape[-1], kept.shape
        down, across = next(each for each in PINPOINTS if len(x[0]) - 1 == each[0] * each[1] // side**2 and (
            each[0] == high or each[1] == wide))  # fmt: skip
        spare = [(down - high) // 2, (across - wide) // 2]
        ends = [(spare[0], down - high - spare[0]), (spare[1], across - wide - spare[1])]
        canvas = np.pad(kept, ends, mode="edge")
        at = [((np.arange(side) + 0.5) * length / side).astype(int) for length in kept.shape]
        tiles = [canvas[i:, j:][:side, :side] for i in range(0, down, side) for j in range(0, across, side)]
        return torch.from_numpy(np.stack([kept[np.ix_(*at)], *tiles]))[:, None]


def llava_next() -> Family:
    transformers = release_5()
    words = tokenizer()
    text = transformers.LlamaConfig(vocab_size=len(words), **TEXT)
    vision = transformers.CLIPVisionConfig(**VISION, image_size=32, patch_size=8)
    config = transformers.LlavaNextConfig(
        vision_config=vision, text_config=text, image_token_index=4, vision_feature_layer=-1,
        image_grid_pinpoints=PINPOINTS,
    )  # fmt: skip
    model = loud(transformers.LlavaNextForConditionalGeneration, config)
    processor = transformers.LlavaNextProcessor(
        processor_of("LlavaNext", **EXACT, image_grid_pinpoints=PINPOINTS), words, patch_size=8,
        vision_feature_select_strategy="default", num_additional_image_tokens=1,
    )  # fmt: skip
    return PaddedTiles(model, processor, asked=f"<image>\n{QUESTION}")


def onevision() -> Family:
    transformers = release_5()
    words = tokenizer(("<video>",))
    config = transformers.LlavaOnevisionConfig(
        vision_config=transformers.SiglipVisionConfig(**VISION, image_size=32, patch_size=8),
        text_config=transformers.Qwen2Config(vocab_size=len(words), **TEXT), image_token_index=4,
        video_token_index=words.convert_tokens_to_ids("<video>"), vision_feature_layer=-1,
        vision_feature_select_strategy="full", image_grid_pinpoints=PINPOINTS,
    )  # fmt: skip
    model = loud(transformers.LlavaOnevisionForConditionalGeneration, config)
    images = processor_of("LlavaOnevision", size={"height": 32, "width": 32}, image_grid_pinpoints=PINPOINTS)
    processor = without_video("LlavaOnevision")(
        images, words, num_image_tokens=16, vision_feature_select_strategy="full"
    )
    return PaddedTiles(model, processor, asked=f"<image>\n{QUESTION}")


def idefics(kind: str = "Idefics3") -> Family:
    transformers = pytest.importorskip("transformers")
    rows = [f"<row_{i + 1}_col_{j + 1}>" for i in range(6) for j in range(6)]
    words = tokenizer(("<fake_token_around_image>", "<end_of_utterance>", "<global-img>", *rows), begins=False)
    text = transformers.LlamaConfig(vocab_size=len(words), **TEXT)
    vision = {**VISION, "image_size": 32, "patch_size": 8}
    config = getattr(transformers, f"{kind}Config")(vision_config=vision, text_config=text, image_token_id=4)
    model = loud(getattr(transformers, f"{kind}ForConditionalGeneration"), config)
    images = processor_of(kind, size={"longest_edge": 96}, max_image_size={"longest_edge": 32})
    settings = {}
    if kind == "SmolVLM":
        release_5()
        settings["video_processor"] = None
        transformers.models.smolvlm.processing_smolvlm.num2words = str  # a package, for videos alone
    processor = without_video(kind)(images, words, **settings, image_seq_len=4)
    return NestedTiles(model, processor, asked=f"<image>\n{QUESTION}")


def blip2() -> Family:
    transformers = release_5()
    words = tokenizer()
    text = transformers.OPTConfig(
        vocab_size=len(words), hidden_size=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=2, dropout=0.0,
        word_embed_proj_dim=32, pad_token_id=0, bos_token_id=1, eos_token_id=2, max_position_embeddings=128,
    )  # fmt: skip
    config = transformers.Blip2Config(
        vision_config={**VISION, "image_size": 32, "patch_size": 8},
        qformer_config={**VISION, "encoder_hidden_size": 32, "vocab_size": 30, "cross_attention_frequency": 1},
        text_config=text, num_query_tokens=4, image_token_index=4,
    )  # fmt: skip
    model = loud(transformers.Blip2ForConditionalGeneration, config)
    squashed = {"size": {"height": 32, "width": 32}}
    processor = without_video("Blip2")(processor_of("Blip", **squashed), words, num_query_tokens=4)
    return Family(model, processor, asked=QUESTION)


def trocr() -> Family:
    transformers = pytest.importorskip("transformers")
    words = tokenizer()
    decoder = transformers.TrOCRConfig(
        vocab_size=len(words), d_model=32, decoder_layers=2, decoder_attention_heads=2, decoder_ffn_dim=48,
        cross_attention_hidden_size=32, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=2,
        max_position_embeddings=64, dropout=0.0,
    )  # fmt: skip
    encoder = transformers.ViTConfig(**VISION, image_size=32, patch_size=8)
    config = transformers.VisionEncoderDecoderConfig(
        encoder=encoder.to_dict(), decoder=decoder.to_dict(), decoder_start_token_id=2, pad_token_id=0, eos_token_id=2,
    )  # fmt: skip
    model = loud(transformers.VisionEncoderDecoderModel, config)
    processor = without_video("TrOCR")(processor_of("ViT", size={"height": 32, "width": 32}), words)
    return Family(model, processor, prompt=None, decodes=[2])


def donut() -> Family:
    transformers = pytest.importorskip("transformers")
    words = tokenizer(("<s_docvqa>", "<s_question>", "<s_answer>"))
    decoder = transformers.MBartConfig(
        vocab_size=len(words), d_model=32, decoder_layers=2, decoder_attention_heads=2, decoder_ffn_dim=48,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, is_decoder=True, add_cross_attention=True,
        is_encoder_decoder=False, forced_eos_token_id=None, max_position_embeddings=64,
    )  # fmt: skip
    encoder = transformers.DonutSwinConfig(
        image_size=(32, 48), patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[1, 2], window_size=4
    )
    config = transformers.VisionEncoderDecoderConfig(
        encoder=encoder.to_dict(), decoder=decoder.to_dict(), decoder_start_token_id=2, pad_token_id=0, eos_token_id=2,
    )  # fmt: skip
    model = loud(transformers.VisionEncoderDecoderModel, config)
    images = processor_of("Donut", size={"height": 32, "width": 48}, do_align_long_axis=False)
    prompt = f"<s_docvqa> <s_question> {QUESTION} <s_answer>"
    begins = words(prompt, add_special_tokens=False)["input_ids"]
    return Family(model, without_video("Donut")(images, words), prompt=prompt, decodes=begins)


def florence() -> Family:
    transformers = release_5()
    words = tokenizer(tuple(f"<loc_{i}>" for i in range(1000)), begins=False)
    words.image_token, words.image_token_id = "<image>", 4
    text = transformers.BartConfig(
        vocab_size=len(words), d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=48, decoder_ffn_dim=48, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=None, max_position_embeddings=128,
    )  # fmt: skip
    vision = transformers.Florence2VisionConfig(
        depths=(1, 1), patch_size=(7, 3), patch_stride=(4, 2), patch_padding=(3, 1), patch_prenorm=(False, True),
        embed_dim=(16, 32), num_heads=(2, 2), num_groups=(2, 2), window_size=4, projection_dim=32,
    )  # fmt: skip
    config = transformers.Florence2Config(text_config=text, vision_config=vision, image_token_id=4)
    model = loud(transformers.Florence2ForConditionalGeneration, config)
    model.generation_config.decoder_start_token_id = 2
    images = processor_of("CLIP", size={"height": 32, "width": 32}, do_center_crop=False, resample=3)
    images.image_seq_length = 17
    return Family(model, without_video("Florence2")(images, words), decodes=[2], asked=QUESTION)


def whisper() -> tuple[Any, Any]:
    """Whisper, and its processor: the sound's log-mels are what is explained."""
    transformers = release_5()
    words = tokenizer(("<|startoftranscript|>", "<|notimestamps|>"))
    start, plain = words.convert_tokens_to_ids(["<|startoftranscript|>", "<|notimestamps|>"])
    words.prefix_tokens = [start, plain]
    config = transformers.WhisperConfig(
        vocab_size=len(words), d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=48, decoder_ffn_dim=48, num_mel_bins=8, max_source_positions=50,
        max_target_positions=40, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=start,
        suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    model = loud(transformers.WhisperForConditionalGeneration, config)
    model.generation_config.no_timestamps_token_id, model.generation_config.is_multilingual = plain, False
    features = transformers.WhisperFeatureExtractor(feature_size=8, chunk_length=1)
    return model, without_video("Whisper")(features, words)


class Prefixed(Family):
    """GIT: the tokens come after the picture's own states, and begin as its decoder does."""

    def forced(self, given: dict[str, Any], tokens: Tensor) -> dict[str, Any]:
        return {**given, "input_ids": tokens}


def git() -> Family:
    transformers = release_5()
    words = tokenizer()
    vision = transformers.GitVisionConfig(**VISION, image_size=32, patch_size=8)
    config = transformers.GitConfig(
        **VISION, vision_config=vision.to_dict(), vocab_size=len(words), max_position_embeddings=64, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    model = loud(transformers.GitForCausalLM, config)
    return Prefixed(model, without_video("Git")(processor_of("CLIP", **CUT), words), prompt=None, decodes=[1])


def blip() -> Family:
    transformers = release_5()
    words = tokenizer(("<cls>", "<sep>"), begins=False)
    separates = words.convert_tokens_to_ids("<sep>")
    words.sep_token = "<sep>"
    text = {**VISION, "vocab_size": len(words), "encoder_hidden_size": 32, "max_position_embeddings": 64,
            "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "sep_token_id": separates,
            "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}  # fmt: skip
    config = transformers.BlipConfig(vision_config={**VISION, "image_size": 32, "patch_size": 8}, text_config=text)
    model = loud(transformers.BlipForConditionalGeneration, config)
    processor = without_video("Blip")(processor_of("Blip", size={"height": 32, "width": 32}), words)
    return Prefixed(model, processor, prompt=None, decodes=[1])


def loud(kind: Any, config: Any, most: int = 6) -> Any:
    """A model of random weights large enough that each picture is answered otherwise, and at some length."""
    torch.manual_seed(0)
    model = kind(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1 and weight.std() > 0:
                weight.mul_((1.0 if "embed" in name else 1.8 / weight.shape[-1] ** 0.5) / weight.std())
    speaks = getattr(model, "text_decoder", model)
    known, words = len(speaks.get_output_embeddings().weight), range(len(SPECIAL), len(SPECIAL) + len(WORDS))
    for each in {model, speaks, getattr(model, "language_model", model)}:  # of which each has settings of its own
        each.generation_config.max_new_tokens = most
        each.generation_config.suppress_tokens = [token for token in range(known) if token not in words]
    return model


FAMILIES: dict[str, Callable[[], Family]] = {
    "LLaVA": llava,
    "LLaVA-NeXT": llava_next,
    "Qwen2.5-VL": qwen,
    "Qwen2-VL": lambda: qwen("Qwen2VL"),
    "Qwen3-VL": lambda: qwen("Qwen3VL"),
    "Qwen3.5": lambda: qwen("Qwen3_5"),
    "GLM-4.1V": glm,
    "Qwen3-VL-MoE": lambda: qwen("Qwen3VLMoe"),
    "Mistral 3": pixtral,
    "LLaVA of Pixtral": lambda: pixtral("Llava"),
    "Gemma 3": gemma3,
    "PaliGemma": paligemma,
    "PaliGemma 2": lambda: paligemma("Gemma2", sliding_window=8, final_logit_softcapping=4.0),
    "LLaVA-OneVision": onevision,
    "InternVL": internvl,
    "Aya Vision": aya,
    "Idefics3": idefics,
    "SmolVLM": lambda: idefics("SmolVLM"),
    "BLIP-2": blip2,
    "GIT": git,
    "BLIP": blip,
    "TrOCR": trocr,
    "Donut": donut,
    "Florence-2": florence,
}
