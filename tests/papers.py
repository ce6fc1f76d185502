"""docs/papers.md: each paper as a setting, from rows that test_papers.py runs.

Writes the page: `python tests/papers.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

PAGE = Path(__file__).parents[1] / "docs" / "papers.md"
HEADER = """# Papers as settings

What a paper explains, and how, is a setting of one engine: what the input is divided into, what absence means, what is
read off the model, which search or estimator asks, and what is read off the answer. Each row below is code,
`door(x, scorer, players, absence, search)`, and `e` is what comes back. `tests/test_papers.py` runs each on a small
model; where that was made to depend on one player, it must come first. Published numbers are not run again here, but
for the traced cases of SMDL, LiMA, VPS and EAGLE ([reliability.md](reliability.md)).

| paper | scorer: what is read | players | absence | search or estimator | read off the answer |
| --- | --- | --- | --- | --- | --- |
"""
FOOTER = """
Where a row is not the paper's method to the letter:

{differs}

The classic estimators by name, RISE, D-RISE, LIME, KernelSHAP, Sobol, HSIC and occlusion, are in `pysmdl.methods`, each
with what differs; metrics with their papers in `pysmdl.metrics`. Texts have a [page of their own](text.md).

This page is written by `python tests/papers.py`.
"""


@dataclass(frozen=True)
class Paper:
    """A row: a paper, and code that is it.

    Attributes:
        name: As it is called, with its venue or year.
        arxiv: Its number there.
        given: Which input and model of test_papers.py run it.
        scorer: Makes the scorer; `model` and the like are of what is given.
        players, absence, search: Settings, where they are not the default.
        metric: What is read off `e`.
        first: The player that comes first, by number or by name, or one of several; None: there is no order.
        door: What is called.
        differs: Where it is not the paper's method.
    """

    name: str
    arxiv: str
    given: str
    scorer: str
    players: str
    absence: str
    search: str
    metric: str
    first: int | str | tuple[int, ...] | None = None
    door: str = "pysmdl.explain"
    differs: str = ""

    @property
    def call(self) -> str:
        """The row as one line of Python."""
        settings = [each for each in (self.players, self.absence, self.search) if each]
        return f"{self.door}(x, {', '.join([self.scorer, *settings])})"

    def line(self) -> str:
        """The row as one line of the page's table."""
        link = f"[{self.name}](https://arxiv.org/abs/{self.arxiv})"
        how = self.search if self.door == "pysmdl.explain" else f"{self.door}({self.search})"
        cells = (self.scorer, self.players, self.absence, how or 'search="guided"', self.metric)
        return f"| {' | '.join([link, *(f'`{cell}`' if cell else 'built in' for cell in cells)])} |\n"


