"""Ways in from other packages: Captum's ``attribute``, Quantus' explain function. shapiq: :class:`pysmdl.Game`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pysmdl.adapters import resolve as resolve_scorer
from pysmdl.api import explain_many
from pysmdl.errors import one_of
from pysmdl.explainer import Explainer
from pysmdl.explanation import Explanation
from pysmdl.inputs.arrays import tensor_of
from pysmdl.settings import spelt_out

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pysmdl.settings import Settings


KINDS = ("values", "ranks")
ROWS = 32  # of a batch on a CPU: the engine's own choice depends on the clock, and so do the last bits
WORDS = (
    "processor",
    "transform",
    "tokenizer",
    "prompts",
    "prompt",
    "answer",
    "gives",
    "head",
    "decode",
)  # of pysmdl.adapt: they make the scorer


class SubsetAttribution:
    """Captum's interface: ``SubsetAttribution(model).attribute(inputs, target=..., feature_mask=...)``.

    Args:
        forward_func: Inputs [B, C, *grid], and what `additional_forward_args` are, to logits [B, K]; the target score
            is their softmax.
        kind: "values": what each region did, spread over its points, so that a map adds up to the regions' values;
            "ranks": the papers' picture, 0 to 1.
        **settings: regions, baseline, search, objective, k, evaluations, device, seed, config, and what a model is
            adapted by, as in :func:`pysmdl.explain`.
    """

    @spelt_out(Explainer)
    def __init__(
        self, forward_func: Callable[[Tensor], Any], *, kind: str = "values", **settings: Unpack[Settings]
    ) -> None:
        if kind not in KINDS:
            raise one_of("kind", kind, KINDS)
        self.forward_func, self.kind = forward_func, kind
        self._settings = settings

    def attribute(
        self,
        inputs: Tensor,
        baselines: Any = None,
        target: Any = None,
        feature_mask: Any = None,
        perturbations_per_eval: int | None = None,
        show_progress: bool = False,
        additional_forward_args: Any = None,
    ) -> Tensor:
        """Attribution of each input element, the same in all channels, in the shape of the inputs.

        Args:
            inputs: [B, C, *grid] in model space, or plain [B, N].
            baselines: A number, or a tensor that broadcasts to the inputs; None: the setting `baseline`, else 0.
            target: A class for all, or one for each input (list or tensor [B]); None: the model's own top class.
            feature_mask: Whole numbers that broadcast to [B, 1, *grid], the same in every channel, 0..n-1 with each id
                present; None: SLICO on the inputs as images.
            perturbations_per_eval: Rows of a forward pass; None: 32 on a CPU, so that the same call gives the same
                bits; on a GPU the engine's choice. Never changes an answer beyond what the model's own arithmetic does.
            show_progress: A progress bar.
            additional_forward_args: What the function takes after the inputs, one or a tuple. Of a tensor with a row
                for each input every masked input gets its own's, and inputs are then explained one after the other; all
                else is handed on as it is.

        Raises:
            ValueError: shapes do not broadcast, a feature mask differs between channels, or inputs are several tensors.
        """
        others = perturbations_per_eval, show_progress, additional_forward_args
        found = self.explanations(inputs, baselines, target, feature_mask, *others)
        made = [each.value_map() if self.kind == "values" else each.saliency() for each in found]
        maps = torch.from_numpy(np.stack(made)).to(inputs)
        return maps if inputs.dim() == 2 else maps[:, None].expand(inputs.shape).clone()

    def explanations(
        self,
        inputs: Tensor,
        baselines: Any = None,
        target: Any = None,
        feature_mask: Any = None,
        perturbations_per_eval: int | None = None,
        show_progress: bool = False,
        additional_forward_args: Any = None,
    ) -> list[Explanation]:
        """The explanations behind :meth:`attribute`, one for each input; arguments are the same."""
        given: Any = inputs
        if isinstance(given, (tuple, list)):
            raise ValueError(
                f"inputs must be one tensor, of which regions are hidden; got {len(given)}: what else the model takes "
                "goes into additional_forward_args"
            )
        if not isinstance(inputs, Tensor) or inputs.dim() < 2:
            raise ValueError(f"inputs must be a tensor [B, C, *grid], or plain [B, N]; got {_shape(inputs)}")
        count = len(inputs)
        targets = _each("target", target, count)
        masks = _label_maps(feature_mask, inputs)
        hidden = _baselines(baselines, inputs)
        items = [
            {
                "image": inputs[i],
                "target": targets[i],
                **({"baseline": hidden[i]} if hidden is not None else {}),
                **({"regions": masks[i]} if masks else {}),
            }
            for i in range(count)
        ]
        rows = ROWS if perturbations_per_eval is None and inputs.device.type == "cpu" else perturbations_per_eval
        settings: dict[str, Any] = {"baseline": 0.0, "batch_size": rows, **self._settings}
        words = {name: settings.pop(name, None) for name in WORDS}
        extra = additional_forward_args if isinstance(additional_forward_args, tuple) else (additional_forward_args,)
        extra = () if additional_forward_args is None else extra
        apart = any(isinstance(each, Tensor) and each.dim() and len(each) == count for each in extra)
        found: list[Explanation] = []
        for own in range(count) if apart and count > 1 else [None]:
            model = _with(self.forward_func, extra, count, own or 0)
            scorer = resolve_scorer(model, inputs.device, **words)
            some = items if own is None else items[own : own + 1]
            found += explain_many(some, scorer, progress=show_progress, ordered=True, **settings)
        return found


def _with(function: Callable[..., Any], extra: tuple[Any, ...], count: int, own: int) -> Callable[..., Any]:
    """A function of inputs alone: what else it takes goes along, of a tensor with `count` rows row `own` each time."""
    if not extra:
        return function

    def forward(batch: Tensor) -> Any:
        rows = [
            each[own : own + 1].expand(len(batch), *each.shape[1:])
            if isinstance(each, Tensor) and each.dim() and len(each) == count
            else each
            for each in extra
        ]
        return function(batch, *rows)

    return forward


@spelt_out(Explainer)
def quantus_explain(
    model: Any, inputs: NDArray[Any], targets: NDArray[Any], *, kind: str = "values", **settings: Unpack[Settings]
) -> NDArray[np.float32]:
    """Quantus' explain function: ``quantus.Metric(...)(..., explain_func=pysmdl.compat.quantus_explain)``.

    Args:
        model: Inputs [B, C, *grid] to logits [B, K].
        inputs: [B, C, *grid], in model space.
        targets: [B], class indices.
        kind: As in :class:`SubsetAttribution`.
        **settings: As in :func:`pysmdl.explain`; "device" too, as Quantus hands it over. Others that Quantus may add
            are not accepted.

    Returns:
        A map each, [B, 1, *grid].
    """
    device = settings.pop("device", None)
    batch = tensor_of("inputs", inputs).to(device, torch.float32)
    if batch.dim() < 3:
        raise ValueError(f"inputs must be a tensor [B, C, *grid] of at least 3 dimensions; got {_shape(inputs)}")
    attribution = SubsetAttribution(model, kind=kind, **settings).attribute(batch, target=np.asarray(targets).tolist())
    maps: NDArray[np.float32] = attribution[:, :1].cpu().numpy().astype(np.float32)
    return maps


def _each(name: str, value: Any, count: int) -> list[Any]:
    """One value for each of `count` inputs, from one for all or a sequence."""
    if isinstance(value, (Tensor, np.ndarray)):
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name} must be one for all or {count}, one for each input; got {len(value)}")
    return list(value)


def _baselines(baselines: Any, inputs: Tensor) -> Tensor | None:
    if baselines is None:
        return None
    try:
        return tensor_of("baselines", baselines).to(inputs).expand(inputs.shape)
    except RuntimeError:
        raise ValueError(f"baselines must broadcast to inputs {list(inputs.shape)}; got {_shape(baselines)}") from None


def _label_maps(feature_mask: Any, inputs: Tensor) -> list[NDArray[Any]] | None:
    if feature_mask is None:
        return None
    mask = tensor_of("feature_mask", feature_mask)
    if mask.is_floating_point() or mask.dtype == torch.bool:
        raise ValueError(f"feature_mask must hold whole numbers; got {mask.dtype}")
    try:
        full = mask.expand(inputs.shape)
    except RuntimeError:
        raise ValueError(
            f"feature_mask must broadcast to inputs {list(inputs.shape)}; got {list(mask.shape)}"
        ) from None
    if full.dim() == 2:
        return [each.cpu().numpy() for each in full]
    if not bool((full == full[:, :1]).all()):
        raise ValueError("feature_mask must be the same in every channel: a region is hidden in all of them")
    return [each.cpu().numpy() for each in full[:, 0]]


def _shape(value: Any) -> str:
    return str(list(value.shape)) if hasattr(value, "shape") else type(value).__name__
