"""The page of an account, from a ledger drawn by hand."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from support.chromium import Chromium, binary
from support.html_dom import charts_of
from support.ledgers import open_sub_account

from crypto_refactor.execution.stepper import SubAccountState, new_state
from crypto_refactor.execution.sub_account import Fill, SubAccount, Trade
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.report.html.account.history import RECENT_HOURS, account_history
from crypto_refactor.report.html.account.page import account_html
from crypto_refactor.trading.account_status import account_status
from crypto_refactor.trading.ledger.forecast_record import ForecastRecord
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.ledger.order_record import OrderRecord
from crypto_refactor.trading.reconciliation.kept import KeptReconciliation
from crypto_refactor.trading.record.record import account_record

BTC, ETH = Ticker("BTC", "USD"), Ticker("ETH", "USD")
AT = 477_000  # 2024-06-01T00:00Z
NAME = "demo/files:<prices>"
UTC_ZONE = ZoneInfo("UTC")
CLOSES = {AT: 100.0, AT + 1: 102.0, AT + 2: 101.0, AT + 3: 99.0}
TRADE = Trade(
    direction=1,
    entry_hour=AT + 1,
    entry_price=102.0,
    exit_hour=AT + 2,
    exit_price=101.0,
    quantity=9.0,
    fees=3.0,
    exit_reason="close",
)


def decision(close, **more):
    return {
        "reason": "forecast <b>beyond</b> its threshold: enter long",
        "signal": 1,
        "close": close,
        "predicted": close * 1.001,
        "confidence": 0.53,
        "conditions": {"forecast": True, "rsi": False},
        **more,
    }


def record(writer, hour, target, **more):
    """Record a decision and its forecast."""
    entry = decision(CLOSES.get(hour, 100.0), **more)
    writer.record_decision(hour, target, entry)
    close = entry["close"]
    interval = {"low": close * 0.99, "high": close * 1.012}
    values = {name: entry[name] for name in ("close", "predicted", "confidence")}
    writer.record_forecast(ForecastRecord(bar=hour, model="a", **values, **interval))


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger.sqlite", lambda: datetime(2024, 6, 1, 4, tzinfo=UTC))


@pytest.fixture
def filled(ledger):
    """Return the ledger with BTC/USD, which traded once, and ETH/USD, opened two hours later."""
    ledger.open_account(NAME, "2024-06-01T00:00:00+00:00", {"source": "files"})
    open_sub_account(ledger, NAME, BTC, new_state(1000.0, AT))
    open_sub_account(ledger, NAME, ETH, new_state(500.0, AT + 2))
    with ledger.transaction(NAME, BTC) as writer:
        for hour in CLOSES:
            record(writer, hour, 1)
        for hour, equity in ((AT + 1, 1000.0), (AT + 2, 990.0), (AT + 3, 988.0)):
            writer._insert("equity", {"bar": hour, "equity": equity})
        entry = Fill(at=AT + 1, side=1, quantity=9.0, price=102.0, fee=1.5, reason="entry")
        out = Fill(at=AT + 2, side=-1, quantity=9.0, price=101.0, fee=1.5, reason="close")
        writer.record_fills((entry, out), (TRADE,))
        state = SubAccount.open(988.0)._replace(halted=True, peak_equity=1000.0)
        writer.save_state(SubAccountState(account=state, pending=(), processed_through=AT + 3))
    return ledger


def history(ledger, tmp_path):
    rows = ledger.accounts()
    return account_history(ledger, account_status(ledger, tmp_path, rows[0], rows))


def page(ledger, tmp_path, **more):
    more = {"record": account_record(ledger, NAME), **more}
    return account_html(history(ledger, tmp_path), tz=UTC_ZONE, made_at="2024-06-01 04:00 UTC", **more)


def drawn(markup):
    return charts_of(markup)[0]


def trace(chart, name):
    return next(trace for trace in chart["data"] if trace["name"] == name)


def test_the_equity_of_all_sub_accounts_counts_each_from_the_start(filled, tmp_path):
    seen = history(filled, tmp_path)
    assert seen.hours.tolist() == [AT, AT + 1, AT + 2, AT + 3]
    assert seen.equity.tolist() == [1500.0, 1500.0, 1490.0, 1488.0]
    # ETH/USD never decided, so nothing is known of holding it.
    assert seen.held.tolist() == pytest.approx([1500.0, 1520.0, 1510.0, 1490.0])


def test_an_account_without_a_ticker_has_a_page(ledger, tmp_path):
    ledger.open_account(NAME, "2024-06-01T00:00:00+00:00", {})
    markup = page(ledger, tmp_path)
    assert "Nothing has been traded yet" in markup
    assert drawn(markup) == {}


def test_the_page_shows_worth_alerts_decisions_and_trades(filled, tmp_path):
    markup = page(filled, tmp_path)
    assert "-0.80\u00a0% since it was opened: 1,488.00 USD" in markup
    assert "would have lost 0.67\u00a0%, before fees." in markup
    assert "BTC/USD: HALTED by drawdown from a peak of 1,000.00" in markup
    assert "closed by hand" in markup
    assert "forecast &lt;b&gt;beyond&lt;/b&gt; its threshold: enter long" in markup
    assert "<b>beyond" not in markup
    assert "demo/files:&lt;prices&gt;" in markup
    assert 'id="orders"' not in markup


def test_the_labels_of_a_small_drawdown_differ(filled, tmp_path):
    # A fall of 0.8 % has labels 0.2 % apart, which a whole per cent would show as equal.
    assert drawn(page(filled, tmp_path))["account-equity"]["layout"]["yaxis2"]["tickformat"] == ".2~%"


def test_an_order_whose_outcome_is_unknown_has_a_section(filled, tmp_path):
    order = OrderRecord(
        client_order_id="cr-BTCUSD-2024060103-exit-1a2b3c4d",
        ticker=BTC,
        bar=AT + 3,
        leg="exit",
        side=-1,
        notional=None,
        quantity=9.0,
        reason="neutral",
        sent_at="2024-06-01T03:00:06+00:00",
    )
    with filled.transaction(NAME, BTC) as writer:
        writer.add_intent(order)
    markup = page(filled, tmp_path)
    assert 'id="orders"' in markup
    assert f"BTC/USD: order {order.client_order_id} is UNSETTLED" in markup


def test_a_forecast_stands_at_the_hour_it_is_of(filled, tmp_path):
    chart = drawn(page(filled, tmp_path))["price-BTC-USD"]
    times = [to_iso(hour)[:16].replace("T", " ") for hour in range(AT, AT + 5)]
    assert trace(chart, "Close")["x"] == times[:4]
    assert trace(chart, "Forecast")["x"] == times[1:]
    assert trace(chart, "90 % band")["y"] == pytest.approx([close * 1.012 for close in CLOSES.values()])
    assert trace(chart, "forecast")["x"] == times[:4]
    assert trace(chart, "rsi")["x"] == []
    assert trace(chart, "Exit with a loss")["x"] == [times[2]]
    assert [(span["x0"], span["x1"]) for span in chart["layout"]["shapes"]] == [(times[1], times[2])]


def test_the_backtest_of_the_same_hours_is_drawn_where_there_is_one(filled, tmp_path):
    names = [line["name"] for line in drawn(page(filled, tmp_path))["account-equity"]["data"]]
    assert "Its backtest" not in names
    backtest = {AT + 1: 1500.0, AT + 2: 1495.0}
    reconciled = KeptReconciliation(headline="backtest -0.33 %, account -0.80 %", backtest=backtest)
    markup = page(filled, tmp_path, reconciled=reconciled)
    assert "Until 2024-06-01 02:00: backtest -0.33 %, account -0.80 %." in markup.replace(
        "\N{NO-BREAK SPACE}", " "
    )
    chart = drawn(markup)["account-equity"]
    assert trace(chart, "Its backtest")["y"] == [None, 1500.0, 1495.0, None]


def test_the_record_of_forecasts_is_a_section(filled, tmp_path):
    markup = page(filled, tmp_path)
    # 100 to 102 was forecast to rise, and did; the other two fell; the last bar has not closed yet.
    assert (
        "Not yet better than a coin toss: of the last 3 forecasts 1 came true (33\N{NO-BREAK SPACE}%; the model said 53\N{NO-BREAK SPACE}%)."
        in markup
    )
    assert "1 not scored yet" in markup
    assert drawn(markup)["record"]["data"][1]["customdata"] == [3]
    assert 'id="record"' not in page(filled, tmp_path, record=None)


def test_decisions_of_an_earlier_version_have_no_band(ledger, tmp_path):
    ledger.open_account(NAME, "2024-06-01T00:00:00+00:00", {})
    open_sub_account(ledger, NAME, BTC, new_state(1000.0, AT))
    early = {"reason": "up", "close": 100.0, "predicted": 101.0, "confidence": 0.5}
    forecast = ForecastRecord(
        bar=AT, model="a", close=100.0, predicted=101.0, low=None, high=None, confidence=0.5
    )
    with ledger.transaction(NAME, BTC) as writer:
        writer.record_decision(AT, 1, early)
        writer.record_forecast(forecast)
        writer.record_decision(AT + 1, 0, {"reason": "too many bars are missing"})
    chart = drawn(page(ledger, tmp_path))["price-BTC-USD"]
    assert [line["name"] for line in chart["data"]] == ["Forecast", "Close"]


def test_the_charts_of_an_old_account_hold_the_last_two_weeks(ledger, tmp_path):
    ledger.open_account(NAME, "2024-06-01T00:00:00+00:00", {})
    open_sub_account(ledger, NAME, BTC, new_state(1000.0, AT))
    with ledger.transaction(NAME, BTC) as writer:
        for hour in range(1, RECENT_HOURS + 100):
            record(writer, AT + hour, 0)
            writer._insert("equity", {"bar": AT + hour, "equity": 1000.0})
    charts = drawn(page(ledger, tmp_path))
    assert len(trace(charts["price-BTC-USD"], "Close")["x"]) == RECENT_HOURS
    assert len(trace(charts["account-equity"], "Account")["x"]) == RECENT_HOURS + 100


def test_only_a_page_that_is_rewritten_asks_to_be_loaded_again(filled, tmp_path):
    assert 'http-equiv="refresh"' not in page(filled, tmp_path)
    assert '<meta http-equiv="refresh" content="300">' in page(filled, tmp_path, refresh=300)


@pytest.mark.slow
@pytest.mark.skipif(binary() is None, reason="no Chromium (Debian: apt install chromium)")
@pytest.mark.parametrize("phone", [False, True])
def test_the_page_draws_its_charts_loads_nothing_and_never_scrolls_sideways(filled, tmp_path, phone):
    path = tmp_path / "account.html"
    path.write_text(page(filled, tmp_path), encoding="utf-8")
    with Chromium(tmp_path / "profile") as browser:
        browser.show(width=390 if phone else 1400, height=844, phone=phone)
        browser.open(path)
        assert browser.ask("document.documentElement.dataset.drawn") == "3"
        assert browser.ask("document.documentElement.scrollWidth <= innerWidth")
        assert browser.complaints() == []
        assert browser.requests() == [path.resolve().as_uri()]


@pytest.mark.slow
@pytest.mark.skipif(binary() is None, reason="no Chromium (Debian: apt install chromium)")
def test_on_paper_the_names_of_conditions_stand_apart_and_titles_are_no_larger_than_labels(ledger, tmp_path):
    ledger.open_account(NAME, "2024-06-01T00:00:00+00:00", {})
    open_sub_account(ledger, NAME, BTC, new_state(1000.0, AT))
    with ledger.transaction(NAME, BTC) as writer:
        for hour in CLOSES:
            record(writer, hour, 0, conditions={f"condition_{number}": True for number in range(10)})
    path = tmp_path / "account.html"
    path.write_text(page(ledger, tmp_path), encoding="utf-8")
    with Chromium(tmp_path / "profile") as browser:
        browser.show(width=1100)
        browser.open(path)
        browser.ask("dispatchEvent(new Event('beforeprint'))")
        names = "[...document.querySelectorAll('#chart-price-BTC-USD .y2tick text')]"
        boxes = browser.ask(
            f"{names}.map((name) => name.getBoundingClientRect()).map((box) => [box.top, box.bottom])"
        )
        titles = browser.ask(
            "[...document.querySelectorAll('.xtitle, .ytitle')].map((title) => title.style.fontSize)"
        )
    assert len(boxes) == 10
    boxes.sort()
    assert all(above[1] <= below[0] + 1 for above, below in itertools.pairwise(boxes))
    assert set(titles) == {"9px"}


def test_equity_is_finite_where_the_opening_balance_is_nothing(ledger, tmp_path):
    ledger.open_account(NAME, "2024-06-01T00:00:00+00:00", {})
    open_sub_account(ledger, NAME, BTC, new_state(0.0, AT))
    assert np.isfinite(history(ledger, tmp_path).equity).all()
    assert "opened without a balance" in page(ledger, tmp_path)
