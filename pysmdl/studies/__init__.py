"""Studies: methods and settings against each other, what texts and reasonings lean on, what answers owe to a modality,
pairs of players, and masks by gradients.
"""

from __future__ import annotations

from pysmdl.studies.correction import correction
from pysmdl.studies.evaluation import compare
from pysmdl.studies.extremal import Extremal, extremal
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
    "Extremal",
    "Interactions",
    "Interventions",
    "LeftOut",
    "MinimalSources",
    "Relevance",
    "StepImportance",
    "Suppression",
    "Sweep",
    "compare",
    "correction",
    "counterfactual_importance",
    "extremal",
    "interactions",
    "interventions",
    "leave_one_out",
    "minimal_sources",
    "pid",
    "ranking_relevance",
    "suppression_matrix",
    "sweep",
]
