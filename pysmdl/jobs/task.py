"""What a worker is told: model, settings, where explanations are kept. Plain values that any process can be sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pysmdl.errors import number, whole_number
from pysmdl.explainer import Explainer

WORDS = ("prompts", "prompt", "answer", "gives")


class Factory:
    """A model that is made where it is used: `Factory(make, *arguments, **settings)` stands for what that call gives.

    Args:
        make: A function that other processes can import, or that can be pickled.

    Attributes:
        settings: What it is called with, by name.
    """

    def __init__(self, make: Callable[..., Any], *arguments: Any, **settings: Any) -> None:
        if not callable(make):
            raise ValueError(f"make must be callable; got {type(make).__name__}")
        self._make, self._arguments, self.settings = make, arguments, settings

    def __call__(self) -> Any:
        """The model."""
        return self._make(*self._arguments, **self.settings)


@dataclass(frozen=True)
class Keeping:
    """Where explanations are kept, and how; as :func:`pysmdl.jobs.run` has it."""

    store: str
    share: str
    rows: int
    seconds: float
    patience: float
    pictures: bool


@dataclass(frozen=True)
class Task:
    """What a worker explains with.

    Attributes:
        model: As explain takes it, or a :class:`Factory`.
        settings: As explain has them.
        target: Of inputs that name none.
        keeping: Where explanations go.
    """

    model: Any
    settings: Mapping[str, Any] = field(default_factory=dict)
    target: Any = None
    keeping: Keeping = Keeping("", "1-of-1", 256, 10.0, 60.0, False)

    @property
    def words(self) -> dict[str, Any]:
        """What the model is told in words, which is as good as another model: prompts, a prompt, an answer."""
        given = {**(self.model.settings if isinstance(self.model, Factory) else {}), **self.settings}
        return {name: given[name] for name in WORDS if given.get(name) is not None}

    def explainer(self) -> Explainer:
        """With the model made, where it is a factory."""
        return Explainer(self.model() if isinstance(self.model, Factory) else self.model, **self.settings)


@dataclass(frozen=True)
class RayOptions:
    """How a job uses Ray.

    Attributes:
        address: Of a cluster that runs; None: one is started here, on the loopback interface alone.
        cpus, gpus: Of a worker; fractions share them.
        timeout: Seconds without an answer of the model after which a worker counts as dead.
        loading: Seconds that a worker may take to load its model.
        attempts: Times that an input alone may take its worker along before it counts as failed.

    Raises:
        ValueError: one is out of range.
    """

    address: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    timeout: float = 600.0
    loading: float = 1800.0
    attempts: int = 2

    def __post_init__(self) -> None:
        if not isinstance(self.address, (str, type(None))):
            raise ValueError(f"address must be a Ray cluster's, or None; got {self.address!r}")
        number("cpus", self.cpus, least=0)
        number("gpus", self.gpus, least=0)
        number("timeout", self.timeout, above=0)
        number("loading", self.loading, above=0)
        whole_number("attempts", self.attempts, 1)
