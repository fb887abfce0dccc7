"""The end of a replay, for people."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from support.replay_runner import replay_run
from support.stub_models import BTC, remade, sample_bars

from crypto_refactor.errors import DataError
from crypto_refactor.market.hours import to_local_text, zone
from crypto_refactor.report.formatting import exit_text
from crypto_refactor.report.replay_summary import total_curve
from crypto_refactor.report.terminal.accounts.replay import MAX_TRADES_LISTED, replay_summary
from crypto_refactor.trading.outcomes import Failure

UTC = zone("UTC")
PARITY = "to the last cent: models, decisions, fills, fees and equity."


def text_of(result, tz=UTC):
    return replay_summary(result, tz)


def cells(text, start):
    """Return the cells of the one line of figures that begins with `start`."""
    (row,) = [line for line in text.splitlines() if re.match(rf"{start} +[\d,]+\.\d\d ", line)]
    return re.split(r"  +", row)


def test_it_names_window_account_and_simulation(single):
    text = text_of(single)
    end = int(sample_bars(1200).closed[-1])
    assert text.splitlines()[0] == "Replay of BTC/USD   SIMULATED"
    assert f"{to_local_text(end - 72, UTC)} to {to_local_text(end, UTC)}, 72 hours" in text
    assert f"Account {single.account}" in text
    assert "fee 0.10 % per fill" in text


def test_bars_of_a_market_are_not_called_simulated(tmp_path, fits):
    result, _ = replay_run(tmp_path, remade(sample_bars(1200), source="files"), hours=10)
    assert "SIMULATED" not in text_of(result)


def test_its_figures_are_those_of_the_backtest(single):
    backtest = single.replayed[0].backtest
    metrics, hold = backtest.requested.metrics, backtest.buy_and_hold.metrics
    assert cells(text_of(single), "BTC/USD") == [
        "BTC/USD",
        "10,000.00",
        f"{metrics.final_balance:,.2f}",
        f"{metrics.total_return * 100:+.2f} %",
        f"{hold.total_return * 100:+.2f} %",
        str(metrics.trades),
        f"{metrics.win_rate * 100:.1f} %",
        f"{metrics.fees_paid:,.2f}",
    ]


def test_a_single_ticker_has_no_total(single):
    assert "Total" not in text_of(single)


def test_few_trades_are_listed_with_what_they_earned(single):
    text, trades = text_of(single), single.replayed[0].trades
    listed = [line for line in text.splitlines() if re.match(r"BTC/USD  (long|short) ", line)]
    assert len(listed) == len(trades) > 3
    for line, trade in zip(listed, trades, strict=True):
        for cell in (
            to_local_text(trade.entry_hour, UTC),
            f"{trade.entry_price:,.2f}",
            to_local_text(trade.exit_hour, UTC),
            f"{trade.exit_price:,.2f}",
            f"{trade.net_pnl:+,.2f}",
            exit_text(trade.exit_reason),
        ):
            assert cell in line


def test_many_trades_are_left_to_the_command_that_lists_them(single):
    replayed = single.replayed[0]
    many = replace(replayed, trades=replayed.trades[:1] * (MAX_TRADES_LISTED + 1))
    text = text_of(replace(single, replayed=(many,)))
    assert f"{MAX_TRADES_LISTED + 1} trades were closed" in text
    assert f"crypto-refactor trades --account {single.account} --csv" in text
    assert "exit reason" not in text


def test_no_trade_at_all_is_said(tmp_path, fits):
    result, _ = replay_run(tmp_path, sample_bars(1200), hours=20, strict=True, fee=0.5)
    text = text_of(result)
    assert "No trade was closed." in text
    assert "BTC/USD: --strict blocked all" in text or "BTC/USD: There was no signal" in text
    assert cells(text, "BTC/USD")[5:] == ["0", "–", "0.00"]


def test_a_small_number_of_trades_is_called_what_it_is(single):
    assert "too few to tell skill from luck" in text_of(single)


def test_what_is_still_held_is_named(single):
    (still,) = [
        trade for trade in single.replayed[0].backtest.requested.simulation.trades if not trade.closed
    ]
    assert (
        f"Still open at the end: long {still.quantity:.5f} BTC since {to_local_text(still.entry_hour, UTC)}, "
        f"entry {still.entry_price:,.2f}, last close {still.exit_price:,.2f}, net {still.net_pnl:+,.2f} so far"
    ) in text_of(single)


def test_dust_is_not_called_a_position(single):
    replayed = single.replayed[0]
    run = replayed.backtest.requested.simulation
    dust = replace(run, trades=(run.trades[-1]._replace(exit_reason="dust"),))
    requested = replace(replayed.backtest.requested, simulation=dust)
    scenarios = replace(replayed.backtest.scenarios, requested=requested)
    backtest = replace(replayed.backtest, scenarios=scenarios)
    text = text_of(replace(single, replayed=(replace(replayed, backtest=backtest),)))
    assert "Remainder too small to sell: long" in text
    assert "Still open" not in text


def test_the_equity_is_drawn_between_the_first_and_the_last_hour(single):
    lines = text_of(single).splitlines()
    top = lines.index("Equity") + 1
    curve = [value for _, value in single.replayed[0].equity]
    assert f"{max(curve):,.2f} ┤" in lines[top]
    assert f"{min(curve):,.2f} ┤" in lines[top + 7]
    assert to_local_text(single.replayed[0].equity[0][0], UTC) in lines[top + 9]
    assert lines[top + 9].endswith(to_local_text(single.replayed[0].equity[-1][0], UTC))


def test_it_says_that_it_equals_the_backtest(single):
    assert text_of(single).endswith(f"Equal to the backtest of the same window, {PARITY}")
    assert "WARNING" not in text_of(single)


def test_it_warns_of_a_difference_and_names_the_tickers(several):
    btc, eth = several.replayed
    text = text_of(replace(several, replayed=(btc, replace(eth, same=False))))
    assert "WARNING: NOT EQUAL to the backtest of the same window: ETH/USD." in text
    assert PARITY not in text


def test_a_resumed_replay_says_so(single):
    assert "an interrupted replay, resumed" in text_of(replace(single, resumed=True))
    assert "resumed" not in text_of(single)


def test_several_tickers_have_a_total(several):
    text = text_of(several)
    btc, eth, total = (cells(text, name) for name in ("BTC/USD", "ETH/USD", "Total"))
    assert (btc[1], eth[1], total[1]) == ("5,000.00", "5,000.00", "10,000.00")
    finals = [replayed.equity[-1][1] for replayed in several.replayed]
    assert total[2] == f"{sum(finals):,.2f}"
    assert int(total[5]) == int(btc[5]) + int(eth[5])
    assert "Equity, all tickers together" in text


def test_windows_that_differ_are_named_with_their_tickers(several):
    text, end = text_of(several), int(sample_bars(1200).closed[-1])
    assert f"{to_local_text(end - 40, UTC)} to {to_local_text(end, UTC)}, 40 hours: BTC/USD" in text
    assert f"{to_local_text(end - 50, UTC)} to {to_local_text(end - 10, UTC)}, 40 hours: ETH/USD" in text


def test_what_was_not_replayed_is_named_and_its_reason_is_not_repeated(several):
    error = DataError("The file is damaged.", expected="bars.", remedy="download it again.")
    text = text_of(replace(several, rows=(*several.rows, Failure(ticker=BTC, error=error))))
    assert "Failed, see above: BTC/USD." in text
    assert "Left out, see above: SOL/USD." in text
    assert "There are no bars of SOL/USD." not in text


def test_a_replay_of_nothing_says_so(several):
    text = text_of(replace(several, replayed=()))
    assert "No ticker was replayed to its end." in text
    assert "Left out, see above: SOL/USD." in text
    assert PARITY not in text


def test_times_are_those_of_the_zone(single):
    denver = zone("America/Denver")
    text = text_of(single, denver)
    assert "UTC" not in text
    assert to_local_text(single.replayed[0].equity[0][0], denver) in text


class TestTotalCurve:
    def test_windows_that_differ_are_carried_to_both_ends(self):
        first, total = total_curve([[(10, 1.0), (11, 2.0)], [(11, 10.0), (12, 20.0), (13, 30.0)]])
        assert first == 10
        assert total.tolist() == [11.0, 12.0, 22.0, 32.0]

    def test_a_hole_keeps_the_value_before_it(self):
        first, total = total_curve([[(10, 1.0), (13, 4.0)]])
        assert (first, total.tolist()) == (10, [1.0, 1.0, 1.0, 4.0])

    def test_one_point_is_a_curve(self):
        first, total = total_curve([[(5, 7.0)]])
        assert (first, total.tolist()) == (5, [7.0])
        assert total.dtype == np.float64
