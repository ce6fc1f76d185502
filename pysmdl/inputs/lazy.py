"""Inputs that are read when their turn comes: a member of a tar, a cell of a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from pysmdl.inputs.base import Input
from pysmdl.inputs.image import InputSpec
from pysmdl.inputs.pictures import ImageReader


class Opener(ABC):
    """What is read when its turn comes, by whatever thread or process."""

    @abstractmethod
    def open(self) -> Any:
        """An image, or regions, as explain takes them."""


class OpenerReader:
    """Takes these, and reads the images they give."""

    def takes(self, given: Any) -> bool:
        return isinstance(given, Opener)

    def read(self, given: Any, spec: InputSpec, computed: bool) -> Input:
        return ImageReader().read(given.open(), spec, computed)

    def lend(self, given: Any) -> tuple[Any, bool]:
        return given, True
