"""Compare and evaluate as a program calls them: the same results as the commands, from arguments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from support.replay_runner import SeveralBars
from support.stub_models import BTC, sample_bars
from support.trained_models import SETTINGS

from crypto_refactor import Backtester, compare, evaluate
from crypto_refactor.backtest.comparison.parameter_grid import ParameterSet, combinations, parse_axis
from crypto_refactor.backtest.comparison.request import ComparisonRequest
from crypto_refactor.backtest.comparison.runner import run_comparison
from crypto_refactor.backtest.external.evaluation import evaluate_targets
from crypto_refactor.backtest.external.target_file import read_targets
from crypto_refactor.errors import DataError, UnavailableError, UsageError
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.sources.csv_files import file_path, write_csv
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.training.parallel import TrainingObserver
from crypto_refactor.report.documents.backtest import evaluation_json
from crypto_refactor.report.documents.comparison import comparison_json
from crypto_refactor.signals.conditions import SignalRules

ETH = Ticker("ETH", "USD")
HOURS = 48
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def held():
    return [sample_bars(1000, ticker) for ticker in (BTC, ETH)]


@pytest.fixture
def run(held, fits, tmp_path):
    """Compare with planted models."""

    def call(tickers=None, hours=HOURS, **asked):
        defaults = {"source": SeveralBars(*held), "settings": SETTINGS, "min_confirmations": 4}
        return compare(tickers, hours, **defaults | {"model_dir": tmp_path / "models"} | asked)

    return call


class TestCompare:
    def test_it_is_the_comparison_of_the_command(self, run, held, tmp_path):
        base = ParameterSet(
            settings=SETTINGS,
            signal_rules=SignalRules(min_confirmations=4),
            options=ExecutionOptions(fee=0.0005),
        )
        wanted = run_comparison(
            ComparisonRequest(
                tickers=(BTC, ETH),
                explicitly_requested=True,
                settings=combinations(
                    base, [parse_axis("exit=neutral,fade"), parse_axis("stop-loss=off,0.05")]
                ),
                source=SeveralBars(*held),
                hours=HOURS,
                end=None,
                initial_balance=100_000.0,
                model=None,
                model_dir=tmp_path / "others",
                allow_gaps=False,
                observer=TrainingObserver(),
            )
        )
        found = run(
            ["BTC/USD", ETH], fee=0.0005, vary={"exit": ["neutral", "fade"], "stop_loss": [None, 0.05]}
        )
        assert found.to_dict() == comparison_json(wanted)
        assert len(found.trials) == 8

    @pytest.mark.parametrize(
        "vary",
        [
            {"exit": ["neutral", "fade"]},
            {"exit": ("neutral", "fade", "fade")},
            {"exit": "neutral,fade"},
            {"exit": iter(["neutral", "fade"])},
        ],
    )
    def test_values_in_any_collection(self, run, vary):
        labels = [parameters.label for parameters in run("btc/usd", vary=vary).request.settings]
        assert labels == ["exit=neutral", "exit=fade"]

    def test_numbers_of_numpy_and_texts_of_the_command_line_are_values(self, run):
        vary = {
            "min_confirmations": np.array([3, 5]),
            "take-profit": ["off", np.float32(0.5)],
            "long_only": [True],
        }
        found = run("BTC/USD", vary=vary)
        assert [parameters.varied[0] for parameters in found.request.settings[::2]] == [
            ("min-confirmations", 3),
            ("min-confirmations", 5),
        ]
        assert {parameters.options.take_profit for parameters in found.request.settings} == {None, 0.5}
        assert found.to_dict()["settings"][0]["min_confirmations"] == 3

    @pytest.mark.parametrize(
        ("vary", "said"),
        [
            (["exit"], "vary is"),
            ({"exits": ["fade"]}, "vary is 'exits'"),
            ({3: ["fade"]}, "vary is 3"),
            ({"exit": ["later"]}, "'later'"),
            ({"exit": [["fade"]]}, "vary exit is"),
            ({"exit": []}, "names no value"),
            ({"stop_loss": 0.05}, "vary stop_loss is 0.05"),
            ({"stop_loss": [5.0]}, "--stop-loss is 5"),
            ({"stop_loss": ["much"]}, "'much'"),
            ({"min_confirmations": [2.5]}, "2.5"),
            ({"min_confirmations": [None]}, "None"),
            ({"long_only": [1]}, "vary long-only is 1"),
            ({"stop_loss": [0.1], "stop-loss": [0.2]}, "twice"),
        ],
    )
    def test_what_cannot_be_varied_is_refused(self, run, vary, said):
        with pytest.raises(UsageError, match="(?i)" + said.replace("(", r"\(")):
            run("BTC/USD", vary=vary)

    def test_without_tickers_those_of_the_source(self, run, held):
        frames = {str(bars.ticker): bars.to_frame() for bars in held}
        assert run(source=frames).request.tickers == (BTC, ETH)
        assert run(source=held[1]).request.tickers == (ETH,)

    def test_one_frame_is_of_one_ticker(self, run, held):
        assert len(run("BTC/USD", source=held[0].to_frame()).trials) == 1
        with pytest.raises(UsageError, match="does not say of which ticker") as caught:
            run(["BTC/USD", "ETH/USD"], source=held[0].to_frame())
        assert '{"BTC/USD": frame}' in caught.value.remedy

    @pytest.mark.parametrize("tickers", [5, [], ["BTC/USD", 5], "bitcoin"])
    def test_what_are_no_tickers_is_refused(self, run, tickers):
        with pytest.raises(UsageError, match="icker"):
            run(tickers)

    def test_a_named_ticker_that_is_not_offered_stands_beside_the_others(self, run):
        found = run(["BTC/USD", "DOGE/USD"])
        assert [trial.ticker for trial in found.trials] == [BTC]
        assert [str(failed.ticker) for failed in found.failed] == ["DOGE/USD"]

    def test_none_of_the_list_offered_is_an_error(self, run, held, monkeypatch, tmp_path):
        (tmp_path / "list.txt").write_text("DOGE/USD\n", encoding="utf-8")
        monkeypatch.setattr("crypto_refactor.config.tickers_file", lambda: tmp_path / "list.txt")
        with pytest.raises(UnavailableError):
            run(source=SeveralBars(*held))

    def test_any_way_to_write_the_end(self, run, held):
        end = int(held[0].closed[-1]) - 10
        for given in (
            end,
            to_iso(end),
            EPOCH + timedelta(hours=end),
            pd.Timestamp(end * 3600, unit="s", tz="Asia/Tokyo"),
        ):
            assert run("BTC/USD", end=given).end == end

    def test_the_table_has_a_row_a_trial(self, run):
        found = run(["BTC/USD", "ETH/USD"], vary={"exit": ["neutral", "opposite"]})
        table = found.table
        assert list(table.index) == [1, 2, 3, 4]
        assert list(table["ticker"]) == [str(trial.ticker) for trial in found.trials]
        assert list(table["exit"]) == [dict(trial.parameter_set.varied)["exit"] for trial in found.trials]
        for column, account in (("total_return", 0), ("alpaca_return", 1), ("buy_and_hold_return", 2)):
            assert list(table[column]) == [
                trial.scenarios.metrics[account].total_return for trial in found.trials
            ]
        assert list(table["trades"]) == [trial.scenarios.requested.metrics.trades for trial in found.trials]
        assert table["audit_passed"].all()
        assert table["total_return"].dtype == table["sharpe"].dtype == np.float64

    def test_the_equity_is_that_of_the_portfolios(self, run):
        found = run(["BTC/USD", "ETH/USD"], vary={"exit": ["neutral", "opposite"]})
        equity = found.equity
        assert list(equity) == ["exit=neutral", "exit=opposite"]
        assert str(equity.index[-1]) == str(pd.Timestamp(found.end * 3600, unit="s", tz="UTC"))
        assert len(equity) == HOURS + 1
        for portfolio, name in zip(found.portfolios, equity, strict=True):
            assert equity[name].iloc[-1] == portfolio.metrics.final_balance

    def test_without_a_trial_tables_are_empty(self, run):
        found = run("BTC/USD", hours=5000)
        assert len(found.failed) == 1
        assert found.table.empty
        assert found.equity.empty


class TestEvaluate:
    @pytest.fixture
    def bars(self, held):
        return held[0]

    @pytest.fixture
    def targets(self, bars):
        """Long above the mean of a day, by the closes of bars."""
        hours = pd.to_datetime(bars.closed * 3600, unit="s", utc=True)
        close = pd.Series(bars.close, index=hours.rename("made_at"))
        return (close > close.rolling(24).mean()).astype(int)[-300:]

    @pytest.fixture
    def file(self, targets, tmp_path):
        path = tmp_path / "targets.csv"
        targets.rename("target").to_csv(path, index_label="made_at", date_format="%Y-%m-%dT%H:%M:%SZ")
        return path

    def test_a_series_a_frame_and_a_file_are_the_same_targets(self, bars, targets, file):
        wanted = evaluation_json(
            evaluate_targets(SeveralBars(bars), BTC, read_targets(file), ExecutionOptions(fee=0.0005))
        )
        made_at = targets.rename("target").rename_axis("made_at")
        for given in (
            targets,
            targets.to_frame("target"),
            made_at.reset_index(),
            file,
            str(file),
            targets.astype(bool),
        ):
            found = evaluate("btc/usd", given, source=bars, fee=0.0005).to_dict()
            of_the_file = found["targets"].pop("file") is not None
            assert of_the_file == (given is file or isinstance(given, str))
            assert found | {"targets": None} == wanted | {"targets": None}
            assert found["targets"] == {
                name: value for name, value in wanted["targets"].items() if name != "file"
            }

    def test_hours_named_opened_are_opens(self, bars, targets):
        opened = targets.set_axis(targets.index - pd.Timedelta(hours=1)).rename_axis("opened")
        by_close = evaluate(BTC, targets, source=bars)
        for given in ({}, {"stamped": "open"}):
            by_open = evaluate(BTC, opened, source=bars, **given)
            assert by_open.metrics == by_close.metrics
            assert by_open.targets.stamped == "open"
        with pytest.raises(UsageError, match="said to be closes"):
            evaluate(BTC, opened, source=bars, stamped="close")
        assert (
            evaluate(BTC, opened.rename_axis(None), source=bars, stamped="close").metrics != by_close.metrics
        )

    def test_what_is_computed_on_a_frame_of_bars_does_not_know_the_bar_it_trades(self, bars):
        frame = bars.to_frame()
        rose = (frame["close"] > frame["open"]).astype(int)[-300:]
        result = evaluate("BTC/USD", rose, source=frame)
        closes = dict(zip(bars.closed.tolist(), (bars.close > bars.open).tolist(), strict=True))
        for fill in result.requested.simulation.fills:
            assert closes[fill.at] == (fill.side > 0)  # known at the close, filled at the open that follows

    def test_options_are_keywords_or_objects(self, bars, targets):
        by_object = evaluate(BTC, targets, source=bars, options=ExecutionOptions(fee=0.002, long_only=True))
        by_keyword = evaluate(
            BTC, targets, source=bars, options=ExecutionOptions(fee=0.5, long_only=True), fee=0.002
        )
        assert by_keyword.metrics == by_object.metrics
        assert by_keyword.requested.rules.fee == 0.002

    @pytest.mark.parametrize(
        "asked", [{"exit": "fade"}, {"options": ExecutionOptions(exit="fade")}, {"strict": True}]
    )
    def test_what_needs_a_forecast_is_refused(self, bars, targets, asked):
        with pytest.raises(UsageError, match=r"exit|strict"):
            evaluate(BTC, targets, source=bars, **asked)

    def test_a_narrower_window(self, bars, targets):
        end = int(bars.closed[-1]) - 24
        result = evaluate(BTC, targets, source=bars, hours=100, end=to_iso(end))
        assert (result.hours, result.end) == (100, end)
        with pytest.raises(UsageError, match="--hours is '100'"):
            evaluate(BTC, targets, source=bars, hours="100")

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (lambda t: t.tolist(), "came as list"),
            (lambda _: None, "came as NoneType"),
            (lambda t: t.reset_index(drop=True), "no time stamps with a time zone"),
            (lambda t: t.tz_localize(None), "no time stamps with a time zone"),
            (lambda t: t.shift(30, freq="min"), "not a full hour: .*:30:00.*, in row 1"),
            (lambda t: t * 2.0, r"Row \d+ of the targets: the target is 2"),
            (lambda t: t.where(t.index > t.index[3]), "Row 1 of the targets: the target is nan"),
            (lambda t: t.map({0: "flat", 1: "long"}), "no numbers"),
            (lambda t: t[::-1], "Row 2 of the targets: .* after"),
            (lambda t: pd.concat([t, t[-1:]]), "Row 301 of the targets: .* after"),
            (lambda t: t[:1], "1 targets"),
            (lambda t: t.to_frame("signal"), "not one column target"),
            (lambda t: pd.concat([t.rename("target")] * 2, axis=1), "not one column target"),
            (lambda t: t.shift(3, freq="h"), r"Row 298 of the targets: .*"),
        ],
    )
    def test_what_are_no_targets_is_refused_with_its_row(self, bars, targets, spoil, said):
        with pytest.raises((UsageError, DataError), match=said):
            evaluate(BTC, spoil(targets), source=bars)

    def test_other_columns_are_named(self, bars, targets):
        frame = targets.to_frame("target").assign(score=0.5, note="x")
        assert evaluate(BTC, frame, source=bars).to_dict()["targets"]["ignored_columns"] == ["score", "note"]

    def test_bars_from_a_folder(self, bars, targets, tmp_path):
        bars = Bars.from_frame(bars.to_frame(), BTC, source="files")
        write_csv(bars, file_path(tmp_path, BTC))
        by_folder = evaluate(BTC, targets, source=tmp_path)
        assert by_folder.metrics == evaluate(BTC, targets, source=bars).metrics

    def test_the_signals_of_a_backtest_are_targets_and_give_its_result(self, held, fits, tmp_path):
        made = {"source": held[0], "fee": 0.0005}
        backtest = Backtester(BTC, settings=SETTINGS, min_confirmations=3, model_dir=tmp_path, **made).run(
            HOURS
        )
        found = evaluate(BTC, backtest.signals["signal"], **made)
        assert found.metrics == backtest.metrics
        assert found.equity.equals(backtest.equity)
        assert found.trades.equals(backtest.trades)
        assert backtest.metrics.trades > 0
