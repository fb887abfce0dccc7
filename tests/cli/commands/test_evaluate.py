"""`crypto-refactor evaluate`, through the edge of the tool."""

from __future__ import annotations

import html
import re
import shlex

import numpy as np
import pytest
from support.cli_runner import one_document, stamps
from support.html_dom import repeated

from crypto_refactor.cli.commands.backtest import command as backtest
from crypto_refactor.cli.commands.evaluate import command as evaluate
from crypto_refactor.market.hours import to_iso

MODELS = "--network linear --lookback 12 --train-hours 240 --refit-every 48 --min-confirmations 4"
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
        "warning",
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
        "one_hour_later",
        "entries",
        "pending",
        "halted_at",
        "data",
        "data_quality",
        "significance",
        "earlier_trials",
        "verdict",
        "hints",
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
    out = run(f"--source sample --targets {targets} --tz America/Denver --details").out
    text = " ".join(out.split())
    title = "BTC/USD targets, 4 days (2024-11-30 to 2024-12-04 MST), sample SIMULATED"
    assert text.startswith(title)
    verdict = text.index("Verdict Not enough data: ")
    assert len(title) < verdict < text.index("External targets cannot be audited") < text.index("This run")
    assert "2024-11-30 17:00 MST to 2024-12-04 17:00 MST: 96 hourly bars" in text
    assert "An hour without a row keeps the last target." in text
    assert "Ignored columns: [red]why." in text
    assert "External targets cannot be audited" in text
    assert "Next action enter long (decided at 2024-12-04 17:00 MST for the next open)" in text


def test_the_window_can_be_narrowed(run, targets):
    line = f"--source sample --targets {targets} --json --hours 24 --end 2024-12-03T12:00Z"
    found = one_document(run(line).out)
    assert (found["window"]["first"], found["window"]["bars"]) == ("2024-12-02T12:00:00Z", 24)


@pytest.mark.parametrize("option", ["--exit fade", "--strict", "--min-confirmations 4", "--network small"])
def test_options_that_ask_for_a_forecast_are_unknown(run, targets, option):
    assert "There is no option" in run(f"--source sample --targets {targets} {option}", code=2).err


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
        ("--trades {targets}", ("--targets", "--trades")),
        ("--trades x.html --report ./x.html", ("--trades", "--report")),
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
    headline, _, reasons = found["verdict"]["text"].partition(": ")
    assert text.index(html.escape(headline)) < text.replace("\N{NO-BREAK SPACE}", " ").index(
        html.escape(reasons)
    )
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


START = 473_352  # 2024-01-01T00:00Z


@pytest.fixture
def market(home, run):
    """Write bars and targets into the working folder; `evaluate` reads them."""

    def call(bars, targets, options="", *, code=0):
        rows = [f"{to_iso(START + hour)},{','.join(map(repr, row))}" for hour, *row in bars]
        text = "\n".join(["timestamp,open,high,low,close,volume", *rows, ""])
        (home.work / "btc_usd_1h.csv").write_text(text, encoding="utf-8")
        rows = [f"{to_iso(START + hour)},{side}" for hour, side in targets]
        (home.work / "targets.csv").write_text("\n".join(["made_at,target", *rows, ""]), encoding="utf-8")
        return run(f"--source files --data-dir . --targets targets.csv {options}", code=code)

    return call


def walk(count, *, seed=0, start=100.0, volume=1000.0):
    """Return the rows of bars of a random walk: hour, open, high, low, close, volume."""
    close = start * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, count)))
    before = [start, *close[:-1].tolist()]
    return [
        (hour, open_, max(open_, shut), min(open_, shut), shut, volume)
        for hour, (open_, shut) in enumerate(zip(before, close.tolist(), strict=True))
    ]


def turns(count):
    return [(hour, 1 if hour % 2 else -1) for hour in range(1, count)]


class TestFeeInPerCent:
    def test_the_account_is_spent_and_the_fee_explained(self, market):
        done = market(walk(1500), turns(1500), "--fee 0.1")
        assert "--fee is a fraction: 0.1 is 10 % (0.1 % would be 0.001)." in done.err
        assert re.search(r"Final balance, USD +0\.00 ", done.out)
        assert "The account is spent since 2024-01-0" in done.out

    def test_the_document_has_the_hints_too(self, market):
        found = one_document(market(walk(1500), turns(1500), "--fee 0.1 --report a.html --json").out)
        assert 0 <= found["metrics"]["final_balance"] < 0.01
        assert [hint.split(" ")[0] for hint in found["hints"]] == ["--fee", "The"]

    @pytest.mark.parametrize("fee", [0.3, 0.9, 0.999])
    def test_no_fee_ends_in_a_fault(self, market, fee):
        found = one_document(market(walk(800), turns(800), f"--fee {fee} --json").out)
        assert 0 <= found["metrics"]["final_balance"] < 0.01

    def test_less_than_a_cent_is_never_entered(self, market):
        found = one_document(market(walk(100), turns(100), "--initial-balance 0.009 --json").out)
        assert (found["metrics"]["trades"], found["metrics"]["final_balance"]) == (0, 0.009)
        assert "nothing is entered" in found["hints"][0]

    def test_a_usual_fee_needs_no_word(self, market):
        done = market(walk(100), turns(100), "--json")
        assert "Hint" not in done.err
        assert one_document(done.out)["hints"] == []


