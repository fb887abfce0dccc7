"""`crypto-refactor compare`, through the edge of the tool."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from support.cli_runner import one_document, stamps
from support.html_dom import charts_of
from support.stub_models import sample_bars

from crypto_refactor.cli.commands.backtest import command as backtest
from crypto_refactor.cli.commands.compare import command as compare
from crypto_refactor.market.bars import COLUMNS
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker

MODELS = "--network linear --lookback 12 --train-hours 240 --refit-every 48 --min-confirmations 4"
LINE = f"--source sample --hours 48 {MODELS}"
TWO = "--ticker BTC/USD --ticker ADA/USD"
VARY = "--vary exit=neutral,fade --vary long-only=on,off"


@pytest.fixture
def run(invoke, fits):
    def call(line, *, code=0, command=compare):
        done = invoke(command, line)
        assert done.code == code, done.out + done.err
        return done

    return call


@pytest.fixture
def folder(tmp_path):
    """Files of BTC and ETH, and one of SOL whose third row is no bar."""
    path = tmp_path / "bars"
    path.mkdir()
    for base in ("BTC", "ETH", "SOL"):
        bars = sample_bars(1000, Ticker(base, "USD"))
        columns = (getattr(bars, name).tolist() for name in COLUMNS)
        rows = [
            ",".join([to_iso(hour), *map(repr, values)])
            for hour, *values in zip(bars.opened.tolist(), *columns, strict=True)
        ]
        if base == "SOL":
            rows[2] = rows[2].rpartition(",")[0] + ",-1"
        text = "\n".join(["timestamp,open,high,low,close,volume", *rows, ""])
        (path / f"{base.lower()}_usd_1h.csv").write_text(text, encoding="utf-8")
    return path


def test_the_document_has_the_documented_keys(run):
    found = one_document(run(f"{LINE} {TWO} {VARY} --json").out)
    assert list(found) == [
        "schema",
        "timeframe",
        "source",
        "simulated",
        "end",
        "window",
        "initial_balance",
        "model",
        "settings",
        "trials",
        "portfolios",
        "forecasts",
        "luck",
        "overfitting",
        "select_then_test",
        "failed",
        "unavailable",
        "trained",
    ]
    assert found["simulated"] is True
    assert found["window"] == {"first": "2024-12-30T00:00:00Z", "last": "2024-12-31T23:00:00Z", "hours": 48}
    assert found["end"] == "2025-01-01T00:00:00Z"
    assert [row["varied"] for row in found["settings"]] == [
        {"exit": exit_rule, "long-only": on} for exit_rule in ("neutral", "fade") for on in (True, False)
    ]
    labels = [row["setting"] for row in found["settings"]]
    assert labels[0] == "exit=neutral, long-only=on"
    assert [row["rank"] for row in found["trials"]] == list(range(1, 9))
    assert sorted((row["ticker"], row["setting"]) for row in found["trials"]) == sorted(
        (ticker, label) for ticker in ("BTC/USD", "ADA/USD") for label in labels
    )
    assert [row["setting"] for row in found["portfolios"]] == labels
    assert {row["share"] for row in found["portfolios"]} == {50_000.0}
    assert all(row["at_alpaca"] is None for row in found["trials"] if row["ticker"] == "ADA/USD")
    assert found["luck"]["tried"] == 8
    assert list(found["luck"]) == [
        "tried",
        "counted",
        "earlier",
        "earlier_counted",
        "best_sharpe",
        "expected_best_sharpe",
        "deflated_sharpe",
    ]
    assert all(stamp.endswith("Z") for stamp in stamps(found))
    for row in found["forecasts"]:
        assert row["tickers"] == ["BTC/USD", "ADA/USD"]
        assert set(row["verdict"]) == {"code", "text", "detectable"}
    # The decisions of a ticker are the same in all four settings and recomputed once.
    assert all(row["audit"]["passed"] for row in found["trials"])
    assert sorted(row["audit"]["bars_checked"] > 0 for row in found["trials"]) == [False] * 6 + [True] * 2


def test_a_trial_is_what_the_backtester_says_with_its_options(run):
    found = one_document(run(f"{LINE} --ticker BTC/USD --vary exit=fade --vary stop-loss=0.01 --json").out)
    line = f"{LINE} --ticker BTC/USD --exit fade --stop-loss 0.01 --json"
    alone = one_document(run(line, command=backtest).out)
    (trial,) = found["trials"]
    for column in ("metrics", "at_alpaca", "buy_and_hold"):
        assert trial[column] == alone[column]
    assert trial["models"] == list(dict.fromkeys(model["fingerprint"] for model in alone["models"]))
    assert trial["data"]["fingerprint"] == alone["data"]["fingerprint"]


def trained_text(out):
    return re.search(r"\S+ trained for this run", out)[0]


def test_the_table_ranks_and_the_sentence_says_how_many_were_tried(run):
    out = run(f"{LINE} {TWO} {VARY}").out
    answer, title = out.splitlines()[:2]
    assert answer == (
        "Not enough data to choose: 8 of 8 trials closed fewer than 30 trades; the window has 48 h (90 days needed)."
    )
    assert title == "Comparison of 2 tickers with 4 settings, ranked by Sharpe ratio   SIMULATED"
    text = " ".join(out.split())
    assert "8 trials. Best Sharpe ratio " in text
    assert ": deflated Sharpe ratio " in text
    assert text.count("sum of 2") == 4
    again = out.partition("\nAgain ")[2].replace("\\\n", " ").strip()
    assert again.startswith("crypto-refactor compare ")
    assert run(again.removeprefix("crypto-refactor compare ")).out == out.replace(
        trained_text(out), "none trained for this run"
    )
    assert "none trained for this run" in " ".join(run(f"{LINE} {TWO} {VARY}").out.split())


def test_a_trial_that_never_traded_has_no_rank_and_a_losing_one_is_not_called_the_best(run):
    out = run(f"{LINE} --ticker BTC/USD --fee 0.4 --vary strict=on,off").out
    traded, idle = (line.split() for line in out.partition("\nAgain ")[0].splitlines() if " BTC/USD " in line)
    assert (traded[0], traded[2]) == ("1", "strict=off")
    assert (idle[0], idle[2]) == ("–", "strict=on")
    assert idle[6:8] == ["never", "traded"]
    text = " ".join(out.split())
    assert "2 trials (1 never traded). " in text
    assert "Every trial that traded lost; the highest Sharpe ratio is -" in text
    assert "best observed" not in text.lower()


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_no_figure_is_cut_off_on_a_narrow_terminal(run, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    document = one_document(run(f"{LINE} {TWO} {VARY} --initial-balance 9000000 --json").out)
    out = run(f"{LINE} {TWO} {VARY} --initial-balance 9000000").out
    assert "…" not in out
    for trial in document["trials"]:
        assert f"{trial['metrics']['total_return'] * 100:+,.2f}" in out
        assert (f"{trial['metrics']['fees_paid']:,.2f}" in out) == (columns == 120)
    assert ("hidden" in out) == (columns < 120)


def test_one_trial_was_not_chosen_among_others(run):
    text = " ".join(run(f"{LINE} --ticker BTC/USD").out.split())
    assert "One trial, so nothing was selected." in text
    assert "as given" in text


def test_the_table_is_written_as_csv_with_the_mark(run, tmp_path):
    file = tmp_path / "table.csv"
    document = one_document(run(f"{LINE} {TWO} {VARY} --json --csv {file}").out)
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
    assert len(rows) == 8 + 4
    assert {row["simulated"] for row in rows} == {"SIMULATED"}
    for row, trial in zip(rows, document["trials"], strict=False):
        assert (int(row["rank"]), row["ticker"]) == (trial["rank"], trial["ticker"])
        assert row["setting"] == f"exit={row['exit']}, long-only={row['long-only']}"
        assert float(row["return"]) == trial["metrics"]["total_return"]
        assert (row["at_alpaca_return"] == "") == (trial["at_alpaca"] is None)
        sharpe = trial["metrics"]["sharpe"]
        assert row["sharpe"] == ("" if sharpe is None else repr(sharpe))
    assert [row["ticker"] for row in rows[8:]] == ["portfolio"] * 4


SEARCH = f"--source sample --hours 400 {MODELS} --ticker BTC/USD --vary exit=neutral,opposite --vary threshold-scale=0,own"


@pytest.mark.slow
def test_what_was_chosen_is_tested_on_the_rest_and_shown_beside_what_hindsight_would_have_chosen(run):
    found = one_document(run(f"{SEARCH} --select-then-test 0.75 --json").out)
    test = found["select_then_test"]
    assert found["window"]["hours"] == 300
    assert found["end"] == test["window"]["first"]
    assert test["window"]["hours"] == 100
    assert test["chosen"] == {name: found["trials"][0][name] for name in ("ticker", "setting")}
    setting = next(row for row in found["settings"] if row["setting"] == test["chosen"]["setting"])
    scale = "" if setting["threshold_scale"] is None else f"--threshold-scale {setting['threshold_scale']}"
    line = f"--source sample --hours 100 {MODELS} --ticker BTC/USD --exit {setting['exit']} {scale} --json"
    alone = one_document(run(line, command=backtest).out)
    for name in ("metrics", "at_alpaca", "buy_and_hold", "significance", "verdict", "audit"):
        assert test["test"][name] == alone[name]
    assert (test["rank"], test["of"]) == (test["rank"], 4)
    assert test["best_in_hindsight"]["metrics"]["sharpe"] >= test["test"]["metrics"]["sharpe"]
    assert test["failed"] == []
    text = " ".join(run(f"{SEARCH} --select-then-test 0.75").out.split())
    assert "These are the first 75 % of the hours, which choose; the rest tests." in text
    assert f"Chosen on the hours above: BTC/USD, {test['chosen']['setting']}" in text
    assert "Tested on the rest, which the choice never saw:" in text
    assert "buy and hold, on the rest" in text
    assert f"the chosen one is number {test['rank']} of 4." in text
    assert test["test"]["verdict"]["text"] in text
    assert "Again crypto-refactor compare " in text
    assert "--select-then-test 0.75" in text.partition("Again ")[2]
    assert "--end 2025-01-01T00:00:00Z" in text


def test_without_a_trade_nothing_is_chosen(run):
    line = f"--source sample --hours 100 {MODELS} --ticker BTC/USD --threshold-scale 1000000 --select-then-test 0.5"
    assert "Nothing was chosen" in run(line).out
    found = one_document(run(f"{line} --json").out)["select_then_test"]
    assert (found["chosen"], found["test"], found["best_in_hindsight"], found["window"]) == (None,) * 4


@pytest.mark.slow
def test_the_probability_of_overfitting_is_stated_or_why_it_is_not(run):
    found = one_document(run(f"{SEARCH} --json").out)["overfitting"]
    assert 0 <= found["probability"] <= 1
    assert (found["blocks"], found["splits"], found["why_none"]) == (16, 12_870, None)
    text = " ".join(run(SEARCH).out.split())
    assert f"Probability of backtest overfitting: {found['probability']:.2f}." in text
    short = one_document(run(f"{LINE} {TWO} {VARY} --json").out)["overfitting"]
    assert short["probability"] is None
    assert short["why_none"] == "it takes 192 hours, and there are 48"
    assert "cannot be estimated: it takes two trials" in " ".join(run(f"{LINE} --ticker BTC/USD").out.split())


def test_bars_without_any_volume_are_pointed_out_by_ticker(run, folder):
    path = folder / "eth_usd_1h.csv"
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    silent = [f"{row.rpartition(',')[0]},0.0" for row in rows]
    path.write_text("\n".join([header, *silent, ""]), encoding="utf-8")
    line = f"--source files --data-dir {folder} --hours 48 {MODELS} --ticker ETH/USD --ticker BTC/USD"
    text = " ".join(run(line).out.split())
    assert "ETH/USD: Every bar has volume 0: obv, vwap and volume can never hold" in text
    assert "BTC/USD: Every bar" not in text


def test_a_varied_number_that_looks_like_a_percentage_is_explained_once(run):
    done = run(f"{LINE} --ticker BTC/USD --vary stop-loss=0.05,0.5 --vary exit=neutral,fade")
    assert done.err.count("Hint: --stop-loss is a fraction: 0.5 is 50 %") == 1


def test_a_corrupted_ticker_is_named_and_the_others_are_compared(run, folder):
    line = f"--source files --data-dir {folder} --hours 48 {MODELS}"
    done = run(line, code=1)
    text = " ".join(done.out.split())
    assert "SIMULATED" not in text
    assert "Failed: SOL/USD" in text
    assert "line 4" in text
    # Tickers without a file are named once, and are no failure.
    assert text.count("Left out: DOT/USD") == 1
    found = one_document(run(f"{line} --json", code=1).out)
    assert {row["ticker"] for row in found["trials"]} == {"BTC/USD", "ETH/USD"}
    (failed,) = found["failed"]
    assert (failed["ticker"], failed["where"], failed["error"]["code"]) == ("SOL/USD", None, 3)
    assert len(found["unavailable"]) == 10
    # The corrupted one was offered, so it keeps a share that nothing is traded with.
    (portfolio,) = found["portfolios"]
    assert (portfolio["tickers"], portfolio["share"]) == (["BTC/USD", "ETH/USD"], 100_000 / 3)


@pytest.mark.parametrize(
    ("tickers", "code"),
    [("SOL/USD", 3), ("SOL/USD DOT/USD", 3), ("BTC/USD DOT/USD", 1), ("BTC/USD", 0)],
)
def test_the_exit_code_says_how_tickers_ended(run, folder, tickers, code):
    named = " ".join(f"--ticker {ticker}" for ticker in tickers.split())
    done = run(f"--source files --data-dir {folder} --hours 48 {MODELS} {named} --json", code=code)
    assert len(json.loads(done.out)["failed"]) == len(tickers.split()) - ("BTC/USD" in tickers)


def test_where_none_is_offered_it_says_so(run, tmp_path):
    done = run(f"--source files --data-dir {tmp_path} --hours 48 {MODELS}", code=3)
    assert "None of the tickers is offered." in done.err


@pytest.mark.parametrize(
    ("extra", "what"),
    [
        ("--vary exit=never", "--exit is 'never'"),
        ("--vary colour=red", "--vary is 'colour=red'"),
        ("--vary stop-loss=2", "--stop-loss is 2."),
        ("--vary exit=fade --vary exit=neutral", "names exit twice"),
        ("--vary plugin=mine.py", "--vary plugin has the value 'mine.py'"),
        ("--hours 0", "--hours is 0"),
        ("--vary network=small,documented --model mine", "--model"),
        ("--model ../mine", "--model"),
        ("--fee 2", "--fee is 2."),
        ("--select-then-test 1", "--select-then-test is 1."),
        ("--select-then-test 0.9", "divides 48 hours into 43 and 5"),
        ("--vary lookback=1", "--lookback is 1"),
    ],
)
def test_usage_errors_have_three_parts_and_train_nothing(run, fits, extra, what):
    done = run(f"{LINE} --ticker BTC/USD {extra}", code=2)
    assert what in done.err
    assert "Expected:" in done.err
    error = one_document(run(f"{LINE} --ticker BTC/USD {extra} --json", code=2).out)["error"]
    assert what in error["message"]
    assert error["expected"]
    assert error["remedy"]
    assert fits.calls == []


def test_a_plug_in_is_varied_by_naming_its_file_first(run):
    done = run(f"{LINE} --ticker BTC/USD --vary plugin=mine.py", code=2)
    assert "--plugin FILE.py --vary plugin=on,off" in done.err


def test_where_nothing_was_compared_there_is_the_error_alone(run, folder):
    done = run(f"--source files --data-dir {folder} --hours 48 {MODELS} --ticker SOL/USD", code=3)
    assert done.out == ""
    assert "\n  Expected: " in done.err
    assert "\n  Remedy: " in done.err


def test_a_file_that_cannot_be_written_is_refused_before_any_work(run, fits, tmp_path):
    done = run(f"{LINE} --csv {tmp_path / 'none' / 'table.csv'}", code=3)
    assert "cannot be written" in done.err
    assert fits.calls == []


def test_the_report_holds_every_trial_and_loads_nothing(run, tmp_path):
    path = tmp_path / "comparison.html"
    found = one_document(run(f"{LINE} {TWO} {VARY} --json --report {path}").out)
    page = path.read_text(encoding="utf-8")
    assert page.count('<tr>\n<th scope="row" class="words" data-order') == len(found["trials"]) == 8
    for text in ("SIMULATED", 'id="sharpe"', 'id="portfolios"', f"--end {found['end']}"):
        assert text in page
    assert 'id="held-out"' not in page
    assert '<p class="note compared">Varied: exit, long-only. Rules of the setting named first: fee' in page
    assert "Initial balance: 100,000.00 USD." in page
    assert '<button type="button">Fees, USD</button>' in page
    heads = re.findall(r"<button type=\"button\">([^<]+)</button></th>", page.partition('id="trial-list"')[2])
    assert heads[:5] == ["#", "Ticker", "Return", "Sharpe ± SE", "Setting"]
    bars = charts_of(page)[0]["sharpe"]["data"][0]
    assert bars["y"][-1] == f"1. {found['trials'][0]['ticker']}, " + ", ".join(
        part.partition("=")[2] for part in found["trials"][0]["setting"].split(", ")
    )
    assert "default-src 'none'" in page


@pytest.mark.slow
def test_the_report_of_a_choice_shows_what_it_came_to_on_hours_it_never_saw(run, tmp_path):
    path = tmp_path / "chosen.html"
    line = f"--source sample --hours 300 {MODELS} {TWO} --vary exit=neutral,fade --select-then-test 0.5"
    run(f"{line} --report {path}")
    page = path.read_text(encoding="utf-8")
    assert 'id="held-out"' in page
    assert "chosen, on the hours that chose it" in page


def test_failed_and_unavailable_tickers_are_in_the_report(run, folder, tmp_path):
    path = tmp_path / "some.html"
    line = f"--source files --data-dir {folder} --hours 48 {MODELS}"
    three = "--ticker BTC/USD --ticker SOL/USD --ticker ETH/USD"
    run(f"{line} {three} --report {path}", code=1)
    page = path.read_text(encoding="utf-8")
    assert 'id="dropped"' in page
    assert "Failed: SOL/USD" in page


def test_the_report_and_the_table_need_two_files(run, tmp_path):
    assert "both name" in run(f"{LINE} {TWO} --csv {tmp_path / 'x'} --report {tmp_path / 'x'}", code=2).err
