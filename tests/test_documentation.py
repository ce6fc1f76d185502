"""What the documents name is there: names, settings, commands, files, tests; and what they show runs."""

from __future__ import annotations

import ast
import inspect
import re
import shutil
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
import typer
from answer_models import llava
from language_models import bert, byte_level, gpt2

import pysmdl
from pysmdl import builtin, methods, removal, scorers, studies
from pysmdl.cli import app
from pysmdl.explainer import Explainer
from pysmdl.search import SEARCHES

from documents import PAGES, ROOT, blocks, calls, docstrings, functions_of, spans
from toys import linear_model

SCENE = builtin.images()[0]["path"]


@pytest.mark.slow
def test_every_name_is_there_after_a_bare_import():
    """Each by itself: of pysmdl nothing is loaded but what `import pysmdl` loads."""
    texts = (*PAGES.values(), *docstrings())
    names = sorted({name for text in texts for name in re.findall(r"pysmdl(?:\.[A-Za-z]\w*)+", text)})
    assert len(names) > 30
    code = (
        "import sys\n"
        "for name in sys.argv[1:]:\n"
        "    for module in [each for each in sys.modules if each.split('.')[0] == 'pysmdl' and each != 'pysmdl._C']:\n"
        "        del sys.modules[module]\n"
        "    import pysmdl\n"
        "    try: eval(name, {'pysmdl': pysmdl})\n"
        "    except AttributeError as error: print(f'{name}: {error}')\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["metrics", "compat", "methods", "testing", "errors", "kernels", "interop", "_C"])
def test_modules_are_there_after_a_bare_import(name):
    ran = subprocess.run([sys.executable, "-c", f"import pysmdl; print(pysmdl.{name}.__name__)"], capture_output=True)
    assert ran.returncode == 0, ran.stderr


@pytest.fixture
def given(tmp_path, monkeypatch) -> dict[str, Any]:
    """What the documents take for granted: imports, a picture in the working folder, an image, a model, a scorer."""
    shutil.copy(SCENE, tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    return {
        "np": np,
        "pysmdl": pysmdl,
        "torch": torch,
        "image": SCENE,
        "explanations": [pysmdl.explain(SCENE, linear_model(size=64), 1, regions="grid:4", progress=False)],
        "stream_of_images": [scene["path"] for scene in builtin.images()[:2]],
        "scorer": builtin.load("digits"),
        "model": lambda batch: batch.mean((2, 3)) @ torch.linspace(-9, 9, 3000).reshape(3, 1000),
        "net": torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 5)).eval(),
        "clip_image_tower": lambda batch: batch.mean((2, 3)),
        "prototypes": torch.eye(3),
        "boxes_and_confidences": lambda batch: (torch.ones(len(batch), 2, 4), torch.ones(len(batch), 2, 3)),
        "logits_of_the_answer": lambda batch: batch.mean(3),
    }


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_what_is_shown_runs(page, given, tmp_path):
    if page == "docs/models.md":
        family = llava()
        given |= {"llava": family.model, "processor": family.processor}
    if page == "docs/text.md":
        given |= {"classifier": bert(403), "language": gpt2(), "tokenizer": byte_level()}
        exec("\n".join(blocks(page, "python")), given)  # each block goes on with what the ones before it made
        return
    for code in blocks(page, "python"):
        code = code.replace("mean=..., std=...", "mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)")
        exec(compile(code, page, "exec"), {**given})
    if page == "README.md":
        assert {"why.png", "why.npz"} <= {path.name for path in tmp_path.iterdir()}


def parameters(*functions: Any) -> set[str]:
    return {name for function in functions for name in inspect.signature(function).parameters}


SETTERS = (
    pysmdl.SubsetAttribution,
    pysmdl.explain,
    pysmdl.explain_many,
    pysmdl.explain_scales,
    pysmdl.EngineConfig,
    pysmdl.jobs.run,
    scorers.chat,
    scorers.classifier,
    scorers.custom,
    scorers.endpoint,
    scorers.language_model,
    scorers.string,
    scorers.table,
    removal.conditional_gaussian,
    studies.counterfactual_importance,
    studies.extremal,
    studies.interactions,
    studies.interventions,
    studies.leave_one_out,
    studies.pid,
    studies.ranking_relevance,
    studies.suppression_matrix,
    studies.sweep,
    scorers.InputSpec,
    scorers.boxes.Detector.detections,
)
KNOWN = {
    "_": parameters(*SETTERS),
    **{name: parameters(getattr(pysmdl, name)) for name in ("explain", "explain_many", "EngineConfig", "smdl", "lima")},
}


@pytest.mark.parametrize("page", PAGES)
def test_settings_that_are_named_exist(page):
    for call in calls(page):
        known = KNOWN.get(ast.unparse(call.func).removeprefix("pysmdl."))
        for keyword in call.keywords if known else ():
            assert keyword.arg in known or keyword.arg.isupper(), ast.unparse(call)


OTHERS = {"vps": scorers.detector(lambda batch: ()), "eag": scorers.tokens(lambda batch: batch)}  # not called


