"""Studies: methods against each other, what texts lean on, what answers owe to a modality, and pairs of players."""

from __future__ import annotations

from pysmdl.studies.correction import correction
from pysmdl.studies.information import Decomposition, pid
from pysmdl.studies.interactions import Interactions, interactions
from pysmdl.studies.interventions import Interventions, interventions
from pysmdl.studies.relevance import Relevance, ranking_relevance
from pysmdl.studies.rollouts import StepImportance, counterfactual_importance
from pysmdl.studies.sources import LeftOut, MinimalSources, leave_one_out, minimal_sources
from pysmdl.studies.suppression import Suppression, suppression_matrix
from pysmdl.studies.sweep import Sweep, sweep

__all__ = [
    "Decomposition",
    "Interactions",
    "Interventions",
    "LeftOut",
    "MinimalSources",
    "Relevance",
    "StepImportance",
    "Suppression",
    "Sweep",
    "correction",
    "counterfactual_importance",
    "interactions",
    "interventions",
    "leave_one_out",
    "minimal_sources",
    "pid",
    "ranking_relevance",
    "suppression_matrix",
    "sweep",
]
