"""Results as a prompt and a notebook show them, as dictionaries and as pages."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from support.example_results import backtested, evaluated
from support.html_dom import HOSTILE, Hostile, Page
from support.replay_runner import SeveralBars
from support.stub_models import BTC, PlantedFits, sample_bars
from support.trained_models import SETTINGS

from crypto_refactor import SignalGenerator, compare, evaluate
from crypto_refactor.errors import DataError, UsageError
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.report.commentary import result_text
from crypto_refactor.report.html.fragment import equity_chart
from crypto_refactor.report.html.page import evaluation_html, report_html
from crypto_refactor.report.metric_rows import KEY_FIGURES

UTC = ZoneInfo("UTC")
THREE = ("This run", "At Alpaca", "Buy and hold")


@pytest.fixture(scope="module")
def backtest(tmp_path_factory):
    return backtested(tmp_path_factory.mktemp("models"), hours=120)[0]


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    return evaluated(tmp_path_factory.mktemp("targets") / "targets.csv")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    bars = [sample_bars(1000, ticker) for ticker in (BTC, Ticker("ETH", "USD"))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crypto_refactor.model.training.jobs.fit_all", PlantedFits())
        return compare(
            ["BTC/USD", "ETH/USD", "DOGE/USD"],
            48,
            source=SeveralBars(*bars),
            settings=SETTINGS,
            model_dir=tmp_path_factory.mktemp("models"),
            min_confirmations=4,
            vary={"exit": ["neutral", "fade"], "stop_loss": [None, 0.02]},
        )


@pytest.fixture(scope="module")
def signal(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crypto_refactor.model.training.jobs.fit_all", PlantedFits())
        generator = SignalGenerator(
            BTC, SETTINGS.lookback, source=sample_bars(1000), model_dir=tmp_path_factory.mktemp("models")
        )
        return generator.generate_signals(120)


@pytest.fixture(params=["backtest", "evaluation", "comparison", "signal"])
def result(request):
    return request.getfixturevalue(request.param)


def texts(page):
    """Return the text between the tags of a fragment."""
    return re.sub(r"<[^>]*>", "\n", page)


class TestAnyResult:
    @pytest.mark.parametrize("width", [80, 120])
    def test_its_repr_is_short_and_marked_and_fits_the_terminal(self, result, width, monkeypatch):
        monkeypatch.setenv("COLUMNS", str(width))
        lines = repr(result).splitlines()
        assert 3 <= len(lines) <= 20
        assert max(map(len, lines)) <= width
        assert str(result) == repr(result)
        assert "SIMULATED" in repr(result)

    def test_its_fragment_loads_and_runs_nothing(self, result):
        page = Page(result._repr_html_())
        assert {tag for tag, _ in page.tags} <= {
            *("div", "p", "strong", "pre", "table", "thead", "tbody", "tr", "th", "td", "span"),
            *("svg", "title", "g", "text", "polyline"),
        }
        allowed = {
            "style",
            "viewbox",
            "width",
            "role",
            "aria-label",
            "x",
            "y",
            "text-anchor",
            "fill",
            "stroke",
        }
        allowed |= {"font-family", "font-size", "stroke-width", "points"}
        assert {name for _, given in page.tags for name in given} <= allowed
        assert "url(" not in result._repr_html_()
        assert "SIMULATED" in result._repr_html_()

    def test_its_dictionary_is_json(self, result):
        assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["schema"] == 1


class TestARun:
    @pytest.fixture(params=["backtest", "evaluation"])
    def run(self, request):
        return request.getfixturevalue(request.param)

    def test_the_answer_comes_first_then_the_columns(self, run):
        text = repr(run)
        assert text.startswith(f"{run.ticker} ")
        said = " ".join(text.split())
        assert (
            said.index(result_text(run)) < said.index(f"Verdict {run.verdict.text}") < said.index("This run")
        )
        header, *rows = text.splitlines()[-len(KEY_FIGURES) - 1 :]
        assert [header.index(name) for name in THREE] == sorted(header.index(name) for name in THREE)
        assert rows[0].split()[:4] == ["Final", "balance,", "USD", f"{run.metrics.final_balance:,.2f}"]
        assert rows[1].startswith("Return, %")

    def test_a_notebook_shows_the_same_and_the_equity(self, run):
        shown = run._repr_html_()
        assert run.verdict.text in shown.replace("\N{NO-BREAK SPACE}", " ")
        page = Page(shown)
        assert [tag for tag, _ in page.tags].count("polyline") == 3
        assert all(name in texts(shown) for name in THREE)
        assert f"{run.metrics.final_balance:,.2f}" in shown

    def test_without_tests_it_says_so(self, run):
        assert "Not tested against chance." in repr(replace(run, significance=None))

    def test_the_page_is_the_one_of_the_command(self, run, tmp_path):
        file = run.report(str(tmp_path / "page.html"), tz="America/Denver")
        make = report_html if hasattr(run, "walk") else evaluation_html
        assert file.read_text(encoding="utf-8") == make(run, command=None, tz=ZoneInfo("America/Denver"))

    def test_a_page_that_cannot_be_written_is_refused(self, run, tmp_path):
        with pytest.raises(DataError, match="cannot be written"):
            run.report(tmp_path / "nowhere" / "page.html")
        with pytest.raises(DataError, match="it is a folder"):
            run.report(tmp_path)
        with pytest.raises(UsageError, match="not a known time zone"):
            run.report(tmp_path / "page.html", tz="Mars")
        assert list(tmp_path.iterdir()) == []

    def test_names_stay_text(self, run):
        window = replace(run.window, ticker=Hostile())
        shown = replace(run, window=window)._repr_html_()
        assert "<script" not in shown
        assert "<img" not in shown
        assert HOSTILE not in shown
        assert "&lt;script&gt;" in shown


def test_a_failed_audit_comes_before_the_verdict(backtest, comparison):
    first, *others = backtest.audit.checks
    failed = replace(backtest.audit, checks=(replace(first, passed=False), *others))
    spoiled = replace(backtest, audit=failed)
    assert repr(spoiled).splitlines()[0] == "AUDIT FAILED: do not trust these figures."
    assert "AUDIT FAILED" in spoiled._repr_html_()
    trials = (replace(comparison.trials[0], audit=failed), *comparison.trials[1:])
    assert repr(replace(comparison, trials=trials)).startswith("AUDIT FAILED for 1 of 8 trials")


def test_a_result_that_hangs_on_one_hour_says_so_first():
    bars = sample_bars(1400)
    close = bars.to_frame()["close"]
    result = evaluate(BTC, (close.shift(-1) > close).astype(int), source=bars)
    assert repr(result).startswith("WARNING: the sign of this result hangs on one hour")
    assert "WARNING: the sign of this result hangs on one hour" in result._repr_html_()


class TestAComparison:
    def test_luck_comes_first_then_the_best_trials(self, comparison, monkeypatch):
        monkeypatch.setenv("COLUMNS", "200")
        lines = repr(comparison).splitlines()
        table = next(place for place, line in enumerate(lines) if line.startswith("#"))
        luck, (header, *rows) = " ".join(lines[:table]), lines[table:]
        assert luck.startswith("8 trials")
        assert luck.index("deflated Sharpe ratio") < luck.index("Comparison of 3 tickers with 4 settings, ")
        assert header.split()[:3] == ["#", "ticker", "setting"]
        best = comparison.trials[0]
        assert rows[0].startswith(f"1  {best.ticker}  {best.parameter_set.label}")
        assert rows[-2:] == ["… and 3 more in .table", "Failed: 1 (DOGE/USD); why is in .failed"]

    def test_a_notebook_shows_a_portfolio_a_setting(self, comparison):
        shown = comparison._repr_html_()
        assert [tag for tag, _ in Page(shown).tags].count("polyline") == 4
        assert "Failed: DOGE/USD: " in shown

    def test_without_trials_there_is_no_table(self, comparison):
        empty = replace(comparison, trials=(), portfolios=(), forecasts=(), selection_bias=None)
        assert repr(empty).splitlines()[0] == "No trial traded, so there is nothing to rank."
        assert "polyline" not in empty._repr_html_()


class TestASignal:
    def test_it_begins_with_the_direction(self, signal):
        first, second, *_ = repr(signal).splitlines()
        assert f"{signal.direction.upper()}   BTC/USD   " in first
        assert "made at" in second

    def test_a_notebook_shows_its_conditions(self, signal):
        shown = texts(signal._repr_html_())
        assert all(name in shown for name in signal.conditions)


def test_a_chart_has_the_ends_of_its_curves():
    rising = np.linspace(100.0, 200.0, 5000)
    chart = equity_chart({"up": rising, "down": rising[::-1]}, 0, 4999, UTC)
    assert (chart.low, chart.high) == ("100.00", "200.00")
    up, down = (curve.points.split() for curve in chart.curves)
    assert (up[0], up[-1]) == ("0.0,150.0", "640.0,0.0")
    assert (down[0], down[-1]) == ("0.0,0.0", "640.0,150.0")
    assert 2 < len(up) <= 320


def test_a_chart_of_what_does_not_vary_lies_in_the_middle():
    chart = equity_chart({"flat": np.full(3, 100.0)}, 0, 2, UTC)
    assert chart.curves[0].points == "0.0,75.0 320.0,75.0 640.0,75.0"
