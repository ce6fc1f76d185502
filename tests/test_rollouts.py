"""Scores that need repetition: a Markov chain that speaks, whose importances have a closed form."""

from __future__ import annotations

import numpy as np
import pytest
from closed_forms import Weather

import pysmdl
from pysmdl import scorers
from pysmdl.explainer import Explainer
from pysmdl.studies import counterfactual_importance

WEATHER = Weather()
STEPS = (0, 1, 1, 2)
SAID = "".join(WEATHER.days[day] for day in STEPS)


def of_steps(**settings):
    """The importance of each of four days."""
    return counterfactual_importance(SAID, WEATHER.generate, WEATHER.judge, WEATHER.embed, **settings)


def expected():
    """Of each step: the chance of another day, the chance of sun after it, after the step, and after any day."""
    before = 0
    for i, day in enumerate(STEPS):
        left = WEATHER.length - i - 1
        chance = WEATHER.chances[before]
        sunny = np.array([WEATHER.sunny(each, left) for each in range(3)])
        other = np.arange(3) != day
        yield chance[other].sum(), chance[other] @ sunny[other] / chance[other].sum(), sunny[day], chance @ sunny
        before = day


def binary_kl(p, q):
    return p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))


def test_importances_of_a_chain_are_the_closed_form_within_three_standard_errors():
    apart = of_steps(repeats=400, form="difference")
    nats = of_steps(repeats=400)
    assert nats.evaluations == 5 * 400
    assert nats.names == ("Sun. ", "Rain. ", "Rain. ", "Snow. ")
    for i, (other, without, with_, anyhow) in enumerate(expected()):
        assert abs(apart.different[i] - other) < 3 * np.sqrt(other * (1 - other) / 400)
        assert abs(apart.counterfactual[i] - (with_ - without)) < 3 * apart.counterfactual_errors[i]
        assert abs(apart.resampling[i] - (with_ - anyhow)) < 3 * apart.resampling_errors[i]
        near = 3 / 400  # of a divergence the error is told to first order, and near 0 the second one counts
        assert abs(nats.counterfactual[i] - binary_kl(without, with_)) < 3 * nats.counterfactual_errors[i] + near
        assert abs(nats.resampling[i] - binary_kl(anyhow, with_)) < 3 * nats.resampling_errors[i] + near
    assert nats.overdetermined == pytest.approx([1 - 3 / 400] * 4)
    last = apart.counterfactual[-1] / apart.counterfactual_errors[-1]
    assert last < -3, "snow keeps the sun away"


def test_standard_errors_are_what_seeds_scatter_by():
    seeds = [of_steps(repeats=60, form="difference", seed=1000 * seed) for seed in range(40)]
    for of in ("counterfactual", "resampling"):
        scatter = np.std([getattr(each, of) for each in seeds], 0, ddof=1)
        told = np.mean([getattr(each, f"{of}_errors") for each in seeds], 0)
        assert (np.abs(np.log(told / scatter)) < 0.4).all(), of


def script(*answers):
    """A generator that says so by beginning, whatever the seed."""
    by_beginning = dict(answers)
    return lambda prompts, seed: by_beginning[prompts[0]][: len(prompts)]


def test_the_divergence_of_eight_in_ten_against_four_in_ten():
    """E4: right in 8 of 10 where another step stands, in 4 of 10 after the step."""
    generate = script(("Q: ", ["No. Right."] * 8 + ["No. Wrong."] * 2), ("Q: Yes. ", ["Right."] * 4 + ["Wrong."] * 6))

    def found(**settings):
        return counterfactual_importance(
            ["Yes. "],
            generate,
            lambda texts: ["Right" in text for text in texts],
            lambda steps: [[step == "Yes.", step != "Yes."] for step in steps],
            prompt="Q: ",
            repeats=10,
            **settings,
        )

    nats = found()
    assert nats.counterfactual == nats.resampling == pytest.approx([0.33479529], abs=1e-8)
    assert (nats.different, nats.overdetermined) == (1, pytest.approx(0.9))
    assert found(form="difference").counterfactual == pytest.approx([-0.4])
    p, q = 9 / 12, 5 / 12
    assert found(alpha=1).counterfactual == pytest.approx([binary_kl(p, q)])


def last_letters(texts):
    return [text[-1] for text in texts]


def test_answers_may_be_anything_and_steps_that_are_never_replaced_have_no_counterfactual():
    generate = script(("", ["Yes. A", "Yes. B"]), ("Yes. ", ["A", "C"]))
    found = counterfactual_importance(
        ["Yes. "],
        generate,
        last_letters,
        lambda steps: np.ones((len(steps), 2)),
        repeats=2,
    )
    assert np.isnan(found.counterfactual[0])
    assert found.different == 0
    assert found.resampling == pytest.approx([0.5 * np.log(0.5 / (1e-9 / 2))], rel=1e-6)


