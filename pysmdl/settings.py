"""The settings that all ways of explaining share, spelt out for editors, type checkers and help()."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from pysmdl.config import EngineConfig
from pysmdl.inputs.image import InputSettings

if TYPE_CHECKING:
    import torch

    from pysmdl.objective import Objective
    from pysmdl.removal import Removal
    from pysmdl.search import Search

F = TypeVar("F", bound=Callable[..., Any])
ENGINES = {each.name for each in fields(EngineConfig)}  # settings that config= has


class Common(TypedDict, total=False):
    """Those that say nothing of regions or players."""

    baseline: Any
    removal: str | Removal | None
    preset: str | None
    objective: str | Objective | None
    search: str | Search | None
    names: Any
    trace: Any
    k: int | None
    evaluations: int | None
    batch_size: int | None
    device: str | torch.device | None
    seed: int
    until: str | None
    processor: Any
    transform: Any
    tokenizer: Any
    prompts: Any
    prompt: str | None
    answer: str | None
    gives: str | None
    head: Any
    decode: Any
    config: EngineConfig | None


class Undivided(Common, total=False):
    """Those that say nothing of regions."""

    players: Any


class Settings(Undivided, total=False):
    """What :func:`pysmdl.explain` takes beside its input, by keyword; see there."""

    regions: Any


def spelt_out(like: Callable[..., Any], but: tuple[str, ...] = ()) -> Callable[[F], F]:
    """For a function whose **settings are those of another: help() shows them one by one, and names are checked.

    Args:
        like: The function whose keywords they are.
        but: Those that do not count here.

    Raises:
        TypeError: when called with a setting that there is not; the message has the nearest ones.
    """
    signature = inspect.signature(like)
    settings = [
        each for each in signature.parameters.values() if each.kind is each.KEYWORD_ONLY and each.name not in but
    ]

    def decorated(function: F) -> F:
        own = inspect.signature(function)
        named = [each for each in own.parameters.values() if each.kind is not each.VAR_KEYWORD]
        known = [each.name for each in (*named, *settings)]

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            unknown = next((name for name in kwargs if name not in known), None)
            if unknown is not None:
                name = function.__qualname__.removesuffix(".__init__")
                raise TypeError(f"{name} has no setting {unknown!r}; {_instead(unknown, kwargs[unknown], known)}")
            return function(*args, **kwargs)

        called.__signature__ = own.replace(parameters=[*named, *settings])  # type: ignore[attr-defined]
        return called  # type: ignore[return-value]

    return decorated


def _instead(unknown: str, value: Any, known: list[str]) -> str:
    if unknown in InputSettings.__optional_keys__:
        return f"a scorer has, pysmdl.scorers.classifier(model, {unknown}=...)"
    if "config" in known and unknown in ENGINES:
        return f"there is config=pysmdl.EngineConfig({unknown}={value!r})"
    return f"there is {', '.join(difflib.get_close_matches(unknown, known, 3, 0.5) or known)}"
