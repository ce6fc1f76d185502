"""Vision transformers taken apart: tokens in, blocks, pooled features and logits out.

Known by their parts: Hugging Face's ViT, DeiT, CLIP vision and DINOv2 models, and timm's VisionTransformer. Blocks run
as they are on many sequences packed into one; only attention is told where each ends (:func:`run_blocks`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pysmdl.errors import ScorerError
from pysmdl.kernels import varlen_attention
from pysmdl.models.base import Model, of_model

Pool = Callable[[Tensor, Tensor], Tensor]
"""Final tokens [T, D] and offsets [S + 1] to one row a sequence [S, D]."""


@dataclass(frozen=True)
class Tower:
    """A vision transformer in three parts.

    Attributes:
        embed: Images [B, C, H, W] to tokens with their positions [B, prefix + patches, D].
        blocks: Applied in turn to [1, T, D].
        finish: Final tokens [T, D] and offsets [S + 1] to (features [S, D'], answer): what the model itself answers,
            logits [S, K], say, or boxes and confidences; None where it answers with its features.
        prefix: Tokens before the patches (class, registers), which are never dropped.
        patch: Side of a patch in pixels.
    """

    embed: Callable[[Tensor], Tensor]
    blocks: Sequence[nn.Module]
    finish: Callable[[Tensor, Tensor], tuple[Tensor, Any]]
    prefix: int
    patch: int


@dataclass(frozen=True)
class Packed:
    """Kept tokens of many rows, end to end.

    Attributes:
        tokens: [T, D].
        offsets: Where those of each row start, and where the last end. [B + 1], int32.
        longest: No row has more.
        backend: Of attention.
    """

    tokens: Tensor
    offsets: Tensor
    longest: int
    backend: str = "auto"

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def shape(self) -> tuple[int]:
        """Rows alone: they have no one size beyond that."""
        return (len(self),)


class TowerModel(Model):
    """A vision transformer, called part by part on kept tokens; or on whole images, of which no token is dropped.

    Args:
        network: The transformer. Its parts are those of `tower`, or known by :func:`tower_of`.
        tower: See there.
        device, dtype: As in :class:`pysmdl.models.base.Model`.
    """

    graph_safe = True  # the towers known here are

    def __init__(
        self,
        network: nn.Module,
        tower: Tower | None = None,
        *,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(network, device=device, dtype=dtype)
        self.tower = tower or tower_of(network)
        self._known = tower is None

    def __getstate__(self) -> dict[str, Any]:
        """Without a tower that is known anew by its network: it is made of functions that no pickle can hold."""
        return {name: each for name, each in super().__getstate__().items() if name != "tower" or not self._known}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if self._known:
            self.tower = tower_of(cast(nn.Module, self.function))

    def run(self, view: Any) -> tuple[Tensor, Any]:
        """Features [B, D] and the answer to kept tokens (:class:`Packed`) or images [B, C, H, W]."""
        with of_model():
            if isinstance(view, Tensor):
                tokens = self.tower.embed(view.to(self.dtype))
                rows, length = tokens.shape[:2]
                offsets = torch.arange(rows + 1, dtype=torch.int32, device=tokens.device) * length
                view = Packed(tokens.flatten(0, 1), offsets, length)
            final = run_blocks(self.tower.blocks, view)
            return self.tower.finish(final, view.offsets)

    def __call__(self, batch: Any) -> Any:
        features, answer = self.run(batch)
        return features if answer is None else answer


def tower_of(model: nn.Module) -> Tower:
    """The parts of a known vision transformer, or of one that says them itself in an attribute ``tower``.

    Raises:
        ValueError: the model is none of those known.
    """
    own = getattr(model, "tower", None)
    if isinstance(own, Tower):
        return own
    for known in (_timm, _clip, _dinov2, _vit):
        found = known(model)
        if found is not None:
            return found
    raise ValueError(
        "token dropping knows Hugging Face's ViT, DeiT, CLIP vision and DINOv2 models and timm's VisionTransformer, "
        f"and a model of your own says its parts in an attribute tower; got {type(model).__name__}"
    )


def run_blocks(blocks: Sequence[nn.Module], packed: Packed) -> Tensor:
    """The blocks on packed sequences. [T, D].

    Everything in a block but attention works token by token, so it sees one long sequence; attention is cut into
    blocks where torch is asked for it.

    Raises:
        ScorerError: a block's attention does not go through torch's scaled_dot_product_attention, or has a mask.
    """
    x = packed.tokens[None]
    with _Cut(packed) as cut:
        for block in blocks:
            answer = block(x, **_missing(type(block).forward))
            x = answer[0] if isinstance(answer, tuple) else answer
    if cut.calls != len(blocks):
        raise ScorerError(
            f"{cut.calls} of {len(blocks)} blocks use torch's scaled_dot_product_attention, which token dropping "
            'needs; load the model with attn_implementation="sdpa"'
        )
    return x[0]


class _Cut(TorchFunctionMode):
    """While active, scaled_dot_product_attention on [1, H, T, d] stays within each packed sequence."""

    def __init__(self, packed: Packed) -> None:
        super().__init__()
        self.packed, self.calls = packed, 0

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function is not nn.functional.scaled_dot_product_attention:
            return function(*args, **kwargs)
        self.calls += 1
        *packed, scale = _attention_arguments(*args, **kwargs)
        q, k, v = (each[0].transpose(0, 1) for each in packed)  # [T, H, d]
        rows = self.packed
        settings = {"scale": scale, "longest": rows.longest, "backend": rows.backend}
        return varlen_attention(q, k, v, rows.offsets, **settings).transpose(0, 1)[None]


def _attention_arguments(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: Any = 0.0, is_causal: Any = False,
    scale: Any = None, enable_gqa: Any = False,
) -> tuple[Any, Any, Any, Any]:  # fmt: skip
    """The arguments of scaled_dot_product_attention that count here, however they are given.

    Raises:
        ScorerError: others count too, which are of one whole sequence.
    """
    if attn_mask is not None or is_causal:
        raise ScorerError("token dropping knows attention without a mask or a bias of places; this model's has one")
    return query, key, value, scale


@cache
def _missing(forward: Any) -> dict[str, None]:
    """Required arguments of a kind of block besides its tokens (masks, in most): None to each."""
    parameters = list(inspect.signature(forward).parameters.values())[2:]
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {each.name: None for each in parameters if each.kind in plain and each.default is inspect.Parameter.empty}


def class_token(tokens: Tensor, offsets: Tensor) -> Tensor:
    """The first token of each sequence. [T, D] to [S, D]."""
    return tokens.index_select(0, offsets[:-1])


def patch_mean(prefix: int) -> Pool:
    """The mean over each sequence's patches; zero where none is left."""

    def pool(tokens: Tensor, offsets: Tensor) -> Tensor:
        starts = offsets[:-1].long()
        bounds = torch.cat((torch.stack((starts, starts + prefix), 1).flatten(), offsets[-1:].long()))
        # Added up in their order; index_add_ on a GPU takes any. Unchecked: a check would wait for the device.
        total = torch.segment_reduce(tokens.float(), "sum", offsets=bounds, axis=0, unsafe=True, initial=0)[1::2]
        return (total / (offsets.diff() - prefix).clamp(min=1)[:, None]).to(tokens.dtype)

    return pool


def _inner(model: nn.Module, *names: str) -> Any:
    """The first submodule of these names, else the model itself."""
    return next((getattr(model, name) for name in names if isinstance(getattr(model, name, None), nn.Module)), model)


def _layers(base: nn.Module) -> Sequence[nn.Module]:
    """The blocks, wherever this version of the library keeps them."""
    for owner in (base, getattr(base, "encoder", None)):
        for name in ("layers", "layer"):
            found = getattr(owner, name, None)
            if isinstance(found, nn.ModuleList):
                return list(found)
    raise ValueError(f"cannot find the blocks of {type(base).__name__}")


def _has(module: Any, *names: str) -> bool:
    return all(isinstance(getattr(module, name, None), nn.Module) for name in names)


def _side(size: Any) -> int:
    return int(size if isinstance(size, int) else size[0])


def _vit(model: nn.Module) -> Tower | None:
    base = _inner(model, "vit", "deit")
    if not _has(base, "embeddings", "layernorm") or not hasattr(base.config, "patch_size"):
        return None
    teacher = getattr(model, "distillation_classifier", None)
    head = getattr(model, "classifier" if teacher is None else "cls_classifier", None)
    prefix = 1 + hasattr(base.embeddings, "distillation_token")  # DeiT's, even where no teacher is

    def finish(tokens: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor | None]:
        pooled = base.layernorm(class_token(tokens, offsets))
        answer = None if head is None else head(pooled)
        if teacher is not None:
            answer = (answer + teacher(base.layernorm(class_token(tokens, offsets + 1)))) / 2
        return pooled, answer

    return Tower(base.embeddings, _layers(base), finish, prefix, _side(base.config.patch_size))


def _dinov2(model: nn.Module) -> Tower | None:
    base = _inner(model, "dinov2", "dinov2_with_registers")
    if not _has(base, "embeddings", "layernorm") or "dinov2" not in type(base).__name__.lower():
        return None
    head = getattr(model, "classifier", None)
    prefix = 1 + int(getattr(base.config, "num_register_tokens", 0))

    def finish(tokens: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor | None]:
        final = base.layernorm(tokens)
        pooled = class_token(final, offsets)
        if head is None:
            return pooled, None
        return pooled, head(torch.cat((pooled, patch_mean(prefix)(final, offsets)), 1))

    return Tower(base.embeddings, _layers(base), finish, prefix, _side(base.config.patch_size))


def _clip(model: nn.Module) -> Tower | None:
    base = _inner(model, "vision_model")
    if not _has(base, "embeddings", "pre_layrnorm", "post_layernorm", "encoder"):
        return None
    project, head, mean = getattr(model, "visual_projection", None), getattr(model, "classifier", None), patch_mean(1)

    def embed(x: Tensor) -> Tensor:
        tokens: Tensor = base.pre_layrnorm(base.embeddings(x))
        return tokens

    def finish(tokens: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor | None]:
        if head is not None:
            pooled = mean(tokens, offsets)
            return pooled, head(pooled)
        pooled = base.post_layernorm(class_token(tokens, offsets))
        return (pooled if project is None else project(pooled)), None

    return Tower(embed, _layers(base), finish, 1, _side(base.config.patch_size))


def _timm(model: Any) -> Tower | None:
    if not (_has(model, "patch_embed", "blocks", "norm", "head") and hasattr(model, "_pos_embed")):
        return None
    if _has(model, "head_dist"):
        raise ValueError("token dropping reads one head; this model has another, head_dist, for a distillation token")
    apart = 0 if getattr(model, "pool_include_prefix", False) else int(model.num_prefix_tokens)
    pools = {"token": class_token, "avg": patch_mean(apart)}
    if model.global_pool not in pools:
        raise ValueError(f"token dropping pools by 'token' or 'avg'; this model has global_pool={model.global_pool!r}")

    def embed(x: Tensor) -> Tensor:
        tokens: Tensor = model.norm_pre(model._pos_embed(model.patch_embed(x)))
        return tokens

    def finish(tokens: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor | None]:
        pooled = model.fc_norm(pools[model.global_pool](model.norm(tokens), offsets))
        return pooled, model.head(pooled)

    blocks = list(model.blocks)
    return Tower(embed, blocks, finish, int(model.num_prefix_tokens), _side(model.patch_embed.patch_size))
