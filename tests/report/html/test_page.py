from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from jinja2 import UndefinedError
from support.example_results import backtested
from support.html_dom import (
    HOSTILE,
    Hostile,
    Page,
    charts_of,
    compact,
    drawn_by_plotly,
    every_link_leads_somewhere,
    loads_nothing,
    unpacked,
    without_plotly,
)
from support.stub_models import remade, sample_bars

from crypto_refactor.backtest.metrics import drawdown
from crypto_refactor.market.hours import parse_hour
from crypto_refactor.report.html import series
from crypto_refactor.report.html.packing import packed
from crypto_refactor.report.html.page import SECTIONS, report_html
from crypto_refactor.report.html.templating import environment

UTC, DENVER = ZoneInfo("UTC"), ZoneInfo("America/Denver")
COMMAND = "python3 models/app_backtester.py --ticker BTC/USD --end 2024-01-01T00:00:00Z"
IN_ORDER = (
    *("verdict", "equity", "figures", "luck", "price", "months", "rolling", "trades", "conditions"),
    *("features", "forecast", "calibration", "costs", "models", "audit", "reproduce"),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return backtested(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def page(run):
    return report_html(replace(run[0], audit=run[1]), command=COMMAND, tz=UTC)


class TestThePage:
    def test_has_every_section_and_the_verdict_first(self, page):
        parsed = Page(without_plotly(page))
        assert tuple(parsed.sections) == IN_ORDER
        assert all(text.strip() for text in parsed.sections.values())

    def test_is_the_same_for_the_same_result(self, run, page):
        assert report_html(replace(run[0], audit=run[1]), command=COMMAND, tz=UTC) == page

    def test_loads_nothing(self, page):
        loads_nothing(page)

    def test_has_no_name_twice_and_leads_nowhere_that_is_not(self, page):
        every_link_leads_somewhere(page)

    def test_marks_simulated_bars_wherever_one_looks(self, run, page):
        markup = without_plotly(page)
        parsed = Page(markup)
        assert "<title>SIMULATED" in markup
        assert any(given.get("class") == "simulated" for _, given in parsed.tags)
        charts, _ = charts_of(page)
        assert all(chart["layout"]["annotations"][0]["text"] == "SIMULATED" for chart in charts.values())

    @pytest.mark.slow
    def test_does_not_mark_real_ones(self, tmp_path):
        real = remade(sample_bars(1400), source="files")
        result, audit = backtested(tmp_path, bars=real)
        assert "SIMULATED" not in without_plotly(
            report_html(replace(result, audit=audit), command=None, tz=UTC)
        )

    def test_names_everything_needed_to_repeat_the_run(self, run, page):
        result = run[0]
        text = Page(without_plotly(page)).sections["reproduce"]
        assert COMMAND in text
        for expected in (
            result.window.fingerprint(),
            *result.walk.model_fingerprints,
            "keras",
            "min confirmations",
            "slippage bps",
        ):
            assert expected in text

    def test_labels_shorts_hypothetical(self, page):
        sections = Page(without_plotly(page)).sections
        for name in ("figures", "price", "trades"):
            assert "hypothetical" in sections[name]

    def test_lists_every_trade_and_every_check(self, run, page):
        markup = without_plotly(page)
        body = re.search(r'id="trade-list".*?<tbody>(.*?)</tbody>', markup, re.DOTALL)[1]
        assert body.count("<tr>") == len(run[0].requested.simulation.trades) > 3
        text = Page(markup).sections["audit"]
        assert all(check.detail in text for check in run[1].checks)


class TestWhatIsNotThere:
    def test_no_audit_no_significance(self, run):
        text = report_html(replace(run[0], significance=None, audit=None), command=None, tz=UTC)
        parsed = Page(without_plotly(text))
        assert set(IN_ORDER) - set(parsed.sections) == {"luck", "calibration", "costs"}
        assert "not tested" in parsed.sections["verdict"]
        assert "not audited" in parsed.sections["audit"]

    def test_a_failed_audit_comes_before_every_verdict(self, run):
        result, audit = run
        checks = (replace(audit.checks[0], passed=False), *audit.checks[1:])
        parsed = Page(
            without_plotly(
                report_html(replace(result, audit=replace(audit, checks=checks)), command=None, tz=UTC)
            )
        )
        assert "audit failed" in parsed.sections["verdict"]
        assert "FAILED" in parsed.sections["audit"]

    def test_no_trades_and_a_single_hour(self, tmp_path):
        result, audit = backtested(tmp_path, hours=1, confirmations=9)
        assert not result.requested.simulation.trades
        parsed = Page(without_plotly(report_html(replace(result, audit=audit), command=None, tz=UTC)))
        assert "no trade" in parsed.sections["trades"]
        assert "rolling" not in parsed.sections


class TestHostileNames:
    @pytest.fixture
    def hostile(self, run):
        result, audit = run
        trades = tuple(trade._replace(exit_reason=HOSTILE) for trade in result.requested.simulation.trades)
        spoilt = replace(
            result,
            window=remade(result.window, ticker=Hostile()),
            scenarios=replace(
                result.scenarios,
                alpaca=None,
                requested=replace(
                    result.requested, simulation=replace(result.requested.simulation, trades=trades)
                ),
            ),
            pinned=HOSTILE,
        )
        return report_html(replace(spoilt, audit=audit), command=f"--data-dir {HOSTILE}", tz=UTC)

    def test_become_text(self, hostile, page):
        parsed, plain = Page(without_plotly(hostile)), Page(without_plotly(page))
        assert len(parsed.scripts) == len(plain.scripts) == 3
        assert not [name for name, given in parsed.tags if name == "img" or "onerror" in given]
        assert HOSTILE in parsed.sections["reproduce"]
        assert HOSTILE in parsed.sections["trades"]

    def test_do_not_end_the_script_they_are_data_of(self, hostile):
        charts, _ = charts_of(hostile)
        texts = [text for trace in charts["price"]["data"] for text in trace.get("text", [])]
        assert texts
        # plotly reads these as markup of its own, so they are escaped for it, too.
        assert not any("<script" in text or "<img" in text for text in texts)
        assert any("&lt;script&gt;" in text for text in texts)


class TestTemplates:
    def test_text_and_attributes_are_escaped(self):
        template = environment().from_string('<p title="{{ value }}">{{ value }}</p>')
        escaped = "&lt;i&gt; &#34;x&#34; &amp; y"
        assert template.render(value='<i> "x" & y') == f'<p title="{escaped}">{escaped}</p>'

    def test_macros_escape_what_they_are_given(self):
        assert "<i>" not in _macro("table", "<i>", body="{{ '<i>' }}") + _macro("head", "<i>", "", "<i>")
        assert "<i>" not in _macro("facts", {"<i>": "<i>"})

    def test_names_in_backticks_are_set_as_code(self):
        assert _macro("coded", "`vwap` on <3>") == "<code>vwap</code> on &lt;3&gt;"

    def test_a_name_that_does_not_exist_is_an_error(self):
        with pytest.raises(UndefinedError):
            environment().from_string("{{ absent }}").render()

    def test_what_is_packed_ends_no_script_and_is_still_the_same(self):
        document = {"</script>": ["<!--", "&", 1.5, None, "▲"], "b": 1, "a": 2}
        text = environment().from_string("{{ value|packed_json|safe }}").render(value=document)
        assert "<" not in text
        assert list(json.loads(unpacked(text)).items()) == list(document.items())
        assert packed("x" * 10_000) == packed("x" * 10_000)

    def test_numbers_that_are_not_finite_are_refused(self):
        with pytest.raises(ValueError, match="JSON"):
            environment().from_string("{{ value|packed_json }}").render(value=[float("nan")])

    def test_numbers_stand_on_the_right_and_words_on_the_left(self, page):
        sections = compact(without_plotly(page))
        assert '<th scope="row" class="words">rsi</th><td class="words">RSI &lt; 65</td>' in sections
        assert '<th scope="col" class="words">Month</th><th scope="col">This run</th>' in sections

    def test_every_template_and_asset_is_part_of_the_package(self):
        folder = files("crypto_refactor.report.html") / "templates"
        names = {part.name for part in folder.iterdir()}
        assert names >= {"page.html.jinja", "macros.html.jinja", "report.css", "report.js", "unpack.js"}
        sections = {part.name for part in (folder / "sections").iterdir()}
        assert sections == {f"{name}.html.jinja" for name in SECTIONS}

    def test_neither_jinja_nor_plotly_is_loaded_before_a_page_is_made(self):
        program = (
            "import sys, crypto_refactor.report.html.page; print({'jinja2', 'plotly'} & set(sys.modules))"
        )
        loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert loaded.stdout == "set()\n"


def _macro(name, *given, body=""):
    call = (
        f"{{% call macros.{name}(*given) %}}{body}{{% endcall %}}"
        if body
        else f"{{{{ macros.{name}(*given) }}}}"
    )
    text = f"{{% import 'macros.html.jinja' as macros %}}{call}"
    return environment().from_string(text).render(given=given)


class TestCharts:
    def test_are_what_plotly_understands(self, page):
        charts, columns = charts_of(page)
        assert len(charts) == 7

        drawn_by_plotly(charts.values(), columns)

    def test_use_only_colours_the_style_sheet_has(self, page):
        markup = without_plotly(page)
        used = set(re.findall(r"var\((--[a-z]+)\)", markup))
        assert used <= set(re.findall(r"^\s*(--[a-z]+):", markup, re.MULTILINE))

    def test_every_line_has_a_value_for_each_hour(self, run, page):
        charts, columns = charts_of(page)
        points = len(run[0].window)
        assert len(columns["time"]) == points
        for name in ("equity", "rolling-sharpe"):
            assert all(len(trace["y"]) == points for trace in charts[name]["data"])
        equity = charts["equity"]["data"][0]["y"]
        assert np.allclose(equity, run[0].requested.simulation.equity, rtol=1e-7)

    def test_every_entry_and_exit_has_its_place_and_its_reason(self, run, page):
        traces = {trace["name"]: trace for trace in charts_of(page)[0]["price"]["data"]}
        entries = [text for name, trace in traces.items() if "entry" in name for text in trace["text"]]
        exits = [text for name, trace in traces.items() if "Exit" in name for text in trace["text"]]
        trades = run[0].requested.simulation.trades
        assert len(entries) == len(trades)
        assert len(exits) == sum(trade.closed for trade in trades)
        assert all("confirmations" in text and "threshold" in text for text in entries)
        assert all("after" in text or "net" in text for text in exits)

    def test_times_are_those_of_the_zone(self, run):
        text = report_html(replace(run[0], audit=run[1]), command=None, tz=DENVER)
        _, columns = charts_of(text)
        first = int(run[0].window.closed[0])
        assert columns["time"][0] == series.to_datetime(first).astimezone(DENVER).strftime("%Y-%m-%d %H:%M")
        assert "America/Denver" in without_plotly(text)


class TestSeries:
    def test_falls_are_drawn_by_hand(self):
        #                  0    1    2    3    4    5    6    7    8
        equity = np.array([100, 110, 99.0, 88, 110, 120, 114, 130, 117])
        drawdowns = series.worst_drawdowns(equity)
        assert [(round(fall.depth, 6), fall.peak, fall.trough, fall.recovered) for fall in drawdowns] == [
            (-0.2, 1, 3, 4),
            (-0.1, 7, 8, None),
            (-0.05, 5, 6, 7),
        ]

    def test_the_worst_fall_is_the_drawdown_of_the_metrics(self, run):
        equity, closed = run[0].requested.simulation.equity, run[0].window.closed
        worst = series.worst_drawdowns(equity)[0]
        end = len(equity) - 1 if worst.recovered is None else worst.recovered
        assert (worst.depth, end - worst.peak) == drawdown(equity, closed)

    def test_no_fall_where_equity_only_rises(self):
        assert series.worst_drawdowns(np.array([1.0, 1.0, 2.0])) == []

    def test_the_hour_that_ends_at_midnight_belongs_to_the_month_it_passed_in(self):
        last = parse_hour("2024-03-01T00:00Z")
        closed = np.arange(last - 3, last + 3)
        assert series.month_starts(closed, UTC) == [("2024-02", 0, 3), ("2024-03", 3, 5)]
        assert series.month_starts(closed, DENVER) == [("2024-02", 0, 5)]

    def test_months_multiply_to_the_whole(self, run):
        equity, closed = run[0].requested.simulation.equity, run[0].window.closed
        growth = [equity[stop] / equity[first] for _, first, stop in series.month_starts(closed, UTC)]
        assert np.prod(growth) == pytest.approx(equity[-1] / equity[0])

    def test_the_rolling_ratio_is_that_of_its_hours(self):
        returns = np.array([0.01, -0.02, 0.03, 0.01, 0.0])
        equity = 100 * np.concatenate([[1], np.cumprod(1 + returns)])
        rolled = series.rolling_sharpe(equity, np.arange(6), 3)
        expected = returns[1:4].mean() / returns[1:4].std(ddof=1) * np.sqrt(8760)
        assert rolled[:3] == [None] * 3
        assert rolled[4] == pytest.approx(expected)
        assert len(rolled) == len(equity)

    def test_the_rolling_ratio_reaches_across_no_long_gap(self):
        equity = np.array([100, 101, 100, 102, 101, 103, 102, 104.0])
        rolled = series.rolling_sharpe(equity, np.array([0, 1, 2, 3, 203, 204, 205, 206]), 3)
        assert [value is None for value in rolled] == [True] * 3 + [False] + [True] * 3 + [False]

    def test_a_flat_stretch_has_no_ratio(self):
        assert series.rolling_sharpe(np.full(6, 100.0), np.arange(6), 3) == [None] * 6

    def test_the_noise_of_a_week_is_stated(self):
        # Two errors of 1 / sqrt(168) an hour, times sqrt(8760): 14.44.
        assert series.sharpe_noise(168) == pytest.approx(14.44, abs=0.01)

    def test_an_outcome_is_the_move_to_the_next_close(self, run):
        result = run[0]
        signals, window = result.walk.signals, result.window
        outcomes = series.outcomes(signals, window)
        assert len(outcomes.forecast) == len(signals) - 1
        assert outcomes.outcome[5] == pytest.approx(np.log(window.close[6] / window.close[5]))
        assert outcomes.forecast[5] == pytest.approx(np.log(signals.predicted[5] / signals.close[5]))

    def test_bins_hold_every_forecast_once_and_rise(self, run):
        outcomes = series.outcomes(run[0].walk.signals, run[0].window)
        bins = series.binned(outcomes)
        assert sum(part.count for part in bins) == len(outcomes.forecast)
        assert [part.forecast for part in bins] == sorted(part.forecast for part in bins)
        assert sum(part.outcome * part.count for part in bins) == pytest.approx(outcomes.outcome.sum())
