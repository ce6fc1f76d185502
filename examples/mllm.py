"""What in the picture do the words of an answer rest on? LLaVA, its own processor, its own answer (EAGLE).

python examples/mllm.py [folder for the picture] [folder with a LLaVA model] [photograph]
Without a model it takes a small one with random weights, whose answers mean nothing: the lines are the same.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import tokenizers
import torch
import transformers

import pysmdl

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())

if len(sys.argv) > 2:
    model = transformers.AutoModelForImageTextToText.from_pretrained(sys.argv[2]).eval()
    processor = transformers.AutoProcessor.from_pretrained(sys.argv[2])
else:
    torch.manual_seed(0)
    words = {
        word: i
        for i, word in enumerate(
            ["?", ".", "<image>", "What", "is", "in", "the", "picture", "a", "cat", "on", "mat", "five", "three"]
        )
    }
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, "?"))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    plain.add_special_tokens(["<image>"])
    tokens = transformers.PreTrainedTokenizerFast(tokenizer_object=plain, pad_token=".", unk_token="?")
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = transformers.LlamaConfig(**small, vocab_size=len(words), initializer_range=0.5)
    vision = transformers.CLIPVisionConfig(**small, image_size=64, patch_size=16, initializer_range=0.5)
    config = transformers.LlavaConfig(text_config=text, vision_config=vision, image_token_index=2)
    model = transformers.LlavaForConditionalGeneration(config).eval()
    images = transformers.CLIPImageProcessor(size={"shortest_edge": 72}, crop_size={"height": 64, "width": 64})
    seen = {"patch_size": 16, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    processor = transformers.LlavaProcessor(images, tokens, **seen)

scorer = pysmdl.adapt(model, processor=processor, prompt="What is in the picture?")
print(scorer)
image = sys.argv[3] if len(sys.argv) > 3 else pysmdl.builtin.images()[0]["path"]
print(f"it answers: {scorer.answer(image)}")
answer = pysmdl.Answer("five", text="a picture five on mat")  # or leave target= out: all words of its own answer
found = pysmdl.explain(image, scorer, target=answer, regions="slico:16", k=3, search="exact")
read = pysmdl.metrics.modality(found)
texts = found.target["texts"]
for word, prior, evidence in zip(texts, read.language_prior, read.perceptual_evidence, strict=True):
    print(f"{word.strip()!r}: {prior:.3f} from the words before it, {evidence:+.3f} from the picture")
print(f"without regions {found.order.tolist()}: {scorer.answer(image, kept=~np.isin(found.labels, found.order))}")
found.plot().savefig(folder / "mllm.png", dpi=130)
