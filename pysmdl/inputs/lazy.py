"""Inputs that are read when their turn comes: a member of a tar, a cell of a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class Opener(ABC):
    """What is read when its turn comes, by whatever thread or process."""

    @abstractmethod
    def open(self) -> Any:
        """An input, or regions, as explain takes them."""
