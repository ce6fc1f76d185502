"""The options of the commands, each written once. A group of them is a dataclass, which a command takes whole."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeAlias, get_type_hints

import typer

from pysmdl.cli.ending import ending

NAMED = inspect.Parameter.KEYWORD_ONLY
Images: TypeAlias = Annotated[
    list[str], typer.Argument(help="Images, folders of them, or patterns.", show_default=False)
]
AnyImages: TypeAlias = Annotated[
    list[str] | None, typer.Argument(help="Images, folders of them, or patterns; .txt for texts.", show_default=False)
]
Debug: TypeAlias = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error, for bug reports.")]


@dataclass(frozen=True)
class CommonOptions:
    """Common"""

    model: Annotated[
        str,
        typer.Option(
            help="builtin:NAME, hf:FOLDER, timm:NAME[:FILE], module:attribute, a URL, a .onnx, .pt2 or TorchScript."
        ),
    ] = "builtin:digits"
    target: Annotated[str | None, typer.Option(help="Class, or words of an answer; else the model's own.")] = None
    names: Annotated[Path | None, typer.Option(help="Class names, one a line.")] = None
    preset: Annotated[
        str | None,
        typer.Option(help="A paper: smdl, lima, vps, eagle, phasewin ..."),
    ] = None
    regions: Annotated[
        str | None,
        typer.Option(
            help="Or --players: slico, seeds, grid, NAME:COUNT, time:20, words ...; explain takes several, A,B."
        ),
    ] = None
    players: Annotated[str | None, typer.Option(hidden=True)] = None  # the same, as regions= and players= are
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 ...")] = None


@dataclass(frozen=True)
class InputOptions:
    """How the model wants its input"""

    mean: Annotated[str | None, typer.Option(help="Normalisation, comma-separated; not for builtin models.")] = None
    std: Annotated[str | None, typer.Option(help="Likewise.")] = None
    size: Annotated[str | None, typer.Option(help="Model input, 224 or HEIGHTxWIDTH.")] = None
    channel_order: Annotated[str | None, typer.Option(help="rgb or bgr.")] = None
    mask_at: Annotated[str | None, typer.Option(help="model: mask after the resize; image: before it.")] = None
    crop: Annotated[float | None, typer.Option(help="The middle square over the shorter side, as 0.875.")] = None
    frames: Annotated[int | None, typer.Option(help="Of a clip, so many, evenly spaced; of a GIF too.")] = None
    prompts: Annotated[
        list[str] | None, typer.Option(help="A text that images are compared with (CLIP, SigLIP); give several.")
    ] = None
    prompt: Annotated[
        str | None, typer.Option(help="What a model that answers in words is asked; with {} for a text.")
    ] = None
    answer: Annotated[str | None, typer.Option(help="The answer to explain; the model's own if not given.")] = None


@dataclass(frozen=True)
class BoxOptions:
    """Common"""

    box: Annotated[str | None, typer.Option(help="x0,y0,x1,y1 in the image's pixels, for detectors.")] = None
    label: Annotated[list[int] | None, typer.Option(help="Class of the box; several may be given.")] = None


@dataclass(frozen=True)
class SetOptions:
    """The set function, and how it is evaluated"""

    baseline: Annotated[str | None, typer.Option(help="black, zero, mean or blur; black if not given.")] = None
    removal: Annotated[
        str | None,
        typer.Option(help="baseline; token-drop; of texts delete, replace, attention; the model's own if not given."),
    ] = None
    objective: Annotated[
        str | None, typer.Option(help="pair, smdl, lima, vps, eagle; pair (equal weights) if not given.")
    ] = None
    k: Annotated[int | None, typer.Option(help="Stop after this many regions.")] = None
    batch_size: Annotated[int | None, typer.Option(help="Rows of a forward pass; found by itself if not given.")] = None
    seed: Annotated[int, typer.Option(help="Of the searches that draw samples.")] = 0


@dataclass(frozen=True)
class ScaleOptions:
    """The set function, and how it is evaluated"""

    fuse: Annotated[str | None, typer.Option(help="Of --regions A,B: how maps become one: mean, max ...")] = None
    resolutions: Annotated[str | None, typer.Option(help="The image seen at several sizes: 224,336.")] = None
    nested: Annotated[bool, typer.Option("--nested", help="Of --regions A,B: B divides what was enough of A.")] = False


@dataclass(frozen=True)
class SearchOptions:
    """Common"""

    search: Annotated[
        str | None, typer.Option(help="A search (exact, backward ...) or method (lime, rise ...); guided if not given.")
    ] = None
    evaluations: Annotated[int | None, typer.Option(help="Budget of model evaluations an image.")] = None


def command(work: Callable[..., None]) -> Callable[..., None]:
    """A function as a command: where a parameter is a group, the command line has the group's options, under its
    docstring. Every command has --debug, and how it ends becomes an exit code.
    """
    parameters = inspect.signature(work, eval_str=True).parameters
    groups: dict[str, Any] = {
        name: each.annotation for name, each in parameters.items() if is_dataclass(each.annotation)
    }
    shown: list[inspect.Parameter] = []
    for name, parameter in parameters.items():
        shown += _options_of(groups[name]) if name in groups else [parameter.replace(kind=NAMED)]
    shown.append(inspect.Parameter("debug", NAMED, default=False, annotation=Debug))

    @wraps(work)
    def run(**given: Any) -> None:
        ending.debug |= given.pop("debug")
        made = {
            name: group(**{each.name: given.pop(each.name) for each in fields(group)}) for name, group in groups.items()
        }
        with ending():
            work(**given, **made)

    run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return run


def _options_of(group: Any) -> list[inspect.Parameter]:
    """A group's fields as parameters."""
    hints = get_type_hints(group, include_extras=True)
    for hint in hints.values():
        hint.__metadata__[0].rich_help_panel = inspect.getdoc(group)
    return [
        inspect.Parameter(each.name, NAMED, default=each.default, annotation=hints[each.name]) for each in fields(group)
    ]
