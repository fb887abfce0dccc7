"""Every command and every option of the README, as a reader would try them."""

from __future__ import annotations

import re
import shlex

import click
import pytest
from support.cli_runner import ROOT, Home

from crypto_refactor import errors
from crypto_refactor.cli.commands import trade
from crypto_refactor.cli.commands.accounts import account, holdings, reconcile
from crypto_refactor.cli.commands.accounts import record as forecast_record
from crypto_refactor.cli.commands.audit import command as audit
from crypto_refactor.cli.commands.backtest import command as backtest
from crypto_refactor.cli.commands.checks import check_plugin, history, mountain_time
from crypto_refactor.cli.commands.compare import command as compare
from crypto_refactor.cli.commands.compare import trials
from crypto_refactor.cli.commands.data import command as data
from crypto_refactor.cli.commands.download import command as download
from crypto_refactor.cli.commands.evaluate import command as evaluate
from crypto_refactor.cli.commands.importing import command as import_files
from crypto_refactor.cli.commands.models import command as models
from crypto_refactor.cli.commands.operations.config import command as config
from crypto_refactor.cli.commands.operations.doctor import command as doctor
from crypto_refactor.cli.commands.operations.notify import command as notify
from crypto_refactor.cli.commands.signal import command as signal
from crypto_refactor.cli.trading.request import DEFAULT_BALANCE, DEFAULT_REPLAY_HOURS
from crypto_refactor.config import EnvironmentSettings
from crypto_refactor.execution.options import EXECUTION_OPTIONS
from crypto_refactor.execution.rules import DEFAULT_FEE
from crypto_refactor.execution.venues import ALPACA_FEE, ALPACA_MAX_DRAWDOWN
from crypto_refactor.model.named_models import DEFAULT_MODEL_NAME
from crypto_refactor.model.settings import ModelSettings

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = {
    "signal": signal,
    "backtest": backtest,
    "data": data,
    "download": download,
    "models": models,
    "check-history": history,
    "check-mountain-time": mountain_time,
    "check-plugin": check_plugin,
    "audit": audit,
    "compare": compare,
    "evaluate": evaluate,
    "import": import_files,
    "notify": notify,
    "trials": trials,
    "config": config,
    "doctor": doctor,
    **trade.COMMANDS,
    **account.COMMANDS,
    **holdings.COMMANDS,
    **forecast_record.COMMANDS,
    **reconcile.COMMANDS,
}
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
# An option that is None for the parser means this; the parser's own help and the README show it.
WHERE_NONE = {
    "--state-dir": "state/",
    "--tz": "UTC",
    "--seed": str(ModelSettings().seed),
    "--source": EnvironmentSettings.model_fields["source"].default,
    "--threshold-scale": "the model's",
    "--end": "now",
    "--initial-balance": f"{DEFAULT_BALANCE:g}",
    "--replay-hours": str(DEFAULT_REPLAY_HOURS),
    "--replay-delay": "0",
    "--account": "the one traded last, replays aside",
    "--cluster": "this machine",
    "--plugin": "none",
    "--max-deviation": "0.02",
    "--max-daily-loss": "off",
    "--max-loss": "off",
    "--max-positions": "off",
    "--max-orders-per-day": "off",
    "--limit": "all",
    "--cost": "required",
    "--quantity": "all",
    "--fee": f"{DEFAULT_FEE}; at Alpaca {ALPACA_FEE}",
    "--max-drawdown": f"off; at Alpaca {ALPACA_MAX_DRAWDOWN}",
}
WHERE_NONE = {
    f"--{spec.name}": spec.default_text for spec in EXECUTION_OPTIONS.values() if spec.default is None
} | WHERE_NONE
OWN_TICKER = dict.fromkeys(("multi", "compare", "reconcile", "trials"), "all") | dict.fromkeys(
    ("close", "resume", "adopt", "import", "check-plugin"), "none"
)


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
    """Return the command lines of the README's bash blocks, without comments."""
    blocks = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
    stripped = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in stripped if line]


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
    first = "\n".join(done.stdout.splitlines()[:12])  # a verdict comes before the title
    ticker = re.search(r"--ticker (\S+)", line)
    assert (ticker[1] if ticker else "") in first
    assert "SIMULATED" in done.stdout or "--source" not in line
    assert "nan" not in done.stdout.lower().replace("financ", "").split()
    asked = re.search(r"--hours (\d+)", line)
    if asked and "app_lstm" in line:
        assert f"{asked[1]} rows through" in done.stdout
    if asked and "app_backtester" in line:
        assert f"{int(asked[1]):,} hourly bars" in done.stdout
        balance = re.search(r"--initial-balance (\d+)", line)
        fee = "0.15 %" if "--fee 0.0015" in line else "0.10 %"
        assert f"fee {fee} per fill" in done.stdout
        again = reader.json(line)
        assert again["metrics"]["initial_balance"] == float(balance[1] if balance else 100_000)
        assert again["window"]["bars"] == int(asked[1])


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {line.split()[1] for line in documented_commands() if line.startswith("make")}
    named |= set(re.findall(r"`make (\w+)`", README))
    assert {"demo", "test"} <= named
    assert [name for name in named if not re.search(rf"^{name}:", makefile, flags=re.MULTILINE)] == []


def consoles():
    for block in re.findall(r"```console\n\$ (.*?)```", README, flags=re.DOTALL):
        line, *shown = block.splitlines()
        yield pytest.param(tried(line), shown, id=line, marks=pytest.mark.slow)


