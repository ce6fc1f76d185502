"""What the modules that a model runs say of it: whether they are in training mode, where they lie, of which type."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Sequence
from itertools import chain
from types import CodeType, FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.instancenorm import _InstanceNorm

DROPS_PATHS = ("DropPath", "StochasticDepth")  # of timm and torchvision
DYNAMIC = "torch.ao.nn.quantized.dynamic"
QUANTIZED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized")  # dropout and norms of theirs know one mode


def refuse_training(modules: Sequence[nn.Module]) -> None:
    """Raise ValueError where a part is in training mode and behaves otherwise there: dropout and batch statistics
    would change every answer. A part that does the same in both modes may be in either.
    """
    for module in modules:
        for part in _parts(module):
            if getattr(part, "training", False) and in_training_differs(part):
                name = next(name for name, each in module.named_modules() if each is part)
                where = type(module).__name__
                where += f".{name}" if name and not getattr(module, "training", False) else ""
                raise ValueError(f"the model is in training mode ({where}); call model.eval() first")


def mixing(modules: Sequence[nn.Module]) -> str | None:
    """A part that takes its statistics of the batch, so that a row's answer depends on the rows beside it: norms
    without running ones, layers that are quantised as they run. None: no such part is known.
    """
    for module in modules:
        for name, part in module.named_modules():
            norm = isinstance(part, _NormBase) and not isinstance(part, _InstanceNorm) and part.running_mean is None
            if norm or type(part).__module__.startswith(DYNAMIC):
                return f"{type(module).__name__}.{name}" if name else type(module).__name__
    return None


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    """A module and all within it, as ``module.modules()``, in a fifth of its time: this is done at each call."""
    if isinstance(module, torch.jit.ScriptModule):
        yield from module.modules()
        return
    known, waiting = set(), [module]
    while waiting:
        part = waiting.pop()
        if id(part) not in known:
            known.add(id(part))
            yield part
            waiting += [inner for inner in reversed(part._modules.values()) if inner is not None]


def _parameters(modules: Sequence[nn.Module]) -> Iterator[Tensor]:
    """The parameters of all modules in turn."""
    for module in modules:
        for part in _parts(module):
            yield from (each for each in part._parameters.values() if each is not None)


def _tensors(modules: Sequence[nn.Module]) -> Iterator[Tensor]:
    """Parameters, then buffers."""
    yield from _parameters(modules)
    for module in modules:
        yield from module.buffers()


def in_training_differs(part: nn.Module) -> bool:
    """Whether a module, its own parts aside, does something else in training mode than in evaluation.

    Of torch's own those that are known to: dropout, norms with running statistics, RReLU, attention and recurrent
    layers with dropout, spectral norms. Of all others those whose forward asks.
    """
    if isinstance(part, torch.jit.ScriptModule):
        return "training" in _script(part)
    if type(part).__module__.startswith(QUANTIZED):
        return False
    if isinstance(part, _DropoutNd):
        return part.p > 0
    if isinstance(part, _InstanceNorm):
        return bool(part.track_running_stats)
    if isinstance(part, _NormBase):
        return part.running_mean is not None
    if isinstance(part, nn.RReLU):
        return part.lower != part.upper
    if isinstance(part, (nn.MultiheadAttention, nn.RNNBase)):
        return part.dropout > 0 and getattr(part, "num_layers", 2) > 1
    if "SpectralNorm" in f"{type(part).__name__} {[type(hook).__name__ for hook in part._forward_pre_hooks.values()]}":
        return True
    if type(part).__name__ in DROPS_PATHS and getattr(part, "drop_prob", getattr(part, "p", None)) == 0:
        return False
    kind: Any = type(part)
    return _class_asks(kind) or _asks(type(part), vars(part).get("forward"))


def _script(part: torch.jit.ScriptModule) -> str:
    """TorchScript's code of a module's forward; empty where it has none."""
    try:
        return str(part.code)
    except (AttributeError, RuntimeError):
        return ""


@functools.lru_cache(maxsize=1024)
def _class_asks(kind: Any) -> bool:
    return _asks(kind, kind.forward)


def _asks(kind: type, forward: Any) -> bool:
    """Whether a class's forward, or a method that it calls, looks at an attribute `training`; torch's do not count."""
    waiting, known = [forward], set()
    while waiting:
        function = waiting.pop()
        function = inspect.unwrap(getattr(function, "__func__", function))
        if not isinstance(function, FunctionType) or function in known:
            continue
        known.add(function)
        if str(function.__globals__.get("__name__")).startswith("torch."):
            continue
        names = set(_names(function.__code__))
        if "training" in names:
            return True
        waiting += [vars(base)[name] for base in kind.__mro__ for name in names & vars(base).keys()]
    return False


def _names(code: CodeType) -> Iterator[str]:
    """The attributes and globals that code names, with the functions written inside it."""
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    return chain(code.co_names, *map(_names, inner))


def device_of(modules: Sequence[nn.Module], device: str | torch.device | None) -> torch.device:
    """Where the batch must be: where the model's parameters are, of several devices that of the first.

    A model of which parts are offloaded says it itself (accelerate's hooks and device map).

    Raises:
        ValueError: `device` was given and is none of this machine, or the model lives elsewhere, or its weights were
            never loaded.
    """
    first = next(_tensors(modules), None)
    own = None if first is None else first.device
    if first is not None and (first.is_meta or any("hf_device_map" in vars(module) for module in modules)):
        own = _offloaded(modules) or next((each.device for each in _tensors(modules) if not each.is_meta), None)
        if own is None:
            raise ValueError("the model's weights are on the meta device, so it has none: load them first")
    if device is None:
        return own or torch.device("cpu")
    wanted = device_here(device)
    if own is not None and wanted != own and wanted not in {each.device for each in _tensors(modules)}:
        raise ValueError(f"device is {wanted}, but the model's parameters are on {own}; move the model or drop device=")
    return wanted


def device_here(device: str | torch.device) -> torch.device:
    """A device by its name; "cuda" is the current one.

    Raises:
        ValueError: there is no such device on this machine.
    """
    try:
        return torch.zeros(0, device=torch.device(device)).device
    except (RuntimeError, AssertionError, TypeError) as error:  # torch asserts that it was built for the device
        gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
        here = " or ".join(["cpu", *(["cuda"] if gpus else []), *gpus])
        why = str(error).splitlines()[0]
        raise ValueError(f"device must be {here} on this machine; got {device!r} ({why})") from error


def _offloaded(modules: Sequence[nn.Module]) -> torch.device | None:
    """Where accelerate runs what meets the batch first, of modules it moves about; None for all others."""
    parts = [part for module in modules for part in _parts(module)]
    hooks = [vars(part)["_hf_hook"] for part in parts if "_hf_hook" in vars(part)]
    said: list[Any] = [getattr(each, "execution_device", None) for hook in hooks for each in _each(hook)]
    placed = [place for module in modules for place in vars(module).get("hf_device_map", {}).values()]
    said += [place for place in placed if place not in ("disk", "cpu")] + ["cpu"] * bool(placed)
    found = next((each for each in said if each is not None), None)
    return torch.device("cuda", found) if isinstance(found, int) else found and torch.device(found)


def _each(hook: Any) -> Sequence[Any]:
    """A hook of accelerate's, or those that one runs in turn."""
    return getattr(hook, "hooks", (hook,))


def likes_channels_last(modules: Sequence[nn.Module]) -> bool:
    """Whether the model's convolution weights are in channels-last order (``model.to(memory_format=...)``)."""
    last, found = torch.channels_last, False
    for weight in _parameters(modules):
        if weight.dim() == 4 and min(weight.shape[1:]) > 1:
            found = weight.is_contiguous(memory_format=last) and not weight.is_contiguous()
            if not found:
                return False
    return found


def dtype_of(modules: Sequence[nn.Module]) -> torch.dtype:
    """The type of the first parameters of floating point, which the batch meets: others may have another."""
    return next((each.dtype for each in _parameters(modules) if each.is_floating_point()), torch.float32)


def types_apart(modules: Sequence[nn.Module]) -> list[torch.dtype]:
    """The types of the parameters of floating point, as many as there are."""
    return list(dict.fromkeys(each.dtype for each in _parameters(modules) if each.is_floating_point()))
