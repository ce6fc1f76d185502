"""Where a phrase is in a picture, by models that say so in boxes: Florence-2's locations, Grounding DINO's boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from pysmdl.adapters import adapt
from pysmdl.adapters.families import answering_family
from pysmdl.adapters.image_text import answering
from pysmdl.adapters.words import understood
from pysmdl.inputs.image import InputSettings
from pysmdl.scorers import Scorer
from pysmdl.scorers.answers import AnswerScorer
from pysmdl.scorers.locations import boxes

if TYPE_CHECKING:
    from typing_extensions import Unpack

TASK = "<CAPTION_TO_PHRASE_GROUNDING>"  # Florence-2's


class PhraseScorer(AnswerScorer):
    """The four location tokens of a phrase's box in the model's own answer. Targets of other kinds are as ever."""

    phrase = ""

    def meant(self, words: Any, pieces: Sequence[str]) -> tuple[int, ...]:
        if words is not None:
            return super().meant(words, pieces)
        found = boxes(pieces, (1, 1))
        if not found:
            raise ValueError(f"the model finds no {self.phrase!r} in the picture; its answer is {''.join(pieces)!r}")
        wanted = self.phrase.strip().lower()
        return tuple(next((each for each in found if each.name.lower() == wanted), found[0]).tokens.positions)


def grounding(
    model: Any,
    processor: Any,
    phrase: str,
    *,
    transform: Any = None,
    tokenizer: Any = None,
    device: str | torch.device | None = None,
    **input: Unpack[InputSettings],
) -> Scorer:
    """Where a phrase is in a picture: ``explain(image, scorer)`` explains its box.

    Florence-2 is asked by its task of phrase grounding; the score is the mean probability of the four location tokens
    of the first box that it names by the phrase, or else of the first. ``scorer.boxes(image)`` lists all. Grounding
    DINO and OWL-ViT are given the phrase as their only prompt, and their surest box is explained as a detector's is.

    Args:
        model: Of transformers.
        processor: Its processor.
        phrase: "the cat".
        transform, tokenizer, device, **input: As in :func:`pysmdl.adapt`.

    Raises:
        ValueError: phrase is no text, or the model does not look for phrases.
    """
    if not isinstance(phrase, str) or not phrase.strip():
        raise ValueError(f"phrase must be a text; got {phrase!r}")
    if answering_family(model) is None:
        return adapt(
            model,
            processor=processor,
            prompts=[phrase],
            transform=transform,
            tokenizer=tokenizer,
            device=device,
            **input,
        )
    if "Florence2" not in type(model).__name__:
        raise ValueError(
            f"phrases are found by Florence-2, Grounding DINO and OWL-ViT; {type(model).__name__} answers in words: "
            "give pysmdl.adapt a prompt="
        )
    asked = TASK + phrase
    scorer = answering(model, processor, transform, tokenizer, asked, None, device, input, PhraseScorer)
    assert isinstance(scorer, PhraseScorer)
    scorer.phrase, scorer.about = phrase, understood(model, scorer)
    return scorer
