from __future__ import annotations

import numpy as np
import pytest
from support.cli_runner import one_document

from crypto_refactor.cli.commands.audit import command
from crypto_refactor.signals import conditions

OPTIONS = "--source sample --network small --hours 48 --train-hours 240"
AUDIT = f"crypto-refactor audit {OPTIONS}"


def test_a_good_run_passes_and_says_what_was_checked(warm):
    done = warm.home.run(AUDIT)
    assert "Training" not in done.stderr
    assert "SIMULATED" in done.stdout
    assert "of 49 decisions recomputed" in done.stdout
    for title in ("Look-ahead", "Models", "Start of the data", "Fills", "Accounting"):
        assert title in done.stdout
    assert done.stdout.count("passed") == 6
    assert "FAILED" not in done.stdout


def test_the_same_as_one_json_document(warm):
    found = warm.home.json(AUDIT)
    assert found["window"] == warm.backtest["window"]
    assert found["settings"] == warm.backtest["settings"]
    assert found["audit"]["passed"] is True
    assert found["audit"]["full"] is False
    assert 10 <= found["audit"]["bars_checked"] < found["audit"]["bars"] == 49


def test_every_close_with_full(invoke, warm):
    done = invoke(command, f"{OPTIONS} --full --json", models=warm.home.models)
    assert done.code == 0
    found = one_document(done.out)["audit"]
    assert found["bars_checked"] == found["bars"] == 49


class TestAFaultExitsWithSix:
    @pytest.fixture(autouse=True)
    def look_ahead(self, monkeypatch):
        honest = conditions.threshold_unit
        monkeypatch.setattr(
            conditions,
            "threshold_unit",
            lambda *columns: np.full(len(columns[0]), honest(*columns).mean()),
        )

    def test_and_shows_the_first_bar_and_column_with_both_values(self, invoke, warm):
        done = invoke(command, f"{OPTIONS} --json", models=warm.home.models)
        assert done.code == 6
        found = one_document(done.out)["audit"]
        assert found["passed"] is False
        difference = found["first_difference"]
        assert difference["column"] == "threshold"
        assert difference["run"] != difference["recomputed"]

        shown = invoke(command, f"{OPTIONS} --tz America/Denver", models=warm.home.models)
        assert shown.code == 6
        assert "AUDIT FAILED" in shown.out
        flat = " ".join(shown.out.split())
        assert repr(difference["run"]) in flat
        assert repr(difference["recomputed"]) in flat
        assert "MST" in flat or "MDT" in flat


def test_what_cannot_be_is_refused(invoke):
    done = invoke(command, f"{OPTIONS} --hours 0 --json")
    assert done.code == 2
    assert one_document(done.out)["error"]["code"] == 2
