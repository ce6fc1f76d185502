"""What is explained: a class, a box of a detector, tokens of an answer, features; and how results show it.

Results and files hold a target in a plain form, what its ``describe()`` gives: an int, a dict, a list.
:func:`described` reads that back; :func:`title`, :func:`outline` and :func:`kind` say what people see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any, ClassVar

import numpy as np

from pysmdl.errors import one_of

MODES = ("object", "cls", "iou")
Names = Sequence[str] | Mapping[int, str]  # of classes
SCORE = "the score"  # what a scorer of one number explains
LIMIT = 2**31  # scorers hold indices in int32


@dataclass(frozen=True)
class Class:
    """A class of a classifier.

    Attributes:
        index: Its number: Python's, NumPy's, or an array or tensor of one without a dimension.
    """

    index: int

    kind: ClassVar[str] = "class"

    def __post_init__(self) -> None:
        given = self.index
        plain = given.tolist() if hasattr(given, "tolist") and getattr(given, "ndim", 0) == 0 else given
        if isinstance(plain, bool) or not isinstance(plain, int):
            raise ValueError(f"target must be a class index or None for the model's own top class; got {given!r}")
        if plain < 0:
            raise ValueError(f"target must be at least 0; got {plain}")
        if plain >= LIMIT:
            raise ValueError(f"target must be below 2**31; got {plain}")
        object.__setattr__(self, "index", plain)

    def describe(self) -> int:
        """As results and files show it."""
        return self.index

    def title(self, names: Names | None = None) -> str:
        """In words, by its name where that is known."""
        return _name(names, self.index) or f"class {self.index}"

    def outline(self) -> None:
        """It is nowhere in particular."""


@dataclass(frozen=True)
class Box:
    """A detected, missed or misclassified object: where it is and what it is, or should have been (VPS).

    Attributes:
        xyxy: x0, y0, x1, y1 in the pixels of the given image.
        labels: Class indices; the most confident of them counts.
        mode: "object": IoU x confidence. "cls": confidence where IoU > 0.5. "iou": IoU alone.
    """

    xyxy: Sequence[float]
    labels: int | Sequence[int]
    mode: str = "object"

    kind: ClassVar[str] = "box"

    def __post_init__(self) -> None:
        corners = _numbers(self.xyxy)
        if corners.shape != (4,) or not np.isfinite(corners).all() or (corners[2:] <= corners[:2]).any():
            raise ValueError(f"xyxy must be x0, y0, x1, y1 with x1 > x0 and y1 > y0; got {self.xyxy!r}")
        given = _plain(self.labels)
        labels = _indices(given if isinstance(given, Iterable) else [given])
        if not labels:
            raise ValueError(f"labels must be class indices from 0 to 2^31 - 1, one or more; got {self.labels!r}")
        if self.mode not in MODES:
            raise one_of("mode", self.mode, MODES)
        object.__setattr__(self, "xyxy", tuple(float(corner) for corner in corners))
        object.__setattr__(self, "labels", labels)

    def describe(self) -> dict[str, Any]:
        """As results and files show it."""
        return {"xyxy": list(self.xyxy), "labels": list(self.labels), "mode": self.mode}  # type: ignore[arg-type]

    def title(self, names: Names | None = None) -> str:
        """In words, by the names of its classes where all of these are known."""
        found = [_name(names, index) for index in self.labels]  # type: ignore[union-attr]
        return " or ".join(found) if all(found) else "this box"

    def outline(self) -> tuple[float, float, float, float]:
        """Where it is in the given image: x0, y0, x1, y1."""
        return tuple(self.xyxy)  # type: ignore[return-value]


@dataclass(frozen=True)
class Tokens:
    """Tokens of a generated answer (EAGLE).

    Attributes:
        positions: Which of the answer's positions, from 0.
        ids: The token at each; None for what the model says on the full input.
        texts: The text of each, as results show it where that is known.
        answer: The whole answer's text, likewise.
    """

    positions: Sequence[int]
    ids: Sequence[int] | None = None
    texts: Sequence[str] | None = None
    answer: str | None = None

    kind: ClassVar[str] = "tokens"

    def __post_init__(self) -> None:
        positions = _indices(_plain(self.positions))
        if not positions or len(set(positions)) < len(positions):
            raise ValueError(
                f"positions must be distinct whole numbers from 0 to 2^31 - 1, one or more; got {self.positions!r}"
            )
        object.__setattr__(self, "positions", positions)
        if self.ids is not None:
            ids = _indices(_plain(self.ids))
            if len(ids) != len(positions):
                raise ValueError(
                    f"ids must be whole numbers from 0 to 2^31 - 1, one for each of {len(positions)} positions; "
                    f"got {self.ids!r}"
                )
            object.__setattr__(self, "ids", ids)
        if self.texts is not None:
            texts = () if isinstance(self.texts, str) or not isinstance(self.texts, Iterable) else tuple(self.texts)
            if len(texts) != len(positions) or not all(isinstance(each, str) for each in texts):
                raise ValueError(f"texts must be text, one for each of {len(positions)} positions; got {self.texts!r}")
            object.__setattr__(self, "texts", texts)
        if not isinstance(self.answer, (str, type(None))):
            raise ValueError(f"answer must be a text or None; got {self.answer!r}")

    def describe(self) -> dict[str, Any]:
        """As results and files show it."""
        found = {"positions": list(self.positions), "ids": None if self.ids is None else list(self.ids)}
        texts = {} if self.texts is None else {"texts": list(self.texts), "answer": self.answer}
        return found | texts

    def title(self, names: Names | None = None) -> str:
        """In words, by their text where that is known."""
        text = "" if self.texts is None else "".join(self.texts).strip()
        return f'"{text}"' if text else "this answer"

    def outline(self) -> None:
        """They are nowhere in the input."""


@dataclass(frozen=True)
class Answer:
    """Words of an answer to a prompt, for models that answer a picture with words (:func:`pysmdl.adapt`).

    Attributes:
        words: Some of it: "cat", a slice of its characters, :class:`Tokens` by their positions; None or "all": all.
        text: The answer; None: the scorer's, or what the model answers by itself to the full input.
        prompt: None: the scorer's.
    """

    words: str | slice | Tokens | None = None
    text: str | None = None
    prompt: str | None = None


@dataclass(frozen=True)
class Features:
    """A direction in an encoder's feature space, to which the cosine is taken.

    Attributes:
        vector: [D].
    """

    vector: Sequence[float]

    kind: ClassVar[str] = "features"

    def __post_init__(self) -> None:
        vector = _numbers(self.vector, flat=False)
        if vector.ndim != 1 or not len(vector) or not np.isfinite(vector).all():
            got = f"shape {list(vector.shape)}" if vector.size > 1 else repr(self.vector)
            raise ValueError(f"target must be finite features [D] or None for the input's own; got {got}")
        object.__setattr__(self, "vector", tuple(vector.tolist()))

    def describe(self) -> list[float]:
        """As results and files show it."""
        return list(self.vector)

    def title(self, names: Names | None = None) -> str:
        """In words."""
        return "these features"

    def outline(self) -> None:
        """They are nowhere in the input."""


Target = Class | Box | Tokens | Features


def described(plain: Any) -> Target:
    """The target that results and files show in this plain form (``Explanation.target``).

    Raises:
        ValueError: it is the form of no target.
    """
    if isinstance(plain, dict):
        try:
            return Box(**plain) if "xyxy" in plain else Tokens(**plain)
        except TypeError:
            raise ValueError(f"a target must be a box or tokens; got {sorted(map(str, plain))}") from None
    return Class(plain) if np.ndim(plain) == 0 else Features(plain)


def title(plain: Any, names: Names | None = None) -> str:
    """A target in words, from the form in which results show it; names are those of the classes."""
    found = _known(plain)
    if found is None:
        return plain if isinstance(plain, str) else "this answer"
    return found.title(names)


def why(plain: Any, names: Names | None = None) -> str:
    """The question that an explanation of a target answers."""
    found = title(plain, names)
    return f"why {'this score' if found == SCORE else found}?"


def outline(plain: Any) -> tuple[float, float, float, float] | None:
    """Where a target is in the given image, x0, y0, x1, y1, from the form in which results show it; None: nowhere."""
    found = _known(plain)
    return None if found is None else found.outline()


def kind(plain: Any) -> str:
    """ "class", "box", "tokens" or "features"; "own" where a scorer of the caller's own shows something else."""
    found = _known(plain)
    return "own" if found is None else found.kind


def _name(names: Names | None, index: int) -> str:
    if isinstance(names, Mapping):
        return names.get(index, "")
    return names[index] if names is not None and 0 <= index < len(names) else ""


def _known(plain: Any) -> Target | None:
    try:
        return described(plain)
    except ValueError:
        return None


def _plain(value: Any) -> Any:
    """An array or a tensor, wherever it lies, as lists; all else as it is."""
    return value.tolist() if hasattr(value, "tolist") else value


def _numbers(values: Any, flat: bool = True) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Real numbers as float64; what holds none is of no use: empty."""
    try:
        found = np.array(_plain(values), np.float64)
    except (TypeError, ValueError):
        return np.zeros(0)
    return found.ravel() if flat else found


def _indices(values: Any) -> tuple[int, ...]:
    """Whole numbers, Python's, NumPy's or a tensor's, from 0 and below LIMIT; none where one is not."""
    try:
        found = tuple(-1 if isinstance(value, bool) else index(value) for value in values)
    except (TypeError, ValueError):
        return ()
    return found if all(0 <= each < LIMIT for each in found) else ()
