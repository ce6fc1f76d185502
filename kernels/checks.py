"""What the C++ refuses, for the launchers that are Python: dtypes, memory that overlaps, numbers that are out of range.

Numbers are looked at where they lie on the CPU; a GPU would have to be waited for. There the kernels never read or
write outside, whatever they are given.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor

Launcher = Callable[..., None]

FLOATS = (torch.float32, torch.float16, torch.bfloat16)
WORDS = (*FLOATS, torch.int32, torch.int64)  # what compose selects: numbers, and ids


def expect_no_overlap(name: str, tensor: Tensor) -> None:
    """Raise ValueError where an element of the tensor may lie where another one does, as in expanded ones."""
    reach = 0
    for step, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1 and tensor.numel():
            if step <= reach:
                found = f"shape {list(tensor.shape)} with strides {list(tensor.stride())}"
                raise ValueError(f"{name} must not overlap itself; got {found}")
            reach += (size - 1) * step


def expect_apart(out: Tensor, given: Tensor) -> None:
    """Raise ValueError where an op would write to what it reads."""
    spans = []
    for tensor in (out, given):
        last = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
        first = tensor.data_ptr()
        spans.append((first, first + (last + 1) * tensor.element_size() if tensor.numel() else first))
    (first, last), (other_first, other_last) = spans
    if max(first, other_first) < min(last, other_last):
        raise ValueError("out must not share memory with what is read; give it memory of its own")


def expect_within(index: Tensor, least: int | None, end: int, text: str) -> None:
    """Raise ValueError for the first number of an index outside [least, end): `text` with its {place} and {number}."""
    if index.device.type != "cpu":
        return
    flat = index.flatten()
    wrong = (flat >= end) if least is None else (flat >= end) | (flat < least)
    if wrong.any():
        place = int(wrong.nonzero()[0])
        raise ValueError(text.format(place=place, number=int(flat[place])))


def expect_floats(**tensors: Tensor) -> None:
    """Raise ValueError unless all are of the first one's dtype, and the kernels read that."""
    (name, first), *_ = tensors.items()
    if first.dtype not in FLOATS:
        raise ValueError(f"{name} must be float32, float16 or bfloat16, got {_name(first.dtype)}")
    expect_dtype(first.dtype, **tensors)


def expect_dtype(dtype: torch.dtype, **tensors: Tensor) -> None:
    """Raise ValueError for the first that is not of this dtype."""
    for name, tensor in tensors.items():
        if tensor.dtype != dtype:
            raise ValueError(f"{name} must be {_name(dtype)}, got {_name(tensor.dtype)}")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def check_compose(x: Tensor, baseline: Tensor, labels: Tensor, rows: Tensor, source: Tensor, out: Tensor) -> None:
    """No row shows an input that is not there."""
    if x.dtype not in WORDS:
        raise ValueError(f"x must be float32, float16, bfloat16, int32 or int64, got {_name(x.dtype)}")
    expect_dtype(x.dtype, baseline=baseline, out=out)
    expect_dtype(torch.int32, labels=labels, rows=rows, source=source)
    expect_within(source, None, x.shape[0], f"source[{{place}}] is {{number}}, x holds {x.shape[0]} inputs")


def check_blend(x: Tensor, baseline: Tensor, labels: Tensor, weights: Tensor, source: Tensor, out: Tensor) -> None:
    """No row shows an input that is not there."""
    expect_floats(x=x, baseline=baseline, out=out)
    expect_dtype(torch.float32, weights=weights)
    expect_dtype(torch.int32, labels=labels, source=source)
    expect_within(source, None, x.shape[0], f"source[{{place}}] is {{number}}, x holds {x.shape[0]} inputs")


def check_class_scores(logits: Tensor, targets: Tensor, entropy: bool, out: Tensor) -> None:
    """Each target is a class."""
    expect_dtype(torch.int32, targets=targets)
    expect_dtype(torch.float32, out=out)
    classes = logits.shape[1]
    expect_within(targets, None, classes, f"target {{number}} is out of range for {classes} classes")


