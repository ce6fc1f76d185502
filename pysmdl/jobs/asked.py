"""What a job was asked, as job.json has it: a store holds what one model gave under the same settings."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from pysmdl.errors import StoreError
from pysmdl.explainer import Explainer
from pysmdl.explanation.files import plain
from pysmdl.inputs.table import TableReader
from pysmdl.inputs.text import TextReader
from pysmdl.jobs import schema
from pysmdl.jobs.fingerprints import fingerprint
from pysmdl.jobs.job_json import job_of
from pysmdl.jobs.places import Place
from pysmdl.scorers import Scorer
from pysmdl.scorers.provenance import said


def explains(scorer: Scorer) -> str:
    """What a scorer reads: "text", a table's "row", or "image", which stands for all else."""
    kinds = {TextReader: "text", TableReader: "row"}
    return next((kind for reader, kind in kinds.items() if isinstance(scorer.reader, reader)), "image")


def asked(explainer: Explainer, target: Any = None, words: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Settings and model in plain values: what explanations of one store have in common."""
    plan, inputs = explainer.plan, explainer.inputs
    settings = {
        **plan.notes,
        "baseline": said(inputs.baseline),
        "regions": said(inputs.regions),
        "target": said(target.describe() if hasattr(target, "describe") else target),
        "trace": [said(each) for each in inputs.trace],
        "k": plan.k,
        "evaluations": plan.evaluations,
        "until": plan.until,
        "precision": explainer.config.precision,
    }
    model = {name: each for name, each in plan.provenance.items() if name not in ("device", "versions")}
    model |= model.pop("reads")
    model |= {name: said(each) for name, each in (words or {}).items()}
    model["weights"] = fingerprint(explainer.scorer)
    about = {name: plan.provenance.get(name) for name in ("device", "versions")}
    about["explains"] = explains(explainer.scorer)
    found: dict[str, Any] = json.loads(json.dumps(plain({"settings": settings, "model": model, **about})))
    return found


def agrees(place: Place, wanted: Mapping[str, Any]) -> bool:
    """Whether there is a job.json that asks the same, on whatever device; False where there is none.

    Raises:
        StoreError: it asks something else; the message says what.
    """
    there = job_of(place)
    differs = [] if there is None else list(_differences(there, wanted))
    if differs:
        raise StoreError(f"the store {place} was made with other settings: {'; '.join(differs)}; take a new one")
    return there is not None


def agree(place: Place, wanted: Mapping[str, Any]) -> None:
    """Write job.json, where there is none. Raises as :func:`agrees`."""
    if agrees(place, wanted):
        return
    about = {"store": schema.VERSION, "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    place.write("job.json", json.dumps({**about, **wanted}, indent=1).encode() + b"\n")


def _differences(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    for part in ("settings", "model"):
        before, now = there.get(part, {}), wanted[part]
        for name in sorted({*before, *now}):
            if before.get(name) != now.get(name):
                label = name if part == "settings" else f"model's {name}"
                yield f"{label} {json.dumps(before.get(name))}, now {json.dumps(now.get(name))}"
