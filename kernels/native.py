"""Launchers of the C++ and CUDA ops: tensors cross by DLPack, borrowed for the call."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._C import _to_dlpack as to_dlpack  # torch.utils.dlpack.to_dlpack under its typed name

from pysmdl import _native
from pysmdl.kernels.checks import expect_apart, expect_floats, expect_no_overlap


def _stream(tensor: Tensor) -> int:
    return int(torch.cuda.current_stream(tensor.device).cuda_stream) if tensor.is_cuda else 0


def _flat(tensor: Tensor, lead: int) -> object:
    """The tensor as a capsule, its grid in one run. Copies only a grid that is none."""
    return to_dlpack(tensor if tensor.is_contiguous() else tensor.flatten(lead))


def compose_native(x: Tensor, baseline: Tensor, labels: Tensor, rows: Tensor, source: Tensor, out: Tensor) -> None:
    flat = out if out.is_contiguous() else out.flatten(2)
    copied = flat.data_ptr() != out.data_ptr()  # a grid in pieces
    if copied:
        expect_no_overlap("out", out)
    _native.require().compose(
        _flat(x, 2),
        _flat(baseline, 2),
        _flat(labels, 1),
        to_dlpack(rows.contiguous()),
        to_dlpack(source.contiguous()),
        to_dlpack(flat),
        _native.threads(),
        _stream(out),
    )
    if copied:
        out.copy_(flat.view(out.shape))


def blend_native(x: Tensor, baseline: Tensor, labels: Tensor, weights: Tensor, source: Tensor, out: Tensor) -> None:
    expect_floats(x=x, baseline=baseline, out=out)
    whole = out if out.is_contiguous() else out.flatten(2)
    if whole.data_ptr() != out.data_ptr() or out.dtype != torch.float32:
        whole = torch.empty(out.shape, device="cpu")
        expect_no_overlap("out", out)
        for read in (x, baseline, labels, weights, source):
            expect_apart(out, read)
    _native.require().blend(
        _flat(x.float(), 2),
        _flat(baseline.float(), 2),
        to_dlpack(labels.contiguous()),
        to_dlpack(weights.contiguous()),
        to_dlpack(source.contiguous()),
        to_dlpack(whole),
        _native.threads(),
    )
    if whole.data_ptr() != out.data_ptr():
        out.copy_(whole)


def class_scores_native(logits: Tensor, targets: Tensor, entropy: bool, out: Tensor) -> None:
    logits = logits.detach()
    if logits.stride(1) != 1:
        logits = logits.contiguous()
    _native.require().class_scores(
        to_dlpack(logits),
        to_dlpack(targets.contiguous()),
        to_dlpack(out),
        entropy,
        _native.threads(),
        _stream(out),
    )


def match_boxes_native(
    boxes: Tensor, confidences: Tensor, target: Tensor, labels: Tensor, mode: Tensor, floor: float, out: Tensor
) -> None:
    _native.require().match_boxes(
        *(to_dlpack(each.detach().contiguous()) for each in (boxes, confidences, target, labels, mode)),
        to_dlpack(out),
        floor,
        _native.threads(),
        _stream(out),
    )


def distance_gains_native(distances: Tensor, nearest: Tensor, members: Tensor, candidates: Tensor, out: Tensor) -> None:
    flat = out if out.is_contiguous() else torch.empty_like(out, memory_format=torch.contiguous_format)
    if flat is not out:
        expect_no_overlap("out", out)
    _native.require().distance_gains(
        *(to_dlpack(each.contiguous()) for each in (distances, nearest, members, candidates)),
        to_dlpack(flat),
        _stream(out),
    )
    if flat is not out:
        out.copy_(flat)


def inverse_haar_native(packed: Tensor, levels: int, out: Tensor) -> None:
    expect_floats(packed=packed, out=out)
    flat = out if out.is_contiguous() and out.dtype == torch.float32 else torch.empty(out.shape, device="cpu")
    if flat is not out:
        expect_no_overlap("out", out)
    expect_apart(out, packed)
    given = packed.float().contiguous()
    _native.require().inverse_haar(to_dlpack(given), levels, to_dlpack(flat), _native.threads())
    if flat is not out:
        out.copy_(flat)


def pack_tokens_native(x: Tensor, labels: Tensor, rows: Tensor, source: Tensor, offsets: Tensor, out: Tensor) -> None:
    given = (to_dlpack(each) for each in (x, labels, rows.contiguous(), source.contiguous(), offsets.contiguous(), out))
    _native.require().pack_tokens(*given, _native.threads())
