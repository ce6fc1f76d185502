from typing import Any

import numpy as np
from numpy.typing import NDArray

__version__: str

class BackendFailure(RuntimeError): ...

class SubsetCache:
    def __init__(self, words: int) -> None: ...
    def intern(self, rows: NDArray[np.int32]) -> NDArray[np.int32]: ...
    def find(self, rows: NDArray[np.int32]) -> NDArray[np.int32]: ...
    def rows(self, start: int, stop: int) -> NDArray[np.int32]: ...
    def __len__(self) -> int: ...

def differences(flip: NDArray[np.int8], member: NDArray[np.bool_]) -> NDArray[np.int16]: ...
def greedy_chain(
    flip: NDArray[np.int8],
    alpha: NDArray[np.float64],
    linear: float,
    smooth: float,
    reach: float,
    offset: float,
    kept: float,
    removed: float,
) -> NDArray[np.int32]: ...
def improve_chain(
    flip: NDArray[np.int8],
    alpha: NDArray[np.float64],
    linear: float,
    smooth: float,
    reach: float,
    offset: float,
    kept: float,
    removed: float,
    order: NDArray[np.int32],
    k: int,
    passes: int,
    within: int,
) -> float: ...
def extend_cholesky(factor: NDArray[np.float64], known: int, count: int, noise: float) -> None: ...
def solve_cholesky(factor: NDArray[np.float64], x: NDArray[np.float64]) -> None: ...
def build_info() -> dict[str, str]: ...
def cuda_device_count() -> int: ...
def compose(
    x: Any, baseline: Any, labels: Any, rows: Any, source: Any, out: Any, threads: int, stream: int = 0
) -> None: ...
def class_scores(logits: Any, targets: Any, out: Any, entropy: bool, threads: int, stream: int = 0) -> None: ...
def match_boxes(
    boxes: Any,
    confidences: Any,
    target: Any,
    labels: Any,
    mode: Any,
    out: Any,
    floor: float,
    threads: int,
    stream: int = 0,
) -> None: ...
def distance_gains(distances: Any, nearest: Any, members: Any, candidates: Any, out: Any, stream: int = 0) -> None: ...
