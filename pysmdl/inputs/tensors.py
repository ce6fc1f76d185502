"""Tensors in model space as inputs: [C, *grid], whatever they hold; plain signals and ids [N], arrays too."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.errors import ImageError
from pysmdl.inputs.arrays import is_array, tensor_of
from pysmdl.inputs.base import Input
from pysmdl.inputs.frames import are_frames, are_pixels, in_grey
from pysmdl.inputs.image import InputSpec
from pysmdl.inputs.image_files import Pixels
from pysmdl.inputs.sound import SoundReader

SIGNAL = 256  # points from which on numbers in a row are a signal
IDS = (torch.int32, torch.int64)


class TensorReader:
    """Floats [C, *grid] that the model takes as they are; of one or three channels on [H, W] they are a picture too, of
    three on [T, H, W] a clip, of others a volume, which of one channel is a clip where tubes divide it. Plain floats
    [N] are a signal, whole numbers [N] ids: the model is given [B, N] of them.
    """

    def takes(self, given: Any) -> bool:
        if isinstance(given, list):
            return len(given) > 0 and all(isinstance(each, Real) for each in given)
        if isinstance(given, Tensor):
            return not (are_frames(given) or are_pixels(given))
        return getattr(given, "ndim", 0) == 1 and is_array(given)

    def read(self, given: Any, spec: InputSpec, computed: bool) -> Input:
        if spec.rate is not None and isinstance(given, np.ndarray) and given.dtype in (np.uint8, np.int16, np.int32):
            return SoundReader().read(given, spec, computed)  # whose scorer says that it hears
        x = given if isinstance(given, Tensor) else tensor_of("an input array", np.array(given))
        if computed and x.dim() in (4, 5) and len(x) == 1 and x.shape[1] in (1, 3):
            x = x[0]  # a batch of one image, or of one clip
        if x.dim() == 1 and not x.is_floating_point() and not x.is_complex():
            x = x if x.dtype in IDS else x.long()
        elif x.dim() == 0 or 0 in x.shape or not x.is_floating_point():
            got = f"{x.dtype} {list(x.shape)}"
            raise ImageError(f"an input tensor must be float [C, *grid] in model space, or plain [N]; got {got}")
        if x.numel() == 0:
            raise ImageError("an input tensor must hold something; got shape [0]")
        if not torch.isfinite(x).all():
            raise ImageError("the input tensor holds NaN or infinity")
        if x.dim() == 3 and x.shape[0] in (1, 3):
            content = spec.denormalise(x)
            scale = spec.scale((x.shape[1], x.shape[2])) if spec.mask_at == "image" else (1.0, 1.0)
            return Input(x, content, content, scale, spec.doubt(x))
        return _without_picture(x, spec)

    def lend(self, given: Any) -> tuple[Any, bool]:
        if not isinstance(given, Tensor):
            return np.array(given), True
        return given.clone(), not given.is_cuda  # a thread that touches a device ends its graphs


def _without_picture(x: Tensor, spec: InputSpec) -> Input:
    """What is no image: ids, a signal, a clip, a volume, features."""
    if not x.is_floating_point():
        return Input(x, None, None, modality="ids", shown=_array(x), divided="columns")
    if x.dim() == 4 and x.shape[0] in (1, 3):
        frames = clip_frames(x, spec)
        if len(x) == 1:
            return Input(x, frames, None, modality="volume", shown=_array(x[0]), divided="grid")
        return Input(x, frames, None, modality="clip", shown=frames, divided="tubes:4x4x4")
    if x.dim() == 4:
        return Input(x, None, None, modality="volume", shown=_array(x.mean(0)), divided="grid")
    if x.dim() <= 2:
        shown = _array(x if x.dim() == 1 else x.mean(0))
        if x.shape[-1] < SIGNAL and spec.rate is None:
            return Input(x, None, None, modality="values", shown=shown, divided="columns")
        rate = None if spec.rate is None else float(spec.rate)
        return Input(x, None, None, modality="sound", shown=shown, rate=rate, divided="time:20")
    scale = spec.scale((x.shape[1], x.shape[2])) if spec.mask_at == "image" and x.dim() == 3 else (1.0, 1.0)
    if x.dim() == 3:
        return Input(x, None, in_grey(_array(x.mean(0))), scale, divided="grid")
    return Input(x, None, None, scale, modality="", divided="grid")


def clip_frames(x: Tensor, spec: InputSpec) -> Pixels:
    """A clip in model space [C, T, H, W] as pixels. uint8 [T, H, W, 3]."""
    return np.stack([spec.denormalise(x[:, t]) for t in range(x.shape[1])])


def _array(x: Tensor) -> NDArray[Any]:
    """On the host, in memory of its own."""
    found: NDArray[Any] = (x.float() if x.is_floating_point() else x).detach().cpu().numpy().copy()
    return found
