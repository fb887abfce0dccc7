"""The trading commands against servers on this machine that answer as Alpaca does, as real processes."""

from __future__ import annotations

import inspect
import json
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from support.alpaca_data_server import AlpacaDataServer
from support.alpaca_trading_server import KEY, SECRET, AlpacaTradingServer
from support.cli_runner import PATIENCE, Home
from support.stub_models import remade, sample_bars

from crypto_refactor.market.hours import floor_hour
from crypto_refactor.market.ticker import Ticker

pytestmark = pytest.mark.slow  # runs against a played exchange, as real processes

BASES = ("BTC", "ETH", "SOL")
# A model of the hour before, whatever the hour is: so what is decided does not depend on when this runs.
RULES = "--network linear --train-hours 240 --refit-every 1 --lookback 12 --threshold-scale 0 --min-confirmations 0"


@dataclass
class World:
    """Both servers, a home, and everything that processes have said."""

    home: Home
    data: AlpacaDataServer
    orders: AlpacaTradingServer
    said: list

    def environment(self):
        return {
            "CRYPTO_ALPACA_DATA_URL": self.data.url,
            "CRYPTO_ALPACA_TRADING_URL": self.orders.url,
            "ALPACA_API_KEY": KEY,
            "ALPACA_SECRET_KEY": SECRET,
        }

    def run(self, line, *, code=0):
        done = self.home.run(line, code=code, **self.environment())
        self.said += [done.stdout, done.stderr]
        return done

    def json(self, line, *, code=0):
        return json.loads(self.run(f"{line} --json", code=code).stdout)

    def start(self, line):
        return self.home.start(line, **self.environment())


@pytest.fixture(scope="session")
def models(shared_folder):
    return shared_folder / "alpaca-models"


def this_hour():
    return floor_hour(datetime.now(UTC))


def within_one_hour(test):
    """Run a test in a world of this hour, and once more in a new one where the clock struck meanwhile."""

    def run(open_world, **arguments):
        hour = this_hour()
        try:
            with open_world(hour) as world:
                test(world, **arguments)
        except Exception:
            if this_hour() == hour:
                raise
            with open_world(this_hour()) as world:
                test(world, **arguments)

    parameters = [
        parameter.replace(name="open_world") if name == "world" else parameter
        for name, parameter in inspect.signature(test).parameters.items()
    ]
    run.__name__ = test.__name__
    run.__signature__ = inspect.Signature(parameters)
    return run


@pytest.fixture
def open_world(tmp_path, models):
    class SharedModels(Home):
        @property
        def models(self):
            return models

    @contextmanager
    def open_(now):
        with AlpacaDataServer() as data, AlpacaTradingServer() as orders:
            offer_bars(data, orders, now)
            yield World(SharedModels(tmp_path / str(now)), data, orders, [])

    return open_


def offer_bars(data, orders, now):
    """Let both servers tell of bars up to `now` and of a price at the last close."""
    for base in BASES:
        bars = sample_bars(1_400, Ticker(base, "USD"))
        bars = remade(bars, source="alpaca", opened=bars.opened - int(bars.closed[-1]) + now)
        data.offer(bars)
        close = float(bars.close[-1])
        stamp = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        data.trades[f"{base}/USD"] = {"t": stamp, "p": close, "s": 1}
        orders.prices[f"{base}/USD"] = close


@within_one_hour
def test_once_acts_once_and_account_commands_tell_the_same_story(world):
    """One story, because each of its steps rests on the one before."""
    multi = f"run_multi_ticker --mode once --ticker BTC/USD --ticker ETH/USD --ticker SOL/USD {RULES}"
    first = world.json(multi)
    acted = {row["ticker"]: row for row in first["tickers"]}
    assert all(row["acted"] for row in acted.values())
    assert {row["account"].split("/")[0] for row in acted.values()} == {"paper"}
    bought = [row for row in acted.values() if row["fills"]]
    assert bought, "no forecast of three is above its close: choose other bars"
    assert len(world.orders.orders) == len(bought)
    for row in bought:
        assert row["position"]["side"] == 1
        assert world.orders.held(row["ticker"]) == pytest.approx(row["position"]["quantity"], abs=2e-9)
        assert (
            row["orders"][0]["client_order_id"]
            == world.orders.find(row["orders"][0]["client_order_id"]).client_order_id
        )

    again = world.json(multi)
    assert not any(row["acted"] or row["orders"] for row in again["tickers"])
    assert len(world.orders.orders) == len(bought)

    status = world.run("crypto-refactor status").stdout
    assert all(row["ticker"] in status for row in bought)
    world.run("crypto-refactor halt --why lunch")
    assert "lunch" in world.run("crypto-refactor status").stdout
    world.run("crypto-refactor resume")

    closed = world.run("crypto-refactor close --all")
    assert all(row["ticker"] in closed.stdout for row in bought)
    assert len(world.orders.orders) == 2 * len(bought)
    # What the fee left beyond nine decimals stays; nothing that could be sold does.
    assert all(world.orders.held(row["ticker"]) < 1e-6 for row in bought)
    world.run(f"crypto-refactor trades --csv {world.home.work / 'trades.csv'}")
    rows = (world.home.work / "trades.csv").read_text().splitlines()
    assert sum(",close" in row for row in rows) == len(bought)

    world.run(f"{multi} --debug")
    everything = "\n".join(world.said).encode() + b"".join(
        path.read_bytes() for path in world.home.folder.rglob("*") if path.is_file()
    )
    assert SECRET.encode() not in everything
    assert KEY.encode() not in everything


