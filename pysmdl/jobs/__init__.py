"""Jobs that outgrow a sitting: many inputs, explained into a store that survives whatever ends the run."""

from __future__ import annotations

from pysmdl.jobs.comparing import diff
from pysmdl.jobs.failures import Failure
from pysmdl.jobs.job import Outcome, run
from pysmdl.jobs.ray_data import RayExplain
from pysmdl.jobs.stopping import Stop
from pysmdl.jobs.store import Store, means, open_store
from pysmdl.jobs.task import Factory, RayOptions
from pysmdl.jobs.upkeep import Verified

__all__ = [
    "Factory",
    "Failure",
    "Outcome",
    "RayExplain",
    "RayOptions",
    "Stop",
    "Store",
    "Verified",
    "diff",
    "means",
    "open_store",
    "run",
]
