from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto_refactor.backtest.metrics import (
    MIN_HOURS_TO_ANNUALISE,
    compute_metrics,
    drawdown,
    figures_by_side,
    hourly_returns,
    sharpe_ratio,
    sortino_ratio,
)
from crypto_refactor.execution.sub_account import Fill, Trade

YEAR = 8760


def curve(returns, start=1000.0):
    return start * np.cumprod(np.concatenate([[1.0], 1 + np.asarray(returns, dtype=float)]))


def metrics_of(equity, *, exposed=None, trades=(), fills=(), hours=None):
    equity = np.asarray(equity, dtype=float)
    count = len(equity) - 1
    exposed = np.zeros(count, dtype=bool) if exposed is None else np.asarray(exposed)
    closed = 400_000 + np.arange(count + 1)
    return compute_metrics(
        equity, exposed, trades, fills, closed=closed, hours=count if hours is None else hours
    )


def hourly_drawdown(equity):
    """Return the drawdown of a curve without a gap."""
    return drawdown(np.asarray(equity, dtype=float), np.arange(len(equity)))


def trade(entry, exit_, *, direction=1, quantity=1.0, fees=0.0, held=1, reason="neutral"):
    return Trade(
        direction=direction,
        entry_hour=400_000,
        entry_price=entry,
        exit_hour=400_000 + held,
        exit_price=exit_,
        quantity=quantity,
        fees=fees,
        exit_reason=reason,
    )


random_returns = st.builds(
    lambda seed, count, drift: np.random.default_rng(seed).standard_t(4, count) * 0.005 + drift,
    st.integers(0, 2**32 - 1),
    st.integers(3, 400),
    st.sampled_from([0.0, 0.001, -0.001]),
)


# --- by hand -------------------------------------------------------------------------------------------


def test_a_small_curve_by_hand():
    # Returns 10 %, -10 %, 20 %: mean 1/15, deviation sqrt(7/300), downside sqrt(0.01 / 3).
    metrics = metrics_of([100, 110, 99, 118.8])
    assert metrics.initial_balance == 100
    assert metrics.final_balance == 118.8
    assert metrics.total_return == pytest.approx(0.188)
    assert metrics.volatility == pytest.approx(math.sqrt(7 / 300 * YEAR))
    assert metrics.sharpe == pytest.approx(math.sqrt(YEAR) / 15 / math.sqrt(7 / 300))
    assert metrics.sortino == pytest.approx(math.sqrt(YEAR) / 15 / math.sqrt(0.01 / 3))
    assert metrics.max_drawdown == pytest.approx(-0.1)
    assert metrics.max_drawdown_hours == 2


def test_trade_figures_are_net_of_fees_and_count_closed_trades_alone():
    trades = [
        trade(100, 110, fees=2, held=3),  # +8
        trade(100, 101, fees=2, held=1),  # +1 gross, -1 net: a loss
        trade(100, 90, direction=-1, fees=1, held=5),  # +9
        trade(100, 98, fees=1, held=2, reason="stop_loss"),  # -3
        trade(100, 500, fees=5, held=50, reason="open"),
        trade(100, 400, fees=5, held=50, reason="dust"),
    ]
    metrics = metrics_of([1000, 1000, 1708], trades=trades)
    assert metrics.trades == 4
    assert metrics.win_rate == 0.5
    assert metrics.profit_factor == pytest.approx(17 / 4)
    assert metrics.expectancy == pytest.approx(13 / 4)
    assert metrics.avg_holding_hours == pytest.approx(11 / 4)
    assert metrics.fees_paid == 16


def test_a_trade_without_profit_or_loss_is_no_win_and_no_loss():
    metrics = metrics_of([1000, 1000], trades=[trade(100, 102, fees=2)])
    assert (metrics.win_rate, metrics.profit_factor, metrics.expectancy) == (0.0, None, 0.0)


def test_longs_and_shorts_add_up_to_everything():
    trades = [
        trade(100, 110, fees=2),
        trade(100, 90, direction=-1, fees=1),
        trade(100, 105, direction=-1, fees=1),
        trade(100, 120, fees=3, reason="open"),
    ]
    sides = figures_by_side(trades)
    assert sides["long"]["trades"] == 1
    assert sides["long"]["win_rate"] == 1.0
    assert sides["long"]["net_pnl"] == pytest.approx(8 + 17)
    assert sides["short"]["trades"] == 2
    assert sides["short"]["win_rate"] == 0.5
    assert sides["short"]["profit_factor"] == pytest.approx(9 / 6)
    total = sum(side["net_pnl"] for side in sides.values())
    assert total == pytest.approx(sum(row.net_pnl for row in trades))
    assert sum(side["fees_paid"] for side in sides.values()) == 7


def test_a_side_never_traded_has_no_figures():
    assert figures_by_side([])["short"] == {
        "trades": 0,
        "win_rate": None,
        "profit_factor": None,
        "expectancy": None,
        "avg_holding_hours": None,
        "net_pnl": 0.0,
        "fees_paid": 0.0,
    }


