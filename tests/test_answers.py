"""What a model may answer with: arrays as people have them, alone or among other things; and what is refused."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling, ImageClassifierOutput

import pysmdl
from pysmdl.errors import ScorerError
from pysmdl.inputs.arrays import tensor_of
from pysmdl.scorers import classifier, encoder

from toys import explain, linear_model, same

Inception = namedtuple("Inception", "logits aux")  # as torchvision's are
Heads = namedtuple("Heads", "first second")


@dataclass
class Result:
    scores: Any
    loss: Any = None


class Array:
    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


class Shared:
    def __init__(self, tensor):
        self.tensor = tensor

    def __dlpack__(self, **options):
        return self.tensor.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.tensor.__dlpack_device__()


def clips(**parts):
    """CLIP's own answer; its module takes seconds to load."""
    from transformers.models.clip.modeling_clip import CLIPOutput

    return CLIPOutput(**parts)


def backwards(array):
    return np.ascontiguousarray(array[..., ::-1])[..., ::-1]


def frozen(array):
    array.flags.writeable = False
    return array


def records(array):
    packed = np.zeros(len(array), [("id", "i1"), ("z", "f4", array.shape[1])])  # the numbers lie 17 bytes apart
    packed["z"] = array
    return packed


def foreign(array):
    return array.astype(array.dtype.newbyteorder(">"))


ARRAYS = {
    "array": lambda z: z.numpy(),
    "backwards": lambda z: backwards(z.numpy()),
    "upside down": lambda z: np.ascontiguousarray(z.numpy()[::-1])[::-1],
    "column order": lambda z: np.asfortranarray(z.numpy()),
    "foreign byte order": lambda z: foreign(z.numpy()),
    "float64": lambda z: z.numpy().astype(np.float64),
    "foreign float64": lambda z: foreign(z.numpy().astype(np.float64)),
    "long double": lambda z: z.numpy().astype(np.longdouble),
    "read-only": lambda z: frozen(z.numpy()),
    "field of records": lambda z: records(z.numpy())["z"],
    "masked": lambda z: np.ma.array(z.numpy()),
    "offers an array": lambda z: Array(foreign(z.numpy())),
    "offers its memory": lambda z: Shared(z),
    "nested lists": lambda z: z.tolist(),
    "lists of NumPy's numbers": lambda z: [list(row) for row in z.numpy()],
    "float64 tensor": lambda z: z.double(),
    "parameter": lambda z: torch.nn.Parameter(z),
    "wants a gradient": lambda z: z.clone().requires_grad_(),
    "sparse": lambda z: z.to_sparse(),
    "one by one": lambda z: z[..., None, None],
}  # fmt: skip
AMONG = {
    "tuple of one": lambda z: (z,),
    "list of one": lambda z: [z],
    "tuple with nothing": lambda z: (z, None),
    "tuple with a dict": lambda z: (z, {"cache": 1}),
    "auxiliary logits": lambda z: (z, 2 * z),
    "named auxiliary logits": lambda z: Inception(z, 2 * z),
    "named otherwise": lambda z: Heads(z, 2 * z),
    "dict": lambda z: {"logits": z},
    "dict with another name": lambda z: {"out": z},
    "dict with features": lambda z: {"features": torch.zeros(len(z), 9), "logits": z},
    "dict of lists": lambda z: {"logits": z.tolist(), "labels": ["cat"]},
    "Hugging Face's": lambda z: ImageClassifierOutput(logits=z),
    "Hugging Face's with a loss": lambda z: ImageClassifierOutput(loss=torch.tensor(1.0), logits=z, hidden_states=(z,)),
    "CLIP's": lambda z: clips(logits_per_image=z, logits_per_text=z.T, image_embeds=torch.zeros(len(z), 4)),
    "data class": lambda z: Result(z),
    "object": lambda z: SimpleNamespace(prediction=z, name="net"),
    "object with logits": lambda z: SimpleNamespace(logits=z, features=torch.zeros(len(z), 4)),
    "a tensor a row": list,
    "an array a row": lambda z: [row.numpy() for row in z],
    "a batch of one a row": lambda z: [row[None] for row in z],
}
FORMS = {**ARRAYS, **AMONG}


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_an_answer_in_any_form_is_the_tensor_it_holds(name):
    right = explain(linear_model(), regions="grid:9")
    assert same(explain(lambda batch: FORMS[name](linear_model()(batch)), regions="grid:9"), right)
    assert same(explain(lambda batch: FORMS[name](linear_model()(batch)), regions="grid:9", batch_size=1), right)


@pytest.mark.parametrize("name", [*ARRAYS, "tuple of one", "dict", "a tensor a row"])
def test_features_and_evidence_may_come_in_any_form(name):
    def found(form):
        scorer = classifier(
            linear_model(),
            features=lambda batch: form(linear_model(6, 3)(batch)),
            evidence=lambda batch: form(linear_model(4, 4)(batch)),
        )
        objective = pysmdl.smdl(confidence_form="evidential")
        return explain(scorer, objective=objective, search="exact", regions="grid:9").score.tolist()

    assert found(FORMS[name]) == found(lambda z: z)