def test_the_length_of_a_drawdown_is_in_hours_across_a_gap(market):
    # It rises until the close at 11:00, falls ever after, and 100 hours are missing.
    hours = [hour for hour in range(399) if not 150 <= hour < 250]
    bars = []
    for hour in hours:
        open_, close = (100 + min(at, 22 - at / 10) for at in (hour, hour + 1))
        bars.append((hour, open_, max(open_, close), min(open_, close), close, 10.0))
    peak = max(bars, key=lambda bar: bar[4])[0] + 1
    done = market(bars, [(1, 1), (399, 1)], "--allow-gaps --fee 0 --report a.html --json")
    found = one_document(done.out)
    assert found["metrics"]["max_drawdown_hours"] == 399 - peak
    assert found["buy_and_hold"]["max_drawdown_hours"] == 399 - peak
    assert f"{399 - peak} h" in market(bars, [(1, 1), (399, 1)], "--allow-gaps --fee 0 --details").out


def test_prices_have_five_significant_digits_however_small(market, home):
    bars = walk(60, start=4e-13, volume=1e15)
    done = market(bars, [(1, 1), (30, 0), (40, 1), (60, 1)], "--report a.html")
    entry = bars[40][1]
    text = f"entry {entry:.17f}"
    assert text in " ".join(done.out.split())
    assert f"{entry:.17f}" in (home.work / "a.html").read_text(encoding="utf-8")


class TestTheHour:
    def own_bar(self, count=600):
        bars = walk(count)
        return bars, [(hour, 1 if shut > open_ else -1) for hour, open_, _, _, shut, _ in bars[1:]]

    def test_a_result_that_hangs_on_one_hour_says_so_first(self, market, home):
        bars, targets = self.own_bar()
        done = market(bars, targets, "--report a.html")
        assert done.out.startswith("WARNING: the sign of this result hangs on one hour: +")
        assert "repeat with --stamped open." in " ".join(done.out.split())
        columns = next(line for line in done.out.splitlines() if "This run" in line)
        assert "One hour later" in columns
        page = (home.work / "a.html").read_text(encoding="utf-8").split("<main>")[1]
        assert page.index("WARNING: the sign") < page.index("; buying and holding")
        assert "hangs on one hour: do not trust it" in page
        assert "One hour later" in page

    def test_the_document_has_both_results(self, market):
        bars, targets = self.own_bar()
        found = one_document(market(bars, targets, "--json").out)
        assert found["warning"].startswith("WARNING: the sign of this result hangs on one hour")
        later = found["one_hour_later"]
        assert found["metrics"]["total_return"] > 0 > later["metrics"]["total_return"]
        assert later["dependence"] == "sign"
        assert later["first_hour_return"] > 3 * later["first_hour_error"] > 0

    def test_said_to_be_opens_the_same_file_is_plain(self, market):
        bars, targets = self.own_bar()
        close, open_ = (
            one_document(market(bars, targets, f"--json --stamped {stamped}").out)
            for stamped in ("close", "open")
        )
        assert open_["warning"] is None
        assert open_["one_hour_later"]["dependence"] is None
        assert (
            "(--stamped close): the target stamped 2024-01-01T01:00:00Z is known at that very hour, and is filled at the open of 2024-01-01T01:00:00Z"
            in close["targets"]["acting"]
        )
        assert (
            "(--stamped open): the target stamped 2024-01-01T01:00:00Z is known when that bar closes, at 2024-01-01T02:00:00Z, and is filled at the open of 2024-01-01T02:00:00Z"
            in open_["targets"]["acting"]
        )
        assert open_["window"]["first"] == "2024-01-01T02:00:00Z"
        assert open_["targets"]["stamped"] == "open"

    def test_the_command_that_repeats_it_keeps_what_stamps_are(self, market, home):
        bars, targets = self.own_bar(100)
        market(bars, targets, "--stamped open --report a.html")
        words = repeated((home.work / "a.html").read_text(encoding="utf-8"))
        assert words[words.index("--stamped") + 1] == "open"
