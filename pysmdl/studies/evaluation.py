"""Methods against each other: on the same images, regions and model."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from pysmdl.errors import described, one_of, whole_number
from pysmdl.explainer import Explainer
from pysmdl.explanation import Explanation
from pysmdl.inputs.image_files import load
from pysmdl.inputs.items import as_dict
from pysmdl.interop.game import Game
from pysmdl.metrics import mu_fidelity, region_values
from pysmdl.profiling import Profile
from pysmdl.progress import Report
from pysmdl.studies.comparison import Comparison, Run

__all__ = ["Comparison", "Run", "compare", "method_by_method", "methods_named"]

log = logging.getLogger("pysmdl")

AT_ONCE = 256  # images that are kept, with their label maps, until all methods are through with them


def compare(items: Iterable[Any], model: Any, methods: Mapping[str, Mapping[str, Any]], **settings: Any) -> Comparison:
    """Explain each image with each method and measure what each is worth.

    Arguments are those of :func:`method_by_method`.
    """
    found = Comparison()
    for each in method_by_method(items, model, methods, **settings):
        found = each
    return found


def method_by_method(
    items: Iterable[Any],
    model: Any,
    methods: Mapping[str, Mapping[str, Any]],
    *,
    mufidelity: int = 0,
    progress: bool | Report = False,
    on_error: str = "raise",
    **settings: Any,
) -> Iterator[Comparison]:
    """:func:`compare`, as it comes: one method after the other. The arguments are checked before anything runs.

    Args:
        items: As for :func:`pysmdl.explain_many`. Read once, 256 at a time: all methods explain these before more are
            read. Arrays and tensors are copied. Regions are computed once an image and shared by the methods.
        model: As for :func:`pysmdl.explain`.
        methods: Name to what distinguishes it: search, objective, evaluations ... of :func:`pysmdl.explain`.
        mufidelity: Random subsets for MuFidelity, evaluated on top of the methods' own; 0 leaves it out.
        progress: As for :func:`pysmdl.explain`, a bar for each method.
        on_error: "raise", or "skip": an image that fails is logged and left out of that method's rows.
        **settings: Common to all methods.

    Yields:
        The comparison whenever it has grown, by an explanation or its MuFidelity: one object.

    Raises:
        ValueError: no methods; else as :func:`pysmdl.explain`.
    """
    if not methods:
        raise ValueError("methods must name at least one")
    if mufidelity != 0:
        mufidelity = whole_number("mufidelity, where it is not 0,", mufidelity, 2)
    if on_error not in ("raise", "skip"):
        raise one_of("on_error", on_error, ("raise", "skip"))
    common = Explainer(model, **settings)
    runs = {name: _Method(Explainer(model, **{**settings, **own})) for name, own in methods.items()}

    def measure(explanation: Explanation, item: Mapping[str, Any]) -> float:
        game = Game(item["image"], model, item.get("target"), regions=item["regions"], **_of_game(settings))
        return mu_fidelity(game, region_values(explanation), samples=mufidelity)

    def run() -> Iterator[Comparison]:
        found = Comparison(explanations={name: [] for name in runs})
        numbered = enumerate(items)
        for first in numbered:
            some = itertools.chain([first], itertools.islice(numbered, AT_ONCE - 1))
            shared = _with_regions(some, common, on_error)
            pixels: dict[int, Any] = {}
            for name, method in runs.items():
                added = []
                for explanation in method.explain(shared, progress, on_error):
                    explanation.pixels = pixels.setdefault(explanation.index, explanation.pixels)  # kept once
                    added.append((found.add(name, explanation), explanation))
                    yield found
                found.runs[name] = method.cost(found.explanations[name])
                for row, explanation in added if mufidelity else ():
                    with _tolerating(on_error, f"MuFidelity of {row['image']} by {name} left out"):
                        row["mu_fidelity"] = measure(explanation, shared[explanation.index])
                    yield found

    return run()


def methods_named(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Methods from text: NAME or NAME:EVALUATIONS, a search or a method each.

    Raises:
        ValueError: an evaluation count that is none.
    """
    found = {}
    for name in names:
        search, colon, count = name.partition(":")
        if colon and not (count.isdecimal() and int(count) > 0):
            raise ValueError(f"a method must be NAME or NAME:EVALUATIONS with a whole number; got {name!r}")
        found[name] = {"search": search, **({"evaluations": int(count)} if colon else {})}
    return found


def _with_regions(items: Iterable[tuple[int, Any]], explainer: Explainer, on_error: str) -> dict[int, dict[str, Any]]:
    """The items by number, with their label maps, so that every method divides them alike."""
    shared = {}
    for number, item in items:
        name = item.get("id", number) if isinstance(item, Mapping) else number
        with _tolerating(on_error, f"input {name!r} skipped"):
            named = {key: _own(value) for key, value in as_dict(item).items()}
            prepared = explainer.prepare(named)
            shared[number] = {**named, "regions": prepared.regions}
    return shared


def _own(value: Any) -> Any:
    """A copy of what its owner may fill anew before the last method is through with it."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    return load(value) if hasattr(value, "getexif") else value  # Pillow's: its file may be closed


class _Method:
    """One method on all images.

    Args:
        explainer: What it is.
    """

    def __init__(self, explainer: Explainer) -> None:
        self._explainer, self._profile = explainer, Profile()

    def explain(self, shared: Mapping[int, Any], progress: bool | Report, on_error: str) -> Iterator[Explanation]:
        """The explanations of some images as each is done; what Ctrl-C cuts short is none to compare."""
        numbers = list(shared)
        for found in self._explainer.run(shared.values(), progress, on_error, self._profile):
            if found.notes.get("stopped") == "interrupted":
                continue
            found.index = numbers[found.index]  # among all items, those left out included
            yield found

    def cost(self, explanations: Sequence[Explanation]) -> Run:
        """What these cost, which are all so far."""
        evaluations = sum(each.evaluations for each in explanations)
        return Run(evaluations, self._profile.seconds, self._profile.stages()["model"])


@contextmanager
def _tolerating(on_error: str, what: str) -> Iterator[None]:
    """Errors inside are logged instead of raised, where that was asked for."""
    try:
        yield
    except Exception as error:
        if on_error == "raise":
            raise
        log.error("%s: %s", what, described(error))


def _of_game(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of explain()'s settings that say what the set function is."""
    names = ("baseline", "removal", "batch_size", "device", "config")
    return {name: settings[name] for name in names if name in settings}
