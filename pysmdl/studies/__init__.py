"""Studies: methods against each other on the same inputs, and what texts lean on."""

from __future__ import annotations

from pysmdl.studies.correction import correction
from pysmdl.studies.sources import LeftOut, MinimalSources, leave_one_out, minimal_sources
from pysmdl.studies.suppression import Suppression, suppression_matrix

__all__ = [
    "LeftOut",
    "MinimalSources",
    "Suppression",
    "correction",
    "leave_one_out",
    "minimal_sources",
    "suppression_matrix",
]
