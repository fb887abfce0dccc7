"""The short form of `make fuzz`."""

from __future__ import annotations

import pytest
from fuzz_files import fuzz


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:websockets.legacy is deprecated:DeprecationWarning")
def test_damaged_files_and_hostile_values_are_read_or_refused(tmp_path):
    done = fuzz(tmp_path, seed=7, cases=75)
    assert done.failures == []
    assert done.counts["cases"] == 150
    assert done.counts["refused"] > 50, "otherwise nothing was damaged"
