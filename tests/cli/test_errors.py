"""Bad input: three parts, the documented exit code, and nothing written."""

from __future__ import annotations

import re

import pytest
from support.cli_runner import one_document, tree

from crypto_refactor.cli.commands.backtest import command as backtest
from crypto_refactor.cli.commands.checks import history
from crypto_refactor.cli.commands.data import command as data
from crypto_refactor.cli.commands.download import command as download
from crypto_refactor.cli.commands.models import command as models
from crypto_refactor.cli.commands.signal import command as signal
from crypto_refactor.cli.main import cli

SAMPLE = "--source sample --network linear"
SHORT = f"{SAMPLE} --hours 48 --train-hours 240"
HEADER = "timestamp,open,high,low,close,volume"

MALFORMED = [
    (signal, f"{SAMPLE} --ticker FOO/USD", 3, "The source sample has no FOO/USD"),
    (signal, f"{SAMPLE} --ticker BTCUSD", 2, "'BTCUSD' is not a ticker"),
    (signal, f"{SAMPLE} --ticker ../../etc/passwd", 2, "is not a ticker"),
    (signal, f"{SAMPLE} --ticker ''", 2, "is not a ticker"),
    (signal, f"{SAMPLE} --hours 119", 2, "--hours is 119"),
    (signal, f"{SAMPLE} --hours -5", 2, "--hours is -5"),
    (signal, f"{SAMPLE} --hours 240.5", 2, "--hours is '240.5'"),
    (signal, f"{SAMPLE} --retrain-threshold -1", 2, "--retrain-threshold is -1"),
    (signal, f"{SAMPLE} --lookback 1", 2, "--lookback is 1"),
    (signal, f"{SAMPLE} --min-confirmations 10", 2, "--min-confirmations is 10"),
    (signal, f"{SAMPLE} --threshold-scale nan", 2, "--threshold-scale is nan"),
    (signal, f"{SAMPLE} --threshold-scale -0.5", 2, "--threshold-scale is -0.5"),
    (signal, f"{SAMPLE} --seed -1", 2, "--seed is -1"),
    (signal, f"{SAMPLE} --residual always", 2, "--residual always was given with --network linear"),
    (signal, f"{SAMPLE} --network large", 2, "--network is 'large'"),
    (signal, f"{SAMPLE} --model ../elsewhere/model", 2, "--model is '../elsewhere/model'"),
    (signal, f"{SAMPLE} --model ''", 2, "--model is ''"),
    (signal, f"{SAMPLE} --end 2024-12-31T00:30Z", 2, "lies between two hours"),
    (signal, f"{SAMPLE} --end yesterday", 2, "--end: 'yesterday' is no time"),
    (signal, f"{SAMPLE} --tz Mars/Olympus", 2, "'Mars/Olympus' is not a known time zone"),
    (signal, f"{SAMPLE} --tz ../../etc/passwd", 2, "is not a known time zone"),
    (signal, "--source binance", 2, "There is no source 'binance'"),
    (signal, "--source files", 2, "has no folder to read from"),
    (signal, f"{SAMPLE} --no-such-option", 2, "There is no option '--no-such-option'"),
    (signal, f"{SAMPLE} 240", 2, "'240' belongs to no option"),
    (backtest, f"{SAMPLE} --hours 0", 2, "--hours is 0"),
    (backtest, f"{SHORT} --residual always", 2, "--residual always was given with --network linear"),
    (backtest, f"{SHORT} --initial-balance 0", 2, "--initial-balance is 0."),
    (backtest, f"{SHORT} --initial-balance nan", 2, "--initial-balance is nan"),
    (backtest, f"{SHORT} --initial-balance inf", 2, "--initial-balance is inf"),
    (backtest, f"{SHORT} --fee -0.001", 2, "--fee is -0.001"),
    (backtest, f"{SHORT} --fee nan", 2, "--fee is nan"),
    (backtest, f"{SHORT} --fee 0.1%", 2, "--fee is '0.1%'"),
    (backtest, f"{SHORT} --slippage -1", 2, "--slippage is -1."),
    (backtest, f"{SHORT} --position-size 1.5", 2, "--position-size is 1.5"),
    (backtest, f"{SHORT} --borrow nan", 2, "--borrow is nan"),
    (backtest, f"{SHORT} --stop-loss 0", 2, "--stop-loss is 0."),
    (backtest, f"{SHORT} --take-profit inf", 2, "--take-profit is inf"),
    (backtest, f"{SHORT} --max-drawdown 5", 2, "--max-drawdown is 5."),
    (backtest, f"{SHORT} --max-notional nan", 2, "--max-notional is nan"),
    (backtest, f"{SHORT} --exit never", 2, "--exit is 'never'"),
    (backtest, f"{SAMPLE} --train-hours 239", 2, "--train-hours is 239"),
    (backtest, f"{SAMPLE} --refit-every 0", 2, "--refit-every is 0"),
    (data, "--source sample --hours 0", 2, "--hours is 0"),
    (history, "--source sample --hours 0", 2, "--hours is 0"),
    (download, "--source sample --data-dir bars", 2, "cannot be downloaded from the source sample"),
    (download, "", 2, "--data-dir is missing"),
    (models, "--prune --keep-gb -1", 2, "--keep-gb is -1.0"),
    (cli, "sing", 2, "No such command 'sing'"),
]
IMPOSSIBLE = [
    (signal, f"{SAMPLE} --hours 100000", 3, "Not enough history of BTC/USD to train on 100,000 hours"),
    (signal, f"{SAMPLE} --end 2030-01-01T00:00Z", 3, ""),
    (signal, f"{SAMPLE} --end 2025-01-02T00:00Z", 3, "24 h before the end"),
    (signal, f"{SAMPLE} --end 2023-06-01T00:00Z", 3, ""),
    (
        signal,
        "--network linear --source files --data-dir nowhere",
        3,
        "The data folder nowhere does not exist",
    ),
    (signal, "--network linear --source files --data-dir .", 3, "has no bars of BTC/USD"),
    (backtest, f"{SAMPLE} --hours 100000", 3, "Not enough history of BTC/USD: 103,440 hours"),
    (backtest, f"{SHORT} --end 2030-01-01T00:00Z", 3, ""),
    (backtest, f"{SHORT} --end 2023-06-01T00:00Z", 3, ""),
    (backtest, f"{SHORT} --trades nowhere/trades.csv", 3, "nowhere/trades.csv cannot be written"),
    (backtest, f"{SHORT} --signals .", 3, "it is a folder"),
    (backtest, f"{SHORT} --model never_trained", 4, "There is no model"),
    (data, "--source sample --end 2030-01-01T00:00Z", 3, "has no bars of BTC/USD between"),
]


