"""One line a decision."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.replay_runner import SeveralBars, entries, past_trader, session_of
from support.stub_models import BTC, sample_bars, without

from crypto_refactor.errors import DataError
from crypto_refactor.execution.sub_account import Fill, SubAccount
from crypto_refactor.market.hours import to_local_text, zone
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.report.formatting import exit_text
from crypto_refactor.report.terminal.accounts.trading import heading, outcome_line, positions_text
from crypto_refactor.trading.historical.single_pass import SignalPass, run_single_pass
from crypto_refactor.trading.ledger.order_record import OrderRecord, OrderStatus
from crypto_refactor.trading.outcomes import Failure, Unavailable

UTC = zone("UTC")
ETH = Ticker("ETH", "USD")
AT = 474_001  # 2024-01-28 01:00 UTC


def line(row, tz=UTC):
    return outcome_line(row, tz)


def first(candidates, matches):
    return next(entry for entry in candidates if matches(entry))


def filled(entry, *fills, trades=(), side=0, **changed):
    """Return `entry` with these fills, holding `side` after them."""
    holding = SubAccount.open(1_000.0)._replace(side=side)
    return replace(entry, fills=fills, trades=trades, sub_account=holding, pending=(), **changed)


def fill(side, reason, at, *, quantity=1.5, price=67_800.0, fee=84.2):
    return Fill(at=at, side=side, quantity=quantity, price=price, fee=fee, reason=reason)


def test_every_real_decision_is_one_line_with_its_time_state_equity_and_reason(outcomes):
    for entry in outcomes:
        text = line(entry)
        assert "\n" not in text
        assert text.startswith(f"{to_local_text(entry.bar, UTC)}  BTC/USD")
        assert {1: "▲ long", 0: "■ flat", -1: "▼ short"}[entry.sub_account.side] in text
        assert f"{entry.equity:,.2f}" in text
        assert "| forecast " in text


def test_columns_stand_below_one_another(outcomes):
    lines = [line(entry) for entry in outcomes]
    assert len({text.index("equity") for text in lines}) == 1
    assert len({text.index("SIMULATED") for text in lines}) == 1


def test_every_line_on_simulated_bars_says_so_and_no_other(outcomes):
    assert all("SIMULATED" in line(entry) for entry in outcomes)
    assert "SIMULATED" not in line(replace(outcomes[0], simulated=False))


def test_what_is_decided_is_said_once_and_for_the_next_open(outcomes):
    entry = first(outcomes, lambda entry: entry.pending == ("enter short",))
    text = line(entry)
    assert text.endswith("; at the next open: enter short")
    assert text.count("enter short") == 1


def test_what_waits_from_an_earlier_pass_is_said_too(tmp_path, fits):
    bars = sample_bars(1200)
    trader, end = past_trader(tmp_path), int(bars.closed[-1])
    pending = first((trader.process_bar(bars, hour) for hour in range(end - 30, end)), lambda e: e.pending)
    again = past_trader(tmp_path).process_bar(bars, pending.bar)
    assert line(again).endswith(
        f"this bar was already acted on; nothing was done; at the next open: {pending.pending[0]}"
    )


def test_a_fill_names_the_side_before_quantity_price_and_fee(outcomes):
    entry = first(outcomes, lambda entry: entry.fills)
    (sold,) = entry.fills
    text = line(entry)
    assert "▼ short (was flat)" in text
    assert f" sold short {sold.quantity:.5f} at {sold.price:,.2f}, fee {sold.fee:.2f} |" in text


def test_an_exit_names_its_reason_and_what_it_earned(tmp_path, fits):
    entry = first(entries(tmp_path, hours=60), lambda entry: entry.trades)
    text = line(entry)
    assert f"net {entry.trades[0].net_pnl:+,.2f} ({exit_text(entry.trades[0].exit_reason)})" in text
    assert " (was " in text


@pytest.mark.parametrize(
    ("side", "reason", "words"),
    [
        (1, "entry", "bought 1.5"),
        (-1, "entry", "sold short 1.5"),
        (-1, "stop_loss", "sold 1.5"),
        (1, "neutral", "bought back 1.5"),
    ],
)
def test_each_kind_of_fill_has_its_verb(outcomes, side, reason, words):
    text = line(filled(outcomes[0], fill(side, reason, outcomes[0].bar)))
    assert words in text
    assert ("(stop-loss)" in text) == (reason == "stop_loss")


def test_both_legs_of_a_flip_are_named(outcomes):
    at = outcomes[0].bar
    text = line(filled(outcomes[0], fill(-1, "opposite", at), fill(-1, "entry", at), side=-1))
    assert "▼ short (was long)" in text
    when = f"at {to_local_text(at, UTC)[11:16]}"
    exit_leg = f"{when} sold 1.5000 at 67,800.00, fee 84.20 (opposite signal)"
    assert f"{exit_leg}; {when} sold short 1.5000 at" in text


def test_a_sale_of_a_part_leaves_the_side_as_it_was(outcomes):
    text = line(filled(outcomes[0], fill(-1, "neutral", outcomes[0].bar), side=1))
    assert "▲ long  " in text
    assert "was" not in text


@pytest.mark.parametrize(
    ("at", "when"),
    [
        (AT, "at 01:00 bought"),
        (AT - 1, "at 00:00 bought"),
        (AT - 2, "on 2024-01-27 23:00 UTC bought"),
        (AT - 30, "on 2024-01-26 19:00 UTC bought"),
    ],
)
def test_a_fill_names_its_own_hour_which_is_not_that_of_its_row(outcomes, at, when):
    assert f"  {when} 1.5000 at 67,800.00, fee" in line(
        filled(outcomes[0], fill(1, "entry", at), side=1, bar=AT)
    )


def test_the_hour_of_a_fill_is_in_the_zone_of_the_row(outcomes):
    text = line(filled(outcomes[0], fill(1, "entry", AT - 1), side=1, bar=AT), zone("America/Denver"))
    assert text.startswith("2024-01-27 18:00 MST")
    assert "at 17:00 bought" in text


def test_tiny_prices_and_huge_quantities_can_be_read(outcomes):
    text = line(
        filled(outcomes[0], fill(1, "entry", outcomes[0].bar, quantity=4.2e9, price=2.3456e-05), side=1)
    )
    assert "4,200,000,000.00 at 0.000023456" in text


def test_a_late_decision_is_marked(outcomes):
    assert "LATE, more than" in line(replace(outcomes[0], late=True))
    assert "LATE, more than" not in line(outcomes[0])


def test_notes_follow_in_lines_of_their_own(outcomes):
    lines = line(replace(outcomes[0], notes=("one thing", "another"))).splitlines()
    assert lines[1:] == ["      one thing", "      another"]


@pytest.mark.parametrize(
    ("which", "words"),
    [("late", "decided by the previous model"), ("revised", "training bars of its model were revised")],
)
def test_an_unusual_model_is_a_note(outcomes, which, words):
    decided = outcomes[0].decision
    chosen = replace(decided.chosen, **{which: True})
    lines = line(replace(outcomes[0], decision=replace(decided, chosen=chosen))).splitlines()
    assert words in lines[1]


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        (
            OrderStatus.PARTLY_FILLED,
            "was partly filled (0.40000 BTC of 100.00 USD): the rest is decided at the next bar",
        ),
        (OrderStatus.UNFILLED, "was not filled: canceled"),
        (OrderStatus.FILLED, None),
        (OrderStatus.REFUSED, None),  # the pass notes it itself
    ],
)
def test_orders_that_did_not_simply_fill_are_explained(outcomes, stage, words):
    order = OrderRecord(
        client_order_id="cr-x",
        ticker=BTC,
        bar=AT,
        leg="enter",
        side=1,
        notional=100.0,
        quantity=None,
        reason="entry",
        sent_at="2024-01-28T01:00:03+00:00",
        stage=stage,
        filled_quantity=0.4,
        detail="canceled",
    )
    lines = line(replace(outcomes[0], orders=(order,))).splitlines()
    assert (words in lines[1]) if words else len(lines) == 1


def test_a_close_that_could_not_be_decided_on_says_why(tmp_path, fits):
    whole = sample_bars(1200)
    end = int(whole.closed[-1])
    blind = entries(tmp_path, bars=without(whole, (end - 12, end - 2)), hours=0)[-1]
    assert "missing to decide" in line(blind)


def test_signals_alone_show_target_and_close(tmp_path, fits):
    bars = sample_bars(1200)
    session = session_of(tmp_path, SeveralBars(bars), [BTC])
    (entry,) = run_single_pass(session, SignalPass(session), None, lambda _: None)
    text = line(entry)
    assert "target " in text
    assert f"close  {bars.close[-1]:>12,.2f}" in text
    assert "equity" not in text
    assert "SIMULATED" in text


def test_a_failure_names_what_happened_and_what_to_do(outcomes):
    error = DataError("The file is damaged.", expected="bars.", remedy="download it again.")
    text = line(Failure(ticker=ETH, error=error))
    assert "ETH/USD" in text
    assert "✗ failed" in text
    assert text.endswith("The file is damaged. Remedy: download it again.")
    assert text.index("ETH/USD") == line(outcomes[0]).index("BTC/USD")


def test_a_ticker_that_is_not_offered_is_no_failure():
    text = line(Unavailable(ticker=ETH, why="There are no bars of ETH/USD."))
    assert "left out" in text
    assert "failed" not in text
    assert text.endswith("There are no bars of ETH/USD.")


def test_times_are_those_of_the_zone(outcomes):
    assert line(outcomes[0], zone("America/Denver")).startswith(
        to_local_text(outcomes[0].bar, zone("America/Denver"))
    )


class TestHeading:
    def test_it_names_account_source_and_tickers(self):
        assert heading("demo/files/x", "files", (BTC, ETH)) == (
            "Trading in demo/files/x, on bars from files: BTC/USD, ETH/USD"
        )

    def test_simulated_bars_are_marked(self):
        assert "SIMULATED" in heading("demo/sample", "sample", (BTC,))

    def test_without_an_account_nothing_is_said_to_be_traded(self):
        assert "nothing is traded" in heading(None, "files", (BTC,))


class TestPositions:
    LONG = SubAccount(cash=0.0, side=1, quantity=1.25, average_price=42_000.0, entry_hour=AT, peak_equity=1.0)

    def test_each_open_position_has_a_line(self):
        short = self.LONG._replace(side=-1, quantity=-3.0, average_price=2_500.5)
        assert positions_text({BTC: self.LONG, ETH: short}) == [
            "BTC/USD    ▲ long 1.2500 BTC since 2024-01-28 01:00 UTC, entry price 42,000.00",
            "ETH/USD    ▼ short 3.0000 ETH since 2024-01-28 01:00 UTC, entry price 2,500.50",
        ]

    def test_dust_and_flat_accounts_are_no_positions(self):
        dust = self.LONG._replace(side=0, quantity=1e-9)
        assert positions_text({BTC: SubAccount.open(1.0), ETH: dust}) == []
