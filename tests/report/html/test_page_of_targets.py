"""The page of external targets: that of a backtest without what only models have."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from support.example_results import evaluated
from support.html_dom import (
    HOSTILE,
    Hostile,
    Page,
    charts_of,
    compact,
    drawn_by_plotly,
    every_link_leads_somewhere,
    loads_nothing,
    without_plotly,
)
from support.stub_models import remade, sample_bars

from crypto_refactor.report.html.page import evaluation_html
from crypto_refactor.report.html.price_chart import target_reasons

UTC, DENVER = ZoneInfo("UTC"), ZoneInfo("America/Denver")
COMMAND = "crypto-refactor evaluate --targets targets.csv --source sample --end 2024-01-01T00:00:00Z"
IN_ORDER = (
    *("verdict", "equity", "figures", "luck", "price", "months", "rolling", "trades", "costs"),
    *("targets", "reproduce"),
)


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    return evaluated(tmp_path_factory.mktemp("targets") / "targets.csv")


@pytest.fixture(scope="module")
def markup(evaluation):
    return evaluation_html(evaluation, command=COMMAND, tz=UTC)


@pytest.fixture(scope="module")
def page(markup):
    return Page(without_plotly(markup))


class TestThePage:
    def test_has_the_sections_that_need_no_model_in_order_and_none_is_empty(self, page):
        assert tuple(page.sections) == IN_ORDER
        titles = [given["id"] for name, given in page.tags if name == "h2"]
        assert titles == [f"{name}-title" for name in IN_ORDER]
        assert all(len(text.split()) > 8 for text in page.sections.values())

    def test_speaks_of_nothing_that_was_not_there(self, page):
        text = " ".join(page.sections.values()).lower()
        for absent in (
            "forecast",
            "confirmation",
            "condition",
            "rank ic",
            "weights",
            "not audited",
            "strict",
        ):
            assert absent not in text, absent

    def test_says_first_that_the_targets_cannot_be_audited(self, evaluation, page):
        verdict = page.sections["verdict"]
        assert evaluation.verdict.text.partition(": ")[2] in verdict.replace("\N{NO-BREAK SPACE}", " ")
        assert verdict.count("Not enough data") == 1, "the headline says it"
        assert verdict.index("Not enough data") < verdict.index("cannot be audited")

    def test_has_a_tile_for_each_figure_that_carries_the_verdict(self, page):
        tiles = page.sections["verdict"]
        assert all(
            name in tiles for name in ("95\N{NO-BREAK SPACE}% interval", "Random entries", "Break-even fee")
        )

    def test_no_figure_stands_apart_from_its_unit(self, markup):
        words = re.sub(r"<(script|style|pre)\b.*?</\1>|<[^>]*>", "", markup, flags=re.DOTALL)
        assert re.findall(r".{20}\d (?:%|USD\b|h\b|days?\b|bp\b|±).*", words) == []

    def test_is_the_same_for_the_same_result(self, evaluation, markup):
        assert evaluation_html(evaluation, command=COMMAND, tz=UTC) == markup

    def test_loads_nothing_and_leads_nowhere_that_is_not(self, markup):
        loads_nothing(markup)
        every_link_leads_somewhere(markup)

    def test_marks_simulated_bars_and_no_others(self, markup, tmp_path):
        assert "<title>SIMULATED BTC/USD evaluation of targets" in markup
        real = evaluated(tmp_path / "t.csv", bars=remade(sample_bars(1400), source="files"))
        assert "SIMULATED" not in without_plotly(evaluation_html(real, command=None, tz=UTC))


class TestWhereAModelWouldStand:
    def test_the_file_its_rows_and_what_was_ignored_are_named(self, evaluation):
        targets = replace(evaluation.targets, ignored=("why", "model"))
        text = evaluation_html(replace(evaluation, targets=targets), command=None, tz=UTC)
        text = Page(without_plotly(text)).sections["targets"]
        assert f"{len(targets)} rows of {targets.path}" in text
        assert "Ignored columns: why, model." in text
        assert targets.fingerprint() in text

    def test_rows_and_closes_of_each_side_are_counted(self, evaluation, markup):
        rows = (
            compact(without_plotly(markup)).split('id="targets"')[1].split("<tbody>")[1].split("</tbody>")[0]
        )
        for side in ("long", "flat", "short"):
            count = evaluation.side_counts[side]
            assert f"{side}</th><td>{count}</td><td>{count}</td>" in rows
        assert sum(evaluation.side_counts.values()) == len(evaluation.window) == 241

    def test_the_run_can_be_repeated(self, evaluation, page):
        text = page.sections["reproduce"]
        assert COMMAND in text
        for expected in (
            evaluation.window.fingerprint(),
            evaluation.targets.fingerprint(),
            str(evaluation.targets.path),
        ):
            assert expected in text
        assert "slippage bps" in text

    def test_without_a_command_its_end_is_named(self, evaluation):
        text = Page(without_plotly(evaluation_html(evaluation, command=None, tz=UTC))).sections["reproduce"]
        assert "--end 20" in text


class TestCharts:
    def test_are_what_plotly_understands(self, markup):
        charts, columns = charts_of(markup)
        assert list(charts) == ["equity", "price", "rolling-sharpe", "costs"]
        drawn_by_plotly(charts.values(), columns)

    def test_every_entry_names_the_row_behind_it(self, evaluation, markup):
        traces = {trace["name"]: trace for trace in charts_of(markup)[0]["price"]["data"]}
        entries = [*traces["Long entry"]["text"], *traces["Short entry (hypothetical)"]["text"]]
        assert len(entries) == len(evaluation.requested.simulation.trades) > 10
        assert all("target" in text and "line" in text for text in entries)
        first = evaluation.requested.simulation.trades[0]
        assert f"target {first.direction}, line 2 of the file" in traces["Long entry"]["text"][0]

    def test_a_target_made_earlier_says_when(self, evaluation):
        sparse = replace(
            evaluation.targets,
            made_at=evaluation.targets.made_at[::9],
            target=evaluation.targets.target[::9],
            lines=evaluation.targets.lines[::9],
        )
        reasons, made_at = target_reasons(sparse, DENVER), int(sparse.made_at[1])
        assert reasons(made_at) == ["target 0, line 11 of the file"]
        (later,) = reasons(made_at + 3)
        assert later.startswith("target 0, line 11 of the file, made at ")
        assert later.endswith(("MST", "MDT"))


class TestWhatIsNotThere:
    def test_a_single_hour_has_no_rolling_ratio(self, tmp_path):
        hour = evaluated(tmp_path / "t.csv", hours=1)
        page = Page(without_plotly(evaluation_html(hour, command=None, tz=UTC)))
        assert set(IN_ORDER) - set(page.sections) == {"rolling"}

    def test_no_trade_has_no_costs(self, tmp_path):
        nothing = evaluated(tmp_path / "t.csv", sides=(0,))
        assert not nothing.requested.simulation.trades
        page = Page(without_plotly(evaluation_html(nothing, command=None, tz=UTC)))
        assert "no trade" in page.sections["trades"]
        assert "No entry was filled there." in page.sections["figures"]
        assert "costs" not in page.sections


class TestHostileNames:
    @pytest.fixture
    def hostile(self, evaluation):
        spoilt = replace(
            evaluation,
            targets=replace(evaluation.targets, path=Path(f"a folder/{HOSTILE}"), ignored=(HOSTILE,)),
            window=remade(evaluation.window, ticker=Hostile()),
            scenarios=replace(evaluation.scenarios, alpaca=None),
        )
        return evaluation_html(spoilt, command=shlex.join(["--targets", HOSTILE]), tz=UTC)

    def test_become_text(self, hostile, page):
        spoilt = Page(without_plotly(hostile))
        assert len(spoilt.scripts) == len(page.scripts) == 3
        assert not [name for name, given in spoilt.tags if name == "img" or "onerror" in given]
        assert spoilt.sections["targets"].count(HOSTILE) == 2
        assert f"a folder/{HOSTILE}" in spoilt.sections["reproduce"]
        assert f"Alpaca does not trade {HOSTILE}" in spoilt.sections["figures"]

    def test_do_not_end_the_script_they_are_data_of(self, hostile):
        charts, _ = charts_of(hostile)
        texts = [text for trace in charts["price"]["data"] for text in trace.get("text", [])]
        assert any("&lt;script&gt;" in text for text in texts)
        assert not any("<script" in text or "<img" in text for text in texts)
