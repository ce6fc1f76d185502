"""Which part of a picture speaks for a prompt? Hugging Face's CLIP, its own preprocessing, prompts as classes.

python examples/clip.py [folder for the picture] [folder with a CLIP model]
Without a model it takes a small one with random weights, whose answers mean nothing: the lines are the same.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import tokenizers
import transformers

import pysmdl

PROMPTS = ["a digit on a photograph", "a cat", "a dog"]
folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())

if len(sys.argv) > 2:
    model = transformers.CLIPModel.from_pretrained(sys.argv[2]).eval()
    images, tokens = (
        kind.from_pretrained(sys.argv[2]) for kind in (transformers.CLIPImageProcessor, transformers.CLIPTokenizer)
    )
else:
    words = {word: i for i, word in enumerate(["?", "a", "cat", "digit", "dog", "on", "photograph", "."])}
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, "?"))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokens = transformers.PreTrainedTokenizerFast(tokenizer_object=plain, pad_token=".", unk_token="?")
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = small | {"vocab_size": 8, "bos_token_id": 1, "eos_token_id": 7, "pad_token_id": 7}
    config = transformers.CLIPConfig(text_config=text, vision_config=small | {"image_size": 64, "patch_size": 16})
    model = transformers.CLIPModel(config).eval()
    images = transformers.CLIPImageProcessor(size={"shortest_edge": 72}, crop_size={"height": 64, "width": 64})

scorer = pysmdl.adapt(model, processor=images, tokenizer=tokens, prompts=PROMPTS)
print(scorer)
image = pysmdl.builtin.images()[0]["path"]
for prompt in PROMPTS:
    found = pysmdl.explain(image, scorer, target=prompt, regions="slico:16", k=3, search="exact")
    print(f"{prompt}: {found.insertion[-1]:.3f} with regions {found.order.tolist()} alone")
found.plot(names=PROMPTS).savefig(folder / "clip.png", dpi=130)
print(f"{folder / 'clip.png'} shows the last one")