def three_parts(text):
    """Return what happened, what was expected and what to do, from a message for people."""
    parts = re.fullmatch(r"Error: (.+)\n  Expected: (.+)\n  Remedy: (.+)\n", text)
    assert parts, text
    return parts.groups()


@pytest.mark.parametrize(
    ("line", "what", "remedy"),
    [
        ("--hours -5", "--hours is -5.", "write --hours 720, for example."),
        ("--hours abc", "--hours is 'abc'.", "correct --hours; `tool --help` says what it takes."),
        ("--hours", "--hours has no value.", "add one; `tool --help` says what it takes."),
        ("--fee -1", "--fee is -1.", "write --fee 0.001, for example."),
        ("--fee 5", "--fee is 5.", "write --fee 0.05, if 5 % is meant."),
        ("--fee 0,1", "--fee is '0,1'.", "write --fee 0.1, which is 10 %; 0.001 is 0.1 %."),
        ("--stop-loss 5", "--stop-loss is 5.", "write --stop-loss 0.05, if 5 % is meant."),
        ("--lookback 0", "--lookback is 0.", "write --lookback 60, which is its default."),
        ("--exit nuetral", "--exit is 'nuetral'.", "write --exit neutral."),
        (
            "--initial-balance -100000",
            "--initial-balance is -100000.",
            "write --initial-balance 10000, for example.",
        ),
    ],
)
def test_a_value_out_of_range_is_shown_as_typed_with_one_to_write_instead(invoke, line, what, remedy):
    happened, _, written = three_parts(invoke(backtest, f"--source sample {line}").err)
    assert (happened, written) == (what, remedy)


def test_a_missing_value_names_the_help_of_its_command_not_of_the_group(invoke):
    _, _, remedy = three_parts(invoke(cli, "halt --why").err)
    assert remedy.endswith(" halt --help` says what it takes.")


