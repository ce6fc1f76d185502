"""Runner: owns what a call has on its device: pools of inputs, batch sizes, slots. Knows no search."""

from __future__ import annotations

import logging

from pysmdl.config import EngineConfig
from pysmdl.engine.device.cuda_slot import CudaSlot, LastLanding
from pysmdl.engine.device.forward import Forward
from pysmdl.engine.device.pool import Pool
from pysmdl.engine.device.sizes import Sizes
from pysmdl.engine.device.slots import Slot
from pysmdl.engine.device.workspace import Resident, Workspace
from pysmdl.engine.item import Item, Kind
from pysmdl.removal.base import Removal
from pysmdl.scorers.base import Scorer
from pysmdl.session import SESSIONS

log = logging.getLogger("pysmdl")

KINDS = 8  # of inputs that stay resident without a search that needs them


class Runner:
    """What one call has on its device.

    Attributes:
        sizes: Of batches, by kind of input.
        slots: One batch under way each.
    """

    def __init__(self, scorer: Scorer, removal: Removal, config: EngineConfig, confidence: str | None) -> None:
        self.device = scorer.device
        on_gpu = self.device.type == "cuda"
        if not on_gpu and (config.slots or 1) > 1:
            log.warning("slots=%d changes nothing on the CPU, where a batch is done when it is sent", config.slots)
        self._session = SESSIONS.of(scorer.owner)
        self.sizes = Sizes(config, self.device, self._session, scorer.model.rows, scorer.model.wave)
        self._in_use = 0
        self._resident = self._session.take_resident() or Resident(None, [])
        self._forward = Forward(scorer, removal, config, confidence, self._resident.pools)
        self.sizes.captured = self._forward.graphs
        weights = scorer.graph_fingerprint() if self._forward.graphs else None
        key = (config, confidence, type(scorer), removal.form, self.device, scorer.channels_last, weights)
        if self._resident.key != key:  # memory and graphs serve nothing else, nor weights that lie elsewhere
            spaces = [Workspace(self.device) for _ in range((config.slots or 2) if on_gpu else 1)]
            self._resident = Resident(key, spaces)
            self._forward.pools = self._resident.pools
        last = LastLanding()
        self.slots: list[Slot] = [
            CudaSlot(self._forward, self.sizes, space, last) if on_gpu else Slot(self._forward, self.sizes, space)
            for space in self._resident.workspaces
        ]

    def admit(self, item: Item) -> int:
        """Make an input resident; returns its place in the pool of its kind."""
        pools = self._resident.pools
        if item.kind not in pools:
            pools[item.kind] = Pool(item.kind, self.device, self._forward.channels_last)
        place = pools[item.kind].put(item)
        self._in_use += 1
        return place

    def drop(self, kind: Kind, place: int) -> None:
        """Give a place to the next; the pool goes too where there are many that nobody uses."""
        pools = self._resident.pools
        pools[kind].drop(place)
        self._in_use -= 1
        if len(pools) > KINDS and pools[kind].empty:
            del pools[kind]

    def close(self) -> None:
        """Leave what is resident to the next call, unless something is still under way."""
        if not self._in_use and not any(slot.busy for slot in self.slots):
            self._session.resident = self._resident
        else:
            for workspace in self._resident.workspaces:
                workspace.wait()  # until no batch reads what is given back
        self.slots = []
