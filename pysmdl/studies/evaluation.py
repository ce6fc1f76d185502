"""Methods against each other: on the same images, regions and model."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from os import PathLike
from typing import Any

import numpy as np
import torch

from pysmdl.errors import one_of, whole_number
from pysmdl.explainer import Explainer
from pysmdl.explanation import Explanation
from pysmdl.inputs.image_files import load
from pysmdl.inputs.items import as_dict
from pysmdl.interop.game import Game
from pysmdl.jobs.task import WORDS
from pysmdl.metrics import mu_fidelity, region_values
from pysmdl.progress import Report
from pysmdl.studies.comparison import Comparison, Run
from pysmdl.studies.keeping import Kept, Shelf, id_of
from pysmdl.studies.method import Method, tolerating

__all__ = ["Comparison", "Run", "compare", "method_by_method", "methods_named"]

AT_ONCE = 256  # images that are kept, with their label maps, until all methods are through with them
MEASURED = 32  # likewise where what is stored waits for its MuFidelity


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
    store: str | PathLike[str] | Kept | None = None,
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
        store: A folder, or an address of fsspec's, where explanations are kept, a store for each method. What is there
            already, by method and id, is read instead of made.
        **settings: Common to all methods.

    Yields:
        The comparison whenever it has grown, by an explanation or its MuFidelity: one object.

    Raises:
        ValueError: no methods, an id twice that is to be stored; else as :func:`pysmdl.explain`.
        StoreError: a store was made with other settings, or cannot be written to.
    """
    if not isinstance(methods, Mapping) or not methods:
        raise ValueError(f"methods must be one at least, {{name: settings}}; got {methods!r}")
    if mufidelity != 0:
        mufidelity = whole_number("mufidelity, where it is not 0,", mufidelity, 2)
    if on_error not in ("raise", "skip"):
        raise one_of("on_error", on_error, ("raise", "skip"))
    common = Explainer(model, **settings)
    explainers = {name: Explainer(model, **{**settings, **own}) for name, own in methods.items()}
    runs = {name: Method(each) for name, each in explainers.items()}
    shelves: dict[str, Shelf] = {}
    if store is not None:
        kept = store if isinstance(store, Kept) else Kept(store, words=_words(settings))
        shelves = {name: Shelf(kept, name, each, mufidelity) for name, each in explainers.items()}

    def measure(explanation: Explanation, item: Mapping[str, Any]) -> float:
        how = item.get("regions", settings.get("regions", settings.get("players")))
        game = Game(item["image"], model, item.get("target"), regions=how, **_of_game(settings))
        return mu_fidelity(game, region_values(explanation), samples=mufidelity)

    def run() -> Iterator[Comparison]:
        found = Comparison(explanations={name: [] for name in runs})
        numbered, seen = enumerate(common.inputs.several(items)), set[str]()
        for first in numbered:
            count = MEASURED if shelves and mufidelity else AT_ONCE
            some = itertools.chain([first], itertools.islice(numbered, count - 1))
            shared = _with_regions(some, common, on_error, list(shelves.values()), seen)
            pixels: dict[int, Any] = {}
            for name, method in runs.items():
                added = []
                for explanation in method.explain(shared, progress, on_error):
                    if explanation.pixels is not None:
                        explanation.pixels = pixels.setdefault(explanation.index, explanation.pixels)  # kept once
                    row = found.add(name, explanation)
                    if mufidelity and not method.has(explanation.id):
                        added.append((row, explanation))
                    else:
                        method.keep(explanation)
                    yield found
                found.runs[name] = method.cost(found.explanations[name])
                for row, explanation in added:
                    with tolerating(on_error, f"MuFidelity of {row['image']} by {name} left out"):
                        row["mu_fidelity"] = measure(explanation, shared[explanation.index])
                        explanation.notes["mu_fidelity"] = row["mu_fidelity"]
                    method.keep(explanation)
                    yield found

    def run_and_keep() -> Iterator[Comparison]:
        with ExitStack() as stack:
            for name, shelf in shelves.items():
                runs[name].shelf = stack.enter_context(shelf)
            yield from run()

    return run_and_keep()


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


def _with_regions(
    items: Iterable[tuple[int, Any]], explainer: Explainer, on_error: str, shelves: Sequence[Shelf], seen: set[str]
) -> dict[int, dict[str, Any]]:
    """The items by number, with their label maps, so that every method divides them alike; without, and only with an
    id, where all methods' stores have them.
    """
    shared: dict[int, dict[str, Any]] = {}
    for number, item in items:
        name = item.get("id", number) if isinstance(item, Mapping) else number
        with tolerating(on_error, f"input {name!r} skipped"):
            named = {key: _own(value) for key, value in as_dict(item).items()}
            if shelves:
                named["id"] = _unseen(id_of(named, number), seen)
            if not shelves or any(named["id"] not in shelf for shelf in shelves):
                divided = explainer.prepare(named)
                if divided.modality != "several":  # whose players are given by name
                    named["regions"] = divided.regions
            shared[number] = named
    return shared


def _unseen(id: str, seen: set[str]) -> str:
    if id in seen:
        raise ValueError(f"ids must be unique; {id!r} is there twice")
    seen.add(id)
    return id


def _own(value: Any) -> Any:
    """A copy of what its owner may fill anew before the last method is through with it."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    return load(value) if hasattr(value, "getexif") else value  # Pillow's: its file may be closed


def _words(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: settings[name] for name in WORDS if settings.get(name) is not None}


def _of_game(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of explain()'s settings that say what the set function is."""
    names = ("baseline", "removal", "batch_size", "device", "config")
    return {name: settings[name] for name in names if name in settings}