@pytest.mark.parametrize(("command", "line", "code", "what"), MALFORMED + IMPOSSIBLE)
def test_bad_input_is_named_with_a_remedy_and_nothing_is_written(invoke, home, command, line, code, what):
    before = home.tree()
    left = invoke(command, line)
    assert (left.code, left.out) == (code, "")
    happened, expected, remedy = three_parts(left.err)
    assert what in happened
    assert home.tree() == before
    as_json = invoke(command, f"{line} --json")
    assert (as_json.code, as_json.err) == (code, "")
    error = {"code": code, "message": happened, "expected": expected, "remedy": remedy}
    assert one_document(as_json.out) == {"error": error}
    assert home.tree() == before


@pytest.mark.parametrize("command", [signal, backtest])
def test_an_end_that_the_bars_do_not_reach_is_not_answered_with_a_later_one(invoke, command):
    left = invoke(command, f"{SAMPLE} --end 2030-01-01T00:00Z")
    _, _, remedy = three_parts(left.err)
    assert "--end 2025-01-01T00:00:00Z" in remedy
    assert "later" not in remedy


def rows(count=4, **changed):
    """Return a file of `count` bars; `changed` replaces lines, ``row_2="…"`` the second bar's."""
    lines = [f"2024-01-01T{hour:02d}:00:00Z,10,12,9,11,5" for hour in range(count)]
    for name, line in changed.items():
        lines[int(name.removeprefix("row_")) - 1] = line
    return "\n".join([HEADER, *lines, ""])


BAD_FILES = {
    "NaN": (rows(row_3="2024-01-01T02:00:00Z,10,12,9,nan,5"), "line 4"),
    "infinite": (rows(row_2="2024-01-01T01:00:00Z,10,inf,9,11,5"), "line 3"),
    "empty cell": (rows(row_2="2024-01-01T01:00:00Z,10,,9,11,5"), "line 3"),
    "unsorted": (rows(row_3="2024-01-01T00:00:00Z,10,12,9,11,5"), "line 4"),
    "duplicated": (rows(row_2="2024-01-01T00:00:00Z,10,12,9,11,5"), "line 3"),
    "negative price": (rows(row_4="2024-01-01T03:00:00Z,10,12,-9,11,5"), "line 5"),
    "negative volume": (rows(row_4="2024-01-01T03:00:00Z,10,12,9,11,-5"), "line 5"),
    "low above close": (rows(row_1="2024-01-01T00:00:00Z,10,12,11.5,11,5"), "line 2"),
    "between two hours": (rows(row_1="2024-01-01T00:30:00Z,10,12,9,11,5"), "line 2"),
    "no stamp": (rows(row_1="noon,10,12,9,11,5"), "line 2"),
    "a cell too many": (rows(row_1="2024-01-01T00:00:00Z,10,12,9,11,5,6"), "line 2"),
    "another header": (rows().replace("timestamp", "date"), "line 1"),
    "cut off": (rows()[:-1], "line 5"),
    "empty": ("", "is empty"),
    "header only": (f"{HEADER}\n", "too few rows below its header: 0"),
}


@pytest.mark.parametrize(("text", "where"), BAD_FILES.values(), ids=BAD_FILES)
@pytest.mark.parametrize("command", [signal, backtest, data, history])
def test_a_bad_row_of_a_file_is_named(invoke, home, command, text, where):
    file = home.work / "btc_usd_1h.csv"
    file.write_text(text, encoding="utf-8")
    before = home.tree()
    left = invoke(command, "--source files --data-dir .")
    assert (left.code, left.out) == (3, "")
    happened, _, _ = three_parts(left.err)
    assert "btc_usd_1h.csv" in happened
    assert where in happened
    assert home.tree() == before


@pytest.mark.slow
def test_a_short_file_is_answered_with_the_hours_that_work(invoke, home):
    source = write_bars(home, 561 + 130)
    left = invoke(signal, f"{source} --network linear --hours 240")
    assert left.code == 3
    suggested = re.search(r"--hours (\d+)", three_parts(left.err)[2])[1]
    assert int(suggested) >= 130
    found = home.json(f"app_lstm {source} --network linear --hours {suggested}")
    assert found["model_info"]["decision"] == "trained"
    assert invoke(signal, f"{source} --network linear --hours {int(suggested) + 1}").code == 3


@pytest.mark.slow
def test_a_short_file_is_answered_with_the_hours_of_a_backtest_that_work(invoke, home):
    source = write_bars(home, 30 + 240 + 100 + 12 + 500)
    rest = "--network linear --train-hours 240 --refit-every 100 --lookback 12"
    left = invoke(backtest, f"{source} {rest}")
    assert left.code == 3
    suggested = re.search(r"--hours (\d+)", three_parts(left.err)[2])[1]
    assert int(suggested) == 30
    assert home.json(f"app_backtester {source} {rest} --hours {suggested}")["window"]["bars"] == 30
    assert invoke(backtest, f"{source} {rest} --hours {int(suggested) + 1}").code == 3


