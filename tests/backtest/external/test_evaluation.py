"""External targets go through the engine as the backtester's own do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.stub_models import BTC, HeldBars, sample_bars, without
from support.trained_models import SETTINGS

from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.backtest.external.evaluation import evaluate_targets
from crypto_refactor.backtest.external.target_file import read_targets
from crypto_refactor.errors import DataError, UsageError
from crypto_refactor.execution.rules import ExecutionOptions, ExitRule
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.csv_files import signals_csv
from crypto_refactor.signals.conditions import SignalRules

FIRST = 400_000
OPENS, CLOSES = (100, 100, 120, 200, 100, 90), (100, 120, 150, 200, 100, 80)


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "targets.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def rows(*pairs):
    """Return a file of targets: pairs of hours after FIRST and target."""
    return "made_at,target\n" + "".join(f"{to_iso(FIRST + hour)},{target}\n" for hour, target in pairs)


def drawn(opens=OPENS, closes=CLOSES, hours=None):
    open_, close = np.array(opens, float), np.array(closes, float)
    return Bars(
        ticker=BTC,
        source="files",
        opened=FIRST + (np.arange(len(open_)) if hours is None else np.array(hours)),
        open=open_,
        high=np.maximum(open_, close),
        low=np.minimum(open_, close),
        close=close,
        volume=np.full(len(open_), 1e6),
    )


@pytest.fixture
def evaluate(file):
    def run(text, bars=None, *, options=None, **asked):
        options = options or ExecutionOptions(fee=0.25)
        asked = {"initial_balance": 1250.0} | asked
        source = HeldBars(drawn() if bars is None else bars)
        return evaluate_targets(source, BTC, read_targets(file(text)), options, **asked)

    return run


def fills(found):
    return [
        (fill.at - FIRST, fill.side, fill.quantity, fill.price, fill.fee, fill.reason)
        for fill in found.requested.simulation.fills
    ]


class TestATape:
    # Bar:      0    1    2    3    4    5
    # Open:   100  100  120  200  100   90
    # Close:  100  120  150  200  100   80
    # Target:   1    .    0   -1    0        (made at each close; a dot has no row)

    def test_a_target_made_at_a_close_fills_at_the_next_open(self, evaluate):
        found = evaluate(rows((1, 1), (3, 0), (4, -1), (5, 0)))
        assert fills(found) == [
            (1, 1, 10.0, 100.0, 250.0, "entry"),
            (3, -1, 10.0, 200.0, 500.0, "neutral"),
            (4, -1, 12.0, 100.0, 300.0, "entry"),
        ]
        assert found.requested.simulation.equity.tolist() == [1250, 1200, 1500, 1500, 1200]
        assert (found.hours, found.end, found.requested.metrics.trades) == (4, FIRST + 5, 1)

    def test_the_last_target_is_pending(self, evaluate):
        found = evaluate(rows((1, 0), (5, 1)))
        assert fills(found) == []
        assert [decision.side for decision in found.requested.simulation.pending] == [1]

    def test_an_hour_without_a_row_keeps_the_last_target(self, evaluate):
        sparse = evaluate(rows((1, 1), (4, -1), (6, -1)))
        full = evaluate(rows((1, 1), (2, 1), (3, 1), (4, -1), (5, -1), (6, -1)))
        assert fills(sparse) == fills(full)
        assert sparse.sides.tolist() == [1, 1, 1, -1, -1, -1]

    def test_flat_means_flat(self, evaluate):
        found = evaluate(rows((1, 1), (2, 0), (3, 1), (4, 0)))
        assert [fill[0] for fill in fills(found)] == [1, 2, 3]

    def test_buying_and_holding_stands_beside_it(self, evaluate):
        found = evaluate(rows((1, 0), (5, 0)))
        assert found.buy_and_hold.metrics.final_balance == 1250 / 1.25
        assert (found.requested.metrics.total_return, found.requested.metrics.sharpe) == (0, None)

    def test_the_execution_rules_apply(self, evaluate):
        long_only = evaluate(
            rows((1, 1), (4, -1), (6, -1)), options=ExecutionOptions(fee=0.25, long_only=True)
        )
        assert [fill[:2] for fill in fills(long_only)] == [(1, 1), (4, -1)]
        stopped = evaluate(rows((1, 1), (6, 1)), options=ExecutionOptions(fee=0.25, take_profit=0.4))
        assert [(fill[0], fill[-1]) for fill in fills(stopped)] == [(1, "entry"), (3, "take_profit")]
        venue = evaluate(rows((1, 1), (6, 1)), options=ExecutionOptions(venue="alpaca"))
        assert venue.requested.metrics == venue.alpaca.metrics
        assert fills(venue)[0][-2] == pytest.approx(1250 * 0.0025)


class TestFingerprint:
    def test_it_is_that_of_the_targets_whatever_else_the_file_holds(self, file):
        plain = read_targets(file(rows((1, 1), (3, 0)))).fingerprint()
        text = f"why,target,made_at\nx,1.0,{to_iso(FIRST + 1)}\ny,0,{to_iso(FIRST + 3)}\n"
        assert read_targets(file(text)).fingerprint() == plain

    @pytest.mark.parametrize("other", [((1, 1), (3, -1)), ((1, 1), (4, 0)), ((1, 1), (3, 0), (4, 0))])
    def test_it_changes_with_any_of_them(self, file, other):
        plain = read_targets(file(rows((1, 1), (3, 0)))).fingerprint()
        assert read_targets(file(rows(*other))).fingerprint() != plain


class TestWindow:
    def test_it_reaches_from_the_first_to_the_last_target_and_may_be_narrower(self, evaluate):
        text = rows((1, 1), (3, 0), (4, -1), (6, 0))
        assert evaluate(text).hours == 5
        narrow = evaluate(text, hours=2, end=FIRST + 4)
        # It begins flat, with the target made an hour before its own first close still standing.
        assert narrow.sides.tolist() == [1, 0, -1]
        assert [fill[0] for fill in fills(narrow)] == [2, 3]

    @pytest.mark.parametrize(
        ("asked", "option"),
        [
            ({"end": FIRST + 7}, "end at"),
            ({"end": FIRST + 1}, "end at"),
            ({"hours": 6}, "--hours is 6"),
            ({"hours": 4, "end": FIRST + 4}, "--hours is 4"),
            ({"hours": 0}, "--hours is 0"),
            ({"hours": -3}, "--hours is -3"),
            ({"initial_balance": 0.0}, "--initial-balance"),
        ],
    )
    def test_a_wider_or_empty_one_is_refused(self, evaluate, asked, option):
        with pytest.raises(UsageError, match=option):
            evaluate(rows((1, 1), (6, 0)), **asked)

    @pytest.mark.parametrize(
        ("pairs", "line"), [(((0, 1), (4, 0)), 2), (((1, 1), (5, 0), (7, 1), (8, 0)), 4)]
    )
    def test_a_target_outside_the_bars_is_refused_and_shown(self, evaluate, pairs, line):
        with pytest.raises(DataError, match="line") as caught:
            evaluate(rows(*pairs))
        hour, target = pairs[line - 2]
        assert f"line {line}: '{to_iso(FIRST + hour)},{target}'." in caught.value.what
        assert caught.value.exit_code == 3

    def test_but_not_one_outside_a_narrower_window(self, evaluate):
        assert evaluate(rows((1, 1), (5, 0), (7, 1)), end=FIRST + 5).hours == 4

    def test_sparse_targets_may_leave_a_window_without_a_row(self, evaluate):
        found = evaluate(rows((1, 1), (40, 0)), hours=2, end=FIRST + 5)
        assert found.sides.tolist() == [1, 1, 1]
        with pytest.raises(DataError):
            evaluate(rows((1, 1), (40, 0)), hours=2, end=FIRST + 30)
        with pytest.raises(DataError):
            evaluate(rows((1, 1), (400, 0)), hours=2, end=FIRST + 300)

    def test_a_target_made_where_there_is_no_bar_counts_from_the_next_close(self, evaluate):
        bars = drawn((100, 100, 110, 100), (100, 105, 110, 100), (0, 1, 4, 5))
        found = evaluate(rows((1, 1), (3, 0), (6, 0)), bars, allow_gaps=True)
        assert found.between_bars == 1
        assert fills(found) == [
            (1, 1, 10.0, 100.0, 250.0, "entry"),
            # Wanted flat since 3, known at the close of the next bar, 5, and filled at the open after it.
            (5, -1, 10.0, 100.0, 250.0, "neutral"),
        ]
        with pytest.raises(DataError, match="lie in gaps"):
            evaluate(rows((1, 1), (3, 0), (6, 0)), bars)


GOOD = "2024-06-01T00:00:00Z,1"


class TestReading:
    @pytest.mark.parametrize(
        "text",
        [
            "made_at,target\n2024-06-01T00:00:00Z,1\n2024-06-01T02:00:00Z,-1\n",
            "made_at,target\r\n2024-06-01T00:00:00Z,1\r\n2024-06-01T02:00:00Z,-1",
            "\ufeffmade_at, target\n\n2024-06-01, 1.0\n2024-06-01 02:00, -1.0\n\n",
            'target,note,made_at\n+1,"long, they say",2024-06-01T02:00+02:00\n-1,,2024-06-01T02:00:00+00:00\n',
        ],
    )
    def test_the_usual_spellings_are_read(self, file, text):
        found = read_targets(file(text))
        hour = found.made_at[0]
        assert to_iso(int(hour)) == "2024-06-01T00:00:00Z"
        assert found.made_at.tolist() == [hour, hour + 2]
        assert found.target.tolist() == [1, -1]
        assert found.ignored == (("note",) if "note" in text else ())

    @pytest.mark.parametrize(
        ("bad", "expected"),
        [
            ("2024-06-01T01:00:00Z,2", "target to be -1, 0 or 1, not '2'"),
            ("2024-06-01T01:00:00Z,nan", "not 'nan'"),
            ("2024-06-01T01:00:00Z,", "not ''"),
            ("2024-06-01T01:00:00Z,0.5", "not '0.5'"),
            ("2024-06-01T01:00:00Z,long", "not 'long'"),
            ("2024-06-01T01:00:00Z,1_0", "not '1_0'"),
            ("2024-06-01T01:30:00Z,1", "lies between two hours"),
            ("2024-06-01T01:00:00.5Z,1", "lies between two hours"),
            ("NaT,1", "full hour"),
            ("1717200000,1", "full hour"),
            (",1", "full hour"),
            ("2024-06-01T00:00:00Z,0", "every made_at once"),
            ("2024-05-31T23:00:00Z,0", "rising order (the row before is 2024-06-01T00:00:00Z)"),
            ("2024-06-01T01:00:00Z", "2 cells"),
            ("2024-06-01T01:00:00Z,1,1", "2 cells"),
            ('2024-06-01T01:00:00Z,"1', "comma-separated"),
        ],
    )
    def test_the_first_row_that_is_no_target_is_shown(self, file, bad, expected):
        path = file(f"made_at,target\n{GOOD}\n{bad}\n2024-06-01T05:00:00Z,7\n")
        with pytest.raises(DataError) as caught:
            read_targets(path)
        error = caught.value
        assert error.exit_code == 3
        assert expected in error.expected
        assert str(path) in error.what
        if "comma" not in expected:
            assert error.what.endswith(f"line 3: {bad!r}.")

    @pytest.mark.parametrize(
        ("text", "what"),
        [
            ("", "line 1"),
            ("\n\n", "line 1"),
            ("time,target\n" + GOOD, "line 1: the header is 'time,target' \\(no column made_at\\)"),
            ("made_at,target,target\n" + GOOD + ",1", "line 1"),
            (GOOD + "\n", "line 1"),
            ("made_at,target\n", "too few rows below its header: 0."),
            ("made_at,target\n" + GOOD, "too few rows below its header: 1."),
            (
                b"made_at,target\n" + GOOD.encode() + b"\n2024-06-01T01:00Z,\xff\n",
                "line 3: bytes that are not UTF-8",
            ),
            ("made_at,target\n" + GOOD + "\n\0,1\n", "line 3"),
        ],
    )
    def test_files_that_hold_no_targets_are_refused(self, file, text, what):
        with pytest.raises(DataError, match=what.replace(".", r"\.")):
            read_targets(file(text))

    def test_a_file_that_is_not_there_or_a_folder(self, tmp_path):
        for path in (tmp_path / "none.csv", tmp_path):
            with pytest.raises(DataError, match="cannot be read"):
                read_targets(path)


HOURS = 150
RULES = {
    "neutral": ExecutionOptions(),
    "long only": ExecutionOptions(long_only=True, slippage_bps=3.0),
    "opposite": ExecutionOptions(exit=ExitRule.OPPOSITE, borrow=0.2),
    "fade": ExecutionOptions(exit=ExitRule.FADE, position_size=0.5),
    "alpaca": ExecutionOptions(venue="alpaca"),
    "protected": ExecutionOptions(stop_loss=0.01, take_profit=0.015, max_drawdown=0.03, max_notional=9000.0),
    "opposite and protected": ExecutionOptions(exit=ExitRule.OPPOSITE, stop_loss=0.005, take_profit=0.01),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("gaps", [False, True])
def test_the_targets_of_a_backtest_give_its_trades_and_its_equity(evaluate, tmp_path, fits, name, gaps):
    bars, options = sample_bars(1600), RULES[name]
    if gaps:
        end = int(bars.closed[-1])
        # The longer one makes real closes undecidable: their target is 0, and a position is left.
        bars = without(bars, (end - 100, end - 90), (end - 30, end - 28))
    tester = Backtester(
        BTC,
        source=HeldBars(bars),
        settings=replace(SETTINGS, refit_every=96),
        signal_rules=SignalRules(min_confirmations=4),
        options=options,
        model_dir=tmp_path / "models",
    )
    own = tester.run(HOURS, initial_balance=10_000.0, allow_gaps=True, assess=False)
    assert own.requested.metrics.trades > 2
    found = evaluate(
        signals_csv(own),
        bars,
        options=replace(options, exit=ExitRule.NEUTRAL),
        initial_balance=10_000.0,
        allow_gaps=True,
    )
    # What an exit is called depends on signals, which targets know nothing of.
    assert unnamed(found.requested.simulation.fills) == unnamed(own.requested.simulation.fills)
    assert unnamed(found.requested.simulation.trades) == unnamed(own.requested.simulation.trades)
    assert found.requested.simulation.equity.tobytes() == own.requested.simulation.equity.tobytes()
    assert found.requested.metrics == own.requested.metrics
    assert found.buy_and_hold.metrics == own.buy_and_hold.metrics
    if name == "neutral" and not gaps:
        assert found.requested.simulation.trades == own.requested.simulation.trades
        assert found.significance == replace(own_significance(own), skill=None)


def own_significance(own):
    from crypto_refactor.backtest.significance.summary import significance_of

    return significance_of(own.requested.simulation, own.window, own.plan, own.requested.rules)


def unnamed(executed):
    field = "reason" if executed and hasattr(executed[0], "reason") else "exit_reason"
    kept = {"entry", "open", "dust", "ruin", "stop_loss", "take_profit"}
    return [each if getattr(each, field) in kept else each._replace(**{field: "signal"}) for each in executed]
