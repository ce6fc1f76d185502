"""Tokenizers and random models of texts, made here."""

from __future__ import annotations

from functools import cache

import torch

TEXT = (
    "The cat sat on the mat. A dog barked at night, and nobody came. Paris is the capital of France! "
    "Dr. Smith met J. Doe at 3.5 km. Was it cold? The key of the red box is seven. "
) * 3
CHAT = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] | trim }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


@cache
def byte_level(chat: bool = False):
    """A fast tokenizer of bytes, as GPT-2's and Qwen's are, with what begins, ends and fills texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<pad>", "<eos>", "<mask>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", mask_token="<mask>"
    )
    if chat:
        made.chat_template = CHAT
    return made


@cache
def word_pieces():
    """A fast tokenizer as BERT's: [CLS] and [SEP] around, spaces left out."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(
        [TEXT], trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def loud(network, seed: int = 0):
    """The network with weights large enough that what it says depends on what it reads."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return network.eval()


@cache
def qwen3(vocabulary: int = 403, seed: int = 0):
    """A random Qwen3 of two layers."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=2048, eos_token_id=1, pad_token_id=0,
        bos_token_id=None,
    )  # fmt: skip
    return loud(Qwen3ForCausalLM(config), seed)


@cache
def gpt2(vocabulary: int = 403):
    """A random GPT-2 of two layers: absolute positions."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=vocabulary, n_positions=512, n_embd=32, n_layer=2, n_head=4, eos_token_id=1, bos_token_id=1
    )
    return loud(GPT2LMHeadModel(config))


@cache
def bert(vocabulary: int = 300):
    """A random BERT of two layers that knows three classes."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=256, num_labels=3, id2label={0: "bad", 1: "fair", 2: "good"},
    )  # fmt: skip
    return loud(BertForSequenceClassification(config))
