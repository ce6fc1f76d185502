"""What the C++ refuses, for the launchers that are Python: memory that overlaps, numbers that are out of range.

Numbers are looked at where they lie on the CPU; a GPU would have to be waited for. There the kernels never read or
write outside, whatever they are given.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from torch import Tensor

Launcher = Callable[..., None]


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
    if out.device == given.device and max(first, other_first) < min(last, other_last):
        raise ValueError("out must not share memory with what is read; give it memory of its own")


def expect_within(index: Tensor, least: int | None, end: int, text: str) -> None:
    """Raise ValueError for the first number of an index outside [least, end): `text` with its {place} and {number}."""
    flat = index.flatten()
    wrong = (flat >= end) if least is None else (flat >= end) | (flat < least)
    if wrong.any():
        place = int(wrong.nonzero()[0])
        raise ValueError(text.format(place=place, number=int(flat[place])))


def check_compose(x: Tensor, baseline: Tensor, labels: Tensor, rows: Tensor, source: Tensor, out: Tensor) -> None:
    """No row shows an input that is not there."""
    expect_within(source, None, x.shape[0], f"source[{{place}}] is {{number}}, x holds {x.shape[0]} inputs")


def check_class_scores(logits: Tensor, targets: Tensor, entropy: bool, out: Tensor) -> None:
    """Each target is a class."""
    classes = logits.shape[1]
    expect_within(targets, None, classes, f"target {{number}} is out of range for {classes} classes")


def check_distance_gains(distances: Tensor, nearest: Tensor, members: Tensor, candidates: Tensor, out: Tensor) -> None:
    """Members and candidates are regions."""
    regions = distances.shape[0]
    for name, index in (("members", members), ("candidates", candidates)):
        expect_within(index, 0, regions, f"{name}[{{place}}] is {{number}}, there are {regions} regions")


def check_match_boxes(
    boxes: Tensor, confidences: Tensor, target: Tensor, labels: Tensor, mode: Tensor, floor: float, out: Tensor
) -> None:
    """Each label is a class, each mode one that there is."""
    classes = confidences.shape[2]
    expect_within(labels, None, classes, f"label {{number}} is out of range for {classes} classes")
    expect_within(mode, 0, 3, "mode[{place}] is {number}, modes are 0 to 2")


def check_pack_tokens(x: Tensor, labels: Tensor, rows: Tensor, source: Tensor, offsets: Tensor, out: Tensor) -> None:
    """No row is of an input that is not there, and each one's tokens have a place of their own in out."""
    expect_within(source, 0, x.shape[0], f"source[{{place}}] is {{number}}, x holds {x.shape[0]} inputs")
    first, last = int(offsets[0]), int(offsets[-1])
    if first != 0 or last > out.shape[0]:
        raise ValueError(
            f"offsets must begin with 0 and end within the {out.shape[0]} rows of out, got {first} to {last}"
        )
    _expect_ascending(offsets, least=0)


def check_varlen_attention(
    q: Tensor, k: Tensor, v: Tensor, offsets: Tensor, longest: int, scale: float, out: Tensor
) -> None:
    """Each sequence has tokens, and they are there."""
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


CHECKS: dict[str, Launcher] = {
    "compose": check_compose,
    "class_scores": check_class_scores,
    "distance_gains": check_distance_gains,
    "match_boxes": check_match_boxes,
    "pack_tokens": check_pack_tokens,
    "varlen_attention": check_varlen_attention,
}


def checked(op: str, launch: Launcher) -> Launcher:
    """A launcher of `op` that refuses what the C++ refuses. The last argument of each is out."""
    check = CHECKS[op]

    @wraps(launch)
    def refusing(*given: object) -> None:
        *read, out = given
        assert isinstance(out, Tensor)
        expect_no_overlap("out", out)
        for tensor in read:
            if isinstance(tensor, Tensor):
                expect_apart(out, tensor)
        if out.device.type == "cpu":
            check(*given)
        launch(*given)

    return refusing
