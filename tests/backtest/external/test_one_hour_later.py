"""The same targets one hour later: what leaks into its own bar is named, what knows only the past is not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from support.stub_models import BTC, HeldBars, sample_bars, without

from crypto_refactor.backtest.external.evaluation import evaluate_targets
from crypto_refactor.backtest.external.one_hour_later import dependence_of, first_hour_return
from crypto_refactor.backtest.external.target_file import Stamped, read_targets
from crypto_refactor.errors import DataError
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_iso

COUNT = 1500


@pytest.fixture
def write(tmp_path):
    def to_file(stamps, sides):
        path = tmp_path / "targets.csv"
        rows = (f"{to_iso(stamp)},{side}" for stamp, side in zip(stamps, sides, strict=True))
        path.write_text("\n".join(["made_at,target", *rows, ""]), encoding="utf-8")
        return path

    return to_file


@pytest.fixture
def evaluate(write):
    def run(bars, stamps, sides, *, stamped=Stamped.CLOSE, fee=0.001, **options):
        targets = read_targets(write(stamps, np.asarray(sides, dtype=int)), stamped)
        rules = ExecutionOptions(fee=fee, **options)
        return evaluate_targets(HeldBars(bars), BTC, targets, rules, allow_gaps=True)

    return run


def averages(close, fast, slow):
    means = (pd.Series(close).ewm(span=span, adjust=False).mean() for span in (fast, slow))
    return np.sign(next(means) - next(means)).fillna(0).to_numpy(dtype=int)


def relative_strength(close, span):
    change = pd.Series(close).diff().fillna(0)
    up, down = (change.clip(lower=0), -change.clip(upper=0))
    gain, loss = (part.ewm(alpha=1 / span, adjust=False).mean() for part in (up, down))
    return (100 * gain / (gain + loss)).fillna(50).to_numpy()


def guesses(count, share, seed):
    rng = np.random.default_rng(seed)
    changes = rng.random(count) < share
    changes[0] = True
    return rng.integers(-1, 2, count)[np.maximum.accumulate(np.where(changes, np.arange(count), 0))]


HONEST = {
    "averages": lambda close: averages(close, 5, 20),
    "slow averages, long only": lambda close: np.maximum(averages(close, 24, 96), 0),
    "strength, long and short": lambda close: np.select(
        [relative_strength(close, 14) < 30, relative_strength(close, 14) > 70], [1, -1]
    ),
    "fast strength": lambda close: np.where(relative_strength(close, 2) < 30, 1, 0),
    "buy and hold": lambda close: np.ones(len(close)),
    "one short trade": lambda close: -(np.arange(len(close)) // 700 == 1).astype(int),
    "against the last hour": lambda close: -np.sign(np.diff(close, prepend=close[0])),
    "every hour at random": lambda close: guesses(len(close), 1.0, 1),
    "daily at random": lambda close: guesses(len(close), 0.04, 2),
    "weekly at random": lambda close: guesses(len(close), 0.006, 3),
}


@pytest.mark.parametrize("name", HONEST)
@pytest.mark.parametrize("fee", [0.0, 0.001])
def test_targets_that_know_the_past_alone_raise_no_warning(evaluate, name, fee):
    bars = sample_bars(COUNT)
    found = evaluate(bars, bars.closed, HONEST[name](bars.close), fee=fee)
    assert found.one_hour_later.dependence is None


def test_sparse_targets_that_lose_nothing_by_an_hour_raise_no_warning(evaluate):
    # They know the next three days: a leak, but not one of an hour.
    bars = sample_bars(COUNT)
    at = np.arange(0, COUNT - 73, 72)
    found = evaluate(bars, bars.closed[at], np.sign(bars.close[at + 72] - bars.close[at]))
    assert found.requested.metrics.total_return > 0.5
    assert found.one_hour_later.dependence is None


def test_few_trades_whose_sign_turns_by_an_hour_raise_no_warning(evaluate):
    bars = sample_bars(COUNT)
    turned = 0
    for start in range(100, 1200, 40):
        sides = np.zeros(COUNT, dtype=int)
        sides[start : start + 6] = 1
        found = evaluate(bars, bars.closed, sides, fee=0.0)
        runs = found.requested, found.one_hour_later.run
        totals = [run.metrics.total_return for run in runs]
        turned += totals[0] > 0 >= totals[1]
        assert found.one_hour_later.dependence is None
    assert turned  # an hour's noise does turn the sign of some


def test_chance_alone_seldom_raises_a_warning():
    bars = sample_bars(721)
    flat = np.zeros(721, dtype=np.int8)
    beyond = 0
    for seed in range(2000):
        sides = guesses(721, 0.5, seed).astype(np.int8)
        later = np.concatenate([flat[:1], sides[:-1]])
        first_hour, error = first_hour_return(sides, later, bars)
        beyond += first_hour >= 3 * error
    assert beyond <= 10  # 2.7 are expected


@pytest.mark.parametrize(
    ("right", "fee"), [(1.0, 0.001), (1.0, 0.0025), (0.9, 0.001), (0.8, 0.0), (0.7, 0.0)]
)
def test_targets_that_know_their_own_bar_are_named(evaluate, right, fee):
    bars = sample_bars(COUNT)
    own = np.sign(bars.close - bars.open)
    own = np.where(np.random.default_rng(0).random(COUNT) < right, own, -own)
    found = evaluate(bars, bars.opened[1:], own[1:], fee=fee)
    assert found.requested.metrics.total_return > 0
    assert found.one_hour_later.dependence is not None
    assert found.verdict.code != "evidence"


def test_a_rule_that_is_stamped_an_hour_early_is_named_and_mended(evaluate):
    bars = sample_bars(COUNT)
    rule = np.where(relative_strength(bars.close, 2) > 60, 1, -1)
    early = evaluate(bars, bars.opened[1:], rule[1:])
    assert early.one_hour_later.dependence == "sign"
    mended = evaluate(bars, bars.opened[1:], rule[1:], stamped=Stamped.OPEN)
    assert mended.one_hour_later.dependence is None
    # What is known an hour later trades an hour later.
    fills, delayed = mended.requested.simulation.fills, early.one_hour_later.run.simulation.fills
    assert fills[: len(delayed)] == delayed
    assert len(fills) - len(delayed) <= 2


def test_a_loss_that_grows_is_no_reason_to_warn(evaluate):
    bars = sample_bars(COUNT)
    own = np.where(np.random.default_rng(0).random(COUNT) < 0.7, 1, -1) * np.sign(bars.close - bars.open)
    found = evaluate(bars, bars.opened[1:], own[1:], fee=0.0025)
    later = found.one_hour_later
    assert later.first_hour > 3 * later.error
    assert found.requested.metrics.total_return < 0
    assert later.dependence is None


class TestWhichHourActs:
    def fills(self, run):
        return [(fill.at, fill.reason) for fill in run.simulation.fills]

    @pytest.mark.parametrize(("stamped", "wait"), [(Stamped.CLOSE, 0), (Stamped.OPEN, 1)])
    def test_a_target_fills_at_the_open_of_the_hour_at_which_it_is_known(self, evaluate, stamped, wait):
        bars = sample_bars(20)
        first = int(bars.opened[2])
        stamps = [first, first + 5, first + 9]
        found = evaluate(bars, stamps, [1, 0, 0], stamped=stamped)
        assert self.fills(found.requested) == [(first + wait, "entry"), (first + wait + 5, "neutral")]
        assert self.fills(found.one_hour_later.run) == [
            (first + wait + 1, "entry"),
            (first + wait + 6, "neutral"),
        ]
        assert (found.end, found.hours) == (first + wait + 9, 9)

    def test_across_a_gap_both_wait_for_the_next_real_close(self, evaluate):
        bars = sample_bars(30)
        first = int(bars.opened[2])
        held = without(bars, (first + 3, first + 8))
        found = evaluate(held, [first, first + 4, first + 20], [0, 1, 1])
        # The bar of hour + 7 is missing, so that the first close after the gap is that of hour + 8.
        assert self.fills(found.requested) == [(first + 9, "entry")]
        assert self.fills(found.one_hour_later.run) == [(first + 9, "entry")]
        assert found.one_hour_later.first_hour == 0

    def test_within_a_narrower_window_an_earlier_target_is_in_force_an_hour_later_too(self, write):
        bars = sample_bars(40)
        first = int(bars.closed[2])
        targets = read_targets(write([first, first + 30], [1, 1]))
        found = evaluate_targets(HeldBars(bars), BTC, targets, ExecutionOptions(), hours=10, end=first + 20)
        assert self.fills(found.requested) == self.fills(found.one_hour_later.run) == [(first + 10, "entry")]

    @pytest.mark.parametrize("stamped", list(Stamped))
    def test_an_error_names_the_stamp_as_the_file_has_it(self, evaluate, stamped):
        bars = sample_bars(20)
        beyond = int(bars.closed[-1]) + 3
        with pytest.raises(DataError, match=f"'{to_iso(beyond)},0'") as caught:
            evaluate(bars, [int(bars.closed[2]), beyond], [1, 0], stamped=stamped)
        assert f"to be the {stamped} of a bar" in caught.value.expected


def drawn(opens, last_close):
    open_ = np.array(opens, float)
    close = np.append(open_[1:], last_close)
    return Bars(
        ticker=BTC,
        source="files",
        opened=400_000 + np.arange(len(open_)),
        open=open_,
        high=np.maximum(open_, close),
        low=np.minimum(open_, close),
        close=close,
        volume=np.ones(len(open_)),
    )


def test_the_first_hour_by_hand():
    bars = drawn([100, 100, 110, 99, 99], 198)
    sides, later = (np.array(row, dtype=np.int8) for row in ([0, 1, 1, -1, -1], [0, 0, 1, 1, -1]))
    # Only in the first bar (+10 %) and in the third (0 %, twice the stake) do they differ.
    assert first_hour_return(sides, later, bars) == (pytest.approx(0.1), pytest.approx(0.1))
    sides = np.array([0, 1, -1, -1, 1], dtype=np.int8)
    found, error = first_hour_return(sides, later, bars)
    # Bars: +10 % x 1, -10 % x -2, 0 % x -2, +100 % x 2.
    assert found == pytest.approx(0.1 + 0.2 + 2.0)
    assert error == pytest.approx((0.1**2 + 0.2**2 + 2.0**2) ** 0.5)


@dataclass
class Returns:
    now: float
    later: float
    hold: float


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        (Returns(62.0, -0.9, 0.3), "sign"),
        (Returns(0.01, 0.0, 0.3), "sign"),
        (Returns(62.0, 20.0, 0.3), "most"),
        (Returns(0.5, 0.35, 0.3), "advantage"),
        (Returns(0.5, 0.45, 0.3), None),
        (Returns(0.5, 0.3, 0.6), None),  # it never had an advantage
        (Returns(0.5, 0.4, -0.9), None),
        (Returns(0.5, 0.9, 0.3), None),
        (Returns(-0.1, -0.9, -0.5), None),
        (Returns(0.0, -0.9, -0.5), None),
    ],
)
def test_what_hangs_on_the_hour(returns, expected):
    assert dependence_of(returns.now, returns.later, returns.hold) == expected
