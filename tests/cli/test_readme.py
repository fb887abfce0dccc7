"""Every command of the README and of the guides, as a reader would try it."""

from __future__ import annotations

import re
import shlex

import click
import pytest
from support.cli_runner import ROOT, Home

from crypto_refactor import errors
from crypto_refactor.cli.command_table import COMMANDS as GROUPED
from crypto_refactor.cli.command_table import load_command
from crypto_refactor.cli.commands import trade
from crypto_refactor.cli.commands.accounts import account, holdings, reconcile
from crypto_refactor.cli.commands.accounts import record as forecast_record
from crypto_refactor.cli.commands.backtest import command as backtest
from crypto_refactor.cli.commands.checks import check_plugin, history, mountain_time
from crypto_refactor.cli.commands.data import command as data
from crypto_refactor.cli.commands.operations.config import command as config
from crypto_refactor.cli.commands.signal import command as signal
from crypto_refactor.config import EnvironmentSettings

GUIDES = (
    "README.md",
    *(f"docs/{name}.md" for name in ("quickstart", "signals", "backtests", "trading", "data")),
)
TEXTS = [(ROOT / name).read_text(encoding="utf-8") for name in GUIDES]
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
COMMANDS = {name: load_command(name) for name in GROUPED}
SCRIPTS = {
    "models/app_lstm.py": ("app_lstm", signal),
    "models/app_backtester.py": ("app_backtester", backtest),
    "models/data/app.py": ("data", data),
    "run_trading.py": ("run_trading", trade.trade),
    "run_multi_ticker.py": ("run_multi_ticker", trade.multi),
    "test_historical_data.py": ("check_history", history),
    "test_mountain_time.py": ("check_mountain_time", mountain_time),
}
LONG = ("--hours 1440", "--hours 2160")

OF_AN_ACCOUNT = tuple(
    f"crypto-refactor {name}"
    for name in {
        **account.COMMANDS,
        **holdings.COMMANDS,
        **forecast_record.COMMANDS,
        **reconcile.COMMANDS,
    }
)
"""Tell about what other commands have traded: tried in test_account_commands.py."""


def options(command):
    return {each.opts[0]: each for each in command.params if isinstance(each, click.Option)}


def documented_commands():
    """Return the command lines of the bash blocks of README and guides, each once, without comments."""
    blocks = [block for text in TEXTS for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)]
    stripped = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return list(dict.fromkeys(line for line in stripped if line))


def tried(line):
    """Return a documented line as it is tried here: on simulated bars, with the small network."""
    first, second, *rest = shlex.split(line)
    rest = [str(ROOT / word) if word.startswith("examples/") else word for word in rest]
    name, command = SCRIPTS[second] if first == "python3" else (f"crypto-refactor {second}", COMMANDS[second])
    if command is config:
        return " ".join([name, *rest])  # it has no source, and takes the options of another command
    wanted = ["--source sample", "--network linear"]
    if command in {trade.trade, trade.multi} and "--demo" not in line:
        wanted.append("--demo")  # what trades at Alpaca needs keys, and is tried elsewhere
    if command is check_plugin:
        wanted = []  # it has simulated bars of its own
    extra = [word for word in wanted if word.split()[0] in options(command)]
    return " ".join([name, *rest, *extra])


def runnable():
    for line in documented_commands():
        if not line.startswith(
            ("make", "crypto-refactor download", "crypto-refactor evaluate", *OF_AN_ACCOUNT)
        ):
            slow = any(
                word in line
                for word in (
                    "app_backtester",
                    "--lookback 168",
                    "--hours 480",
                    "--demo",
                    "multi_ticker",
                    "compare",
                    "audit",
                )
            )
            yield pytest.param(tried(line), id=line, marks=[pytest.mark.slow] if slow else [])


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """One home for the documented commands of this process: others may trade the same account at the same time."""
    return Home(tmp_path_factory.mktemp("reader"))


def test_the_documented_commands_are_found():
    lines = documented_commands()
    assert len(lines) >= 12
    assert {line.split()[0] for line in lines} == {"make", "python3", "crypto-refactor"}
    assert all((ROOT / line.split()[1]).is_file() for line in lines if line.startswith("python3"))


