"""The extension's border under what a caller may give it: an answer that is right, or an error."""

from __future__ import annotations

import pytest

pytest.importorskip("pysmdl._C")

from fuzz_native import CASES, fuzz


@pytest.mark.slow
def test_calls_of_any_kind_are_answered_as_defined_or_refused():
    found = fuzz(1000 * len(CASES), seed=1)
    for name in CASES:
        answered, checked, refused = (found[f"{name} {what}"] for what in ("answered", "checked", "refused"))
        assert answered + refused == 1000
        assert min(checked, refused) > 50, found
