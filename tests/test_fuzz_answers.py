"""The short form of ``tests/fuzz_answers.py``."""

from __future__ import annotations

import pytest
from fuzz_answers import fuzz


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:websockets.legacy is deprecated:DeprecationWarning")
def test_hostile_answers_book_nothing_wrong_and_end_in_no_traceback(tmp_path):
    done = fuzz(tmp_path, seed=7, cases=30)
    assert done.failures == []
    assert done.counts["refused"] >= 5, "otherwise nothing was hostile"
    assert done.counts["answered"] >= 5, "otherwise nothing was believed"
