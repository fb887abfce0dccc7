"""What programs do: the examples, the documentation's code, and the same answers as the commands."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from support.cli_runner import PATIENCE, ROOT, warm_processes

EXAMPLES = sorted(
    path for path in (ROOT / "examples").glob("*.py") if "__main__" in path.read_text(encoding="utf-8")
)
NOTEBOOK = ROOT / "examples" / "notebook.ipynb"
FROM_THE_CHECKOUT = f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
PRINTED = {
    "hourly_signal": ("Likely range ", "Hold for the forecast's side: ", "The model forecasts by "),
    "backtest_with_report": (
        "ETH/USD backtest, ",
        "Buy and hold",
        "requested",
        "exit_reason",
        "backtest.html",
    ),
    "own_targets": (
        "SOL/USD targets, ",
        "With a leak:\nWARNING: the sign of this result hangs on one hour",
    ),
    "study_over_tickers": ("12 trials", "deflated Sharpe ratio", "total_return", "exit=fade, long-only=off"),
}
"""What each example prints, by its name."""


def run_python(home, code):
    """Run code as a program of a user's, in a home of its own, and return what it printed."""
    done = warm_processes().run(
        ["-c", FROM_THE_CHECKOUT + code], cwd=home.work, env=home.environment(), timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def blocks(name):
    """Return the Python of a page, in its order."""
    return "\n".join(
        re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL)
    )


def test_every_example_is_tried_and_none_stands_in_the_place_of_a_module_of_pythons():
    assert {path.stem for path in EXAMPLES} == set(PRINTED)
    assert set(PRINTED) & set(sys.stdlib_module_names) == set()


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_prints_what_it_says(home, path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 40
    out = run_python(home, f"import runpy; runpy.run_path({str(path)!r}, run_name='__main__')")
    assert "SIMULATED" in out
    assert [text for text in PRINTED[path.stem] if text not in out] == []
    if path.stem == "backtest_with_report":
        assert "<!doctype html>" in (home.work / "backtest.html").read_text(encoding="utf-8")
    else:
        assert list(home.work.iterdir()) == []


def test_the_code_of_the_readme_works(home):
    out = run_python(home, blocks("README.md"))
    assert "BTC/USD targets, " in out
    assert (home.work / "trend.html").is_file()


@pytest.mark.slow
def test_the_code_of_the_page_on_python_works(home):
    assert run_python(home, blocks("docs/python.md")) == "write stop_loss.\n"


def test_a_program_gets_the_dictionary_that_the_command_prints(warm):
    wanted = [warm.home.json(warm.signal_line), warm.home.json(f"{warm.backtest_line} --no-journal")]
    out = run_python(
        warm.home,
        "import json; from crypto_refactor import Backtester, SignalGenerator\n"
        "made = dict(source='sample', network='linear')\n"
        "signal = SignalGenerator('BTC/USD', **made).generate_signals(120, end='2024-12-31T00:00Z')\n"
        "result = Backtester('BTC/USD', train_hours=240, **made).run(48)\n"
        "print(json.dumps([signal.to_dict(), result.to_dict()]))",
    )
    assert wanted[0].pop("record")["forecasts"] >= 1  # of the ledger, which a program leaves alone
    assert json.loads(out) == wanted


@pytest.mark.slow
def test_the_notebook_runs_and_shows_its_results(home):
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert [cell for cell in notebook["cells"] if cell.get("outputs") or cell.get("execution_count")] == []
    run = (
        "import json, sys, nbformat; from nbclient import NotebookClient; "
        "notebook = nbformat.read(sys.argv[1], as_version=4); "
        "NotebookClient(notebook, timeout=None, kernel_name='python3').execute(); "
        "print(json.dumps(notebook))"
    )
    done = subprocess.run(
        [sys.executable, "-c", run, str(NOTEBOOK)],
        timeout=PATIENCE,
        check=False,
        **home.options(
            PYTHONPATH=":".join([str(ROOT), *sys.path]),
            **{
                name: str(home.folder / "jupyter")
                for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")
            },
        ),
    )
    assert done.returncode == 0, done.stderr
    outputs = [cell["outputs"] for cell in json.loads(done.stdout)["cells"] if cell["cell_type"] == "code"]
    shown = [
        "".join(output["data"]["text/html"])
        for found in outputs
        for output in found
        if "text/html" in output.get("data", {})
    ]
    assert [len(found) for found in outputs] == [0, 1, 1, 1, 1]
    signal, backtest, _, evaluation = shown
    assert "condition" in signal
    assert all(
        text in page for page in (backtest, evaluation) for text in ("Buy and hold", "<svg", "SIMULATED")
    )
    assert list(home.work.iterdir()) == []
