from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from crypto_refactor.config import packaged_tickers, tickers_file
from crypto_refactor.errors import UnavailableError
from crypto_refactor.market.bars import fill_gaps, segment_starts
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.quality import quality_report
from crypto_refactor.market.sources.sample import SampleSource
from crypto_refactor.market.sources.simulator import LAST_CLOSE, PROFILES, simulate_bars
from crypto_refactor.market.ticker import Ticker, read_tickers

TICKERS = [Ticker(base, "USD") for base in PROFILES]
BTC, ETH = TICKERS[:2]
SOURCE = SampleSource()
each_ticker = pytest.mark.parametrize("ticker", TICKERS, ids=str)


def everything(ticker):
    return SOURCE.bars(ticker, 0, LAST_CLOSE)


def returns(bars):
    later = np.flatnonzero(np.diff(bars.opened) == 1) + 1
    return np.log(bars.close[later] / bars.close[later - 1])


def correlation(x, y):
    return float(np.corrcoef(x, y)[0, 1])


def test_it_offers_exactly_the_supported_tickers():
    assert tuple(TICKERS) == read_tickers(tickers_file(), packaged_tickers())


@pytest.mark.parametrize("ticker", [Ticker("DOGE", "USD"), Ticker("BTC", "EUR")])
def test_another_ticker_is_not_offered(ticker):
    for ask in (SOURCE.now, SOURCE.latest_price, lambda t: SOURCE.bars(t, 0, 1)):
        with pytest.raises(UnavailableError, match=str(ticker)):
            ask(ticker)


@each_ticker
def test_every_ticker_has_a_year_of_bars_marked_as_simulated(ticker):
    bars = everything(ticker)
    assert len(bars) >= 6_000
    assert bars.simulated
    assert bars.ticker == ticker
    assert SOURCE.now(ticker) == LAST_CLOSE
    latest = SOURCE.latest_price(ticker)
    assert (latest.price, latest.at) == (bars.close[-1], "2025-01-01T00:00:00Z")


def test_a_range_is_cut_out():
    part = SOURCE.bars(BTC, LAST_CLOSE - 24, LAST_CLOSE - 12)
    assert len(part) == 12
    assert to_iso(int(part.opened[0])) == "2024-12-31T00:00:00Z"


def test_the_largest_tickers_have_no_holes_and_one_ticker_has_an_outage():
    assert segment_starts(everything(BTC)).tolist() == segment_starts(everything(ETH)).tolist() == [0]
    outage = fill_gaps(everything(Ticker("ATOM", "USD")))
    assert quality_report(outage, LAST_CLOSE - 720, LAST_CLOSE).synthetic == 5


def test_only_the_illiquid_ticker_has_hours_without_a_trade():
    idle = {ticker.base: float((everything(ticker).volume == 0).mean()) for ticker in TICKERS}
    assert 0.005 < idle.pop("XTZ") < 0.02
    assert set(idle.values()) == {0.0}


@each_ticker
def test_returns_look_like_those_of_a_market(ticker):
    moves = returns(everything(ticker))
    size = np.abs(moves)
    assert 0.003 <= moves.std() <= 0.015
    assert np.mean((moves - moves.mean()) ** 4) / moves.var() ** 2 > 4  # fat tails
    assert size.max() < 0.25
    for lag in range(1, 25):  # volatility comes in clusters
        assert correlation(size[lag:], size[:-lag]) > 0


@each_ticker
def test_nothing_in_them_can_be_forecast(ticker):
    moves = returns(everything(ticker))
    for lag in (1, 2, 24):
        assert abs(correlation(moves[lag:], moves[:-lag])) < 0.05
    assert abs(moves.mean()) < 3 * moves.std() / np.sqrt(len(moves))