def check_distance_gains(distances: Tensor, nearest: Tensor, members: Tensor, candidates: Tensor, out: Tensor) -> None:
    """Members and candidates are regions."""
    expect_dtype(torch.float32, distances=distances, nearest=nearest, out=out)
    expect_dtype(torch.int32, members=members, candidates=candidates)
    regions = distances.shape[0]
    for name, index in (("members", members), ("candidates", candidates)):
        expect_within(index, 0, regions, f"{name}[{{place}}] is {{number}}, there are {regions} regions")


def check_match_boxes(
    boxes: Tensor, confidences: Tensor, target: Tensor, labels: Tensor, mode: Tensor, floor: float, out: Tensor
) -> None:
    """Each label is a class, each mode one that there is."""
    expect_floats(confidences=confidences)
    expect_dtype(torch.float32, boxes=boxes, target=target, out=out)
    expect_dtype(torch.int32, labels=labels, mode=mode)
    classes = confidences.shape[2]
    expect_within(labels, None, classes, f"label {{number}} is out of range for {classes} classes")
    expect_within(mode, 0, 3, "mode[{place}] is {number}, modes are 0 to 2")


def check_pack_tokens(x: Tensor, labels: Tensor, rows: Tensor, source: Tensor, offsets: Tensor, out: Tensor) -> None:
    """No row is of an input that is not there, and each one's tokens have a place of their own in out."""
    expect_floats(x=x, out=out)
    expect_dtype(torch.int32, labels=labels, rows=rows, source=source, offsets=offsets)
    expect_within(source, 0, x.shape[0], f"source[{{place}}] is {{number}}, x holds {x.shape[0]} inputs")
    if offsets.device.type != "cpu":
        return
    first, last, room = int(offsets[0]), int(offsets[-1]), out.shape[0]
    if first != 0 or last > room:
        raise ValueError(f"offsets must begin with 0 and end within the {room} rows of out, got {first} to {last}")
    _expect_ascending(offsets, least=0)


def check_varlen_attention(
    q: Tensor, k: Tensor, v: Tensor, offsets: Tensor, longest: int, scale: float, out: Tensor
) -> None:
    """Each sequence has tokens, and they are there."""
    expect_floats(q=q, k=k, v=v, out=out)
    expect_dtype(torch.int32, offsets=offsets)
    if offsets.device.type != "cpu":
        return
    first, last = int(offsets[0]), int(offsets[-1])
    if first < 0 or last > q.shape[0]:
        raise ValueError(f"offsets must be 0 to {q.shape[0]}, the tokens of q; got {first} to {last}")
    _expect_ascending(offsets, least=1)
    most = int(offsets.diff().max()) if offsets.numel() > 1 else 0
    if longest < most:
        raise ValueError(f"longest must be at least {most}, the tokens of the longest sequence; got {longest}")


def _expect_ascending(offsets: Tensor, least: int) -> None:
    steps = offsets.long().diff()
    if (steps < least).any():
        place = int((steps < least).nonzero()[0])
        raise ValueError(f"offsets must ascend, got {int(offsets[place + 1])} after {int(offsets[place])}")


def check_inverse_haar(packed: Tensor, levels: int, out: Tensor) -> None:
    """Nothing beyond what the op's own function checks but types."""
    expect_floats(packed=packed, out=out)


CHECKS: dict[str, Launcher] = {
    "compose": check_compose,
    "blend": check_blend,
    "class_scores": check_class_scores,
    "distance_gains": check_distance_gains,
    "match_boxes": check_match_boxes,
    "pack_tokens": check_pack_tokens,
    "varlen_attention": check_varlen_attention,
    "inverse_haar": check_inverse_haar,
}


def checked(op: str, launch: Launcher) -> Launcher:
    """A launcher of `op` that refuses what the C++ refuses. The last argument of each is out."""
    check = CHECKS[op]

    @wraps(launch)
    def refusing(*given: object) -> None:
        *read, out = (each for each in given if isinstance(each, Tensor))
        if any(tensor.device != out.device for tensor in read):
            found = ", ".join(str(tensor.device) for tensor in (*read, out))
            raise ValueError(f"all tensors must be on the same device, got {found}")
        check(*given)
        expect_no_overlap("out", out)
        for tensor in read:
            expect_apart(out, tensor)
        launch(*given)

    return refusing
