"""What a command line is expected to do: -h, suggestions, numbers with units, completion."""

from __future__ import annotations

import re

import click
import pytest
from click.shell_completion import BashComplete
from support.ledgers import open_sub_account

from crypto_refactor.cli.command_table import COMMANDS, GROUPS, OPTION_GROUPS, load_command
from crypto_refactor.cli.main import cli
from crypto_refactor.cli.output import fitted
from crypto_refactor.cli.runner import PROGRAM
from crypto_refactor.config import tickers_file
from crypto_refactor.execution.stepper import new_state
from crypto_refactor.market.ticker import Ticker, read_tickers
from crypto_refactor.trading.account_names import ledger_of
from crypto_refactor.version import __version__


@pytest.mark.parametrize("line", ["-h", "backtest -h", "status -h"])
def test_h_is_help(invoke, line):
    done = invoke(cli, line)
    assert done.code == 0
    assert done.out == invoke(cli, line.replace("-h", "--help")).out
    assert "Usage:" in done.out


def test_the_help_lists_every_command_once_in_80_columns(invoke):
    shown = invoke(cli, "--help").out
    assert all(f"{title}:" in shown for title in GROUPS)
    assert sorted(COMMANDS) == sorted(name for group in GROUPS.values() for name in group)
    names = [line.split()[0] for line in shown.splitlines() if line.startswith("  ") and line.strip()]
    assert [name for name in COMMANDS if names.count(name) != 1] == []
    assert max(map(len, shown.splitlines())) <= 80


def test_every_example_of_the_help_is_a_command_with_options_it_takes(invoke):
    shown = invoke(cli, "--help").out.split("Examples:", 1)[1]
    examples = [line.split()[1:] for line in shown.splitlines() if line.startswith("  crypto-refactor")]
    assert len(examples) == 2 * len(GROUPS)
    for name, *words in examples:
        command = cli.get_command(None, name)
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_help_of_a_command_has_each_option_once_below_what_it_is_about(invoke, name):
    shown = invoke(cli, f"{name} --help").out
    sections = re.findall(r"^(\w[\w ]*):$", shown, flags=re.MULTILINE)
    assert sections == [title for title in ("Options", *OPTION_GROUPS) if title in sections]
    assert "Bars" in sections or name not in {
        "signal",
        "backtest",
        "compare",
        "evaluate",
        "audit",
        "trade",
        "multi",
    }
    assert sections == ["Options"] or name not in {"halt", "status", "models"}, "a few need no sections"
    shown = shown[shown.index(f"\n{sections[0]}:\n") :]
    for option in (each for each in load_command(name).params if isinstance(each, click.Option)):
        assert len(re.findall(rf"^  {option.opts[0]}\b(?!-)", shown, flags=re.MULTILINE)) == 1


def test_the_sections_of_help_name_options_that_some_command_has():
    options = {
        name.removeprefix("--")
        for command in COMMANDS
        for option in load_command(command).params
        for name in option.opts
    }
    assert {name for group in OPTION_GROUPS.values() for name in group} - options == {"help"}


