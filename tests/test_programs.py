"""Programs of torch.export from files: what one holds beside tensors and operators of torch is refused, and not run."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from typing import NamedTuple

import pytest
import torch
from torch.utils import _pytree as pytree

from pysmdl.models.files import load_file

CONFIG = "data/{0}s/model_{0}s_config.json"


class Net(torch.nn.Module):
    """With parameters, a buffer, a plain tensor, and names that are no identifiers."""

    def __init__(self):
        super().__init__()
        self.parts = torch.nn.ModuleDict({"my-part 2": torch.nn.Linear(12, 4)})
        self.register_buffer("scale", torch.ones(4))
        self.shift = torch.ones(4)

    def forward(self, x):
        pooled = torch.nn.functional.adaptive_avg_pool2d(x, 2)
        return self.parts["my-part 2"](pooled.flatten(1)) * self.scale + self.shift


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The members of a file that is as it should be."""
    path = tmp_path_factory.mktemp("programs") / "net.pt2"
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(Net().eval(), (torch.rand(3, 3, 12, 12),), dynamic_shapes=({0: batch},))
    torch.export.save(program, path)
    with zipfile.ZipFile(path) as archive:
        return {each.filename.partition("/")[2]: archive.read(each) for each in archive.infolist()}


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (self.mark,)


def pickled(value) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def inputs(members, mark):
    members["data/sample_inputs/model.pt"] = pickled(((Evil(mark),), {}))


def payload(kind: str, name: str | None = None, save=pickled):
    def change(members, mark):
        config = json.loads(members[CONFIG.format(kind)])
        first = next(iter(config["config"].values()))
        first.update(use_pickle=True, path_name=name or first["path_name"])
        members[CONFIG.format(kind)] = json.dumps(config).encode()
        members[f"data/{kind}s/{first['path_name']}"] = save(Evil(mark))

    return change


def of_an_older_torch(kind: str):
    def change(members, mark):
        members[f"data/{kind}s/model.pt"] = pickled({"x": Evil(mark)})

    return change


def program(change):
    """Another program: `change` gets what its JSON says, and the code to run."""

    def changed(members, mark):
        found = json.loads(members["models/model.json"])
        change(found, f"__import__('os').mkdir({mark!r})")
        members["models/model.json"] = json.dumps(found).encode()

    return changed


