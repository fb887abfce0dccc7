from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.cli_runner import one_document

from crypto_refactor.cli.commands.audit import command
from crypto_refactor.model.artifact import Card
from crypto_refactor.signals import conditions

OPTIONS = "--source sample --network linear --hours 48 --train-hours 240"
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
    assert found["audit"]["bars_checked"] == found["audit"]["bars"] == 49  # fewer than a sample has
    assert found["audit"]["limit_of_detection"] == 0


def cards(home):
    return list((home.models / "cache").glob("*/model.json"))


def test_a_model_is_trained_again_and_is_the_same(warm_copy):
    before = [card.read_text() for card in cards(warm_copy)]
    done = warm_copy.run(f"{AUDIT} --retrain")
    assert "Training 1 model" in done.stderr
    assert "Training again" in done.stdout
    assert done.stdout.count("passed") == 7
    assert [card.read_text() for card in cards(warm_copy)] == before


def test_a_card_with_better_evidence_passes_until_its_model_is_trained_again(warm_copy):
    """Its checksum, its key and its hashes are right: only training shows that the figures are made up."""
    for file in cards(warm_copy):
        card = Card.from_json(file.read_text())
        better = replace(card, evidence=replace(card.evidence, shrink=0.75, slope=1.5))
        file.write_text(better.to_json())
    assert warm_copy.json(AUDIT)["audit"]["passed"]
    found = one_document(warm_copy.run(f"{AUDIT} --retrain --json", code=6).stdout)["audit"]
    (check,) = [check for check in found["checks"] if not check["passed"]]
    assert check["name"] == "retraining"
    assert found["first_difference"]["column"] == "evidence after training again: slope"
    assert found["first_difference"]["run"] == 1.5


def test_a_card_of_another_model_is_set_aside_and_its_model_trained(warm_copy):
    (file, *_) = cards(warm_copy)
    card = Card.from_json(file.read_text())
    file.write_text(replace(card, ticker="ETH/USD", seed=7).to_json())
    (row,) = [row for row in warm_copy.json("crypto-refactor models")["models"] if row["damaged"]]
    assert row["name"] == file.parent.name
    done = warm_copy.run(AUDIT)
    assert "its card is that of another model, ETH/USD from sample" in done.stderr
    assert Card.from_json(file.read_text()).weights == card.weights


def test_a_pinned_model_cannot_be_trained_again(warm_copy):
    (named,) = (warm_copy.models / "sample").glob("*.keras")
    name = named.stem.removeprefix("btc_usd_")
    error = one_document(warm_copy.run(f"{AUDIT} --hours 24 --model {name} --retrain --json", code=2).stdout)[
        "error"
    ]
    assert "--retrain" in error["message"]


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
