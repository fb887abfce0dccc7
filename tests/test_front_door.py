"""What a program imports: each name is there, nothing heavy comes before it is used, and types are seen."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
from support.cli_runner import ROOT
from support.packages import build, install

import crypto_refactor

NAMES = {
    "SignalGenerator": "crypto_refactor.signals.generator",
    "Backtester": "crypto_refactor.backtest.backtester",
    "CryptoMarketDataClient": "crypto_refactor.market.client",
    "Bars": "crypto_refactor.market.bars",
    "compare": "crypto_refactor.backtest.functions",
    "evaluate": "crypto_refactor.backtest.functions",
    "open_source": "crypto_refactor.market.sources.factory",
}
USER_SCRIPT = """
from datetime import UTC, datetime
import pandas as pd
from crypto_refactor import Backtester, Bars, CryptoMarketDataClient, SignalGenerator, compare, errors, evaluate, open_source

source = open_source("sample")
bars = CryptoMarketDataClient(source).get_historical_bars("BTC/USD", start="2024-01-01", end=datetime(2025, 1, 1, tzinfo=UTC))
reveal_type(Bars.from_frame(bars.to_frame(), "BTC/USD"))
reveal_type(SignalGenerator("BTC/USD", source=bars).generate_signals())
result = Backtester("BTC/USD", source=bars.to_frame(), fee=0.001, network="small").run(24, end="2024-12-01")
reveal_type(result)
reveal_type(result.metrics.sharpe)
reveal_type(result.trades)
reveal_type(result.report("page.html"))
reveal_type(compare("BTC/USD", vary={"exit": ["neutral", "fade"], "stop_loss": [None, 0.05]}))
reveal_type(evaluate("BTC/USD", pd.Series([1, 0]), stamped="close"))
reveal_type(errors.UsageError("what", expected="that", remedy="this").remedy)
Backtester("BTC/USD", feee=0.001)
Backtester("BTC/USD", venue="kraken")
evaluate("BTC/USD", "targets.csv", exit="fade")
"""
REVEALED = [
    "Bars",
    "Signal",
    "BacktestResult",
    "float | None",
    "DataFrame",
    "Path",
    "Comparison",
    "EvaluationResult",
    "str",
]


def test_all_names_what_there_is():
    assert set(crypto_refactor.__all__) == {*NAMES, "__version__", "errors"}
    assert set(crypto_refactor.__all__) <= set(dir(crypto_refactor))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_what_its_module_has(name):
    assert getattr(crypto_refactor, name) is getattr(import_module(NAMES[name]), name)


def test_a_star_imports_all_of_them():
    found: dict[str, object] = {}
    exec("from crypto_refactor import *", found)
    assert set(crypto_refactor.__all__) <= set(found)
    assert found["errors"].UsageError.exit_code == 2


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Backtest'"):
        _ = crypto_refactor.Backtest
    with pytest.raises(ImportError):
        exec("from crypto_refactor import Backtest")


def test_importing_the_package_imports_no_library():
    code = (
        "import sys; before = set(sys.modules); import crypto_refactor; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert run.stdout.strip() == "['crypto_refactor']"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The Python of an environment into which the wheel was installed, beside the libraries of this one."""
    folder = tmp_path_factory.mktemp("installed")
    return install(build(folder)["wheel"], folder / "venv")


@pytest.mark.slow
def test_a_users_mypy_sees_the_types_of_the_wheel(installed, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(USER_SCRIPT, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(installed), script.name]
    run = subprocess.run(
        command,
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": "", "HOME": str(tmp_path)},
    )
    lines = run.stdout.splitlines()
    revealed = [line.partition("Revealed type is ")[2].strip('"') for line in lines if "Revealed" in line]
    # stubs name the same class by one module or another
    assert [name.rpartition(".")[2] for name in revealed] == REVEALED, run.stdout + run.stderr
    wrong = [line for line in lines if "error:" in line]
    assert len(wrong) == 3, run.stdout
    assert 'Unexpected keyword argument "feee"' in wrong[0]
    assert "Literal" in wrong[1]
    assert 'Unexpected keyword argument "exit"' in wrong[2]
