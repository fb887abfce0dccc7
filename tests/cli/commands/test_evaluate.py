"""`crypto-refactor evaluate`, through the edge of the tool."""

from __future__ import annotations

import html
import shlex

import pytest
from support.cli_runner import one_document, stamps
from support.html_dom import repeated

from crypto_refactor.cli.commands.backtest import command as backtest
from crypto_refactor.cli.commands.evaluate import command as evaluate

MODELS = "--network small --lookback 12 --train-hours 240 --refit-every 48 --min-confirmations 4"
HEADER = "made_at,target\n"
TARGETS = (
    HEADER
    + "2024-12-01T00:00:00Z,1\n2024-12-02T00:00:00Z,-1\n2024-12-03T00:00:00Z,0\n2024-12-05T00:00:00Z,1\n"
)


@pytest.fixture
def targets(tmp_path):
    path = tmp_path / "targets.csv"
    path.write_text(TARGETS, encoding="utf-8")
    return path


@pytest.fixture
def run(invoke):
    def call(line, *, code=0, command=evaluate):
        done = invoke(command, line)
        assert done.code == code, done.out + done.err
        return done

    return call


def test_the_document_is_a_backtests_without_models_and_conditions(run, targets):
    found = one_document(run(f"--source sample --targets {targets} --json").out)
    assert list(found) == [
        "schema",
        "ticker",
        "timeframe",
        "source",
        "simulated",
        "end",
        "window",
        "settings",
        "targets",
        "metrics",
        "at_alpaca",
        "at_alpaca_note",
        "buy_and_hold",
        "by_side",
        "entries",
        "pending",
        "halted_at",
        "data",
        "significance",
        "verdict",
    ]
    assert found["window"] == {"first": "2024-12-01T00:00:00Z", "last": "2024-12-04T23:00:00Z", "bars": 96}
    assert (found["targets"]["rows"], found["targets"]["ignored_columns"]) == (4, [])
    assert [found["targets"][side] for side in ("long", "flat", "short")] == [25, 48, 24]
    assert found["metrics"]["trades"] == 2
    assert found["pending"] == [{"action": "enter", "side": 1, "fraction": 1.0}]
    assert found["verdict"]["code"] == "too_few"
    assert found["significance"]["skill"] is None
    assert all(stamp.endswith("Z") for stamp in stamps(found))


def test_a_backtests_own_signals_give_its_own_result(run, fits, tmp_path):
    signals, own, again = (tmp_path / name for name in ("signals.csv", "own.csv", "again.csv"))
    line = f"--source sample --hours 96 {MODELS} --signals {signals} --trades {own} --json"
    result = one_document(run(line, command=backtest).out)
    found = one_document(run(f"--source sample --targets {signals} --trades {again} --json").out)
    assert result["metrics"]["trades"] > 3
    for column in ("metrics", "at_alpaca", "buy_and_hold", "by_side", "window", "end", "pending"):
        assert found[column] == result[column], column
    assert found["data"]["fingerprint"] == result["data"]["fingerprint"]
    assert again.read_text(encoding="utf-8") == own.read_text(encoding="utf-8")
    assert "signal" in found["targets"]["ignored_columns"]


def test_the_alpaca_column_is_what_the_command_with_its_rules_gives(run, targets):
    line = f"--source sample --targets {targets} --json"
    there = one_document(run(f"{line} --venue alpaca --fee 0.0025").out)
    assert there["metrics"] == there["at_alpaca"] == one_document(run(line).out)["at_alpaca"]


def test_people_read_the_verdict_first_and_what_cannot_be_checked(run, targets):
    targets.write_text(
        TARGETS.replace("target\n", "target,[red]why\n").replace("1\n", "1,x\n").replace("0\n", "0,x\n")
    )
    out = run(f"--source sample --targets {targets} --tz America/Denver").out
    lines = out.splitlines()
    assert lines[0].startswith("Not enough data for a verdict")
    assert "Evaluation of targets BTC/USD   SIMULATED" in out
    text = " ".join(out.split())
    assert "2024-11-30 17:00 MST to 2024-12-04 17:00 MST: 96 hourly bars" in text
    assert "An hour without a row keeps the last target." in text
    assert "Ignored columns: [red]why." in text
    assert "External targets cannot be audited" in text
    assert "for the next open: enter long." in text


