"""Tensors in model space as inputs: [C, *grid], whatever they hold."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pysmdl.errors import ImageError
from pysmdl.inputs.base import Input
from pysmdl.inputs.image import InputSpec


class TensorReader:
    """Floats [C, *grid] that the model takes as they are; of one or three channels on [H, W] they are a picture too."""

    def takes(self, given: Any) -> bool:
        return isinstance(given, Tensor)

    def read(self, given: Tensor, spec: InputSpec, computed: bool) -> Input:
        x = given[0] if computed and given.dim() == 4 and len(given) == 1 else given  # a batch of one image
        if x.dim() < 2 or 0 in x.shape or not x.is_floating_point():
            hint = "; a plain [N] goes in as x[None], one channel" if x.dim() == 1 else ""
            got = f"{x.dtype} {list(given.shape)}{hint}"
            raise ImageError(f"an input tensor must be float [C, *grid] in model space; got {got}")
        if not torch.isfinite(x).all():
            raise ImageError("the input tensor holds NaN or infinity")
        pictured = x.dim() == 3 and x.shape[0] in (1, 3)
        content = spec.denormalise(x) if pictured else None
        resized = spec.mask_at == "image" and x.dim() == 3
        scale = spec.scale((x.shape[1], x.shape[2])) if resized else (1.0, 1.0)
        return Input(x, content, content, scale, spec.doubt(x))

    def lend(self, given: Tensor) -> tuple[Tensor, bool]:
        return given.clone(), not given.is_cuda  # a thread that touches a device ends its graphs
