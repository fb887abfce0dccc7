"""Ledgers, bar stores and models of an earlier release are read as that release read them."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.cli_runner import Home

from crypto_refactor.market.hours import parse_hour
from crypto_refactor.market.sources.bar_store import BarStore
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.ledger import Ledger, OrderStatus

EARLIER = Path(__file__).parent / "data" / "earlier_version"
EXPECTED = json.loads((EARLIER / "expected.json").read_text())
BTC = Ticker("BTC", "USD")
PAPER = EXPECTED["status"]["account"]
REPLAY = (
    "run_trading --ticker BTC/USD --demo --source sample --replay-hours 12 --network small --lookback 12 "
    "--train-hours 480 --min-confirmations 3 --threshold-scale 0.02 --take-profit 0.004 --end 2024-06-10T00:00Z --json"
)
END = parse_hour("2024-06-10T00:00Z")


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    state = tmp_path / "state"
    state.mkdir()
    for name in ("ledger.sqlite", "bars.sqlite"):
        shutil.copy(EARLIER / name, state / name)
    shutil.copytree(EARLIER / "models", home.models)
    return home


@pytest.fixture
def ledger(home):
    return Ledger(home.folder / "state" / "ledger.sqlite")


def with_instants(value):
    """Return a document with instants in place of their texts, whose format may change."""
    if isinstance(value, dict):
        return {key: with_instants(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_instants(item) for item in value]
    try:
        return datetime.fromisoformat(value).astimezone(UTC).replace(microsecond=0)
    except (TypeError, ValueError):
        return value


# The ledger


def test_the_status_of_an_account_is_what_it_was(home):
    document = home.json(f"crypto-refactor status --account {PAPER}")
    earlier = EXPECTED["status"]
    for part in document["sub_accounts"]:
        for order in part["unsettled"]:  # what version 1 did not know
            assert (order.pop("decided_at"), order.pop("decided_price")) == ("", None)
    assert with_instants({name: document[name] for name in earlier}) == with_instants(earlier)


@pytest.mark.parametrize("trades", ["trades", "replay_trades"])
def test_the_trades_of_an_account_are_what_they_were(home, ledger, trades):
    account = PAPER if trades == "trades" else ledger.accounts()[-1].name
    assert home.json(f"crypto-refactor trades --account {account}")["trades"] == EXPECTED[trades]


def test_every_stage_of_an_order_is_still_known(ledger):
    orders = ledger.orders(PAPER, BTC)
    assert [(order.leg, order.stage) for order in orders] == [
        ("enter", OrderStatus.FILLED),
        ("exit", OrderStatus.PARTLY_FILLED),
        ("exit", OrderStatus.FILLED),
        ("enter", OrderStatus.REFUSED),
        ("enter", OrderStatus.EXPIRED),
        ("enter", OrderStatus.FILLED),
        ("exit", OrderStatus.UNSETTLED),
    ]
    (unsettled,) = ledger.orders(PAPER, BTC, unsettled=True)
    assert (unsettled.client_order_id, unsettled.quantity) == (
        "cr-BTCUSD-2024061018-exit-3aa2367f",
        0.019830999,
    )


def test_fills_equity_and_decisions_are_what_they_were(ledger):
    fills = ledger.fills(PAPER, BTC)
    assert [fill.side for fill in fills] == [1, -1, -1, 1]
    assert [fill.price for fill in fills] == [50_000.0, 51_000.0, 51_500.0, 51_300.0]
    assert ledger.equity(PAPER, BTC)[-1][1] == EXPECTED["status"]["totals"]["equity"]
    replay = ledger.accounts()[-1].name
    decisions = ledger.decisions(replay, BTC)
    assert [(row["target"], row["predicted"]) for row in decisions] == [
        (row["target"], row["decision"]["predicted"]) for row in EXPECTED["replay"]
    ]


def test_forecasts_of_earlier_decisions_are_scored(home, ledger):
    replay = ledger.accounts()[-1].name
    decisions = [row for row in ledger.decisions(replay, BTC) if "predicted" in row]
    kept = ledger.forecasts(replay)[BTC]
    assert [(each.bar, each.close, each.predicted, each.confidence, each.model) for each in kept] == [
        (row["bar"], row["close"], row["predicted"], row["confidence"], row["model"]) for row in decisions
    ]
    assert {(each.low, each.high, each.made_at) for each in kept} == {(None, None, "")}
    document = home.json(f"crypto-refactor record --account {replay}")
    assert (document["forecasts"], document["scored"]) == (len(kept), len(kept) - 1)
    assert document["score"]["coverage"] is None


# The bar store


def test_the_bars_of_a_store_and_what_they_cover_are_what_they_were(home):
    path = home.folder / "state" / "bars.sqlite"
    store = BarStore(path, source="alpaca")
    bars = store.read(BTC, END - 50, END)
    assert (len(bars), bars.fingerprint()) == (35, "846df25d33abad97")
    assert store.missing(BTC, END - 50, END) == [(END - 50, END - 40), (END - 3, END)]
    elsewhere = BarStore(path, source="alpaca", url="http://127.0.0.1:8000")
    assert len(elsewhere.read(BTC, END - 50, END)) == 5


# Models


def test_a_model_of_an_earlier_release_is_refused_with_how_to_go_on(home):
    (entry,) = (home.models / "cache").iterdir()
    (home.models / "sample").mkdir()
    for file in entry.glob("model.*"):
        file.rename(home.models / "sample" / f"btc_usd_earlier{file.suffix}")
    error = json.loads(home.run(f"{REPLAY} --model earlier", code=4).stdout)["error"]
    assert "btc_usd_earlier.keras is of an earlier release" in error["message"]
    assert "train it again" in error["remedy"]


@pytest.mark.slow
def test_the_cache_keeps_the_model_of_earlier_indicators_and_trains_another(home):
    (earlier,) = (home.models / "cache").glob("*/model.json")
    done = home.run(REPLAY)
    assert "Training" in done.stderr
    *rows, _ = map(json.loads, done.stdout.splitlines())
    assert [row["bar"] for row in rows] == [row["bar"] for row in EXPECTED["replay"]]
    names = [path.parent.name for path in (home.models / "cache").glob("*/model.json")]
    assert len(names) == 2
    assert earlier.parent.name in names
    listed = {row["name"]: row for row in home.json("crypto-refactor models")["models"]}
    assert not any(row["damaged"] for row in listed.values())
