from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from crypto_refactor.config import EnvironmentSettings
from crypto_refactor.errors import DataError, ModelError
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.recipe import TRAINING_LIBRARIES
from crypto_refactor.trading.health import ledger_health, machine
from crypto_refactor.trading.health.finding import (
    State,
    exit_code,
    failed,
    findings_of,
    fine,
    warning,
)
from crypto_refactor.trading.health.source_health import clock_findings, source_findings
from crypto_refactor.trading.kill_switch import halt
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.locks import is_locked, locked

BTC = Ticker("BTC", "USD")
NOW = datetime.now(UTC)


def states(findings):
    return [finding.state for finding in findings]


def one(findings):
    (finding,) = findings
    return finding


# Findings


def test_an_error_in_a_check_is_a_finding_and_the_next_check_follows():
    def broken():
        yield fine("x", "first")
        raise ModelError("No model.", expected="one.", remedy="train it.")

    first, second = findings_of("x", broken)
    assert (first.state, second.state) == (State.OK, State.FAILED)
    assert (second.text, second.remedy, second.code) == ("No model.", "train it.", 4)
    assert one(findings_of("y", lambda: {}["a bug"])).code == 70


def test_the_exit_code_is_that_of_the_failures():
    bad, worse = failed("x", "a", "b", 3), failed("y", "a", "b", 5)
    assert exit_code([fine("x", "a"), warning("y", "a", "b")]) == 0
    assert exit_code([bad, bad]) == 3
    assert exit_code([bad, worse]) == 1


# The machine


def test_a_missing_library_that_serves_is_a_failure_and_one_that_trains_is_not():
    assert states(machine.version_findings(lambda name: "1.0")) == [State.OK, State.OK]
    found = list(machine.version_findings(lambda name: None if name in TRAINING_LIBRARIES else "1.0"))
    assert states(found) == [State.OK, State.WARNING]
    assert "tensorflow" in found[1].text
    found = list(machine.version_findings(lambda name: None if name == "onnxruntime" else "1.0"))
    assert states(found) == [State.FAILED, State.OK]
    assert found[0].remedy == "pip install onnxruntime"


def test_keys_are_named_and_never_shown():
    key = SecretStr("PKSECRET")
    make = EnvironmentSettings.model_construct
    both = make(alpaca_api_key=key, alpaca_secret_key=key, alpaca_paper=True)
    half = make(alpaca_api_key=key, alpaca_secret_key=None, alpaca_paper=True)
    none = make(alpaca_api_key=None, alpaca_secret_key=None, alpaca_paper=True)
    assert one(machine.key_findings(both, needed=True)).state is State.OK
    assert one(machine.key_findings(half, needed=False)).state is State.FAILED
    assert one(machine.key_findings(none, needed=False)).state is State.OK
    assert one(machine.key_findings(none, needed=True)).code == 5
    for values in (both, half, none):
        finding = one(machine.key_findings(values, needed=True))
        assert "PKSECRET" not in f"{finding}"


