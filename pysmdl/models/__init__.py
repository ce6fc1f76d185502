"""Models: how a network is called, whatever form it comes in."""

from __future__ import annotations

from pysmdl.models.base import Model
from pysmdl.models.passes import passes
from pysmdl.models.remote import Remote
from pysmdl.models.towers import Tower

__all__ = ["Model", "Remote", "Tower", "passes"]
