"""Removal: what absence means."""

from __future__ import annotations

from pysmdl.removal.paint import BASELINES, baseline_of

__all__ = ["BASELINES", "baseline_of"]
