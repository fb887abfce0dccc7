"""Closes that cannot be prices are found, moves stay moves, and nothing is known before later bars show it."""

from __future__ import annotations

import numpy as np
import pytest
from support.jumps import changed, shifted, with_closes

from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import PRICES, Bars
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.plausibility import (
    JumpKind,
    find_jumps,
    require_plausible,
    require_settled,
    trusted,
)
from crypto_refactor.market.ticker import Ticker

BTC = Ticker("BTC", "USD")
FIRST = 473_352  # 2024-01-01T00:00Z
ROW = 120


def calm(count=240, *, hours=None, seed=1, scale=0.004):
    """A walk of small moves from 100, each open at the close before it."""
    generator = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(generator.normal(0, scale, count)))
    opens = np.concatenate([[100.0], close[:-1]])
    wick = 1 + generator.uniform(0, scale, count)
    return Bars(
        ticker=BTC,
        source="files",
        opened=FIRST + (np.arange(count) if hours is None else np.asarray(hours)),
        open=opens,
        high=np.maximum(opens, close) * wick,
        low=np.minimum(opens, close) / wick,
        close=close,
        volume=np.full(count, 5.0),
    )


def kinds(bars):
    return [(jump.kind, jump.opened - FIRST, jump.bars) for jump in find_jumps(bars)]


@pytest.mark.parametrize("factor", [0.1, 0.57, 0.75, 1.3, 1.9, 10.0, 1e6])
@pytest.mark.parametrize("bars_off", [1, 2])
def test_a_close_that_is_undone_within_two_bars_is_a_bad_tick_and_moves_nothing(factor, bars_off):
    bars = calm()
    false = with_closes(bars, dict.fromkeys(range(ROW, ROW + bars_off), factor))
    assert kinds(false) == [(JumpKind.BAD_TICK, ROW, bars_off)]
    used = trusted(false)
    held = np.zeros(len(bars), dtype=bool)
    held[ROW : ROW + bars_off] = True
    assert (used.held == held).all()
    assert (used.close[held] == bars.close[ROW - 1]).all()
    for name in PRICES:
        off = np.abs(getattr(used, name) / getattr(bars, name) - 1)
        assert off.max() < 0.05, name  # as calm as the bars without it


def test_a_close_that_is_undone_by_three_quarters_only_is_a_move():
    bars = calm(scale=0.0005)
    false = with_closes(bars, {ROW: 1.6} | dict.fromkeys(range(ROW + 1, len(bars)), 1.15))
    assert kinds(false) == [(JumpKind.MOVE, ROW, 2)]


@pytest.mark.parametrize("factor", [0.7, 0.81, 1.19, 1.5])
def test_a_high_or_a_low_alone_is_no_jump(factor):
    bars = calm()
    wick = getattr(bars, "high" if factor > 1 else "low").copy()
    wick[ROW] *= factor
    assert find_jumps(changed(bars, **{"high" if factor > 1 else "low": wick})) == ()


@pytest.mark.parametrize("fall", [0.85, 0.7, 0.5])
def test_a_crash_that_stays_is_a_move_and_counts_in_full_from_its_third_bar(fall):
    crash = shifted(calm(), ROW, fall, from_open=False)
    large = fall < 0.8
    assert kinds(crash) == ([(JumpKind.MOVE, ROW, 2)] if large else [])
    used = trusted(crash)
    settled = np.ones(len(used), dtype=bool)
    settled[ROW : ROW + 2] = not large
    assert (used.close[settled] == crash.close[settled]).all()
    assert (used.open == crash.open).all()  # whoever trades meanwhile gets the price that was quoted
    if large:
        assert np.isnan(used.protection_price[ROW])
        assert used.protection_price[ROW + 1] == crash.close[ROW + 1]


def test_large_moves_of_a_wild_coin_are_no_jumps():
    assert find_jumps(calm(2000, scale=0.06)) == ()


@pytest.mark.parametrize("factor", [1e-3, 0.01, 0.1, 10.0, 100.0, 1000.0])
@pytest.mark.parametrize("from_open", [True, False])
def test_a_change_of_units_is_taken_back_from_every_price_and_the_volume(factor, from_open):
    bars = calm()
    other = shifted(bars, ROW, factor, from_open=from_open)
    assert kinds(other) == [(JumpKind.LEVEL_BREAK, ROW, 2)]
    used = trusted(other)
    assert used.volume == pytest.approx(bars.volume, rel=0.02)
    for name in PRICES:
        assert getattr(used, name) == pytest.approx(getattr(bars, name), rel=0.03), name
    now = trusted(other, "last")
    assert now.close[-50:] == pytest.approx(other.close[-50:], rel=1e-12)