@within_one_hour
def test_a_blocked_account_and_refused_keys_send_nothing(world):
    world.orders.account["trading_blocked"] = True
    done = world.run(f"run_trading --once {RULES}", code=5)
    assert "trading is blocked" in done.stderr
    assert world.orders.orders == []


@within_one_hour
def test_too_little_buying_power_enters_nothing_says_so_and_locks_nothing(world):
    found = world.run(f"run_trading --once --initial-balance 250000 {RULES} --json", code=5)
    assert "buying power" in found.stderr
    entry = json.loads(found.stdout)
    assert (entry["acted"], entry["orders"], entry["position"]) == (False, [], None)
    assert "buying power" in entry["reason"] or entry["target"] == 0
    assert world.orders.orders == []
    # The very next run, with a budget that is there, trades.
    again = world.json(f"run_trading --once --initial-balance 25000 {RULES}")
    assert again["acted"]
    assert again["equity"] == pytest.approx(25_000, rel=0.01)


@pytest.mark.slow
@within_one_hour
def test_a_second_budget_that_is_not_there_leaves_the_first_one_alone(world):
    assert world.json(f"run_trading --once {RULES}")["acted"]
    both = f"run_multi_ticker --mode once --ticker BTC/USD --ticker ETH/USD {RULES}"
    found = world.json(both, code=5)
    (eth,) = [row for row in found["tickers"] if row["ticker"] == "ETH/USD"]
    assert (eth["acted"], eth["position"]) == (False, None)
    assert "100,000.00" in world.run("crypto-refactor status").stdout


@within_one_hour
def test_a_refused_command_line_changes_nothing_for_close(world):
    bought = world.json(f"run_trading --once --ticker ETH/USD {RULES}")
    for wrong in ("--stop-loss -1", "--max-notional 0", "--fee 5"):
        world.run(f"run_trading --once --ticker ETH/USD {RULES} {wrong}", code=2)
    closed = world.json("crypto-refactor close --all")
    assert closed["failed"] == []
    assert world.orders.held("ETH/USD") < 1e-6
    assert (len(world.orders.orders) == 2) == bool(bought["fills"])
    assert "Trading in" not in world.run(f"run_trading --once {RULES} --fee 5", code=2).stdout


@within_one_hour
def test_a_pair_that_is_not_tradable_for_a_while_is_an_error_and_not_gone(world):
    world.orders.assets["BTC/USD"]["tradable"] = False
    done = world.run(f"run_trading --once {RULES}", code=5)
    assert "does not trade BTC/USD now" in done.stderr


@within_one_hour
def test_tickers_that_alpaca_does_not_offer_are_named_and_no_failure(world):
    found = world.json(f"run_multi_ticker --mode once {RULES}")
    assert found["failed"] == []
    assert sorted(row["ticker"] for row in found["tickers"] if "signal" in row) == [
        "BTC/USD",
        "ETH/USD",
        "SOL/USD",
    ]
    assert all(row.get("unavailable") or "signal" in row for row in found["tickers"])
    shares = {
        row["position"]["cash"] + sum(f["quantity"] * f["price"] for f in row["fills"])
        for row in found["tickers"]
        if "signal" in row
    }
    assert all(share == pytest.approx(100_000 / 3, rel=1e-6) for share in shares)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("account", ["--demo", ""])
@within_one_hour
def test_the_loop_decides_at_once_and_names_what_is_open_when_stopped(world, number, code, account):
    process = world.start(f"run_trading --ticker BTC/USD {account} {RULES} --json")
    entry = json.loads(process.stdout.readline())
    assert entry["acted"]
    assert entry["account"].startswith("demo/alpaca" if account else "paper/")
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (code, "")
    held = entry["position"]["side"] != 0
    assert (f"Open in {entry['account']}:" in err) == held
    assert ("; open: BTC/USD" in err, "; open: nothing." in err.partition("ended: ")[2]) == (held, not held)


