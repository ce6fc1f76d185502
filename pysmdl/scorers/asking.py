"""A scorer of what a chat model behind a server says of a picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pysmdl.errors import one_of, whole_number
from pysmdl.inputs.image import InputSettings, input_spec
from pysmdl.models import chat as talk
from pysmdl.models.remote import Remote
from pysmdl.models.views import ENCODED
from pysmdl.scorers.classes import Classifier

if TYPE_CHECKING:
    from typing_extensions import Unpack

SCORES = ("continuation", "first_token", "repeats", "similarity")
ANOTHER = "another answer"


def chat(
    url: str,
    prompt: str,
    answers: Sequence[str],
    *,
    score: str = "first_token",
    model: str | None = None,
    repeats: int = 10,
    alike: Callable[[str, str], float] = talk.word_overlap,
    settings: Mapping[str, Any] | None = None,
    concurrency: int = 16,
    retries: int = 3,
    timeout: float = 60.0,
    encode: str = "png",
    cache: str | os.PathLike[str] | None = None,
    headers: Mapping[str, str] | None = None,
    max_requests: int | None = None,
    head: Any = None,
    **input: Unpack[InputSettings],
) -> Classifier:
    """A model that talks about pictures, behind a server of OpenAI's shape: one request a view, as :func:`endpoint`.

    Classes are the answers and, last, "another answer", which has what is left of 1.

    Args:
        url: Of its chat completions, https://host/v1/chat/completions.
        prompt: What it is asked of the picture.
        answers: What it may say: what is explained is how much speaks for one of them.
        score: What that is. "first_token": the probability that its reply begins with a token that only this answer
            begins with, among the 20 likeliest. "continuation": the geometric mean of the probabilities of one
            answer's tokens, which it is made to say (vLLM's prompt_logprobs and continue_final_message). Where the
            server tells no probabilities: "repeats": the share of `repeats` replies that contain the answer, so it has
            chance in it and comes in steps of 1 / repeats; "similarity": how alike its likeliest reply is to the
            answer, which is no probability at all.
        model: Its name for the server.
        repeats: Replies to each view, all in one request (n).
        alike: ``alike(reply, answer)`` from 0 to 1, for "similarity"; as it is, F1 of their words.
        settings: Other fields of the request, max_tokens among them; they take the place of the score's own.
        concurrency, retries, timeout, encode, cache, headers, max_requests: As in :func:`endpoint`; an API key is
            ``headers={"authorization": "Bearer ..."}``.
        head, **input: As in :func:`endpoint`.

    Raises:
        ValueError: no answers, or several for "continuation".
        MissingPackageError: httpx is not installed (``pip install 'pysmdl[http]'``).
    """
    if score not in SCORES:
        raise one_of("score", score, SCORES)
    if encode not in ("png", "jpeg"):
        raise one_of("encode", encode, ("png", "jpeg"))
    given = [answers] if isinstance(answers, str) else list(answers)
    if not given or not all(isinstance(each, str) and each.strip() for each in given):
        raise ValueError(f"answers must be texts, one or more; got {answers!r}")
    if score == "continuation" and len(given) > 1:
        raise ValueError(f"answers must be one for score='continuation', which is made to be said; got {len(given)}")
    count = whole_number("repeats", repeats, 1)
    if not callable(alike):
        raise TypeError(f"alike must be callable, two texts to a number; got {alike!r}")
    if settings is not None and not isinstance(settings, Mapping):
        raise ValueError(f"settings must be other fields of the request, {{name: value}}; got {settings!r}")
    of_score: dict[str, dict[str, Any]] = {
        "first_token": {"logprobs": True, "top_logprobs": talk.TOP, "max_tokens": 1, "temperature": 0},
        "continuation": {
            "prompt_logprobs": 0, "max_tokens": 1, "continue_final_message": True, "add_generation_prompt": False,
        },
        "repeats": {"n": count, "temperature": 1},
        "similarity": {"temperature": 0},
    }  # fmt: skip
    fields = {"max_tokens": 64, **({} if model is None else {"model": model}), **of_score[score], **(settings or {})}
    begun = given[0] if score == "continuation" else None
    read = {
        "first_token": lambda: talk.first_tokens(given),
        "continuation": lambda: talk.continuation(given[0]),
        "repeats": lambda: talk.repeats(given, count),
        "similarity": lambda: talk.similarity(given, alike),
    }[score]()
    spec = input_spec(**input)
    sent: dict[str, Any] = {"concurrency": concurrency, "retries": retries, "timeout": timeout, "encode": encode}
    sent |= {"cache": cache, "headers": headers, "max_requests": max_requests}
    wrap = talk.request_of(prompt, ENCODED[encode], fields, begun)
    means = f"{score} of {given}" + (f" by {getattr(alike, '__qualname__', alike)}" if score == "similarity" else "")
    remote = Remote(url, spec, parse=read, wrap=wrap, means=means, **sent)
    scorer = Classifier(remote, spec, gives="probabilities", head=head)
    scorer.names = [*given, ANOTHER]
    return scorer