@pytest.mark.parametrize(
    "form",
    [
        lambda z: BaseModelOutputWithPooling(last_hidden_state=torch.zeros(len(z), 3, 4), pooler_output=z),
        lambda z: BaseModelOutputWithPooling(pooler_output=z[..., None, None]),
        lambda z: clips(image_embeds=z, text_embeds=torch.zeros(len(z), 4)),
        lambda z: SimpleNamespace(last_hidden_state=z),
        lambda z: (z, None),
        lambda z: foreign(z.numpy()),
    ],
)
def test_an_encoders_features_are_known_by_their_names(form):
    right = explain(encoder(linear_model()), target=None, regions="grid:9")
    assert same(explain(encoder(lambda batch: form(linear_model()(batch))), target=None, regions="grid:9"), right)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.float16, torch.bfloat16])
def test_logits_of_another_type_are_the_numbers_they_are(dtype):
    def model(batch):
        return (8 * linear_model()(batch)).clamp(0, 200).to(dtype)

    assert same(explain(model, regions="grid:9"), explain(lambda batch: model(batch).float(), regions="grid:9"))


async def awaited(z):
    return z


REFUSED = {
    "an answer to come": (awaited, r"got coroutine.*: an async function goes into pysmdl.scorers.endpoint\(function\)"),
    "nothing": (lambda z: None, "the model must return a tensor, an array or a list of rows; got NoneType"),
    "a name": (lambda z: "cat", "the model must return a tensor, an array or a list of rows; got str"),
    "a number": (lambda z: 0.5, "the model must return a tensor, an array or a list of rows; got float"),
    "no rows": (lambda z: [], "the model must return a tensor, an array or a list of rows; got list"),
    "a generator": (
        lambda z: (row for row in z), "the model must return a tensor, an array or a list of rows; got generator",
    ),
    "unequal lists": (lambda z: [[0.1], [0.2, 0.3]], "what the model returned must be an array of numbers; got list"),
    "complex": (lambda z: z + 1j, "what the model returned must hold real numbers; got torch.complex64"),
    "complex array": (lambda z: z.numpy() + 1j, "must hold real numbers; got ndarray of complex64"),
    "complex logits": (lambda z: {"logits": z + 1j}, "must hold real numbers; got torch.complex64"),
    "objects": (lambda z: z.numpy().astype(object), "must hold real numbers; got ndarray of object"),
    "logits and features": (lambda z: (z, torch.zeros(len(z), 9)), r"a tuple \(0: torch.float32 \[\d+, 4\], 1: torch"),
    "features and logits": (lambda z: (torch.zeros(len(z), 9), z), "more than one may be meant: give a function that"),
    "two in a dict": (lambda z: {"a": z, "b": z}, r"a dict \('a': torch.float32 \[\d+, 4\], 'b': .* more than one"),
    "two in a list": (lambda z: [z, z], "more than one may be meant"),
    "another shape": (lambda z: {"out": z[:, None].expand(-1, 2, -1)}, "must return 2 dimensions, rows first; got"),
    "a class a row": (
        lambda z: z[:, 0], r"must return 2 dimensions, rows first; got shape \[\d+\]: a model of one number a row is",
    ),
    "too few rows": (lambda z: {"logits": z[1:]}, r"was given \d+ rows and returned \d+"),
    "masked": (lambda z: np.ma.array(z.numpy(), mask=z.numpy() < 9), "NaN or infinity for 32 of 32 rows"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_answer_is_named(name):
    form, message = REFUSED[name]
    with pytest.raises(ScorerError, match=message):
        explain(lambda batch: form(linear_model()(batch)), batch_size=32)


def test_hidden_states_are_no_features():
    states = BaseModelOutputWithPooling(last_hidden_state=torch.zeros(32, 3, 4))
    with pytest.raises(ScorerError, match=r"the encoder must return 2 dimensions, rows first; got shape \[32, 3, 4\]"):
        explain(encoder(lambda batch: states), target=None, batch_size=32)


@pytest.mark.parametrize("wrong", ["cat", None, [[1], [2, 3]], np.array(["a"]), 1j, {"a": 1}])
def test_what_is_no_array_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=r"prototypes must (be an array of|hold real) numbers; got"):
        tensor_of("prototypes", wrong)


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<u4", ">u4", "<u8", ">i8", "?", "<f2", ">f2", ">f8"])
def test_arrays_of_every_type_and_layout_hold_the_same_numbers(dtype):
    array = (np.arange(24).reshape(4, 6) % 2).astype(dtype)
    for view in (array, array[::-1], array[:, ::-2], array[::-1, ::-2].T, array[0, :0], array[0, 1]):
        assert tensor_of("x", view).tolist() == view.tolist()