def test_the_window_can_be_narrowed(run, targets):
    line = f"--source sample --targets {targets} --json --hours 24 --end 2024-12-03T12:00Z"
    found = one_document(run(line).out)
    assert (found["window"]["first"], found["window"]["bars"]) == ("2024-12-02T12:00:00Z", 24)


@pytest.mark.parametrize("option", ["--exit fade", "--strict", "--min-confirmations 4", "--network small"])
def test_options_that_ask_for_a_forecast_are_unknown(run, targets, option):
    assert "No such option" in run(f"--source sample --targets {targets} {option}", code=2).err


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("2024-12-05T00:30:00Z,1", "full hour"),
        ("2024-12-06T00:00:00Z,2", "-1, 0 or 1"),
        ("2024-12-05T00:00:00Z,0", "once"),
        ("2026-01-01T00:00:00Z,0", "the close of a bar"),
    ],
)
def test_a_bad_row_ends_with_3_and_three_parts(run, targets, row, expected):
    targets.write_text(TARGETS + row + "\n", encoding="utf-8")
    done = run(f"--source sample --targets {targets}", code=3)
    assert f"line 6: {row!r}" in done.err
    assert expected in done.err
    assert "Remedy:" in done.err
    error = one_document(run(f"--source sample --targets {targets} --json", code=3).out)["error"]
    assert error["code"] == 3


def test_the_targets_are_never_overwritten(run, targets):
    done = run(f"--source sample --targets {targets} --trades {targets}", code=2)
    assert "both name" in done.err
    assert targets.read_text(encoding="utf-8") == TARGETS


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ("--report {targets}", ("--targets", "--report")),
        ("--trades x --report ./x", ("--trades", "--report")),
    ],
)
def test_no_file_is_written_over_another(run, targets, home, files, named):
    done = run(f"--source sample --targets {targets} {files.format(targets=targets)}", code=2)
    assert all(option in done.err for option in named)
    assert targets.read_text(encoding="utf-8") == TARGETS
    assert list(home.work.iterdir()) == []


def test_a_report_that_cannot_be_written_is_refused_before_the_targets_are_read(run, tmp_path):
    done = run(f"--source sample --targets {tmp_path / 'none.csv'} --report nowhere/x.html", code=3)
    assert "nowhere/x.html cannot be written" in done.err


def test_the_report_tells_how_to_make_it_again(run, home):
    (home.work / "their <b> & signals.csv").write_text(TARGETS, encoding="utf-8")
    line = "--source sample --targets 'their <b> & signals.csv' --fee 0.002 --hours 48"
    found = one_document(run(f"{line} --report a.html --trades t.csv --json").out)
    text = (home.work / "a.html").read_text(encoding="utf-8")
    assert "<b>" not in text.split("<main>")[1].split("</main>")[0]
    assert html.escape(found["verdict"]["text"]) in text
    assert found["data"]["fingerprint"] in text
    assert found["targets"]["fingerprint"] in text
    words = repeated(text)
    assert words[:2] == ["crypto-refactor", "evaluate"]
    assert words[words.index("--targets") + 1] == "their <b> & signals.csv"
    assert words[words.index("--end") + 1] == found["end"]
    assert not {"--report", "--trades", "--json"} & set(words)
    run(shlex.join([*words[2:], "--report", "b.html"]))
    assert (home.work / "b.html").read_text(encoding="utf-8") == text


def test_targets_are_asked_for(run, tmp_path):
    assert "--targets" in run("--source sample", code=2).err
    assert "cannot be read" in run(f"--source sample --targets {tmp_path / 'none.csv'}", code=3).err
