"""The reconciliation that a page draws: kept whole, and never of another account."""

from __future__ import annotations

import pytest

from crypto_refactor.errors import BrokerError
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.reconciliation.kept import keep_reconciliation, kept_reconciliation
from crypto_refactor.trading.reconciliation.result import (
    AccountReconciliation,
    HourRow,
    HourSide,
    TickerReconciliation,
)

AT = 477_000
NAME = "demo/files:/a folder/of bars"


def side(equity):
    nothing = dict.fromkeys(("signal", "target", "held", "price", "quantity", "model", "bars"))
    return HourSide(equity=equity, **nothing)


def reconciled(*backtest, account=NAME):
    ticker = Ticker("BTC", "USD")
    rows = tuple(
        HourRow(
            ticker=ticker,
            hour=AT + at,
            close=1.0,
            backtest=side(equity),
            account=side(1000.0),
            causes=(),
        )
        for at, equity in enumerate(backtest)
    )
    part = TickerReconciliation(
        ticker=ticker,
        first=AT,
        end=AT + len(backtest) - 1,
        since_opening=True,
        start=1000.0,
        backtest=backtest[-1],
        account=1000.0,
        causes=(),
        unexplained=0.0,
        unexplained_since=None,
        rows=rows,
        extra_coins=0.0,
        trained=0,
    )
    return AccountReconciliation(account=account, simulated=False, tickers=(part,), missing={}, notes=())


def test_what_was_kept_last_is_what_is_read(tmp_path):
    keep_reconciliation(tmp_path, reconciled(1000.0, 1001.5), "first")
    keep_reconciliation(tmp_path, reconciled(1000.0, 1001.5, 999.25), "second")
    kept = kept_reconciliation(tmp_path, NAME)
    assert kept.headline == "second"
    assert kept.backtest == {AT: 1000.0, AT + 1: 1001.5, AT + 2: 999.25}
    assert kept.through == AT + 2


def test_accounts_do_not_meet(tmp_path):
    keep_reconciliation(tmp_path, reconciled(1000.0), "mine")
    assert kept_reconciliation(tmp_path, "demo/alpaca") is None
    (file,) = (tmp_path / "reconciled").iterdir()
    keep_reconciliation(tmp_path, reconciled(1000.0, account="demo/alpaca"), "other")
    (other,) = set((tmp_path / "reconciled").iterdir()) - {file}
    file.write_bytes(other.read_bytes())
    assert kept_reconciliation(tmp_path, NAME) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"[]", b"{}", b'{"schema": 2}', b'{"schema": 1, "account": "x", "backtest": 5}'],
)
def test_a_damaged_file_is_as_good_as_none(tmp_path, content):
    keep_reconciliation(tmp_path, reconciled(1000.0), "mine")
    (file,) = (tmp_path / "reconciled").iterdir()
    file.write_bytes(content)
    assert kept_reconciliation(tmp_path, NAME) is None


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "reconciled").touch()
    with pytest.raises(BrokerError, match="cannot be kept"):
        keep_reconciliation(tmp_path, reconciled(1000.0), "mine")