def test_a_step_of_more_than_half_across_a_gap_is_a_level_break():
    hours = np.r_[0:ROW, ROW + 100 : 340]
    other = shifted(calm(240, hours=hours), ROW, 1.7)
    assert kinds(other) == [(JumpKind.LEVEL_BREAK, ROW + 100, 2)]
    assert trusted(other).close == pytest.approx(calm(240).close, rel=0.03)


def test_a_step_of_a_third_across_a_gap_is_a_move_at_which_a_waiting_exit_is_filled():
    hours = np.r_[0:ROW, ROW + 5 : 245]
    fall = shifted(calm(240, hours=hours), ROW, 0.67)
    assert kinds(fall) == [(JumpKind.MOVE, ROW + 5, 2)]
    assert trusted(fall).open[ROW] == fall.open[ROW]


def test_several_jumps_are_each_settled_on_their_own():
    other = shifted(with_closes(calm(400), {60: 0.5, 62: 0.5, 300: 3.0}), 200, 10.0)
    assert kinds(other) == [
        (JumpKind.BAD_TICK, 60, 1),
        (JumpKind.BAD_TICK, 62, 1),
        (JumpKind.LEVEL_BREAK, 200, 2),
        (JumpKind.BAD_TICK, 300, 1),
    ]
    assert trusted(other).close == pytest.approx(calm(400).close, rel=0.03)


def test_the_first_day_of_the_data_tells_too_little_to_find_a_bad_tick():
    assert find_jumps(with_closes(calm(), {5: 0.5})) == ()


@pytest.mark.parametrize(
    "bars",
    [
        with_closes(calm(), {ROW: 0.5}),
        with_closes(calm(), {ROW: 2.0, ROW + 1: 2.0}),
        with_closes(calm(), {ROW: 10.0}),
        shifted(calm(), ROW, 0.6, from_open=False),
        shifted(calm(), ROW, 10.0),
        shifted(calm(), ROW, 0.01, from_open=False),
    ],
    ids=["one bar", "two bars", "decimal point", "crash", "redenomination", "redenomination at the close"],
)
def test_what_is_known_at_a_close_never_changes_with_later_bars(bars):
    whole = trusted(bars)
    for count in range(ROW - 2, ROW + 6):
        known = trusted(bars.prefix(count))
        row = count - 1
        for name in ("close", "protection_price", "held"):
            assert np.array_equal(
                getattr(known, name)[row:], getattr(whole, name)[row:count], equal_nan=name != "held"
            ), (count, name)


def test_bars_without_a_jump_are_returned_as_they_are():
    bars = calm()
    assert trusted(bars) is bars
    assert not bars.held.any()


def test_bad_ticks_and_level_breaks_are_refused_with_hour_and_size_unless_allowed():
    bars = shifted(with_closes(calm(), {60: 0.5}), ROW, 10.0)
    jumps = find_jumps(bars)
    with pytest.raises(DataError) as refused:
        require_plausible(jumps, bars, allow_jumps=False)
    what = refused.value.what
    assert to_iso(FIRST + 60) in what
    assert f"{jumps[0].move * 100:+.1f} %" in what
    assert f"{to_iso(FIRST + ROW)} times " in what
    assert "--allow-jumps" in refused.value.remedy
    require_plausible(jumps, bars, allow_jumps=True)
    require_plausible(jumps[:1], bars, allow_jumps=False, allow_ticks=True)
    with pytest.raises(DataError):
        require_plausible(jumps, bars, allow_jumps=False, allow_ticks=True)


def test_a_crash_is_never_refused():
    bars = shifted(calm(), ROW, 0.6)
    require_plausible(find_jumps(bars), bars, allow_jumps=False)


def test_nothing_is_decided_while_the_last_close_is_not_settled():
    bars = with_closes(calm(), {ROW: 0.5})
    for count, settled in ((ROW, True), (ROW + 1, False), (ROW + 2, True)):
        known = bars.prefix(count)
        if settled:
            require_settled(find_jumps(known), trusted(known))
        else:
            with pytest.raises(DataError, match="jumps"):
                require_settled(find_jumps(known), trusted(known))
