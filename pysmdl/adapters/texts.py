"""Hugging Face's models of texts: classifiers of sequences, causal language models."""

from __future__ import annotations

from typing import Any

from pysmdl.adapters.families import is_hugging_face
from pysmdl.scorers.language import language_model
from pysmdl.scorers.texts import OfTexts, text_classifier

CLASSIFYING, SPEAKING = ("ForSequenceClassification",), ("ForCausalLM", "LMHeadModel")


def text_family(model: Any) -> str | None:
    """Whether a model reads texts alone: "classes" or "language"; None: it does not."""
    if not is_hugging_face(model) or getattr(model, "main_input_name", None) != "input_ids":
        return None
    kinds = [kind.__name__ for kind in type(model).__mro__ if kind.__module__.startswith("transformers.")]
    if any(kind.endswith(CLASSIFYING) for kind in kinds):
        return "classes"
    return "language" if any(kind.endswith(SPEAKING) for kind in kinds) else None


def of_texts(model: Any, tokenizer: Any, prompt: str | None, answer: str | None, names: Any, gives: str, head: Any,
             device: Any, unfit: dict[str, Any]) -> OfTexts:  # fmt: skip
    """The scorer of a model that reads texts.

    Raises:
        ValueError: there is no tokenizer, or something is said that is of pictures or of the other family.
    """
    name, family = type(model).__name__, text_family(model)
    said = {each: value for each, value in unfit.items() if value is not None and value != {}}
    if family == "classes":
        said |= {each: value for each, value in (("prompt", prompt), ("answer", answer)) if value is not None}
    else:
        said |= {each: value for each, value in (("names", names), ("gives", gives)) if value not in (None, "logits")}
    if said:
        raise ValueError(f"{name} reads texts; drop {', '.join(said)}")
    if tokenizer is None:
        raise ValueError(f"{name} reads texts: give tokenizer=, its AutoTokenizer.from_pretrained(...)")
    if family == "classes":
        scorer: OfTexts = text_classifier(model, tokenizer, gives=gives, head=head, names=names, device=device)
        scorer.about = f"{name}, classes of a text"
    else:
        scorer = language_model(model, tokenizer, prompt=prompt, answer=answer, head=head, device=device)
        scorer.about = f"{name}, what it says after a text"
    return scorer