def test_a_trade_knows_its_profit_and_its_return_on_the_entry_notional():
    short = trade(100, 80, direction=-1, quantity=2, fees=10, held=7)
    assert (short.gross_pnl, short.net_pnl, short.net_return, short.bars_held) == (40, 30, 0.15, 7)


def test_exposure_is_the_share_of_closes_with_a_position_and_turnover_is_on_the_mean_equity():
    fills = [
        Fill(at=1, side=1, quantity=2, price=100, fee=0.2, reason="entry"),
        Fill(at=3, side=-1, quantity=2, price=110, fee=0.22, reason="neutral"),
    ]
    metrics = metrics_of([100, 110, 120, 130, 140], exposed=[True, True, False, False], fills=fills)
    assert metrics.exposure == 0.5
    assert metrics.turnover == pytest.approx(420 / 120)


# --- undefined is None ---------------------------------------------------------------------------------


def test_a_flat_account_has_no_ratios():
    metrics = metrics_of([1000.0] * 5000)
    assert (metrics.total_return, metrics.volatility, metrics.max_drawdown, metrics.max_drawdown_hours) == (
        0,
        0,
        0,
        0,
    )
    assert metrics.cagr == 0.0
    undefined = (
        "sharpe",
        "sharpe_se",
        "sortino",
        "calmar",
        "win_rate",
        "profit_factor",
        "expectancy",
        "avg_holding_hours",
    )
    assert [getattr(metrics, name) for name in undefined] == [None] * len(undefined)


def test_without_a_losing_bar_sortino_and_calmar_are_undefined():
    metrics = metrics_of(curve([0.01, 0.02, 0.01] * 1000))
    assert metrics.sortino is None
    assert metrics.calmar is None
    assert metrics.sharpe > 0


def test_a_single_bar_has_no_dispersion():
    metrics = metrics_of([100, 101])
    assert (metrics.volatility, metrics.sharpe, metrics.sharpe_se) == (None, None, None)
    assert metrics.total_return == pytest.approx(0.01)


def test_a_year_is_not_inferred_from_less_than_ninety_days():
    returns = np.random.default_rng(1).normal(0, 0.01, MIN_HOURS_TO_ANNUALISE)
    assert MIN_HOURS_TO_ANNUALISE == 90 * 24
    short, long = metrics_of(curve(returns[:-1])), metrics_of(curve(returns))
    assert (short.cagr, short.calmar) == (None, None)
    assert short.sharpe is not None
    assert long.cagr is not None
    assert long.calmar is not None


def test_the_year_of_the_growth_rate_counts_the_hours_of_gaps_too():
    equity = curve(np.random.default_rng(2).normal(0, 0.01, 2000))
    assert metrics_of(equity, hours=YEAR).cagr == pytest.approx(equity[-1] / equity[0] - 1)


def test_over_a_year_of_bars_the_growth_rate_is_the_total_return():
    metrics = metrics_of(curve(np.random.default_rng(3).normal(0, 0.004, YEAR)))
    assert metrics.cagr == pytest.approx(metrics.total_return)
    assert metrics.calmar == pytest.approx(metrics.total_return / -metrics.max_drawdown)


def test_a_ruined_account_has_finite_figures():
    metrics = metrics_of([1000, 900, 0, 0] + [0] * 3000)
    assert metrics.total_return == -1
    assert metrics.cagr == -1
    assert metrics.max_drawdown == -1
    assert metrics.max_drawdown_hours == 3002 + 1
    figures = [value for value in metrics.to_dict().values() if value is not None]
    assert all(math.isfinite(value) for value in figures)


def test_returns_after_ruin_are_zero():
    assert hourly_returns(np.array([10.0, 5.0, 0.0, 0.0])).tolist() == [-0.5, -1.0, 0.0]


def test_the_documented_figures_are_all_there_in_order():
    assert list(metrics_of([1, 2, 3]).to_dict()) == [
        "initial_balance",
        "final_balance",
        "total_return",
        "cagr",
        "volatility",
        "sharpe",
        "sharpe_se",
        "sortino",
        "max_drawdown",
        "max_drawdown_hours",
        "calmar",
        "trades",
        "win_rate",
        "profit_factor",
        "expectancy",
        "avg_holding_hours",
        "exposure",
        "turnover",
        "fees_paid",
    ]


# --- drawdown ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("equity", "depth", "hours"),
    [
        ([100, 90, 95, 100, 110], -0.1, 3),  # the first bar loses: the initial balance is a peak
        ([100, 90, 80, 70], -0.3, 3),  # never recovered: to the end
        ([100, 120, 120, 90, 130], -0.25, 2),  # from the last close at the peak
        ([100, 90, 100, 80, 100, 95, 100], -0.2, 2),  # the deepest, not the longest
        ([100, 50, 99, 98, 97, 200], -0.5, 5),
        ([100, 100, 100], 0.0, 0),
        ([100, 101, 102], 0.0, 0),
        ([100], 0.0, 0),
    ],
)
def test_drawdown_by_hand(equity, depth, hours):
    deepest, length = hourly_drawdown(equity)
    assert deepest == pytest.approx(depth)
    assert length == hours