PAPERS = (
    Paper(
        "SMDL, ICLR 2024", "2402.09164", "photo", "scorers.classifier(model, features=features)",
        'regions="slico"', 'baseline="black"', 'preset="smdl"', "metrics.highest_confidence(e)", 24,
    ),
    Paper(
        "LiMA, 2025", "2504.00470", "photo", "scorers.encoder(features, prototypes)",
        'regions="slico"', 'baseline="black"', 'preset="lima"', "metrics.insertion_auc(e)", 24,
    ),
    Paper(
        "VPS, CVPR 2025", "2411.16198", "detected", "scorers.detector(model)",
        'regions="slico"', 'baseline="zero"', 'preset="vps"', "metrics.highest_iou(e)", 24,
    ),
    Paper(
        "VPS, grounding", "2411.16198", "detected", "scorers.detector(model)",
        'regions="slico"', 'baseline="zero"', 'preset="vps-grounding"', "metrics.iou_success(e)", 24,
    ),
    Paper(
        "PhaseWin, CVPR 2026", "2511.10914", "photo", "scorers.classifier(model)",
        'regions="slico"', 'baseline="black"', 'preset="phasewin"', "metrics.deletion_auc(e)", 24,
    ),
    Paper(
        "EAGLE, CVPR 2026", "2509.22496", "answer", "scorers.tokens(model)",
        'regions="slico"', 'baseline="black"', 'preset="eagle"', "metrics.modality(e).perceptual_evidence", 24,
    ),
    Paper(
        "EAGLE, clips", "2509.22496", "clip", "scorers.tokens(model)",
        'players="tubes:5x25"', 'baseline="black"', 'preset="eagle-scoped"', "metrics.minimal_sufficient(e)",
    ),
    Paper(
        "EAGLE, texts", "2509.22496", "text", "scorers.language_model(model, tokenizer, answer=answer)",
        'players="words"', 'removal="replace"', 'objective="eagle", search=search.scoped(10, 5, 8)', "e.enough()",
    ),
    Paper(
        "Sobol, NeurIPS 2021", "2111.04138", "photo", "scorers.classifier(model, head=heads.value())",
        'regions="grid:64"', 'baseline="zero"', 'search=methods.sobol(masks="soft", designs=64)',
        "e.value_map()", (27, 28, 35, 36),
        differs="the Sobol sequence is scrambled by the seed",
    ),
    Paper(
        "Extremal perturbations, ICCV 2019", "1910.08485", "photo", "scorers.classifier(model)",
        'areas=[0.05], steps=40, regions="slico"', 'baseline="blur"', 'search="guided"',
        "e.scores, e.subset_scores", door="pysmdl.studies.extremal",
        differs="Adam's descent and a weight that grows from 1 to 1000, of inputs that are not flipped; of pixels, not "
        "of channels, and nothing is deleted but beside what is kept",
    ),
    Paper(
        "WCAM, 2023", "2305.14979", "photo", "scorers.classifier(model, head=heads.value())",
        'players="cells:8"', "removal=removal.wavelet(3)", 'search=methods.sobol(masks="soft", designs=64)',
        "e.by_group(), removal.spatial_map(e)", 0,
    ),
    Paper(
        "Regional multi-scale, 2018", "1807.11720", "photo", "scorers.classifier(model, head=heads.log_odds(base=2))",
        'scales=["slico:25", "slico:50", "slico:100"]', "baseline=removal.boundary_gaussian(8)",
        'search="occlusion", fuse="mean"', "e.value_map()", door="pysmdl.explain_scales",
        differs="log-odds are averaged over the draws, where the paper averages probabilities",
    ),
    Paper(
        "Sketches, strokes (SLA), CVPR 2024", "2403.09480", "sketch", "scorers.classifier(model)",
        "players=regions.strokes(lines, (64, 64))", "baseline=1.0", "", "e.values()", "stroke 1",
        differs="strokes are taken away by rasters, where the paper differentiates through them",
    ),
    Paper(
        "Sketches, parts of strokes (P-SLA)", "2403.09480", "sketch", "scorers.classifier(model)",
        "players=regions.strokes(lines, (64, 64), pieces=3)", "baseline=1.0", 'search="exact"', "e.by_group()",
        "stroke 1, part 1", differs="as of whole strokes",
    ),
    Paper(
        "ChartLens, ACL 2025", "2505.19360", "chart", 'scorers.tokens(model, head=heads.sequence("log_sum"))',
        "players=regions.overlapping(masks)", 'baseline="mean"', 'search="scoped"',
        "metrics.energy_pointing_game(e, mask=masks[2])", 2,
        differs="a masked model is asked, where the paper asks one to name marks that are drawn on the chart",
    ),
    Paper(
        "MSEA, 2025", "2509.22415", "answer", "scorers.tokens(model, size=64)",
        'scales=["slico:50"], resolutions=[48, 64, 96]', 'baseline="black"', 'search="guided", fuse="mean"',
        "e.value_map()", door="pysmdl.explain_scales",
        differs="any attribution may be underneath",
    ),
    Paper(
        "MSEA, its ARC of texts", "2509.22415", "text", "scorers.language_model(model, tokenizer, answer=answer)",
        'players="tokens"', "", "k=50", "e.weigh(e.matrix)", door="pysmdl.studies.ranking_relevance",
        differs="an answer's token is compared by what may stand in its place; a factor from 0 to 1 for any values",
    ),
    Paper(
        "ReAGent, 2024", "2402.00794", "text", "scorers.language_model(model, tokenizer, answer=answer, among=3)",
        'players="tokens"', 'removal="replace"', 'search="reagent", evaluations=200', "e.values()",
        differs="one token stands for those that are replaced unless removal.replace is given an infill; steps are "
        "asked for 64 at a time",
    ),
    Paper(
        "ARC-JSD, 2025", "2505.16415", "text",
        'scorers.language_model(model, tokenizer, answer=answer, head=heads.jsd("arc"))',
        'players="sentences"', 'removal="text"', 'search="occlusion"', "e.values()",
    ),
    Paper(
        "ContextCite, NeurIPS 2024", "2409.00729", "text",
        'scorers.language_model(model, tokenizer, answer=answer, head=heads.sequence("log_sum"))',
        'players="sentences"', 'removal="text"', 'search=methods.regression(evaluations=32, fit="lasso")', "e.values()",
        differs="the answer's log-probability is fitted, where the paper fits its logit",
    ),
    Paper(
        "AttriBoT, 2024", "2411.15102", "opinions", "scorers.string(model)", 'sections="lines", best=1', "",
        "", "e.values", door="pysmdl.studies.leave_one_out",
    ),
    Paper(
        "Thought Anchors, 2025", "2506.19143", "text", "scorers.language_model(model, tokenizer)",
        'players="sentences"', "", "temperature=0.6", "e.importance()", door="pysmdl.studies.suppression_matrix",
    ),
    Paper(
        "Thought Anchors, resampled", "2506.19143", "reasoned", "generate, judge, embed", "", "",
        'form="difference", repeats=400', "e.counterfactual", door="pysmdl.studies.counterfactual_importance",
        differs="the difference is what a step brings, where the paper's code has what its absence brings",
    ),
    Paper(
        "Visual thinking, 2025", "2510.23482", "thoughts", "scorers.classifier(model)",
        'players={"seen": "grid:9", "read": ["the", "answer", "is"]}', 'baseline={"seen": "mean"}', "",
        "e.flip_rate()", door="pysmdl.studies.interventions",
        differs="thoughts of either kind are taken away, where the paper also has a model write others in their place",
    ),
    Paper(
        "DiffusionPID, NeurIPS 2024", "2406.05191", "drawn", "scorers.custom(errors, heads.denoising(log_snr))",
        'players="columns"', 'baseline="zero"', "", "e.synergy", door="pysmdl.studies.pid",
        differs="of redundancy the smaller of two informations; errors at noise levels of the caller's",
    ),
    Paper(
        "CRAFT, CVPR 2023", "2211.10154", "concepts", "scorers.classifier(model, head=heads.value())",
        "players=names", "removal=removal.render(rebuilt)", "search=methods.sobol(designs=32)", "e.values()", "bright",
        differs="concepts are the caller's, from a factorisation of one's own, and kept or left out as a whole",
    ),
    Paper(
        "Holistic concepts, NeurIPS 2023", "2306.07304", "concepts", "scorers.classifier(model, head=heads.value())",
        "players=names", "removal=removal.render(rebuilt)", 'search="occlusion"', "e.values()", "bright",
        differs="concepts are the caller's, from a factorisation of one's own",
    ),
    Paper(
        "COAR, ICML 2024", "2404.11534", "filters", "scorers.classifier(model, head=heads.margin())",
        "players=names", "removal=removal.render(gated)",
        'search=methods.regression(keep=0.95, fit="lasso", evaluations=400)', "e.values()", "filter 2",
        differs="the model takes a gate for each of its filters, which the caller puts there; of one input",
    ),
    Paper(
        "Causal analysis, WACV 2024", "2305.08950", "filters", "scorers.classifier(model)",
        "players=names", "removal=removal.render(gated)", 'search="occlusion"', "e.values()", "filter 2",
        differs="what each unit of a layer does to the answer; edges from unit to unit and their tests are not here",
    ),
    Paper(
        "Bridges between attributions, 2025", "2501.18887", "both", "scorers.classifier(model)",
        'players={"seen": "grid:49", "filters": "columns"}', 'baseline={"seen": "mean", "filters": "zero"}',
        'search="exact"', "e.by_group()", 51,
        differs="features and components by one search, as the paper has them alike; training data are not here",
    ),
    Paper(
        "BAM, 2019", "1907.09701", "pasted", "scorers.classifier(model)",
        "regions=np.where(mask, 0, 1)", 'baseline="mean"', 'search="occlusion"', "e.value_map()[mask].mean()", 0,
        differs="what one model gives an object; the paper's scores compare two models, or two inputs",
    ),
    Paper(
        "Shortcuts, ICLR 2024", "2310.16228", "probe",
        'scorers.table(model, columns, gives="probabilities", head=heads.log_odds())',
        'players="columns"', 'baseline="zero"', 'search="exact"', "e.values()", "shortcut",
        differs="which latent a given model follows on one probe; its training is not here",
    ),
    Paper(
        "Impossibility theorems, 2022", "2212.11870", "steep", "scorers.table(model, columns)",
        'players="columns"', "baseline=x + 0.1", 'search="occlusion"', "-e.values()",
        differs="the question that attributions cannot answer, asked of the model itself: what a small step does",
    ),
    Paper(
        "Saliency map verbalization, 2022", "2210.07222", "photo", "scorers.classifier(model)",
        'regions="slico"', 'baseline="black"', "", "e.verbalise()", 24,
        differs="sentences of our own form, of regions as well as of words",
    ),
    Paper(
        "ViG-Bias, ECCV 2024", "2407.01996", "photo", "scorers.classifier(model)",
        'regions="slico"', 'baseline="black"', "", "e.view()", 24,
        differs="the masked image alone; clustering such images into slices is not here",
    ),
    Paper(
        "CHM-Corr++, interactive, 2024", "2404.05238", "photo", "scorers.classifier(model)",
        'regions="slico"', 'baseline="black"', "",
        "e(np.arange(e.n_players) != 24) - e.grand_value", door="pysmdl.Game",
        differs="what the model says to any regions that somebody keeps; a page to click on is not here",
    ),
    Paper(
        "shapiq, NeurIPS 2024", "2410.01649", "opinions", "scorers.string(model)",
        'players="words"', 'removal="text"', 'index="sii"', "e.matrix", door="pysmdl.studies.interactions",
        differs="pairs alone; by all subsets up to twelve players, beyond them by draws of our own",
    ),
    Paper(
        "SAM, sensitivity to settings, CVPR 2020", "2003.08754", "swept", "scorers.classifier(model)",
        'over={"regions": ["grid:49", "grid:36"], "seed": [0, 1]}', 'baseline="black"',
        'search="lime", evaluations=200',
        'e.similarity("ssim"), e.similarity("hog"), e.summary()["mean"]', door="pysmdl.studies.sweep",
        differs="maps are divided by their largest value before SSIM",
    ),
    Paper(
        "Disparities of explanations, 2024", "2401.14539", "people", 'scorers.table(model, ["a", "b", "c"])',
        'players="columns"', "baseline=removal.marginal(data, 8)", "search=methods.lime(kernel_width=1)",
        "metrics.group_gaps(-metrics.fidelity(e, 'error'), groups).largest", door="pysmdl.explain_many",
        differs="columns are kept or drawn, where the paper's LIME perturbs them; its shifts of data are not here",
    ),
    Paper(
        "Concept metrics, 2025", "2501.19271", "seen", "scorers.custom(model, heads.value())",
        'regions="slico"', 'baseline="mean"', 'search="occlusion"', "metrics.clm([1.0], [e], centres)", 24,
        differs="where one concept is seen, asked of the model; the paper's maps are of its activations",
    ),
    Paper(
        "DiFull, CVPR 2022", "2205.10435", "cells", "scorers.classifier(model)",
        "regions=cells.labels()", 'baseline="zero"', 'search="exact"',
        "metrics.largest_gain(e, cells.impossible([0]))",
    ),
    Paper(
        "ChaosMining, NeurIPS 2024", "2406.12150", "row", "scorers.table(model, columns)",
        'players="columns"', 'baseline="zero"', 'search="occlusion"', "e.values()", "c",
        differs="leave-one-to-zero itself, which is the truth of the benchmark's formulas; its data are not here",
    ),
    Paper(
        "RCI, 2025", "2509.23673", "patches", "scorers.scalar(model)",
        'regions="grid:4"', "removal=removal.render(crop)", "search=methods.occlusion(keep=True)",
        "1 - (e.insertion[0] + e.values().max()) / e.insertion[-1]", 3,
        differs="of one image; the paper's index is that of a data set's means",
    ),
    Paper(
        "LAQuer, 2025", "2506.01187", "opinions", "scorers.string(model)",
        'players="sentences"', 'removal="text"', "", "e.words", "The music was good. ",
        door="pysmdl.studies.minimal_sources",
        differs="the fewest sentences that keep the score, where the paper's systems name spans",
    ),
    Paper(
        "VISA, 2024", "2412.14457", "document", "scorers.tokens(model, head=heads.sequence())",
        'regions="grid:49"', "baseline=1.0", "", "metrics.pointing_game(e, boxes=box)", 24,
        differs="a model is asked what it needs, where the paper's is trained to name boxes",
    ),
)  # fmt: skip


def page() -> str:
    """docs/papers.md."""
    said = (f"- {each.name}: {each.differs}." for each in PAPERS if each.differs)
    differs = "\n".join(fill(each, 120, subsequent_indent="  ", break_on_hyphens=False) for each in said)
    return HEADER + "".join(map(Paper.line, PAPERS)) + FOOTER.format(differs=differs)


if __name__ == "__main__":
    PAGE.write_text(page())
