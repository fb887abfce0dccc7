"""A state folder that cannot be written: neither lock file nor SQLite's own files. Exits go, entries do not."""

from __future__ import annotations

import pytest
from support.alpaca_trading_server import AlpacaTradingServer
from support.broker_harness import BTC, Desk

from crypto_refactor.errors import BrokerError
from crypto_refactor.trading.locks import locked


@pytest.fixture
def server():
    with AlpacaTradingServer(prices={"BTC/USD": 50_000}) as running:
        yield running


@pytest.fixture
def desk(server, tmp_path):
    desk = Desk(server, tmp_path)
    desk.open()
    desk.open = lambda: None
    return desk


def freeze(folder):
    """Let no file appear in the folder; return what undoes it."""
    log_index = folder / "ledger.sqlite-shm"
    log_index.symlink_to(folder / "nowhere" / "at all")
    with_locks = (folder / "locks").exists()
    if with_locks:
        (folder / "locks").rename(folder / "aside")
    (folder / "locks").write_text("")

    def thaw():
        log_index.unlink()
        (folder / "locks").unlink()
        if with_locks:
            (folder / "aside").rename(folder / "locks")

    return thaw


def test_an_exit_goes_once_and_is_booked_when_the_folder_can_be_written_again(desk, server):
    desk.act(1)
    desk.later()
    thaw = freeze(desk.folder)
    for _ in range(3):
        with pytest.raises(BrokerError):
            desk.act(0)
    assert desk.held() == 0
    assert [order.side for order in server.orders] == ["buy", "sell"]
    desk.later()
    with pytest.raises(BrokerError):
        desk.act(0)
    thaw()
    desk.later().act(0)
    assert len(server.orders) == 2
    assert desk.account.side == 0
    assert desk.account.cash - 1000 == pytest.approx(float(server.cash) - 100_000, abs=1e-4)


def test_no_entry_goes(desk, server):
    desk.act(0)
    desk.later()
    thaw = freeze(desk.folder)
    for _ in range(2):
        with pytest.raises(BrokerError, match="cannot be used"):
            desk.act(1)
    assert server.orders == []
    thaw()
    desk.act(1)
    desk.agrees()


def test_a_close_by_hand_and_a_protection_go(desk, server):
    desk.act(1)
    desk.later()
    made = desk.executor()
    freeze(desk.folder)
    executor, rules = made
    with pytest.raises(BrokerError, match="was sent all the same"):
        executor.protect(BTC, desk.hour, 50_000, "stop_loss", rules)
    assert desk.held() == 0


def test_two_processes_do_not_act_on_one_sub_account_at_once(desk, server, monkeypatch):
    desk.act(1)
    desk.later()
    freeze(desk.folder)
    monkeypatch.setattr("crypto_refactor.trading.locks._LOCK_SECONDS", 0.1)
    with (
        locked(desk.folder, "paper/904837e3-3b76-47ec-b432-046db621571b", BTC),
        pytest.raises(BrokerError, match="Another process"),
    ):
        desk.act(0)
    assert len(server.orders) == 1
