# SPDX-License-Identifier: GPL-2.0-only
"""The slips of make check-debug are made in the driver's text as it is now. That takes an
hour; whether the text is still there is seen at once."""

import pytest

import build
import mutants


@pytest.mark.parametrize("mutant", mutants.ALL, ids=lambda mutant: mutant.detector)
def test_mutant(mutant: mutants.Mutant) -> None:
    """Each piece that a slip replaces is in the sources once."""
    assert build.broken_texts(mutant.detector, mutant.changes)


def test_missing_piece() -> None:
    """A piece that is not there is an error that shows it."""
    with pytest.raises(build.BuildError, match="does not have once:\nno such line"):
        build.broken_texts("KASAN", {("core/wait.c", "no such line"): ""})