def label(line):
    """Return what names a line: everything before its first figure or wide gap, the verdicts left out."""
    text = re.sub(r"^\s*(yes|no)\s+", "", line.strip())
    text = re.sub(r"replay/[0-9a-f]+", "replay/", text)  # a hash of bars and settings
    return re.split(r"\s{2,}| -?\d", re.sub(r"^[▲▼■] \w+ +", "", text))[0]


@pytest.mark.parametrize(("line", "shown"), list(consoles()))
def test_what_the_readme_shows_is_what_comes(reader, line, shown):
    # Figures depend on the machine and on versions; the lines and their order do not.
    line = line.removesuffix(" --source sample --network linear")
    out = iter([label(text) for text in reader.run(line, CRYPTO_JOURNAL="false").stdout.splitlines()])
    expected = [label(text) for text in shown if text.strip() not in {"", "…"}]
    assert len(expected) > 5
    assert [text for text in expected if text not in out] == []


@pytest.mark.slow
def test_the_demo_is_marked_and_ends_on_one_command_to_try(reader):
    shown = reader.run("demo").stdout
    assert shown.splitlines()[0].startswith("Everything below is SIMULATED")
    assert shown.count("SIMULATED") >= 5
    suggested = shown.rstrip().splitlines()[-1].split()
    assert (ROOT / suggested[1]).is_file()
    command = SCRIPTS[suggested[1]][1]
    assert command.make_context("tool", list(suggested[2:])).params["hours"] == 240


def option_rows():
    """Yield (option, commands, default) for every option of the README's table."""
    table = README.split("## Options", 1)[1].split("\n\n", 2)[1]
    for row in table.splitlines()[2:]:
        names, commands, default = [cell.strip() for cell in row.strip("|").split("|")][:3]
        listed = re.findall(r"`(--[a-z-]+)`", names)
        shown = default.split(", ") if len(listed) > 1 and ", " in default else [default] * len(listed)
        for name, value in zip(listed, shown, strict=True):
            yield name, commands.split(", "), value


GROUPS = {
    "backtests": ("backtest", "audit", "compare"),
    "trading": ("trade", "multi"),
    "account commands": (
        "status",
        "trades",
        "record",
        "close",
        "resume",
        "panic",
        "reconcile",
        "adopt",
        "doctor",
    ),
}


def of_commands(commands):
    commands = [name for group in commands for name in GROUPS.get(group, (group,))]
    return COMMANDS if commands == ["all"] else {name: COMMANDS[name] for name in commands}


def test_every_option_of_every_command_is_in_the_table_of_options():
    listed = {(name, command) for name, commands, _ in option_rows() for command in of_commands(commands)}
    there = {(option, name) for name, command in COMMANDS.items() for option in options(command)}
    assert sorted(there - listed) == []


def test_every_option_of_the_table_is_taken_by_the_commands_it_names():
    for name, commands, _ in option_rows():
        missing = [
            command for command, parser in of_commands(commands).items() if name not in options(parser)
        ]
        # "all": every command for which it means anything.
        everywhere = {"signal", "backtest", "audit", "compare", "evaluate", "data", "trade", "multi"}
        allowed = set(COMMANDS) - everywhere if commands == ["all"] else set()
        assert set(missing) <= allowed, name


def default_for(shown, command):
    """Return what the table shows for one command: ``240; backtest 720`` is 720 for the backtest."""
    first, *special = shown.split("; ")
    names = [command, *(group for group, members in GROUPS.items() if command in members)]
    own = [text.removeprefix(f"{name} ") for text in special for name in names if text.startswith(f"{name} ")]
    venue = [text for text in special if text.startswith("at ")]
    return own[0] if own else "; ".join([first, *venue])


def real_default(option, parameter, command):
    value = parameter.default
    if option == "--ticker" and command in OWN_TICKER:
        return OWN_TICKER[command]
    if (command, option) == ("evaluate", "--hours"):
        return "all targets"
    if option == "--model":
        return DEFAULT_MODEL_NAME if command == "signal" else "none"
    if (command, option) == ("import", "--stamped"):
        return "the file's"
    if option in WHERE_NONE and not isinstance(value, int | float | str):
        return WHERE_NONE[option]
    if getattr(parameter, "is_flag", False):
        return "on" if value is True else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_every_default_in_the_table_is_the_real_one():
    wrong = []
    for name, commands, shown in option_rows():
        for command, parser in of_commands(commands).items():
            parameter = options(parser).get(name)
            if (
                parameter is None
                or shown == "–"
                or name == "--data-dir"
                or (command, name) == ("download", "--ticker")
            ):
                continue
            real, said = real_default(name, parameter, command), default_for(shown, command)
            numbers = all(re.fullmatch(r"[\d.]+", text) for text in (real, said))
            if (float(real) != float(said)) if numbers else real != said:
                wrong.append((command, name, said, real))
    assert wrong == []


def test_the_exit_codes_of_the_readme_are_those_of_the_tool():
    said = re.search(r"Exit codes: (.*?)\. An\s+error states", README, flags=re.DOTALL)[1]
    codes = {int(code) for code in re.findall(r"\b(\d+) [a-z]", said)}
    constants = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    raised = {kind.exit_code for kind in errors.CryptoRefactorError.__subclasses__()}
    assert codes <= constants | raised
    assert codes >= {0, 1, 2, 3, 4, 5, 6, 70, 130, 143}


def test_the_environment_variables_of_the_readme_are_read():
    said = set(re.findall(r"`((?:CRYPTO|ALPACA)_[A-Z_]+)`", README))
    fields = EnvironmentSettings.model_fields.items()
    real = {field.validation_alias or f"CRYPTO_{name.upper()}" for name, field in fields}
    assert said == real
