"""One round of a search, walked: the stops that docs/architecture.md names, and how few files it enters."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import pysmdl
from pysmdl import kernels

from toys import explain, image, linear_model

ROOT = Path(pysmdl.__file__).parent
DOCS = Path(__file__).parents[1] / "docs"
BOTH = pysmdl.smdl(confidence=0, effectiveness=0, consistency=1, collaboration=1)


def rounds_walked() -> list[list[tuple[str, str]]]:
    """(file, function) of each call between two turns of the search, n = 9, on the CPU, with both views."""
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(3), torch.nn.Flatten(), torch.nn.Linear(27, 4)).eval()
    scorer = pysmdl.scorers.classifier(net)
    settings = {"regions": "grid:9", "search": "exact", "objective": BOTH, "config": pysmdl.EngineConfig(ahead=False)}
    explain(scorer, **settings)  # imports and caches are not the round's
    homes = {str(ROOT): "", str(Path(kernels.__file__).parent): "kernels/"}
    rounds: list[list[tuple[str, str]]] = []

    def note(frame, event, _):
        name = frame.f_code.co_filename
        home = next((home for home in homes if name.startswith(home)), None)
        if event != "call" or home is None:
            return
        place = homes[home] + name.removeprefix(home).lstrip("/")
        if (place, frame.f_code.co_name) == ("search/greedy.py", "exact_rounds"):
            rounds.append([])
        if rounds:
            rounds[-1].append((place, frame.f_code.co_name))

    sys.setprofile(note)
    try:
        explain(scorer, **settings)
    finally:
        sys.setprofile(None)
    return rounds


def test_a_round_makes_the_nine_stops_in_few_files():
    walked = rounds_walked()[4]
    assert len({place for place, _ in walked}) <= 20
    assert len(walked) <= 173
    page = (DOCS / "architecture.md").read_text()
    stops = page[page.index("## One evaluation in nine stops") : page.index("## Where things are")]
    assert len(re.findall(r"^\d\. ", stops, re.MULTILINE)) == 9
    named = re.findall(r"`([\w/]+\.py): (\w+)`", stops)
    assert len(named) >= 9
    for place, function in named:
        assert any(at.endswith(place) and called == function for at, called in walked), f"{place}: {function}"


class Shuffle(pysmdl.removal.Removal):
    """Absent points show the input's own points, in another order."""

    name = "shuffle"

    def compose(self, pool, bits, source, out):
        x, labels = pool["x"], pool["labels"]
        mixed = x.flatten(2)[:, :, torch.randperm(labels[0].numel(), generator=torch.Generator().manual_seed(0))]
        for row in range(len(out)):
            i = max(int(source[row]), 0)  # -1 is padding
            word, bit = labels[i].clamp(min=0) // 32, labels[i].clamp(min=0) % 32
            kept = (labels[i] < 0) | ((bits[row][word.long()] >> bit) & 1 == 1)
            out[row] = torch.where(kept, x[i], mixed[i].view_as(x[i]))


def test_a_removal_of_ones_own():
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(3), torch.nn.Flatten(), torch.nn.Linear(27, 4)).eval()
    scorer = pysmdl.scorers.classifier(net)
    found = explain(scorer, removal=Shuffle(), regions="grid:40", search="guided")
    assert found.notes["removal"] == "shuffle"
    x = scorer.input.normalise(image())
    order = torch.randperm(144, generator=torch.Generator().manual_seed(0))
    mixed = x.flatten(1)[:, order].view_as(x)
    kept = torch.from_numpy(np.isin(found.labels, found.order[:7]))
    both = torch.stack((torch.where(kept, x, mixed), torch.where(kept, mixed, x)))
    p = net(both).softmax(1)[:, found.target].tolist()
    np.testing.assert_allclose((found.insertion[7], found.deletion[7]), p, atol=1e-6)
    assert not np.allclose(found.insertion, explain(scorer, regions="grid:40", search="guided").insertion)


def test_a_removal_without_compose_says_what_it_lacks():
    class Nothing(pysmdl.removal.Removal):
        name = "nothing"

    with pytest.raises(pysmdl.errors.ScorerError, match=r"'nothing' must define compose\(\), or view"):
        explain(linear_model(), removal=Nothing())