def test_a_folder_that_is_not_there_yet_is_looked_for_above_and_not_created(tmp_path):
    missing = tmp_path / "a" / "b"
    found = list(machine.folder_findings({"state folder": missing}, free=lambda _: 10**10))
    assert states(found) == [State.OK, State.OK]
    assert "created when needed" in found[0].text
    assert not missing.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_permissions_are_seen(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    found = next(machine.folder_findings({"model folder": tmp_path}))
    tmp_path.chmod(0o700)
    assert (found.state, found.code) == (State.FAILED, 4)


def test_a_folder_where_no_file_can_be_created_is_a_failure():
    found = next(machine.folder_findings({"model folder": Path("/proc")}))
    assert (found.state, found.code) == (State.FAILED, 4)


def test_a_file_in_the_place_of_a_folder_is_a_failure(tmp_path):
    (tmp_path / "file").write_text("x")
    finding = one(machine.folder_findings({"state folder": tmp_path / "file" / "state"}))
    assert (finding.state, finding.code) == (State.FAILED, 5)
    assert "is a file" in finding.text


@pytest.mark.parametrize(
    ("free", "state"), [(10**11, State.OK), (10**9, State.WARNING), (10**7, State.FAILED)]
)
def test_space_runs_out_in_two_steps(tmp_path, free, state):
    assert states(machine.folder_findings({"state folder": tmp_path}, free=lambda _: free))[1] is state


# The ledger


def test_a_ledger_that_is_not_there_yet_is_fine_and_is_not_created(tmp_path):
    ledger = Ledger(tmp_path / "state" / "ledger.sqlite")
    assert states(ledger_health.ledger_findings(ledger, NOW)) == [State.OK]
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_is_read_whole_and_its_newest_copy_is_named(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for _ in range(2):  # the second transaction finds a file to copy
        ledger.open_account("demo/alpaca", NOW.isoformat())
    whole, copy = ledger_health.ledger_findings(ledger, NOW)
    assert (whole.state, copy.state) == (State.OK, State.OK)
    assert copy.text.startswith("The newest good copy is ledger-")


def test_a_ledger_without_a_copy_for_days_is_a_warning(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for _ in range(2):
        ledger.open_account("demo/alpaca", NOW.isoformat())
    (copy,) = (tmp_path / "backups").iterdir()
    old = (NOW - timedelta(days=4)).timestamp()
    os.utime(copy, (old, old))
    assert states(ledger_health.ledger_findings(ledger, NOW)) == [State.OK, State.WARNING]
    copy.unlink()
    assert states(ledger_health.ledger_findings(ledger, NOW)) == [State.OK, State.WARNING]


def test_a_damaged_ledger_is_a_failure_with_the_way_back(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for _ in range(2):
        ledger.open_account("demo/alpaca", NOW.isoformat())
    content = bytearray(ledger.path.read_bytes())
    content[4096:12288] = b"\xff" * 8192
    ledger.path.write_bytes(content)
    for extra in ("-wal", "-shm"):
        ledger.path.with_name(ledger.path.name + extra).unlink(missing_ok=True)
    damaged = Ledger(ledger.path)
    finding = one(findings_of("ledger", lambda: ledger_health.ledger_findings(damaged, NOW)))
    assert (finding.state, finding.code) == (State.FAILED, 5)
    assert "backup" in finding.remedy


def test_a_halt_is_a_warning_with_its_reason(tmp_path):
    assert one(ledger_health.halt_findings(tmp_path)).state is State.OK
    halt(tmp_path, at="2026-01-01T00:00:00Z", why="travelling")
    finding = one(ledger_health.halt_findings(tmp_path))
    assert finding.state is State.WARNING
    assert "travelling" in finding.text


def test_a_lock_is_seen_while_it_is_held_and_looking_takes_none(tmp_path):
    assert not is_locked(tmp_path, "demo/alpaca", BTC)
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path, "demo/alpaca", BTC):
        assert is_locked(tmp_path, "demo/alpaca", BTC)
        assert not is_locked(tmp_path, "demo/alpaca", Ticker("ETH", "USD"))
    assert not is_locked(tmp_path, "demo/alpaca", BTC)


# The source


@pytest.mark.parametrize(
    ("skew", "state"),
    [(0.4, State.OK), (-6.0, State.WARNING), (119.0, State.WARNING), (-121.0, State.FAILED)],
)
def test_clocks_apart_are_noticed_before_they_stop_trading(skew, state):
    assert one(clock_findings({"the source": skew})).state is state


def test_a_clock_that_nothing_was_compared_with_is_said_to_be_unchecked():
    finding = one(clock_findings({"the source": None}))
    assert finding.state is State.WARNING
    assert "not checked" in finding.text


def test_a_source_without_recent_bars_fails(random_bars):
    from crypto_refactor.market.sources.memory import MemorySource

    source = MemorySource([random_bars(100)])
    assert one(source_findings(source, BTC)).state is State.OK
    with pytest.raises(DataError):
        list(source_findings(source, Ticker("ETH", "USD")))
