"""Studies: methods against each other on the same inputs, what texts lean on, and what answers owe to a modality."""

from __future__ import annotations

from pysmdl.studies.correction import correction
from pysmdl.studies.interventions import Interventions, interventions
from pysmdl.studies.sources import LeftOut, MinimalSources, leave_one_out, minimal_sources
from pysmdl.studies.suppression import Suppression, suppression_matrix

__all__ = [
    "Interventions",
    "LeftOut",
    "MinimalSources",
    "Suppression",
    "correction",
    "interventions",
    "leave_one_out",
    "minimal_sources",
    "suppression_matrix",
]
