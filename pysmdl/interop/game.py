"""The set function itself, as a callable from coalitions to values: for shapiq, for metrics, for your own study."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pysmdl import bitrows
from pysmdl.engine.item import Item, stored_shape
from pysmdl.errors import yes_or_no
from pysmdl.explainer import Explainer
from pysmdl.settings import spelt_out
from pysmdl.types import Bools

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pysmdl.settings import Settings


def _own(item: Item) -> Item:
    """The item in memory of its own: the caller may fill anew what it was made of."""

    def copied(tensor: Tensor) -> Tensor:
        stored = tensor[tuple(slice(side) for side in stored_shape(tensor))]  # a constant stays one value
        return stored.clone().expand(tensor.shape)

    resident = replace(item.resident, tensors={name: copied(each) for name, each in item.resident.tensors.items()})
    regions = replace(item.regions, labels=item.regions.labels.copy())
    return replace(item, x=item.x.clone(), resident=resident, regions=regions)


class Game:
    """The target score of an input with some regions kept, over any subsets; evaluated in batches, each subset once.

    Follows shapiq's protocol: called with a bool matrix [n_coalitions, n_players], gives [n_coalitions] values.

    Args:
        image, model, target: As in :func:`pysmdl.explain`.
        normalize: Subtract the value of the empty coalition.
        **settings: regions, baseline, batch_size, device, config, as in :func:`pysmdl.explain`.

    Attributes:
        n_players: Number of regions.
        empty_value, grand_value: Target score with nothing and with everything kept.
        labels: Region of each grid point.
        names: The regions', where they have any. [n_players] or empty.
        evaluations: Distinct rows the model has seen.
    """

    @spelt_out(Explainer)
    def __init__(
        self, image: Any, model: Any, target: Any = None, *, normalize: bool = False, **settings: Unpack[Settings]
    ) -> None:
        normalize = yes_or_no("normalize", normalize)
        self._explainer = Explainer(model, **settings)
        self._item = _own(self._explainer.prepare({"image": image, "target": target}))
        self.labels, self.n_players = self._item.regions.labels.copy(), self._item.regions.n
        self.names = self._item.regions.names
        self.evaluations = 0
        self._values: dict[bytes, float] = {}
        self._turn = threading.Lock()  # of the thread that asks the model
        ends = np.repeat([[False], [True]], self.n_players, axis=1)
        self.empty_value, self.grand_value = (float(value) for value in self._evaluate(ends))
        self.normalization_value = self.empty_value if normalize else 0.0

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_turn"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._turn = threading.Lock()

    def __call__(self, coalitions: Bools) -> NDArray[np.float64]:
        """Values of coalitions [n_coalitions, n_players] (or one, [n_players]).

        Raises:
            ValueError: another number of players, or another number than 0 and 1, as indices of players are.
        """
        given = np.asarray(coalitions)
        if given.dtype != bool and not (known := np.isin(given, (0, 1))).all():
            raise ValueError(f"coalitions must be True or False for each player; got {given[~known][0]!r}")
        member = np.atleast_2d(given.astype(bool))
        if member.ndim != 2 or member.shape[1] != self.n_players:
            raise ValueError(f"coalitions must have {self.n_players} players; got {list(member.shape)}")
        return self._evaluate(member) - self.normalization_value

    def counted(self) -> dict[str, Any]:
        """What notes would say of its rows: the tokens of a text that were run."""
        return self._explainer.removal.counted(self._item.resident)

    def _evaluate(self, member: Bools) -> NDArray[np.float64]:
        keys = bitrows.keys(member)
        with self._turn:
            new = {key: row for key, row in zip(keys, member, strict=True) if key not in self._values}
            if new:
                found, self._item = self._explainer.scores(self._item, np.stack(list(new.values())))
                self.evaluations += len(new)
                self._values |= dict(zip(new, found.tolist(), strict=True))
        return np.array([self._values[key] for key in keys])