@pytest.mark.parametrize(("columns", "widest"), [(80, 78), (100, 98), (200, 108)])
def test_help_takes_the_width_there_is(invoke, monkeypatch, columns, widest):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = invoke(cli, "backtest --help").out.splitlines()
    assert widest - 10 < max(map(len, lines)) <= widest


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_says_its_version(invoke, name):
    assert invoke(cli, f"{name} --version").out.strip().endswith(__version__)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("backtset", "Did you mean 'backtest'?"),
        ("stauts", "Did you mean 'status'?"),
        ("backtest --fee 0.1%", "write --fee 0.001, which is 0.1 %."),
        ("backtest --initial-balance 10k", "write --initial-balance 10000."),
        ("backtest --initial-balance 10,000", "write --initial-balance 10000."),
        ("backtest --fee 0,001", "write --fee 0.001, which is 0.1 %."),
        ("multi --mode sequental", "write --mode sequential."),
        ("config sginal", "write signal."),
        ("backtest --source sample --network smal", "write --network small."),
        ("compare --source sample --vary fees=0,0.001", "write --vary fee=0,0.001."),
        ("backtest --hours 30d", "write --hours 720."),
        ("backtest --fee cheap", "Expected: a number."),
        ("backtest --feee 0", "did you mean --fee?"),
        ("backtest --hours", "--hours has no value."),
        ("trials --limit 0", "Expected: a whole number, 1 or more."),
        ("completion fish-shell", "Expected: bash or zsh or fish."),
        ("signal --ticker BTC", "write BTC/USD."),
        ("signal --ticker btcusd", "write BTC/USD."),
        ("signal --ticker BTC-USDT", "write BTC/USDT."),
        ("compare --ticker BTC/USD,ETH/USD", "--ticker BTC/USD --ticker ETH/USD"),
        ("signal --end yesterday", "'yesterday' is no time, such as 2024-06-01T00:00Z"),
    ],
)
def test_what_was_probably_meant_is_named(invoke, line, hint):
    done = invoke(cli, line)
    assert done.code == 2
    assert hint in done.err


@pytest.mark.parametrize("line", ["zzzz", "signal --ticker ../../etc/passwd", "signal --ticker ''"])
def test_nothing_is_suggested_where_nothing_is_like_it(invoke, line):
    done = invoke(cli, line)
    assert done.code == 2
    assert "Did you mean" not in done.err
    assert "write " not in done.err


def offered(*words, incomplete=""):
    complete = BashComplete(cli, {}, PROGRAM, "_CRYPTO_REFACTOR_COMPLETE")
    return [item.value for item in complete.get_completions(list(words), incomplete)]


def test_a_shell_completes_commands_options_and_values(home):
    assert offered(incomplete="rec") == ["reconcile", "record"]
    assert "--ticker" in offered("backtest", incomplete="--ti")
    every = [str(ticker) for ticker in read_tickers(tickers_file())]
    assert offered("backtest", "--ticker") == every
    assert offered("compare", "--ticker", incomplete="bt") == ["BTC/USD"]
    assert offered("signal", "--source") == ["alpaca", "files", "sample"]


def test_h_is_help_after_a_shell_has_completed_in_this_process(invoke):
    assert offered(incomplete="rec")
    assert invoke(cli, "-h").code == 0


def test_a_shell_completes_accounts_and_models(home, invoke):
    assert offered("status", "--account") == []
    ledger = ledger_of(home.folder / "state")
    ledger.open_account("demo/sample", "2024-06-01T00:00:00+00:00", {})
    open_sub_account(ledger, "demo/sample", Ticker("BTC", "USD"), new_state(1000.0, 477_000))
    assert offered("status", "--account", incomplete="de") == ["demo/sample"]
    home.models.mkdir(parents=True)
    (home.models / "btc_usd_my_model.json").touch()
    assert offered("backtest", "--model") == ["my_model"]


def test_a_shell_is_offered_nothing_where_the_ledger_cannot_be_read(home, invoke):
    path = ledger_of(home.folder / "state").path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no ledger" * 500)
    assert offered("status", "--account") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_asks_this_program(invoke, shell):
    done = invoke(cli, f"completion {shell}")
    assert done.code == 0
    assert "_CRYPTO_REFACTOR_COMPLETE" in done.out


def test_errors_are_broken_between_words_and_never_within_a_command(monkeypatch):
    command = "`crypto-refactor import FILE --ticker BTC/USD --data-dir /home/somebody/a/folder`"
    text = f"Error: there are no bars here that could be read.\n  Remedy: write them with {command}, or leave it."
    monkeypatch.setenv("COLUMNS", "40")
    assert fitted(text) == text  # a file or a pipe
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    lines = fitted(text).splitlines()
    assert lines[0] == "Error: there are no bars here that could"
    assert f"      {command}," in lines
    assert [line for line in lines if len(line) > 40 and command not in line] == []
    assert " ".join(" ".join(lines).split()) == " ".join(text.split())