def size(found, code):
    found["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0]["as_expr"]["expr_str"] = code


def size_in_text(found, code):
    size(found, f"S({code!r})")


def size_in_bytes(found, code):
    size(found, f"S({code.encode()!r})")


def operator(found, code):
    nodes = found["graph_module"]["graph"]["nodes"]
    argument = {"name": "", "arg": {"as_string": code}, "kind": 1}
    nodes.append({**nodes[-1], "target": "torch.os.system", "inputs": [argument], "outputs": [{"as_none": True}]})


def argument_name(found, code):
    found["graph_module"]["module_call_graph"][0]["signature"]["forward_arg_names"] = [f"x={code}"]


def node_name(found, code):
    found["graph_module"]["graph"]["inputs"][-1]["as_tensor"]["name"] = f"x={code}"


def keyword_name(found, code):
    text = json.dumps([1, {"type": "builtins.dict", "context": json.dumps([f"x={code}"]), "children_spec": []}])
    found["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = text


def module_to_import(found, code):
    context = {"default_factory_module": "antigravity", "default_factory_name": "x", "dict_context": []}
    text = json.dumps([1, {"type": "collections.defaultdict", "context": context, "children_spec": []}])
    found["graph_module"]["module_call_graph"][0]["signature"]["out_spec"] = text


def compiled(members, mark):
    members["data/aotinductor/model/model.so"] = b"code"


ATTACKS = {
    "pickled inputs": (inputs, "pickled objects beside tensors"),
    "a pickled weight": (payload("weight"), "pickled objects beside tensors"),
    "a pickled constant": (payload("constant"), "pickled objects beside tensors"),
    "weights of an older torch": (of_an_older_torch("weight"), "pickled objects beside tensors"),
    "constants of an older torch": (of_an_older_torch("constant"), "pickled objects beside tensors"),
    "an object": (payload("constant", "opaque_obj_0", pickle.dumps), "pickled objects"),
    "an object elsewhere": (payload("constant", "opaque_obj_/../x", pickle.dumps), "pickled objects"),
    "a size": (program(size), "a size that is no arithmetic"),
    "a size in text": (program(size_in_text), "a size that is no arithmetic"),
    "a size in bytes": (program(size_in_bytes), "a size that is no arithmetic"),
    "an operator": (program(operator), "a call of 'torch.os.system', which is no operator of torch here"),
    "the name of an argument": (program(argument_name), "a name of other characters than those of names"),
    "the name of a node": (program(node_name), "a name of other characters than those of names"),
    "the name of a keyword": (program(keyword_name), "a name of other characters than those of names"),
    "a module to import": (program(module_to_import), "the name of a module to import"),
    "compiled code": (compiled, "compiled code"),
}


def written(members, path):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{path.stem}/{name}", content)
    return path


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_program_that_could_run_code_is_refused_by_name(attack, whole, tmp_path):
    change, message = ATTACKS[attack]
    members, mark = dict(whole), tmp_path / "ran"
    change(members, str(mark))
    with pytest.raises(ValueError, match=f"x.pt2 is not loaded, as it could run code: it holds {message}"):
        load_file(written(members, tmp_path / "x.pt2"))
    assert not mark.exists()


def test_guards_are_not_run(whole, tmp_path):
    members, mark = dict(whole), tmp_path / "ran"
    program(lambda found, code: found.update(guards_code=[code]))(members, str(mark))
    model = load_file(written(members, tmp_path / "x.pt2"))
    assert model(torch.rand(5, 3, 12, 12)).shape == (5, 4)
    assert not mark.exists()


def test_a_program_is_what_was_exported(whole, tmp_path):
    before = os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    model = load_file(written(whole, tmp_path / "x.pt2"))
    assert model(torch.rand(5, 3, 12, 12)).shape == (5, 4)
    assert os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD") == before


class Branches(torch.nn.Module):
    """Operators of a higher order, sizes that are computed, text among the arguments."""

    def forward(self, x):
        with torch.no_grad():
            y = torch.einsum("bchw,bcwk->bchk", x, x.transpose(2, 3))
        y = torch.nn.functional.interpolate(y, size=(x.shape[2] // 2 + 1, 4), mode="bilinear")
        return torch.cond(y.sum() > 0, lambda z: z.mean((2, 3)), lambda z: z.amax((2, 3)), (y,))


@pytest.mark.slow
def test_what_a_model_may_need_is_allowed(tmp_path):
    net, x = Branches().eval(), torch.rand(3, 3, 12, 12)
    shapes = ({0: torch.export.Dim("batch"), 2: torch.export.Dim("height", min=8, max=64)},)
    torch.export.save(torch.export.export(net, (x,), dynamic_shapes=shapes), tmp_path / "x.pt2")
    torch.testing.assert_close(load_file(tmp_path / "x.pt2")(x), net(x))


class Answer(NamedTuple):
    logits: torch.Tensor
    pooled: torch.Tensor


class Named(torch.nn.Module):
    def forward(self, x):
        return Answer(x.mean((2, 3)), x.amax((2, 3)))


def test_an_answer_with_names_is_read(tmp_path):
    x = torch.rand(3, 3, 12, 12)
    pytree._register_namedtuple(Answer, serialized_type_name="test_programs.Answer")
    torch.export.save(torch.export.export(Named(), (x,)), tmp_path / "x.pt2")
    torch.testing.assert_close(load_file(tmp_path / "x.pt2")(x), x.mean((2, 3)))


class Nothing(torch.nn.Module):
    def forward(self):
        return torch.ones(2)


def test_a_program_that_takes_no_batch_is_named(tmp_path):
    torch.export.save(torch.export.export(Nothing(), ()), tmp_path / "x.pt2")
    with pytest.raises(ValueError, match=r"x\.pt2 is a program that takes no batch of images: "):
        load_file(tmp_path / "x.pt2")


def test_a_program_of_an_older_form_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pt2", "w") as archive:
        archive.writestr("x/version", "8.2")
        archive.writestr("x/serialized_exported_program.json", "{}")
    with pytest.raises(ValueError, match=r"x\.pt2 is no program of torch\.export, or is damaged: "):
        load_file(tmp_path / "x.pt2")