@pytest.mark.parametrize("line", list(runnable()))
def test_a_documented_command_works(reader, line):
    done = reader.run(line)
    first = "\n".join(done.stdout.splitlines()[:20])  # a comparison begins with its rules
    ticker = re.search(r"--ticker (\S+)", line)
    assert (ticker[1] if ticker else "") in first
    assert "SIMULATED" in done.stdout or "--source" not in line
    assert "nan" not in done.stdout.lower().replace("financ", "").split()
    asked = re.search(r"--hours (\d+)", line)
    if asked and "app_lstm" in line:
        assert f"network on {int(asked[1]):,} h." in " ".join(done.stdout.split())
    if asked and "app_backtester" in line:
        assert f"{int(asked[1]) // 24} days (" in done.stdout
        balance = re.search(r"--initial-balance (\d+)", line)
        again = reader.json(line)
        assert again["settings"]["fee"] == (0.0015 if "--fee 0.0015" in line else 0.001)
        assert again["metrics"]["initial_balance"] == float(balance[1] if balance else 100_000)
        assert again["window"]["bars"] == int(asked[1])


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {line.split()[1] for line in documented_commands() if line.startswith("make")}
    named |= set(re.findall(r"`make (\w+)`", TEXTS[0]))
    assert {"demo", "test"} <= named
    assert [name for name in named if not re.search(rf"^{name}:", makefile, flags=re.MULTILINE)] == []


def shown_runs(text):
    """Return what a text shows of runs, by their command lines."""
    blocks = re.findall(r"```console\n\$ (.*?)```", text, flags=re.DOTALL)
    return {block.split("\n", 1)[0]: block.splitlines()[1:] for block in blocks}


def consoles():
    for text in TEXTS[1:]:
        for line, shown in shown_runs(text).items():
            yield pytest.param(tried(line), shown, id=line, marks=pytest.mark.slow)


def test_what_the_readme_shows_of_a_run_is_a_part_of_what_a_guide_shows():
    guides = {line: shown for text in TEXTS[1:] for line, shown in shown_runs(text).items()}
    short = shown_runs(TEXTS[0])
    assert short
    for line, shown in short.items():
        assert set(shown) - {"", "…"} <= set(guides[line])


def label(line):
    """Return what names a line: everything before its first figure or wide gap, the verdicts left out."""
    text = re.sub(r"^\s*(yes|no)\s+", "", line.strip())
    text = re.sub(r"replay/[0-9a-f]+", "replay/", text)  # a hash of bars and settings
    return re.split(r"\s{2,}| -?\d", re.sub(r"^[▲▼■] \w+ +", "", text))[0]


@pytest.mark.parametrize(("line", "shown"), list(consoles()))
def test_what_a_guide_shows_is_what_comes(tmp_path, line, shown):
    # Figures depend on the machine and on versions; the lines and their order do not. Nor may they depend
    # on what ran before: a guide shows a first run, which trains its model.
    line = line.removesuffix(" --source sample --network linear")
    out = iter([label(text) for text in Home(tmp_path).run(line, CRYPTO_JOURNAL="false").stdout.splitlines()])
    expected = [label(text) for text in shown if text.strip() not in {"", "…"}]
    assert len(expected) > 5
    assert [text for text in expected if text not in out] == []


@pytest.mark.slow
def test_the_demo_is_marked_and_ends_on_one_command_to_try(reader):
    shown = reader.run("demo").stdout
    assert shown.splitlines()[0].startswith("Everything below is SIMULATED")
    assert shown.count("SIMULATED") >= 3
    *_, line, guide = shown.rstrip().splitlines()
    assert (ROOT / guide.split(": ")[1].split(",")[0]).is_file()
    suggested = line.split()
    assert (ROOT / suggested[1]).is_file()
    command = SCRIPTS[suggested[1]][1]
    assert command.make_context("tool", list(suggested[2:])).params["hours"] == 240


def test_the_exit_codes_of_the_documentation_are_those_of_the_tool():
    table = SETTINGS.split("## Exit codes", 1)[1]
    codes = {
        int(code)
        for row in re.findall(r"^\| ([\d, ]+) \|", table, flags=re.MULTILINE)
        for code in row.split(", ")
    }
    constants = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    raised = {kind.exit_code for kind in errors.CryptoRefactorError.__subclasses__()}
    assert codes <= constants | raised
    assert codes >= {0, 1, 2, 3, 4, 5, 6, 70, 129, 130, 143}


def test_the_settings_of_the_documentation_are_read():
    said = set(re.findall(r"`((?:CRYPTO|ALPACA)_[A-Z_]+)`", SETTINGS))
    fields = EnvironmentSettings.model_fields.items()
    real = {field.validation_alias or f"CRYPTO_{name.upper()}" for name, field in fields}
    assert said == real


def test_the_readme_can_be_read_in_one_sitting():
    assert TEXTS[0].count("\n") <= 150


def test_the_readme_names_every_guide():
    linked = set(re.findall(r"\]\((docs/[a-z]+\.md)\)", TEXTS[0]))
    of_the_site = {"index.md", "contributing.md", "changelog.md"}
    assert linked == {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} - {
        f"docs/{name}" for name in of_the_site
    }
