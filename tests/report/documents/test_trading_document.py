"""Decisions and replays as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support.replay_runner import SeveralBars, entries, session_of
from support.stub_models import BTC, sample_bars, without

from crypto_refactor.errors import ModelError
from crypto_refactor.execution.sub_account import SubAccount
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.report.documents.trading import multi_json, outcome_json, replay_json, row_json
from crypto_refactor.signals.condition_catalogue import CONDITIONS
from crypto_refactor.trading.historical.single_pass import SignalPass, run_single_pass
from crypto_refactor.trading.ledger.order_record import OrderRecord, OrderStatus
from crypto_refactor.trading.outcomes import Failure, Unavailable

ETH, SOL = Ticker("ETH", "USD"), Ticker("SOL", "USD")
DOCUMENTED = {
    *("schema", "ticker", "account", "bar", "signal", "target", "orders", "fills", "position", "equity"),
    *("acted", "late", "reason"),
}
FURTHER = {"simulated", "price", "pending", "decision", "notes"}
FAILED = Failure(
    ticker=ETH, error=ModelError("It is damaged.", expected="a model.", remedy="train it again.")
)
GONE = Unavailable(ticker=SOL, why="There are no bars of SOL/USD.")
ORDER = OrderRecord(
    client_order_id="cr-x",
    ticker=BTC,
    bar=474_001,
    leg="enter",
    side=1,
    notional=100.0,
    quantity=None,
    reason="entry",
    sent_at="2024-01-28T01:00:03+00:00",
    stage=OrderStatus.PARTLY_FILLED,
    filled_quantity=0.4,
    average_price=50.0,
    detail="canceled",
)


def written(document):
    """Return what a reader of the printed JSON gets; NaN would fail."""
    return json.loads(json.dumps(document, allow_nan=False))


class TestAnEntry:
    def test_has_the_documented_keys_and_no_unexpected_ones(self, outcomes):
        for outcome in outcomes:
            assert set(written(outcome_json(outcome))) == DOCUMENTED | FURTHER

    def test_says_what_the_entry_says(self, outcomes):
        outcome = next(outcome for outcome in outcomes if outcome.fills)
        (fill,) = outcome.fills
        document = written(outcome_json(outcome))
        assert document["schema"] == 1
        assert document["ticker"] == "BTC/USD"
        assert document["simulated"] is True
        assert document["account"] == "demo/sample"
        assert document["bar"] == to_iso(outcome.bar)
        assert document["signal"] in {1, 0, -1}
        assert document["target"] == outcome.target
        assert document["fills"] == [
            {
                "at": to_iso(fill.at),
                "side": fill.side,
                "quantity": fill.quantity,
                "price": fill.price,
                "fee": fill.fee,
                "reason": "entry",
            }
        ]
        assert document["position"] == {
            "side": outcome.sub_account.side,
            "quantity": outcome.sub_account.quantity,
            "average_price": fill.price,
            "cash": outcome.sub_account.cash,
        }
        assert document["equity"] == outcome.equity
        assert document["acted"] is True
        assert document["late"] is False
        assert document["reason"] == outcome.reason

    def test_names_the_model_and_every_condition(self, outcomes):
        outcome = outcomes[-1]
        document = written(outcome_json(outcome))["decision"]
        assert document["model"] == outcome.decision.model.card.fingerprint
        assert document["cutoff"] == to_iso(outcome.decision.cutoff)
        assert list(document["conditions"]) == list(CONDITIONS)
        assert (document["late_model"], document["revised"]) == (False, False)

    def test_pending_decisions_are_in_words(self, outcomes):
        outcome = next(outcome for outcome in outcomes if outcome.pending)
        assert outcome_json(outcome)["pending"] == list(outcome.pending)

    def test_holding_nothing_has_no_average_price(self, outcomes):
        flat = replace(outcomes[0], sub_account=SubAccount.open(500.0))
        assert outcome_json(flat)["position"] == {
            "side": 0,
            "quantity": 0.0,
            "average_price": None,
            "cash": 500.0,
        }

    def test_where_nobody_was_asked_what_was_decided_is_null(self, outcomes):
        document = written(outcome_json(replace(outcomes[0], decision=None, target=None, acted=False)))
        assert (document["signal"], document["target"], document["decision"]) == (None, None, None)

    def test_a_close_that_could_not_be_decided_on_has_no_signal(self, fits, tmp_path):
        whole = sample_bars(1200)
        end = int(whole.closed[-1])
        (blind,) = entries(tmp_path, bars=without(whole, (end - 12, end - 2)), hours=0)
        document = written(outcome_json(blind))
        assert document["signal"] is None
        assert document["target"] == 0
        assert "missing to decide" in document["decision"]["reason"]

    def test_signals_alone_have_no_account_position_or_equity(self, fits, tmp_path):
        session = session_of(tmp_path, SeveralBars(sample_bars(1200)), [BTC])
        (outcome,) = run_single_pass(session, SignalPass(session), None, lambda _: None)
        document = written(outcome_json(outcome))
        assert (document["account"], document["position"], document["equity"]) == (None, None, None)
        assert document["price"] == outcome.price
        assert document["acted"] is False

    def test_orders_are_whole(self, outcomes):
        (document,) = written(outcome_json(replace(outcomes[0], orders=(ORDER,))))["orders"]
        assert document == {
            "client_order_id": "cr-x",
            "ticker": "BTC/USD",
            "bar": "2024-01-28T01:00:00Z",
            "leg": "enter",
            "side": 1,
            "notional": 100.0,
            "quantity": None,
            "reason": "entry",
            "decided_at": "",
            "decided_price": None,
            "sent_at": "2024-01-28T01:00:03Z",
            "stage": "partly_filled",
            "filled_quantity": 0.4,
            "average_price": 50.0,
            "detail": "canceled",
        }

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_what_is_no_number_is_null(self, outcomes, value):
        document = written(
            outcome_json(replace(outcomes[0], price=value, orders=(replace(ORDER, notional=value),)))
        )
        assert document["price"] is None
        assert document["equity"] is None
        assert document["orders"][0]["notional"] is None


class TestSeveralTickers:
    def test_an_error_has_its_code_and_three_parts(self):
        assert row_json(FAILED) == {
            "schema": 1,
            "ticker": "ETH/USD",
            "error": {
                "code": 4,
                "message": "It is damaged.",
                "expected": "a model.",
                "remedy": "train it again.",
            },
        }

    def test_a_ticker_that_is_not_offered_says_why(self):
        assert row_json(GONE) == {
            "schema": 1,
            "ticker": "SOL/USD",
            "unavailable": "There are no bars of SOL/USD.",
        }

    def test_rows_keep_their_order_and_only_errors_are_failures(self, outcomes):
        document = written(multi_json("parallel", [GONE, outcomes[0], FAILED]))
        assert (document["schema"], document["mode"]) == (1, "parallel")
        assert [row["ticker"] for row in document["tickers"]] == ["SOL/USD", "BTC/USD", "ETH/USD"]
        assert document["tickers"][1] == written(outcome_json(outcomes[0]))
        assert document["failed"] == ["ETH/USD"]


class TestAReplay:
    def test_holds_every_ticker_and_what_it_came_to(self, several):
        document = written(replay_json(several))
        assert (document["schema"], document["account"], document["resumed"]) == (1, several.account, False)
        btc, eth, sol = document["tickers"]
        assert sol == {"schema": 1, "ticker": "SOL/USD", "unavailable": "There are no bars of SOL/USD."}
        assert document["failed"] == []
        for row, replayed in zip((btc, eth), several.replayed, strict=True):
            assert row["ticker"] == str(replayed.ticker)
            assert row["simulated"] is True
            assert row["same_as_backtest"] is True
            assert row["equity"] == replayed.equity[-1][1] == row["metrics"]["final_balance"]
            assert row["trades"] == len(replayed.trades) == row["metrics"]["trades"]
            assert row["fees_paid"] == row["metrics"]["fees_paid"]
            assert row["buy_and_hold"] == replayed.backtest.buy_and_hold.metrics.to_dict()

    def test_names_the_window_by_the_opens_of_its_outermost_bars(self, several):
        end = int(sample_bars(1200).closed[-1])
        assert replay_json(several)["tickers"][0]["window"] == {
            "first": to_iso(end - 40),
            "last": to_iso(end - 1),
            "hours": 40,
        }

    def test_totals_are_the_sums_of_the_tickers(self, several):
        document = written(replay_json(several))
        btc, eth, _ = document["tickers"]
        total = document["total"]
        assert total["initial_balance"] == 10_000
        assert total["final_balance"] == pytest.approx(btc["equity"] + eth["equity"])
        assert total["total_return"] == pytest.approx(total["final_balance"] / 10_000 - 1)
        held = btc["buy_and_hold"]["final_balance"] + eth["buy_and_hold"]["final_balance"]
        assert total["buy_and_hold"]["final_balance"] == pytest.approx(held)
        assert total["buy_and_hold"]["total_return"] == pytest.approx(held / 10_000 - 1)
        assert total["fees_paid"] == pytest.approx(btc["fees_paid"] + eth["fees_paid"])

    def test_where_it_differs_its_own_figures_are_those_of_the_ledger(self, several):
        btc = several.replayed[0]
        other = replace(btc, same=False, fills=btc.fills[:1], trades=(), equity=((0, 5_000.0), (1, 4_000.0)))
        row = replay_json(replace(several, replayed=(other,)))["tickers"][0]
        assert row["same_as_backtest"] is False
        assert (row["equity"], row["trades"], row["fees_paid"]) == (4_000.0, 0, btc.fills[0].fee)

    def test_without_a_ticker_there_is_no_total(self, several):
        document = written(replay_json(replace(several, replayed=(), rows=(FAILED,))))
        assert document["total"] is None
        assert document["failed"] == ["ETH/USD"]
