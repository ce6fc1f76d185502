"""Servers of OpenAI's shape that look at pictures: what is sent of a view, and what a reply says of some answers."""

from __future__ import annotations

import base64
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pysmdl.errors import ScorerError

TOP = 20  # log-probabilities of a position that servers give at most
Reading = Callable[[Any], list[float]]


def request_of(
    prompt: str, kind: str, settings: Mapping[str, Any], begun: str | None = None
) -> Callable[[bytes], bytes]:
    """A function of an encoded picture to the JSON of a request about it.

    Args:
        prompt: Text beside the picture.
        kind: Content type of the picture.
        settings: The request's other fields.
        begun: What the model is made to have said already.
    """
    return partial(_wrapped, prompt, kind, settings, begun)


def _wrapped(prompt: str, kind: str, settings: Mapping[str, Any], begun: str | None, picture: bytes) -> bytes:
    url = f"data:{kind};base64,{base64.b64encode(picture).decode()}"
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": prompt}]
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if begun is not None:
        messages.append({"role": "assistant", "content": begun})
    return json.dumps({**settings, "messages": messages}, sort_keys=True).encode()


def first_tokens(answers: Sequence[str]) -> Reading:
    """The probability that the reply begins with a token that only this answer begins with, of each answer."""
    return partial(_first_tokens, [_plain(each) for each in answers])


def _first_tokens(plain: Sequence[str], reply: Any) -> list[float]:
    try:
        listed = reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        tokens = [(_plain(each["token"]), math.exp(each["logprob"])) for each in listed]
    except (KeyError, IndexError, TypeError):
        raise ScorerError(
            "the server gives no log-probabilities of its tokens (choices[0].logprobs.content): "
            'score="repeats" and score="similarity" need none'
        ) from None
    found = [0.0] * len(plain)
    for token, p in tokens:
        begun = [number for number, answer in enumerate(plain) if token and answer.startswith(token)]
        if len(begun) == 1:
            found[begun[0]] += p
    return _with_rest(found)


def continuation(answer: str) -> Reading:
    """The geometric mean of the probabilities of an answer's tokens, where the model was made to have said it."""
    return partial(_continuation, answer)


def _continuation(answer: str, reply: Any) -> list[float]:
    try:
        said = [next(iter(each.values())) for each in reply["prompt_logprobs"] if each]
        tokens = [(str(each["decoded_token"]), float(each["logprob"])) for each in said]
    except (KeyError, TypeError, AttributeError):
        raise ScorerError(
            "the server gives no log-probabilities of what it is made to say (prompt_logprobs, as vLLM has them): "
            'score="first_token", score="repeats" and score="similarity" need none'
        ) from None
    text, logs = "", []
    for token, log_p in reversed(tokens):
        text = token + text
        logs.append(log_p)
        if text.strip() == answer.strip():
            return _with_rest([math.exp(sum(logs) / len(logs))])
        if len(text.strip()) > len(answer.strip()):
            break
    raise ScorerError(f"the server must end with {answer!r}, what it was made to say; it ends with {text!r}")


def repeats(answers: Sequence[str], count: int) -> Reading:
    """The share of replies that contain an answer, of each answer."""
    return partial(_repeats, answers, count)


def _repeats(answers: Sequence[str], count: int, reply: Any) -> list[float]:
    said = [_plain(each) for each in texts(reply)]
    if len(said) != count:
        raise ScorerError(f"the server must give as many replies as it is asked for, n={count}; got {len(said)}")
    return _with_rest([sum(_plain(answer) in each for each in said) / count for answer in answers])


def similarity(answers: Sequence[str], alike: Callable[[str, str], float]) -> Reading:
    """How alike the reply is to an answer, of each answer."""
    return partial(_similarity, answers, alike)


def _similarity(answers: Sequence[str], alike: Callable[[str, str], float], reply: Any) -> list[float]:
    (said, *_) = texts(reply)
    return _with_rest([float(alike(said, answer)) for answer in answers])


def texts(reply: Any) -> list[str]:
    """What a reply's choices say, at least one.

    Raises:
        ScorerError: it is no reply of OpenAI's shape.
    """
    try:
        said = [str(each["message"]["content"] or "") for each in reply["choices"]]
    except (KeyError, TypeError):
        said = []
    if not said:
        raise ScorerError(f"the server must reply in OpenAI's shape, with choices; got {str(reply)[:80]}")
    return said


def word_overlap(said: str, answer: str) -> float:
    """F1 of the words that two texts have in common, whatever their order: 0 to 1."""
    one, other = (Counter(_plain(text).split()) for text in (said, answer))
    return 2 * (one & other).total() / max(1, one.total() + other.total())


def _plain(text: str) -> str:
    return text.strip().strip(".,;:!?\"'").casefold()


def _with_rest(found: list[float]) -> list[float]:
    """And what is left for another answer."""
    return [*found, max(0.0, 1.0 - sum(found))]