def test_what_is_clear_is_not_drawn_on():
    every, some = (of_steps(repeats=600, batch=50, form="difference", clear=clear) for clear in (None, 3.0))
    assert every.evaluations == 5 * 600
    assert some.evaluations < every.evaluations
    assert np.sign(some.counterfactual[-1]) == np.sign(every.counterfactual[-1]) == -1
    again = of_steps(repeats=600, batch=50, form="difference", clear=3.0)
    assert np.array_equal(again.counterfactual, some.counterfactual)


def spoken(**settings):
    """Sunny where a text has the word, in seven answers of ten."""

    def generate(prompts, seed):
        rng = np.random.default_rng(seed)
        return ["Sun." if rng.random() < (0.7 if "good" in each else 0.2) else "Rain." for each in prompts]

    settings = {"repeats": 200, **settings}
    return scorers.rollout(generate, lambda answers: [each == "Sun." for each in answers], **settings)


def test_the_mean_of_many_answers_is_explained_with_its_error():
    e = pysmdl.explain("a good day", spoken(), players="words", search="exact", progress=False)
    assert e.players[e.order[0]].strip() == "good"
    assert e.evaluations == 8 * 200
    error = e.reading["error"]
    assert abs(e.insertion[-1] - 0.7) < 3 * error[0, -1]
    assert abs(e.insertion[0] - 0.2) < 3 * error[0, 0]
    assert error[0, -1] == pytest.approx(np.sqrt(0.7 * 0.3 / 200), rel=0.15)
    assert (e.reading["rollouts"] == 200).all()


def test_a_budget_pays_for_each_answer():
    with pytest.raises(ValueError, match="evaluations must be at least 6"):
        pysmdl.explain("a good day", spoken(), players="words", search="exact", evaluations=6, progress=False)
    e = pysmdl.explain("a good day", spoken(), players="words", search="guided", evaluations=1500, progress=False)
    assert e.evaluations <= 1500


def test_a_dry_run_counts_each_answer():
    explainer = Explainer(spoken(), players="words", search="exact")
    item = explainer.prepare({"image": "a good day"})
    assert explainer.most(item) % 200 == 0
    assert explainer.most(item) >= 8 * 200


def test_answers_do_not_depend_on_the_batch():
    settings = {"players": "words", "search": "exact", "progress": False}
    one, other = (pysmdl.explain("a good day", spoken(), batch_size=size, **settings) for size in (1, 64))
    assert np.array_equal(one.insertion, other.insertion)


def test_what_is_clearly_decided_is_not_drawn_on():
    scorer = spoken(decided_at=0.45, clear=3, batch=20)
    e = pysmdl.explain("a good day", scorer, players="words", search="exact", progress=False)
    drawn = e.reading["rollouts"]
    assert (drawn < 200).any()
    assert (drawn % 20 == 0).all()
    assert (e.insertion[e.n] > 0.45, e.insertion[0] > 0.45) == (True, False)
    never = scorers.rollout(lambda prompts, seed: ["x"] * len(prompts), lambda a: [1] * len(a), decided_at=0.5, clear=3)
    assert pysmdl.Game("a b", never, players="words").grand_value == 1


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match="clear needs decided_at"):
        spoken(clear=3)
    with pytest.raises(ValueError, match="repeats must be a whole number of at least 2; got 1"):
        spoken(repeats=1)
    with pytest.raises(TypeError, match="judge must be callable; got NoneType"):
        scorers.rollout(WEATHER.generate, None)
    with pytest.raises(ValueError, match="form must be one of 'difference', 'kl'; got 'js'"):
        of_steps(form="js")
    with pytest.raises(ValueError, match='form="difference" needs outcomes that are numbers; got'):
        counterfactual_importance(SAID, WEATHER.generate, last_letters, WEATHER.embed, form="difference", repeats=2)
    with pytest.raises(pysmdl.errors.ScorerError, match="judge must give an outcome for each of 100 texts; got 1"):
        counterfactual_importance(SAID, WEATHER.generate, lambda texts: [True], WEATHER.embed)
    with pytest.raises(ValueError, match="steps must be a text or its parts, one at least"):
        counterfactual_importance("", WEATHER.generate, WEATHER.judge, WEATHER.embed)
    silent = scorers.rollout(lambda prompts, seed: ["x"], lambda answers: [1])
    with pytest.raises(pysmdl.errors.ScorerError, match="generate must give a string for each of 100 prompts; got 1"):
        pysmdl.Game("a b", silent, players="words")
    blind = scorers.rollout(lambda prompts, seed: ["x"] * len(prompts), lambda answers: ["good"] * len(answers))
    with pytest.raises(pysmdl.errors.ScorerError, match="judge must give a number for each answer"):
        pysmdl.Game("a b", blind, players="words")