@pytest.mark.parametrize(
    ("equity", "hours"),
    [
        ([100, 110, 90, 95, 120, 120], 104),  # the gap lies between peak and trough
        ([100, 110, 105, 90, 95, 120], 205),  # and another one between trough and recovery
        ([110, 100, 90, 80, 90, 100], 206),  # never recovered: to the end
        ([100, 100, 100, 110, 90, 120], 102),  # before the peak, a gap does not count
    ],
)
def test_a_drawdown_lasts_hours_across_gaps(equity, hours):
    closed = 400_000 + np.array([0, 1, 103, 104, 105, 206])
    assert drawdown(np.array(equity, dtype=float), closed)[1] == hours


# --- identities ----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(random_returns)
def test_metric_identities(returns):
    equity = curve(returns)
    deepest, length = hourly_drawdown(equity)
    assert -1 <= deepest <= 0
    assert 0 <= length <= len(returns)
    assert deepest <= min(0.0, float(equity.min() / equity[0] - 1)) + 1e-15
    sharpe, error = sharpe_ratio(returns)
    mirrored, mirrored_error = sharpe_ratio(-returns)
    assert mirrored == pytest.approx(-sharpe)
    assert mirrored_error == pytest.approx(error)
    scaled = sharpe_ratio(returns * 3)
    assert scaled == pytest.approx((sharpe, error))
    assert metrics_of(equity * 4).to_dict() | {"initial_balance": 0, "final_balance": 0} == pytest.approx(
        metrics_of(equity).to_dict() | {"initial_balance": 0, "final_balance": 0}
    )


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=20))
def test_a_profit_factor_above_one_means_a_net_profit(pnl):
    metrics = metrics_of([1000, 1000 + sum(pnl)], trades=[trade(100, 100 + value) for value in pnl])
    if metrics.profit_factor is None:
        assert min(pnl) >= 0
    else:
        assert (metrics.profit_factor > 1) == (sum(pnl) > 0)
    assert metrics.expectancy * len(pnl) == pytest.approx(sum(pnl))


# --- the standard error of the Sharpe ratio ------------------------------------------------------------


def test_the_standard_error_reproduces_a_published_example():
    """Bailey and Lopez de Prado (2012): 24 months, Sharpe 0.458, skewness -2.448, kurtosis 10.164.

    The probability that the true ratio is positive is 0.913; the same ratio from normal returns: 0.982.
    """
    shape = np.append(np.linspace(-1, 1, 22), [-5.09163918, -2.02540809])
    returns = shape - shape.mean() + 0.458 * shape.std(ddof=1)
    standard = (shape - shape.mean()) / shape.std()
    assert (standard**3).mean() == pytest.approx(-2.448, abs=1e-6)
    assert (standard**4).mean() == pytest.approx(10.164, abs=1e-6)
    sharpe, error = sharpe_ratio(returns)
    assert sharpe / math.sqrt(YEAR) == pytest.approx(0.458)
    assert NormalDist().cdf(sharpe / error) == pytest.approx(0.913, abs=0.0005)


def test_the_standard_error_is_near_a_bootstrap():
    rng = np.random.default_rng(5)
    returns = rng.standard_t(6, 3000) * 0.004 + 0.0006 - 0.002 * (rng.random(3000) < 0.05)
    _, error = sharpe_ratio(returns)
    drawn = returns[rng.integers(0, len(returns), (2000, len(returns)))]
    ratios = drawn.mean(axis=1) / drawn.std(axis=1, ddof=1) * math.sqrt(YEAR)
    assert error == pytest.approx(ratios.std(), rel=0.06)


# --- against an independent library --------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(5))
def test_figures_equal_empyrical(seed):
    empyrical = pytest.importorskip("empyrical")
    returns = np.random.default_rng(seed).standard_t(4, 4000) * 0.005 + 0.0002 * (seed - 2)
    metrics = metrics_of(curve(returns))
    year = {"annualization": YEAR}
    expected = {
        "volatility": empyrical.annual_volatility(returns, **year),
        "sharpe": empyrical.sharpe_ratio(returns, **year),
        "sortino": empyrical.sortino_ratio(returns, **year),
        "max_drawdown": empyrical.max_drawdown(returns),
        "cagr": empyrical.cagr(returns, **year),
        "calmar": empyrical.calmar_ratio(returns, **year),
        "total_return": empyrical.cum_returns_final(returns),
    }
    assert {name: getattr(metrics, name) for name in expected} == pytest.approx(expected, rel=1e-9)


@pytest.mark.oracle
def test_the_first_bar_counts_in_the_drawdown_like_in_empyrical():
    empyrical = pytest.importorskip("empyrical")
    returns = np.array([-0.1, 0.05, 0.2])
    assert (
        hourly_drawdown(curve(returns))[0]
        == pytest.approx(empyrical.max_drawdown(returns))
        == pytest.approx(-0.1)
    )


def test_sortino_averages_over_all_bars():
    assert sortino_ratio(np.array([0.02, -0.01, 0.02, 0.01])) == pytest.approx(0.01 / 0.005 * math.sqrt(YEAR))
