"""The classic perturbation methods as searches, so that they run at the engine's speed and share its curves.

Each draws all its subsets at once, asks for the target score of each of them kept, turns these into a value per region
(``Explanation.attribution``) and orders the regions by it::

    explanation = pysmdl.explain(image, model, search=pysmdl.methods.lime(evaluations=1000))

===================  ====================================================  ==========  =================
method               value of a region                                     rows        where it harms
===================  ====================================================  ==========  =================
:func:`occlusion`    the score lost without it (or found with it alone)    n + 1       negative
:func:`rise`         mean score of the random subsets that keep it         4000        below the others
:func:`drise`        the same of a detector's match                        5000        below the others
:func:`lime`         its coefficient in a local ridge regression           1000        negative
:func:`kernel_shap`  its Shapley value                                     2048 + 2n   negative
:func:`sobol`        share of the score's variance that involves it        32 (n + 1)  as where it helps
:func:`hsic`         how much the score depends on whether it is kept      1500        as where it helps
:func:`regression`   its coefficient in a plain regression, or a lasso     10n         negative
===================  ====================================================  ==========  =================

Where f(S) = b + sum of w[i] over S, a method's values are w to 1e-5 by occlusion, LIME with alpha=0, KernelSHAP and
regression; w^2 / |w|^2 by Sobol, exactly so over their sum; b + sum(w) / 2 + w / 2 by RISE, within the error of its
draws; HSIC's grow with |w|.

:func:`reagent` asks in rounds, and for as many rows as it takes.

Rows are the authors' own settings, used where neither the method nor :func:`pysmdl.explain` is given ``evaluations``.
The curves cost up to 2n more. A method given a number takes it, as far as explain's budget allows; without one it
takes explain's budget less what the curves may cost. Rows that repeat are evaluated once. The same seed gives the same
answer. Regions are kept or replaced by the baseline as a whole, where RISE's paper blends its masks softly; Sobol's may
be soft: ``sobol(masks="soft")``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pysmdl.errors import one_of
from pysmdl.methods.leave_one_out import occlusion
from pysmdl.methods.linear import kernel_shap, lime
from pysmdl.methods.randomized import drise, rise
from pysmdl.methods.regression import regression
from pysmdl.methods.replacing import reagent
from pysmdl.methods.sensitivity import hsic, sobol
from pysmdl.search import SEARCHES
from pysmdl.search.vocabulary import Search

METHODS: dict[str, Callable[[], Search]] = {
    "occlusion": occlusion,
    "rise": rise,
    "drise": drise,
    "lime": lime,
    "kernel_shap": kernel_shap,
    "sobol": sobol,
    "hsic": hsic,
    "regression": regression,
}

__all__ = [
    "METHODS",
    "drise",
    "hsic",
    "kernel_shap",
    "lime",
    "occlusion",
    "reagent",
    "regression",
    "resolve",
    "rise",
    "sobol",
]


def resolve(search: str | Search) -> Search:
    """A search or a method from its name, or as it is.

    Raises:
        ValueError: there is none of that name, or it is the function that makes it.
    """
    if isinstance(search, Search):
        return search
    known = {**SEARCHES, **METHODS, "reagent": reagent}
    given: Any = search  # whatever it is
    if isinstance(given, str) and given in known:
        return known[given]()
    if any(given is made for made in known.values()):
        raise ValueError(f"search must be what {given.__name__}() gives, not the function itself")
    raise one_of("search", given, known)
