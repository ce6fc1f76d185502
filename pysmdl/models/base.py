"""What a model is: how a network is called. What is read off its answer is a scorer's (:mod:`pysmdl.scorers`)."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pysmdl.errors import ScorerError, one_of, whole_number
from pysmdl.inputs.image import LAYOUTS, TAKES
from pysmdl.models.answers import FLOATS, Form, tensor_in
from pysmdl.models.failures import in_words
from pysmdl.models.hugging_face import unmasked
from pysmdl.models.inspect import device_of, dtype_of, likes_channels_last, mixing, refuse_training
from pysmdl.models.references import modules_of
from pysmdl.models.scripts import Script
from pysmdl.profiling import stage
from pysmdl.session import Copied

log = logging.getLogger("pysmdl")
Forward = Callable[[Tensor], Any]


class ModelError(ScorerError):
    """A ValueError of the model's own, which says nothing about the caller's arguments."""


@contextmanager
def of_model() -> Iterator[None]:
    """Around parts of a model that are run one by one: a stage of the profile, and errors known as the model's own."""
    with stage("model"):
        try:
            yield
        except ValueError as error:
            raise ModelError(f"{type(error).__name__}: {error}") from error


class Model(Copied):
    """A network behind one call: a batch in, its answer out, whatever form that has.

    Whoever adapts a kind of network (a library's, a file's, a server's) makes one of these, by a function of its own or
    a subclass; every scorer takes it in a function's place.

    Args:
        function: Batch [B, C, *grid] to an answer. It may change the batch it is given: nobody else looks at it then.
        device: Where the batch must be; None: where the parameters are, else the CPU.
        dtype: Of the batch; None: that of the parameters that meet it first, else float32.
        batch: Rows that each call must have; fewer are padded with the last and cut again. None: any number.
        layout: "nchw", or "nhwc": the function is given [B, *grid, C].
        takes: "torch", or "numpy": it is given NumPy arrays, on the CPU.

    Attributes:
        function: As given.
        device, dtype: Of the batch, as :meth:`ready` found them.
        channels_last: Whether the convolutions are laid out with channels last, so that inputs should be too.
        graph_safe: Whether it may be captured in a CUDA graph: no host reads, no shapes that depend on data.
        batch: Rows of each call, or None.
        name: What results call it; None: its module's or function's own name.
        rows: Rows of a batch that serve it best; None: the engine finds out.
        wave: Rows that are answered in the time of one; None: the engine finds out.
        size: Height and width that it takes, where it says so itself.
        local: Whether it runs here: what is only for measuring is asked of no other.
        told: Whether it is told more than a batch, so that a batch alone cannot be given to it.
        fitted: The estimator behind it, where it is no module; None where there is none.

    Raises:
        TypeError: the function cannot be called.
        ValueError: as :meth:`ready`; batch is not a whole number of at least 1.
    """

    graph_safe: bool = False
    name: str | None = None
    rows: int | None = None
    wave: int | None = None
    size: tuple[int, int] | None = None
    local: bool = True
    told: bool = False
    fitted: Any = None

    def __init__(
        self,
        function: Forward,
        *,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        batch: int | None = None,
        layout: str = "nchw",
        takes: str = "torch",
    ) -> None:
        if not callable(function):
            raise TypeError(f"the model must be callable; got {type(function).__name__}")
        if layout not in LAYOUTS:
            raise one_of("layout", layout, LAYOUTS)
        if takes not in TAKES:
            raise one_of("takes", takes, TAKES)
        if dtype is not None and dtype not in FLOATS:
            raise ValueError(f"dtype must be torch.float32, torch.float16 or torch.bfloat16; got {dtype!r}")
        if takes == "numpy" and dtype is torch.bfloat16:
            raise ValueError('dtype must be torch.float32 or torch.float16 with takes="numpy", which has no bfloat16')
        self.function, self._shown = function, function
        self.batch = None if batch is None else whole_number("batch", batch, 1)
        self._device, self._dtype = device, dtype
        self._last, self._arrays = layout == "nhwc", takes == "numpy"
        self.ready()
        mixed = mixing(self.modules)
        if mixed is not None:
            log.warning(
                "%s takes its statistics of each batch: what the model answers to a subset "
                "depends on the others in its batch; batch_size=1 asks for each alone",
                mixed,
            )

    def __getstate__(self) -> dict[str, Any]:
        if not isinstance(self.function, torch.jit.ScriptModule):
            return vars(self)
        script = Script(self.function)
        return {**vars(self), "function": script, "_shown": script}

    @property
    def modules(self) -> list[nn.Module]:
        """The modules it runs, as far as they can be seen; that which meets the batch first comes first."""
        return modules_of(self._shown)

    def ready(self) -> None:
        """Look at the network again, as it is now: called before each run.

        Raises:
            ValueError: it is in training mode, lies elsewhere than was said, or takes a type that is not served.
        """
        modules = self.modules
        refuse_training(modules)
        self.device = device_of(modules, self._device)
        self.dtype = self._dtype or dtype_of(modules)
        self.channels_last = likes_channels_last(modules)
        if self.dtype not in FLOATS:
            raise ValueError(
                f"the model must take float32, float16 or bfloat16; its weights are {self.dtype}: call model.float(), "
                "or give dtype=torch.float32 and convert in a function of your own"
            )

    def __call__(self, batch: Any) -> Any:
        """One call of the function, its answer as it comes. With fewer rows than `batch` it has that many.

        Raises:
            ModelError: the function raised a ValueError, or weights of several types met.
        """
        if isinstance(batch, Mapping):  # several inputs at once
            return self._called({name: self._given(each) for name, each in batch.items()})
        return self._called(self._given(batch) if isinstance(batch, Tensor) else batch)

    def _given(self, batch: Any) -> Any:
        """A batch, or one of several inputs', as the function takes it: [B, C, *grid], or a list of B texts."""
        missing = 0 if self.batch is None else self.batch - len(batch)
        if not isinstance(batch, Tensor):
            return [*batch, *batch[-1:] * missing] if isinstance(batch, list) and missing > 0 else batch
        given = batch.view_as(batch)  # so that a change of shape stays out of the engine's memory
        if missing > 0:
            given = torch.cat((given, given[-1:].expand(missing, *batch.shape[1:])))
        if self._last and given.dim() > 2:
            given = given.movedim(1, -1)
        return _array(given) if self._arrays else given

    def _called(self, given: Any) -> Any:
        with stage("model"):
            try:
                return self.function(given)
            except ValueError as error:
                raise ModelError(f"{type(error).__name__}: {error}") from error
            except RuntimeError as error:
                named = in_words(error, self.modules)
                if named is not None:
                    raise ModelError(named) from error
                raise

    def answers(self, batch: Any) -> Iterator[tuple[Any, int, int]]:
        """Answers to the batch in its order, one or, where each call has a set number of rows, several.

        Yields the answer, the rows that it has, and how many of them count. What is kept of one must be copied before
        the next is asked for: both may lie in the same memory.
        """
        if self.batch is None or not isinstance(batch, (Tensor, Mapping)):
            yield self(batch), rows_in(batch), rows_in(batch)
            return
        for start in range(0, rows_in(batch), self.batch):
            piece = _rows_of(batch, slice(start, start + self.batch))
            yield self(piece), self.batch, rows_in(piece)

    def tensor(self, batch: Any, form: Form) -> Tensor:
        """The answer as one tensor of this form, a row per input: see :func:`pysmdl.models.answers.tensor_in`."""
        if self.batch is not None and isinstance(batch, (Tensor, Mapping)):
            found = (tensor_in(answer, rows, form, self.device)[:kept] for answer, rows, kept in self.answers(batch))
            return torch.cat([each.clone() for each in found])
        answer, rows = self(batch), rows_in(batch)
        if (
            type(answer) is Tensor
            and answer.dim() == form.dims
            and answer.shape[0] == rows
            and answer.dtype in FLOATS
            and answer.device == self.device
            and answer.layout is torch.strided
            and not answer.requires_grad
        ):
            return answer
        return tensor_in(answer, rows, form, self.device)

    def capturing(self) -> AbstractContextManager[None]:
        """Around the capture of a call in a CUDA graph."""
        return unmasked()

    def compiled(self) -> Model:
        """The same with its function under torch.compile, which compiles when it sees the first batch."""
        other = copy.copy(self)
        other.function = torch.compile(self.function)
        return other


def rows_in(batch: Any) -> int:
    """Rows of a batch: a tensor's, or, of several by name, those of each."""
    return len(next(iter(batch.values()))) if isinstance(batch, Mapping) else len(batch)


def _rows_of(batch: Any, rows: slice) -> Any:
    return {name: each[rows] for name, each in batch.items()} if isinstance(batch, Mapping) else batch[rows]


def _array(batch: Tensor) -> Any:
    """The batch in NumPy, for functions that know no tensors."""
    return batch.detach().cpu().contiguous().numpy()
