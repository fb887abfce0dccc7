"""Every answer at every width: nothing is cut, and no word, figure or unit is broken."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from support.example_results import backtested, evaluated

from crypto_refactor.backtest.audit.auditor import audit
from crypto_refactor.cli.encoding import likeness_errors
from crypto_refactor.cli.output import say
from crypto_refactor.market.hours import zone
from crypto_refactor.report.short_tables import Table
from crypto_refactor.report.terminal.audit import audit_text
from crypto_refactor.report.terminal.backtest import run_text
from crypto_refactor.report.terminal.wrapping import command_lines, entry, table_lines, wrapped

UTC = zone("UTC")
WIDTHS = (60, 80, 100, 120, 200)
LONG_PATH = "a folder/" + "x" * 90
COMMAND = [
    "crypto-refactor",
    "backtest",
    "--data-dir",
    LONG_PATH,
    "--hours",
    "720",
    "--strict",
    "--end",
    "2024-01-01T00:00Z",
]


@pytest.fixture(scope="module")
def backtest(tmp_path_factory):
    return backtested(tmp_path_factory.mktemp("models"), hours=120)[0]


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("targets"))  # a path is never broken, however long
        return evaluated(Path("targets.csv"))


@pytest.fixture(scope="module")
def views(backtest, evaluation):
    """Every view, as a function of the width."""
    more = {"files": {"report": Path("a.html")}, "commands": {"Again": ["crypto-refactor", "backtest"]}}
    findings = audit(backtest)
    return {
        "backtest": lambda width: run_text(backtest, UTC, width=width, **more),
        "backtest --details": lambda width: run_text(backtest, UTC, width=width, details=True, **more),
        "evaluate": lambda width: run_text(evaluation, UTC, width=width, **more),
        "evaluate --details": lambda width: run_text(evaluation, UTC, width=width, details=True, **more),
        "audit": lambda width: audit_text(backtest, findings, UTC, width),
    }


VIEWS = ("backtest", "backtest --details", "evaluate", "evaluate --details", "audit")
CHART = re.compile(r"[▁-█─┤│└]")


def figures(text):
    """Return the words that hold a digit, without the chart, whose axis depends on the width."""
    rows = [line for line in text.splitlines() if not CHART.search(line)]
    return set(re.findall(r"\S*\d\S*", "\n".join(rows)))


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_line_fits_and_no_figure_is_lost(views, name, width):
    text = views[name](width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert "\N{NO-BREAK SPACE}" not in text
    # A broken figure would be two others.
    assert figures(text) == figures(views[name](1_000))


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_figure_stands_beside_its_unit(views, name, width):
    lines = views[name](width).splitlines()
    assert [line for line in lines if re.match(r"\s*(%|USD|h|days|±)(\s|$)", line)] == []


def test_an_answer_is_short(views):
    assert len(views["backtest"](80).splitlines()) <= 28


def test_what_goes_on_hangs_below_its_beginning():
    lines = entry("Verdict", "word " * 40, 60)
    assert len(lines) > 2
    assert {line[:13] for line in lines[1:]} == {" " * 13}
    assert wrapped("one two", 5, 2) == ["one", "  two"]
    assert wrapped("it cost 12 % more", 10) == ["it cost", "12 % more"]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_command_that_takes_several_lines_can_be_pasted(width):
    lines = command_lines("Again", COMMAND, width)
    assert lines[0].startswith("Again        crypto-refactor")
    pasted = "\n".join([lines[0].removeprefix("Again"), *lines[1:]])
    # A shell takes a backslash at the end of a line away, with the break; shlex does not.
    assert shlex.split(pasted.replace("\\\n", "")) == COMMAND
    assert all(len(line) <= width or LONG_PATH in line for line in lines)
    assert all(line.endswith(" \\") for line in lines[:-1])


def test_a_table_too_wide_goes_on_below_with_the_names_of_its_rows():
    table = Table(
        1,
        ("", "first", "second", "third"),
        [("row", "1,000.00", "2,000.00", "3,000.00"), ("only", "", "", "4")],
    )
    assert table_lines(table, width=80)[0].split() == ["first", "second", "third"]
    assert table_lines(table, width=24) == [
        "        first    second",
        "row  1,000.00  2,000.00",
        "",
        "         third",
        "row   3,000.00",
        "only         4",
    ]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_any_encoding_can_write_it(views, encoding):
    text = views["backtest"](80)
    written = text.encode(encoding, errors=likeness_errors()).decode(encoding)
    assert "\\" not in written
    assert written.count("\n") == text.count("\n")
    assert "Ω.csv".encode(encoding, errors=likeness_errors()) == b"\\u03a9.csv"


@pytest.mark.parametrize(
    ("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_only_where_it_is_wanted_and_the_words_are_the_same(monkeypatch, capsys, variables, coloured):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda _, color: color is False)  # as on a terminal
    say("SHORT\nbecause", "red")
    out = capsys.readouterr().out
    assert ("\x1b[31m" in out) is coloured
    assert click.unstyle(out) == "SHORT\nbecause\n"
