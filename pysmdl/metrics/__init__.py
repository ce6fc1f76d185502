"""Metrics of explanations, each from its own paper.

| metric | paper | needs |
| --- | --- | --- |
| :func:`insertion_auc`, :func:`deletion_auc` | Petsiuk et al. 2018 (RISE) | an explanation; pixels for one axis |
| :func:`saliency_curves`: these of any map | the same, as Xplique steps it | the model, a map [H, W] |
| :func:`highest_confidence` | Chen et al. 2024 (SMDL), table 2 | explanations |
| :func:`mu_fidelity` | Bhatt et al. 2020, definition 3 | a :class:`pysmdl.Game`, values [n] |
| :func:`lds` | Park et al. 2023 (TRAK) | the same |
| :func:`edit_scores` | Shah et al. 2024 (COAR) | values of two groups of inputs [inputs, n] |
| :func:`soft_sufficiency`, :func:`soft_comprehensiveness` | Zhao and Aletras 2023; ReAGent | scores of soft views |
| :func:`pointing_game` | Zhang et al. 2018 (excitation backprop) | an explanation or a map, boxes or a mask |
| :func:`energy_pointing_game` | Wang et al. 2020 (Score-CAM) | an explanation or a map, boxes or a mask |
| :func:`mean_map` | ours | explanations of one input |
| :func:`iou`, :func:`giou`, :func:`diou` | Rezatofighi et al. 2019; Zheng et al. 2020 | boxes |
| :func:`highest_iou`, :func:`iou_success` | Chen et al. 2025 (VPS) | explanations of a detector |
| :func:`correction_region`, :func:`amcr`, :func:`csr` | Chen et al. 2026 (EAGLE) | explanations of the counter word |
| :func:`minimal_correction`, :func:`minimal_sufficient` | ours: first flip, first answer | explanations of answers |
| :func:`mean_minimal_region`, :func:`minimal_region_rate` | these of many | the same |
| :func:`modality`: language prior, perceptual evidence | Chen et al. 2026 (EAGLE) | an explanation of tokens |
| :func:`similarity`, :func:`pairwise_similarity` | Bansal et al. 2020 (SAM) | explanations of one input, or arrays |
| :func:`group_gaps` | Balagopalan et al. 2022 | a quality of each explanation, groups |
| :func:`fidelity` | the same | explanations by LIME |
| :func:`cgim`, :func:`cem`, :func:`clm` | Aysel et al. 2025 | what concepts count, whether and where they are |
| :class:`CellGrid`, :func:`largest_gain` | Rao et al. 2022 (DiFull) | a model of one cell, inputs |

:func:`summary` gives those that need nothing but the explanation, for tables.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pysmdl.explanation import Explanation
from pysmdl.metrics.answers import has_answers
from pysmdl.metrics.boxes import diou, giou, iou
from pysmdl.metrics.concepts import cem, cgim, clm
from pysmdl.metrics.correction import Correction, amcr, correction_region, csr
from pysmdl.metrics.curves import (
    AREAS,
    AXES,
    deletion_auc,
    highest_confidence,
    insertion_auc,
    nonzero_shares,
)
from pysmdl.metrics.groups import Gaps, fidelity, group_gaps
from pysmdl.metrics.localization import (
    box_overlap,
    energy_pointing_game,
    highest_iou,
    iou_success,
    pointing_game,
)
from pysmdl.metrics.maps import mean_map
from pysmdl.metrics.minimal import mean_minimal_region, minimal_correction, minimal_region_rate, minimal_sufficient
from pysmdl.metrics.modality import Modality, modality
from pysmdl.metrics.mufidelity import edit_scores, lds, mu_fidelity, random_subsets, region_values
from pysmdl.metrics.sanity import CellGrid, largest_gain, region_gains
from pysmdl.metrics.similarity import pairwise_similarity, similarity
from pysmdl.metrics.soft import soft_comprehensiveness, soft_sufficiency
from pysmdl.metrics.steps import pixel_steps

__all__ = [
    "AREAS",
    "AXES",
    "CellGrid",
    "Correction",
    "Gaps",
    "Modality",
    "amcr",
    "box_overlap",
    "cem",
    "cgim",
    "clm",
    "correction_region",
    "csr",
    "deletion_auc",
    "diou",
    "edit_scores",
    "energy_pointing_game",
    "fidelity",
    "giou",
    "group_gaps",
    "highest_confidence",
    "highest_iou",
    "insertion_auc",
    "iou",
    "iou_success",
    "largest_gain",
    "lds",
    "mean_map",
    "mean_minimal_region",
    "minimal_correction",
    "minimal_region_rate",
    "minimal_sufficient",
    "modality",
    "mu_fidelity",
    "nonzero_shares",
    "pairwise_similarity",
    "pixel_steps",
    "pointing_game",
    "random_subsets",
    "region_gains",
    "region_values",
    "similarity",
    "soft_comprehensiveness",
    "soft_sufficiency",
    "summary",
]


def summary(explanation: Explanation) -> dict[str, float]:
    """Every metric that the explanation alone can give, by name: a row of a table.

    Returns:
        insertion_auc, deletion_auc and highest_confidence_25 .. _100 (per cent of the area); minimal_correction and
        minimal_sufficient for classes and tokens; highest_iou_25 .. _100 for boxes.
    """
    found = {"insertion_auc": insertion_auc(explanation), "deletion_auc": deletion_auc(explanation)}
    for area, value in highest_confidence(explanation).items():
        found[f"highest_confidence_{round(100 * area)}"] = value
    if has_answers(explanation):
        found["minimal_correction"] = minimal_correction(explanation)
        found["minimal_sufficient"] = minimal_sufficient(explanation)
    if "iou" in explanation.reading:
        found |= {f"highest_iou_{round(100 * area)}": highest_iou(explanation, area) for area in AREAS}
    return found


def __getattr__(name: str) -> Any:
    """Metrics explain nothing: saliency_curves does, and is a study, found here all the same."""
    if name == "saliency_curves":
        return import_module("pysmdl.studies.saliency").saliency_curves
    raise AttributeError(f"module 'pysmdl.metrics' has no attribute {name!r}")