def test_tickers_move_together_but_not_as_one():
    moves = {ticker.base: returns(simulate_bars(ticker)) for ticker in TICKERS}
    assert 0.5 <= correlation(moves["BTC"], moves["ETH"]) <= 0.9
    table = np.corrcoef(list(moves.values()))[~np.eye(len(moves), dtype=bool)]
    assert table.min() > 0.3
    assert table.max() < 0.9


@each_ticker
def test_volume_follows_the_time_of_day_and_the_size_of_the_move(ticker):
    bars = everything(ticker)
    by_hour = [float(bars.volume[bars.opened % 24 == hour].mean()) for hour in range(24)]
    assert 1.5 < max(by_hour) / min(by_hour) < 4
    assert np.argmax(by_hour) in range(12, 19)
    traded = bars.volume[1:] > 0
    size = np.abs(np.diff(np.log(bars.close)))
    assert correlation(np.log(bars.volume[1:][traded]), size[traded]) > 0.3


@each_ticker
def test_bars_open_near_the_close_before_and_have_wicks(ticker):
    bars = everything(ticker)
    sigma = returns(bars).std()
    gap = np.abs(bars.open[1:] / bars.close[:-1] - 1)[np.diff(bars.opened) == 1]
    assert 0 < np.median(gap) < 0.1 * sigma
    wick = (bars.high - np.maximum(bars.open, bars.close)) / bars.close
    assert 0.05 * sigma < np.median(wick) < sigma
    assert (
        abs(np.median(wick) - np.median((np.minimum(bars.open, bars.close) - bars.low) / bars.close))
        < 0.1 * sigma
    )


def test_prices_stay_at_plausible_levels():
    for ticker in TICKERS:
        bars, first = everything(ticker), PROFILES[ticker.base].price
        assert first / 5 < bars.low.min()
        assert bars.high.max() < first * 5


PRINT_ALL = (
    "from crypto_refactor.market.sources.simulator import *\n"
    "from crypto_refactor.market.ticker import Ticker\n"
    "print(*(simulate_bars(Ticker(base, 'USD'), count=500).fingerprint() for base in PROFILES))"
)


def test_two_processes_simulate_the_same():
    runs = [
        subprocess.run(
            [sys.executable, "-c", PRINT_ALL],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1] == [simulate_bars(ticker, count=500).fingerprint() for ticker in TICKERS]
    assert len(set(runs[0])) == len(TICKERS)


def test_the_bundled_bars_are_those_of_every_earlier_release():
    # A change here changes every documented figure of the source sample.
    bars = everything(BTC)
    assert [bars.open[0], bars.close[0], bars.close[-1]] == [42299.57, 42292.35, 41878.13]


def test_another_seed_is_another_world_and_another_end_another_time():
    assert (
        simulate_bars(BTC, count=50, seed=1).fingerprint()
        != simulate_bars(BTC, count=50, seed=2).fingerprint()
    )
    assert simulate_bars(BTC, count=50, last_close=1000).closed[-1] == 1000
    assert len(simulate_bars(BTC, count=1)) == 1


def test_over_many_worlds_the_price_is_a_martingale():
    growth = [
        simulate_bars(BTC, count=2_000, seed=seed).close[-1] / PROFILES["BTC"].price for seed in range(150)
    ]
    error = np.std(growth) / np.sqrt(len(growth))
    assert abs(np.mean(growth) - 1) < 3 * error


def test_a_drift_plants_a_pattern_that_the_driftless_world_does_not_have():
    pattern = np.where(np.arange(4_000) % 2, 0.002, -0.002)
    plain, planted = simulate_bars(ETH, count=4_000), simulate_bars(ETH, count=4_000, drift=pattern)
    shift = returns(planted) - returns(plain)
    assert np.allclose(shift, pattern[1:], atol=1e-5)
    assert np.array_equal(planted.volume, plain.volume)


def test_a_long_world_never_runs_out_of_decimals():
    ticker = Ticker("ALGO", "USD")
    assert simulate_bars(ticker, count=20_000, drift=-0.002).low.min() > 0