def test_values_that_the_readme_names_are_taken():
    tried = set()
    for call in calls("README.md"):
        values = {each.arg: each.value.value for each in call.keywords if isinstance(each.value, ast.Constant)}
        if ast.unparse(call.func) == "EngineConfig":
            pysmdl.EngineConfig(**values)
        if "removal" in values:
            pysmdl.removal.resolve(values.pop("removal"))
        settings = {name: value for name, value in values.items() if name in parameters(Explainer)}
        preset = str(settings.get("preset"))
        made = linear_model() if "gives" in settings else OTHERS.get(preset[:3], builtin.load("digits"))
        Explainer(made, **settings)
        tried |= set(values)
    assert tried >= {"preset", "search", "precision", "deterministic", "k", "evaluations", "until"}


def test_what_the_readme_reads_off_an_explanation_and_sets_on_a_scorer_is_there():
    held = {"e": pysmdl.explain(SCENE, linear_model(size=64), 1, regions="grid:4", progress=False)}
    held["scorer"] = builtin.load("digits")
    named = [found.groups() for span in spans("README.md") if (found := re.match(r"(e|scorer)\.(\w+)", span))]
    assert len(named) >= 3
    for owner, name in named:
        assert hasattr(held[owner], name), name


def bullet(title: str) -> str:
    (found,) = re.findall(rf"^- \*\*{title}\*\*:(.*?)(?=^- |^$)", PAGES["README.md"], re.DOTALL | re.MULTILINE)
    return found


@pytest.mark.slow
def test_regions_baselines_and_searches_of_the_readme_work_and_are_all_there_are():
    assert set(re.findall(r"`(\w+)`", bullet("Searches"))) == set(SEARCHES)
    baselines = re.findall(r'`"([\w-]+)"`', bullet("Baselines"))
    assert set(baselines) == set(pysmdl.removal.BASELINES)
    regions = re.findall(r'`"([\w:-]+)"`', bullet("Regions"))
    assert {each.split(":")[0] for each in regions} == set(pysmdl.regions.REGIONS)
    pytest.importorskip("cv2")
    for settings in [*({"baseline": each} for each in baselines), *({"regions": each} for each in regions)]:
        settings = {"regions": "grid:4", **settings}
        pysmdl.explain(SCENE, linear_model(size=64), 1, k=1, progress=False, **settings)


def test_methods_of_the_readme_are_all_there_are():
    (named,) = re.findall(r"Baselines on the same engine\*\*: (.*?) \(", PAGES["README.md"])
    plain = {name.lower().replace("-", "").replace("kernelshap", "kernel_shap") for name in named.split(", ")}
    assert plain == set(methods.METHODS)


def test_commands_and_their_options_exist():
    group: Any = typer.main.get_command(app)
    known = {name: {word for each in command.params for word in each.opts} for name, command in group.commands.items()}
    shown = [
        line.removeprefix("$ ") for page in PAGES for code in blocks(page, "console") for line in code.splitlines()
    ]
    named = [span for page in PAGES for span in spans(page)]
    used = [text.split() for text in (*shown, *named) if text.startswith("pysmdl ")]
    assert len(used) > 3
    for _, name, *rest in used:
        assert {word for word in rest if word.startswith("--")} <= known[name]
    assert {span for span in named if re.fullmatch(r"--[\w-]+", span)} <= set().union(*known.values())


def test_targets_of_make_exist():
    there = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page, text in PAGES.items():
        assert set(re.findall(r"(?:`|\$ )(?:\w+=\S+ )*make (\w+)", text)) <= there, page


@pytest.mark.parametrize("page", PAGES)
def test_files_links_and_their_anchors_exist(page):
    here = ROOT / page
    for link, _, anchor in re.findall(r"\]\(([^)#]*)(#([^)]+))?\)", PAGES[page]):
        target = (here.parent / link).resolve() if link else here
        assert link.startswith("https://") or target.exists(), link
        if anchor:
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    for span in spans(page):
        if re.fullmatch(r"(pysmdl|csrc|kernels|tests|benchmarks|docs|examples)/[\w./-]*", span):
            assert (ROOT / span).exists(), span


def test_environment_variables_are_read():
    sources = ("pysmdl/**/*.py", "kernels/*.py", "csrc/**/*.cpp", "CMakeLists.txt", "pyproject.toml", "*/*.py", "*/*sh")
    text = "".join(path.read_text() for pattern in sources for path in ROOT.glob(pattern))
    named = {name for page in PAGES for span in spans(page) for name in re.findall(r"PYSMDL_\w+", span)}
    assert len(named) > 3
    assert {name for name in named if name not in text} == set()


@pytest.mark.slow
def test_tests_that_are_named_exist():
    named = [found for text in PAGES.values() for found in re.findall(r"`(tests/\w+\.py)::(\w+)`", text)]
    assert len(named) > 50
    missing = [f"{file}::{name}" for file, name in named if name not in functions_of(ROOT / file)]
    assert not missing
