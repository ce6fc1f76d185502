"""What drops tokens, on each backend: packing those that rows keep, attention within each packed sequence."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from conftest import RUNNABLE

from pysmdl import bitrows
from pysmdl.errors import BackendError
from pysmdl.kernels import pack_tokens, varlen_attention

from toys import DTYPES, poisoned

ON_THE_CPU = pytest.mark.parametrize("backend", [backend for backend, device in RUNNABLE if device == "cpu"])

# varlen_attention


ATTENTION_TOLERANCE = {torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 2e-2}  # worst seen: 9e-7, 1e-3, 8e-3


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("heads", "width"), [(1, 16), (3, 64), (2, 24), (1, 100), (1, 160)])
@pytest.mark.parametrize("lengths", [(1,), (1, 2, 3), (65, 1, 64, 63), (200, 7)])
def test_varlen_attention(attention_backend, lengths, heads, width, dtype):
    backend, device = attention_backend
    generator = torch.Generator().manual_seed(sum(lengths))
    packed = torch.randn(sum(lengths), 3, heads, width, generator=generator).to(device, dtype)
    q, k, v = packed.unbind(1)  # strided, as a fused projection gives them
    offsets = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32, device=device)
    out = varlen_attention(q, k, v, offsets, out=poisoned(q.shape, dtype, device), backend=backend)
    wanted = torch.empty(q.shape, dtype=torch.float64)
    for first, last in itertools.pairwise(offsets.tolist()):
        one = [each[first:last].double().cpu().transpose(0, 1) for each in (q, k, v)]
        wanted[first:last] = torch.nn.functional.scaled_dot_product_attention(*one).transpose(0, 1)
    worst = (out.cpu().double() - wanted).abs().max().item()
    assert worst <= ATTENTION_TOLERANCE[dtype], worst


def test_varlen_attention_writes_into_any_memory_and_leaves_other_tokens(attention_backend):
    backend, device = attention_backend
    q, k, v = torch.randn(3, 9, 2, 16, generator=torch.Generator().manual_seed(0)).to(device).unbind(0)
    offsets = torch.tensor([1, 4, 8], dtype=torch.int32, device=device)
    wanted = varlen_attention(q, k, v, offsets, out=torch.zeros_like(q), backend="reference")
    for out in (torch.zeros(16, 2, 9, device=device).permute(2, 1, 0), torch.zeros(9, 2, 32, device=device)[..., ::2]):
        assert varlen_attention(q, k, v, offsets, out=out, backend=backend) is out
        torch.testing.assert_close(out, wanted, atol=2e-6, rtol=0)
    assert not wanted[[0, 8]].any()
    none = varlen_attention(q, k, v, offsets[:1], out=torch.ones_like(q), backend=backend)
    assert (none == 1).all()


@ON_THE_CPU
def test_varlen_attention_says_what_is_wrong(backend):
    q = torch.zeros(4, 1, 16)
    for offsets, message in {
        (0, 2, 9): "offsets must be 0 to 4, the tokens of q; got 0 to 9",
        (-1, 2, 4): "offsets must be 0 to 4, the tokens of q; got -1 to 4",
        (0, 3, 2, 4): "offsets must ascend, got 2 after 3",
        (0, 2, 2, 4): "offsets must ascend, got 2 after 2",
    }.items():
        with pytest.raises(ValueError, match=message):
            varlen_attention(q, q, q, torch.tensor(offsets, dtype=torch.int32), out=q.clone(), backend=backend)
    offsets = torch.tensor([0, 3, 4], dtype=torch.int32)
    with pytest.raises(ValueError, match="longest must be at least 3, the tokens of the longest sequence; got 2"):
        varlen_attention(q, q, q, offsets, longest=2, backend=backend)
    with pytest.raises(ValueError, match=r"out must have the shape of q, \[4, 1, 16\]; got \[3, 1, 16\]"):
        varlen_attention(q, q, q, offsets, out=torch.zeros(3, 1, 16), backend=backend)
    with pytest.raises(ValueError, match=r"offsets must be \[S \+ 1\]; got \[0\]"):
        varlen_attention(q, q, q, offsets[:0], backend=backend)
    with pytest.raises(ValueError, match="out must not share memory with what is read"):
        varlen_attention(q, q, q, offsets, out=q, backend=backend)


def test_varlen_attention_has_no_cuda_twin():
    q = torch.zeros(1, 1, 16)
    with pytest.raises(BackendError, match=r"varlen_attention has no such implementation. Available: cpu"):
        varlen_attention(q, q, q, torch.tensor([0, 1], dtype=torch.int32), backend="cuda")
    with pytest.raises(ValueError, match=r"must share one shape \[T, H, d\]"):
        varlen_attention(q, q[:, :, :8], q, torch.tensor([0, 1], dtype=torch.int32))


# pack_tokens


def pack_inputs(n=33, inputs=3, tokens=77, width=24, rows=6, dtype=torch.float32, device="cpu"):
    rng = np.random.default_rng(n + tokens)
    x = torch.from_numpy(rng.normal(size=(inputs, tokens, width))).to(device, dtype)
    labels = torch.from_numpy(rng.integers(-1, n, (inputs, tokens)).astype(np.int32))
    member = torch.from_numpy(rng.random((rows, n)) < np.linspace(0, 1, rows)[:, None])  # from none to all
    source = torch.from_numpy(rng.integers(0, inputs, rows).astype(np.int32))
    kept = [(labels[i] < 0) | m[labels[i].clamp(min=0).long()] for i, m in zip(source.tolist(), member, strict=True)]
    offsets = torch.tensor([0, *np.cumsum([int(each.sum()) for each in kept])], dtype=torch.int32)
    by_hand = torch.cat([x[i][each.to(device)] for i, each in zip(source.tolist(), kept, strict=True)])
    bits = torch.from_numpy(bitrows.pack(member.numpy()))
    return (x, *(each.to(device) for each in (labels, bits, source, offsets))), by_hand


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("room", [0, 1, 50])
@pytest.mark.parametrize(("n", "tokens", "width"), [(1, 1, 1), (31, 32, 64), (33, 77, 24), (100, 257, 300)])
def test_pack_tokens_is_bit_equal(attention_backend, n, tokens, width, room, dtype):
    backend, device = attention_backend
    given, wanted = pack_inputs(n=n, tokens=tokens, width=width, dtype=dtype, device=device)
    out = poisoned((len(wanted) + room, width), dtype, device)
    assert pack_tokens(*given, out=out, backend=backend) is out
    assert torch.equal(out[: len(wanted)], wanted)
    assert not out[len(wanted) :].any()


def test_pack_tokens_of_regions_beyond_the_rows(attention_backend):
    """A label that no word of the rows has a bit for is in no row."""
    backend, device = attention_backend
    x = torch.arange(6.0, device=device).view(1, 3, 2)
    labels = torch.tensor([[0, 32, -1]], dtype=torch.int32, device=device)
    rows, source = (torch.ones(shape, dtype=torch.int32, device=device) for shape in ((1, 1), 1))
    offsets = torch.tensor([0, 2], dtype=torch.int32, device=device)
    out = pack_tokens(x, labels, rows, source - 1, offsets, out=poisoned((2, 2), device=device), backend=backend)
    assert torch.equal(out, x[0, [0, 2]])


def test_pack_tokens_shows_whatever_label_is_below_zero(attention_backend):
    backend, device = attention_backend
    x = torch.arange(8.0, device=device).view(1, 4, 2)
    labels = torch.tensor([[-2, 0, -(2**31), 2**31 - 1]], dtype=torch.int32, device=device)
    rows, source = (torch.zeros(shape, dtype=torch.int32, device=device) for shape in ((1, 1), 1))
    offsets = torch.tensor([0, 2], dtype=torch.int32, device=device)
    out = pack_tokens(x, labels, rows, source, offsets, out=poisoned((2, 2), device=device), backend=backend)
    assert torch.equal(out, x[0, [0, 2]])


def test_pack_tokens_without_rows_or_width(attention_backend):
    backend, device = attention_backend
    labels, offsets = (torch.zeros(shape, dtype=torch.int32, device=device) for shape in ((1, 3), 1))
    x, none = torch.ones(1, 3, 2, device=device), labels[0, :0]
    out = pack_tokens(x, labels, labels[:0], none, offsets, out=poisoned((2, 2), device=device), backend=backend)
    assert not out.any()
    narrow = poisoned((2, 0), device=device)
    assert pack_tokens(x[:, :, :0], labels, labels[:0], none, offsets, out=narrow, backend=backend) is narrow


def test_pack_tokens_says_what_is_wrong():
    (x, labels, rows, source, offsets), wanted = pack_inputs()
    out = torch.empty(wanted.shape)
    with pytest.raises(ValueError, match=r"x must be \[M, P, D\] and labels \[M, P\]; got \[3, 77, 24\] and \[3, 76\]"):
        pack_tokens(x, labels[:, :-1], rows, source, offsets, out=out)
    with pytest.raises(ValueError, match=r"source \[B\] and offsets \[B \+ 1\]; got \[6, 2\], \[6\] and \[6\]"):
        pack_tokens(x, labels, rows, source, offsets[:-1], out=out)
    with pytest.raises(ValueError, match=r"out must be \[T, D\] with D = 24; got \[9, 8\]"):
        pack_tokens(x, labels, rows, source, offsets, out=out[:9, :8])
    with pytest.raises(ValueError, match=r"x must be contiguous; got strides \[1, 3, 231\]"):
        pack_tokens(x.permute(2, 1, 0).contiguous().permute(2, 1, 0), labels, rows, source, offsets, out=out)
    with pytest.raises(ValueError, match="out must be float16, got float32"):
        pack_tokens(x.half(), labels, rows, source, offsets, out=out)
    with pytest.raises(BackendError, match=r"pack_tokens has no such implementation"):
        pack_tokens(x, labels, rows, source, offsets, out=out, backend="cuda")


def test_pack_tokens_never_writes_into_another_row(attention_backend):
    """Triton's does not see that the offsets are wrong, as they are where an input's labels are no longer its own."""
    backend, device = attention_backend
    if backend != "triton":
        pytest.skip("it says so, or defines what is right")
    (x, labels, rows, source, offsets), wanted = pack_inputs(device=device)
    other = labels.clone()
    other[source[2]] = -1  # all of them kept
    same = source != source[2]
    out = pack_tokens(x, other, rows, source, offsets, out=poisoned(wanted.shape, device=device), backend=backend)
    for b in torch.nonzero(same).flatten().tolist():
        row = slice(*offsets[b : b + 2].tolist())
        assert torch.equal(out[row], wanted[row])


@ON_THE_CPU
def test_pack_tokens_counts_what_it_was_told(backend):
    (x, labels, rows, source, offsets), wanted = pack_inputs()
    out, last = torch.zeros(wanted.shape), len(wanted)
    fewer = offsets.clone()
    fewer[3:] -= 1
    if backend != "triton":
        with pytest.raises(ValueError, match=r"offsets give row 2 room for \d+ tokens, it keeps \d+"):
            pack_tokens(x, labels, rows, source, fewer, out=out, backend=backend)
    with pytest.raises(ValueError, match=r"offsets must begin with 0 and end within the \d+ rows of out, got 1 to"):
        pack_tokens(x, labels, rows, source, offsets + 1, out=torch.zeros(last + 1, 24), backend=backend)
    with pytest.raises(ValueError, match=rf"must begin with 0 and end within the 9 rows of out, got 0 to {last}"):
        pack_tokens(x, labels, rows, source, offsets, out=out[:9], backend=backend)
    with pytest.raises(ValueError, match=r"offsets must ascend, got 0 after "):
        pack_tokens(x, labels, rows, source, offsets * (torch.arange(7) != 6), out=out, backend=backend)
    for wrong in (7, -1, 2**31 - 1):
        source[0] = wrong
        with pytest.raises(ValueError, match=rf"source\[0\] is {wrong}, x holds 3 inputs"):
            pack_tokens(x, labels, rows, source, offsets, out=out, backend=backend)