@within_one_hour
def test_coins_that_vanish_stop_their_ticker_until_a_person_accepts_it(world):
    """One story, because each of its steps rests on the one before."""
    multi = f"run_multi_ticker --mode once --ticker BTC/USD --ticker ETH/USD --ticker SOL/USD {RULES}"
    bought = [row["ticker"] for row in world.json(multi)["tickers"] if row["fills"]]
    assert world.json("crypto-refactor reconcile")["agrees"]
    gone = bought[0]
    world.orders.set_position(gone, 0)

    found = world.json("crypto-refactor reconcile", code=6)
    assert [(row["ticker"], row["broker"]) for row in found["differences"]] == [(gone, 0.0)]
    failed = world.json(multi, code=1)
    (row,) = [row for row in failed["tickers"] if "error" in row]
    assert row["ticker"] == gone
    assert "no sale among its orders and activities" in row["error"]["message"]
    status = {row["ticker"]: row for row in world.json("crypto-refactor status")["sub_accounts"]}
    assert status[gone]["quantity"] > 0

    accepted = world.run("crypto-refactor reconcile --accept").stdout
    assert f"{gone}: booked" in accepted
    assert world.json("crypto-refactor reconcile")["agrees"]


@within_one_hour
def test_adopted_coins_are_sold_by_panic_which_halts_first(world):
    world.json(f"run_trading --once {RULES} --initial-balance 1000")
    world.orders.set_position("SOL/USD", "2")
    world.run("crypto-refactor adopt --ticker SOL/USD --cost 0", code=2)
    world.run("crypto-refactor adopt --ticker SOL/USD --cost 100 --quantity 3", code=5)
    adopted = world.run("crypto-refactor adopt --ticker SOL/USD --cost 100").stdout
    assert "2 SOL adopted at 100.00 each, 200.00 in all" in adopted
    world.run("crypto-refactor adopt --ticker SOL/USD --cost 100", code=5)

    done = world.run("crypto-refactor panic --why flood")
    assert "HALTED" in done.stdout
    assert "is flat" in done.stdout
    assert "flood" in world.run("crypto-refactor status").stdout
    assert world.orders.held("SOL/USD") == 0
    assert world.orders.held("BTC/USD") < 1e-6
    assert "is flat" in world.run("crypto-refactor panic").stdout


@within_one_hour
def test_a_second_state_folder_on_one_account_sends_nothing(world):
    multi = f"run_multi_ticker --mode once --ticker BTC/USD --ticker ETH/USD --ticker SOL/USD --initial-balance 3000 {RULES}"
    sent_by_first = [row["orders"][0] for row in world.json(multi)["tickers"] if row["orders"]]
    assert sent_by_first, "no forecast of three is above its close: choose other bars"
    sent = len(world.orders.orders)
    done = world.run(f"{multi} --state-dir other", code=5)
    assert sent_by_first[0]["client_order_id"] in done.stdout + done.stderr
    assert len(world.orders.orders) == sent
    other = "--state-dir other"
    world.run(f"crypto-refactor reconcile {other}", code=6)
    world.run(f"crypto-refactor reconcile --accept {other}")
    acted = world.json(f"{multi} {other}")
    assert all(row["acted"] for row in acted["tickers"])
    assert len(world.orders.orders) > sent
    # Now the first ledger has met a stranger.
    world.run("crypto-refactor reconcile", code=6)


@pytest.mark.parametrize(
    "wrong",
    [
        "--max-loss 0",
        "--max-daily-loss -1",
        "--max-positions 0",
        "--max-orders-per-day 0",
        "--max-deviation 1",
    ],
)
@within_one_hour
def test_a_limit_that_is_none_is_refused_before_anything_is_sent(world, wrong):
    world.run(f"run_trading --once {RULES} {wrong}", code=2)
    assert world.orders.requests == []


@within_one_hour
def test_limits_are_refused_where_nothing_checks_them(world):
    for limit in ("--max-loss 5", "--max-positions 2", "--max-deviation 0.1"):
        done = world.run(f"run_trading --demo --source sample {RULES} {limit}", code=2)
        assert "does not trade in real time" in done.stderr


@within_one_hour
def test_no_more_positions_are_opened_than_allowed(world):
    multi = f"run_multi_ticker --mode once --ticker BTC/USD --ticker ETH/USD --ticker SOL/USD {RULES}"
    rows = world.json(f"{multi} --max-positions 1")["tickers"]
    bought = [row for row in rows if row["fills"]]
    wanted = [row for row in rows if row["target"] == 1]
    assert len(bought) == min(len(wanted), 1)
    assert sum("--max-positions is 1" in row["reason"] for row in rows) == len(wanted) - len(bought)
