"""A small language model trained here to look up facts in its prompt: two layers, seconds."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

KEYS = [f"key{i}" for i in range(8)]
VALUES = [f"value{i}" for i in range(8)]
FACTS = 4


@cache
def words():
    """A tokenizer with a token a word."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["<pad>", "<eos>", ".", "?", *KEYS, *VALUES])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")


def prompt(drawn: np.random.Generator) -> tuple[str, str, int]:
    """Facts and a question, its answer, and which fact has it."""
    keys, values = drawn.permutation(len(KEYS))[:FACTS], drawn.permutation(len(VALUES))[:FACTS]
    asked = int(drawn.integers(FACTS))
    facts = "".join(f"{KEYS[key]} {VALUES[value]} . " for key, value in zip(keys, values, strict=True))
    return f"{facts}? {KEYS[keys[asked]]}", f" {VALUES[values[asked]]}", asked


@cache
def trained(steps: int = 1000):
    """The model, and the share of questions that it answered right at last."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=4 + len(KEYS) + len(VALUES), hidden_size=48, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, head_dim=24, max_position_embeddings=64, eos_token_id=1,
        pad_token_id=0, bos_token_id=None, tie_word_embeddings=False,
    )  # fmt: skip
    model = Qwen3ForCausalLM(config)
    drawn = np.random.default_rng(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    right = 0.0
    for step in range(steps):
        ids, places = batch(drawn, 48)
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, (step + 1) / 50) * (1 - step / steps)
        logits = model(ids).logits[:, places - 1]
        wanted = ids[:, places]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        right = float((logits.argmax(2) == wanted).float().mean()) if step > steps - 10 else right
    return model.eval(), right


def batch(drawn: np.random.Generator, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids of facts, each asked for afterwards, and the places of the answers."""
    keys = drawn.permuted(np.tile(np.arange(len(KEYS)), (rows, 1)), axis=1)[:, :FACTS]
    values = drawn.permuted(np.tile(np.arange(len(VALUES)), (rows, 1)), axis=1)[:, :FACTS]
    order = drawn.permuted(np.tile(np.arange(FACTS), (rows, 1)), axis=1)
    keys, values = keys + 4, values + 4 + len(KEYS)
    facts = np.stack((keys, values, np.full_like(keys, 2)), 2).reshape(rows, -1)
    asked = np.stack(
        (np.full_like(keys, 3), np.take_along_axis(keys, order, 1), np.take_along_axis(values, order, 1)), 2
    ).reshape(rows, -1)
    return torch.from_numpy(np.concatenate((facts, asked), 1)), torch.arange(3 * FACTS + 2, 6 * FACTS, 3)
