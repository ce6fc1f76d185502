"""What torch says where a batch does not fit a model, in words that tell what to give."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import nn

from pysmdl.models.inspect import types_apart

DIFFER = ("dtype", "scalar type", "Input type")  # what torch says where layers meet numbers of another type
CHANNELS = re.compile(r"to have (\d+) channels, but got (\d+) channels")  # and where a convolution meets others


def in_words(error: RuntimeError, modules: Sequence[nn.Module]) -> str | None:
    """What went wrong: weights of several types met, or another number of channels; None: something else."""
    types = types_apart(modules) if any(word in str(error) for word in DIFFER) else []
    if len(types) > 1:
        listed = " and ".join(str(each).removeprefix("torch.") for each in types)
        return (
            f"the model's weights are {listed}, and it does not convert between them: convert in its forward (a head "
            f"in float32 takes features.float()), or call model.to(torch.float32) ({error})"
        )
    found = CHANNELS.search(str(error))
    if found is None:
        return None
    wanted, given = found.groups()
    grey = "a transform= that makes a grey picture, [1, H, W], or " if wanted == "1" else ""
    return (
        f"the model takes {wanted} channels and was given {given}: give {grey}the input as a tensor [{wanted}, H, W] "
        f"in model space ({error})"
    )