def write_bars(home, count):
    """Write the last `count` bars of the sample as a file, and return the options that read it."""
    from crypto_refactor.market.bars import COLUMNS
    from crypto_refactor.market.hours import to_iso
    from crypto_refactor.market.sources.sample import SampleSource
    from crypto_refactor.market.ticker import Ticker

    folder = home.folder / "bars"
    folder.mkdir(parents=True)
    source, ticker = SampleSource(), Ticker("BTC", "USD")
    end = source.now(ticker)
    bars = source.bars(ticker, end - count, end)
    values = [getattr(bars, name).tolist() for name in COLUMNS]
    lines = [
        ",".join([to_iso(opened), *map(repr, row)])
        for opened, *row in zip(bars.opened.tolist(), *values, strict=True)
    ]
    (folder / "btc_usd_1h.csv").write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")
    return f"--source files --data-dir {folder}"


@pytest.mark.parametrize("below", ["", "/folder"])
@pytest.mark.parametrize(("command", "line"), [(signal, SAMPLE), (backtest, SHORT)])
def test_a_model_folder_that_is_a_file_ends_with_4_before_anything_is_trained(
    invoke, home, tmp_path, command, line, below
):
    file = tmp_path / "file"
    file.write_text("precious", encoding="utf-8")
    before = home.tree()
    left = invoke(command, line, models=f"{file}{below}")
    assert (left.code, left.out) == (4, "")
    happened, _, remedy = three_parts(left.err)
    assert "cannot be written" in happened
    assert "CRYPTO_MODEL_DIR" in remedy
    assert file.read_text(encoding="utf-8") == "precious"
    assert home.tree() == before


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("--hours 48", "was trained on bars up to 2024-12-31T00:00:00Z"),
        ("--hours 25", "the first decision is at 2024-12-30T23:00:00Z"),
        ("--hours 24 --lookback 61", "has the lookback 60"),
        ("--hours 24 --ticker ETH/USD", "There is no model"),
    ],
)
def test_a_pinned_model_that_does_not_fit_is_refused(invoke, warm_copy, line, what):
    before = warm_copy.tree()
    left = invoke(backtest, f"{SAMPLE} --model lstm_v2 {line}", models=warm_copy.models)
    assert (left.code, left.out) == (4, "")
    assert what in three_parts(left.err)[0]
    assert warm_copy.tree() == before


def test_a_damaged_pinned_model_is_refused_and_left_alone(invoke, warm_copy):
    (warm_copy.models / "sample" / "btc_usd_lstm_v2.onnx").write_bytes(b"half")
    before = tree(warm_copy.models)
    left = invoke(backtest, f"{SAMPLE} --model lstm_v2 --hours 24", models=warm_copy.models)
    assert left.code == 4
    assert "damaged" in three_parts(left.err)[0]
    assert tree(warm_copy.models) == before


@pytest.mark.slow
@pytest.mark.parametrize("line", ["app_lstm", "data --json"])
def test_a_server_that_cannot_be_reached_is_given_up(home, line):
    done = home.run(line, code=3, CRYPTO_ALPACA_DATA_URL="http://127.0.0.1:1")
    if "--json" in line:
        assert set(one_document(done.stdout)["error"]) == {"code", "message", "expected", "remedy"}
        assert done.stderr == ""
    else:
        assert "the connection is refused" in three_parts(done.stderr)[0]
        assert done.stdout == ""
    assert not home.models.exists()


def test_a_traceback_is_shown_with_debug_only(invoke):
    plain, detailed = invoke(signal, "--hours 1"), invoke(signal, "--hours 1 --debug")
    assert "Traceback" not in plain.err
    assert "Traceback" in detailed.err
    assert detailed.err.endswith(plain.err)


def test_a_bug_of_the_tool_is_called_an_internal_error(invoke, monkeypatch):
    def fail(*_arguments, **_options):
        raise KeyError("surprise")

    monkeypatch.setattr("crypto_refactor.market.sources.factory.open_source", fail)
    left = invoke(signal, SAMPLE)
    assert left.code == 70
    happened, _, remedy = three_parts(left.err)
    assert "Internal error: KeyError: 'surprise'" in happened
    assert "--debug" in remedy
