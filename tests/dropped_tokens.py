"""Visual tokens really left out, one subset at a time: the slow way that token dropping is compared with."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from library_models import photograph

# Points of a token, each way.
SIDES = {
    "LLaVA": 8,
    "Qwen2.5-VL": 14,
    "Qwen2-VL": 14,
    "Qwen3-VL": 14,
    "Qwen3-VL-MoE": 14,
    "GLM-4.1V": 14,
    "Qwen3.5": 14,
    "InternVL": 16,
    "Aya Vision": 16,
    "Idefics3": 16,
    "Mistral 3": 16,
    "LLaVA of Pixtral": 8,
    "Gemma 3": 8,
    "PaliGemma": 8,
    "PaliGemma 2": 8,
}


def whole(family, answer, picture=None):
    """What the language model is given of the whole picture and an answer, which tokens of it are visual, and how many
    stand before the answer.
    """
    given = family.given(Image.fromarray(photograph()) if picture is None else picture)
    before = family.before(given)
    fed = family.forced(given, torch.tensor([before + answer]))
    inner, held = family.model.model, {}
    language = inner.text_model if hasattr(inner, "text_model") else inner.language_model
    hook = language.register_forward_pre_hook(lambda _, args, words: held.update(words), with_kwargs=True)
    with torch.no_grad():
        family.model(**fed)
    hook.remove()
    config = family.model.config
    image = getattr(config, "image_token_id", None) or config.image_token_index
    held["types"] = fed.get("token_type_ids")
    return held, fed["input_ids"][0] == image, len(before)


def dropped(family, whole_, answer, shown):
    """Mean probability of an answer's tokens with some visual tokens left out: one sequence, by the model itself."""
    held, visual, before = whole_
    places, deeper = held.get("position_ids"), held.get("deepstack_visual_embeds")
    keep = ~visual
    keep[visual] = torch.from_numpy(shown)
    words = {} if places is None or places.dim() < 3 else {"position_ids": places[:, :, keep]}
    if held["types"] is not None:
        words["token_type_ids"] = held["types"][:, keep]
    states = held["inputs_embeds"][:, keep]
    with torch.no_grad():
        if deeper is None:
            logits = family.model(inputs_embeds=states, use_cache=False, **words).logits[0]
        else:
            own = {
                "visual_pos_masks": visual[None, keep],
                "deepstack_visual_embeds": [each[shown] for each in deeper],
            }
            logits = family.model.lm_head(family.model.model.language_model(inputs_embeds=states, **words, **own)[0])[0]
    start = int(keep[:before].sum()) - 1
    p = logits[start : start + len(answer)].float().softmax(-1)
    return float(p[torch.arange(len(answer)), torch.tensor(answer)].mean())


def shown_tokens(shown, side, count):
    """Which visual tokens are shown, of a canvas [H, W]: its own, or those of its tiles and a small view of all."""
    if shown.size == count * side * side:
        return shown[side // 2 :: side, side // 2 :: side].ravel()
    tile = 32
    down, across = (length // tile for length in shown.shape)
    cut = [shown[i * tile :, j * tile :][:tile, :tile] for i in range(down) for j in range(across)]
    at = [((np.arange(tile) + 0.5) * length / tile).astype(int) for length in shown.shape]
    cut.append(shown[np.ix_(*at)])
    return np.concatenate([each[side // 2 :: side, side // 2 :: side].ravel() for each in cut])
