"""The page of an account that a run writes again each hour."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from support.ledgers import open_sub_account

from crypto_refactor.cli.commands.trade import COMMANDS
from crypto_refactor.cli.trading.account_page import AccountPage
from crypto_refactor.errors import DataError
from crypto_refactor.execution.stepper import new_state
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.account_names import ledger_of

NAME = "demo/alpaca"


@pytest.fixture
def ledger(tmp_path):
    return ledger_of(tmp_path / "state")


@pytest.fixture
def page(ledger, tmp_path):
    folder = tmp_path / "pages"
    folder.mkdir()
    return AccountPage(folder / "account.html", ledger, tmp_path / "state", ZoneInfo("UTC"))


@pytest.fixture
def opened(ledger):
    ledger.open_account(NAME, "2024-06-01T00:00:00+00:00", {"source": "alpaca"})
    open_sub_account(ledger, NAME, Ticker("BTC", "USD"), new_state(1000.0, 477_000))


def test_nothing_is_written_before_the_account_exists(page, tmp_path):
    notes = []
    page.rewrite(NAME, notes.append)
    assert notes == []
    assert list((tmp_path / "pages").iterdir()) == []


def test_it_is_rewritten_and_asks_to_be_loaded_again(page, opened, tmp_path):
    page.rewrite(NAME, pytest.fail)
    path = tmp_path / "pages" / "account.html"
    first = path.read_bytes()
    assert b'http-equiv="refresh"' in first
    page.rewrite(NAME, pytest.fail)
    assert len(path.read_bytes()) == len(first)
    assert list(path.parent.iterdir()) == [path]


def test_what_keeps_it_from_being_written_is_noted_once_and_ends_nothing(page, opened, tmp_path):
    folder, notes = tmp_path / "pages", []
    folder.rmdir()
    for _ in range(3):
        page.rewrite(NAME, notes.append)
    assert len(notes) == 1
    assert "is not written" in notes[0]
    with pytest.raises(DataError):
        page.write(NAME)
    folder.mkdir()
    page.rewrite(NAME, notes.append)
    folder.joinpath("account.html").unlink()
    folder.rmdir()
    page.rewrite(NAME, notes.append)
    assert len(notes) == 2


LINE = "--source sample --network linear --train-hours 240 --ticker BTC/USD"


@pytest.mark.parametrize(("name", "mode"), [("trade", "--demo --once"), ("multi", "--mode parallel --demo")])
def test_a_pass_and_a_replay_write_the_page_of_their_account(invoke, fits, tmp_path, name, mode):
    path = tmp_path / "page.html"
    done = invoke(COMMANDS[name], f"{mode} {LINE} --report {path}")
    assert done.code == 0, done.err
    text = path.read_text(encoding="utf-8")
    assert "Account demo/sample" in text
    assert "SIMULATED" in text
    assert 'http-equiv="refresh"' not in text


def test_a_mode_that_trades_no_account_has_no_page(invoke, tmp_path):
    done = invoke(COMMANDS["multi"], f"--mode parallel {LINE} --report {tmp_path / 'page.html'}")
    assert done.code == 2
    assert "no account is traded" in done.err


def test_a_page_that_cannot_be_written_is_refused_before_anything_is_traded(invoke, tmp_path, home):
    done = invoke(COMMANDS["trade"], f"--demo --once {LINE} --report {tmp_path / 'nowhere' / 'page.html'}")
    assert done.code == 3
    assert not (home.folder / "state").exists()
