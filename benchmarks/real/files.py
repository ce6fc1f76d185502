"""Where fetched files lie, and how an ONNX file among them is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BUILD = Path(__file__).parents[2] / "build"


def there(file: str) -> Path:
    """The path of a fetched file, "models/centerface/centerface.onnx".

    Raises:
        FileNotFoundError: it was not fetched; the message says how to.
    """
    if not (BUILD / file).exists():
        raise FileNotFoundError(f"build/{file} is not here: run make models")
    return BUILD / file


def scikit(file: str) -> Path:
    """The path of a photograph that comes with scikit-image."""
    import skimage.data

    return Path(skimage.data.__file__).parent / file


def session(model: Path | bytes) -> Any:
    """An ONNX file, or its content, in ONNX Runtime, on as many threads as torch has."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options)
