"""Do the tests of the engine bite?  Plant bugs one at a time and see which test finds each.

Run ``python tests/mutation_tests.py``.  Every bug is a textual replacement in a temporary copy of the package,
which is imported instead of the real one; the text to be replaced must occur exactly once, so a bug cannot
silently stop being planted when the code moves.  The fast tests of execution, engine and metrics run against each
copy until the first failure.  Exit code 1 if any bug survives.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

# What every run needs, imported once: each bug is tried in a fork of this process.
import hypothesis.strategies  # noqa: F401
import numpy as np  # noqa: F401
import pandas as pd  # noqa: F401
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "crypto_refactor"
ACCOUNT, DECISIONS, STEPS, VENUES = (
    f"execution/{name}.py" for name in ("sub_account", "decisions", "fills", "venues")
)
ENGINE, METRICS = (f"backtest/{name}.py" for name in ("engine", "metrics"))


@dataclass(frozen=True, slots=True)
class Bug:
    """What is wrong, and the replacements (file, text, wrong text) that make it so."""

    name: str
    edits: tuple[tuple[str, str, str], ...]


def bug(name, *edits):
    return Bug(name, edits)


WATCH = "update_drawdown(self.account, close, self.rules)"
EXIT_FEE = "    fee = rules.fee * sold * price\n    cash"
BUGS = (
    # costs
    bug("exit fee dropped", (ACCOUNT, "side * sold * price - fee", "side * sold * price")),
    bug(
        "exit fee on the entry price", (ACCOUNT, EXIT_FEE, EXIT_FEE.replace("price", "account.average_price"))
    ),
    bug(
        "fee on the profit",
        (ACCOUNT, EXIT_FEE, EXIT_FEE.replace("sold * price", "sold * abs(price - account.average_price)")),
    ),
    bug("sizing without the fee", (ACCOUNT, "money / (price * (1 + rules.fee))", "money / price")),
    bug("entry slippage in our favour", (ACCOUNT, "price *= 1 + side *", "price *= 1 - side *")),
    bug("exit slippage in our favour", (ACCOUNT, "price *= 1 - side *", "price *= 1 + side *")),
    bug(
        "borrow charged to longs",
        (ACCOUNT, "if account.side >= 0 or", "if account.side == 0 or"),
        (ENGINE, "if self.account.side < 0 and i:", "if self.account.side and i:"),
        (ENGINE, "or (side < 0 and rules.borrow)", "or (side and rules.borrow)"),
    ),
    bug("borrow paid to the short", (ACCOUNT, "cash=account.cash - cost", "cash=account.cash + cost")),
    bug("less than a cent entered", (ACCOUNT, "money < MIN_ENTRY:", "money <= 0:")),
    bug("notional cap ignored", (ACCOUNT, "min(money, rules.max_notional)", "money")),
    # accounting
    bug("entry fee missing from the trade", (ACCOUNT, "account.open_fees * share + fee", "fee")),
    bug("dust lost", (ACCOUNT, "0.0 if sold == size else size - sold", "0.0")),
    bug(
        "dust repriced at the new entry",
        (ACCOUNT, "cost / abs(quantity) if account.quantity else price", "price"),
    ),
    bug("dust takes no entry fee along", (ACCOUNT, "account.open_fees * (1 - share) if rest", "0.0 if rest")),
    bug(
        "venue fee not taken in coins",
        (ACCOUNT, "quantity * (1 - rules.fee), quantity", "quantity, quantity"),
    ),
    bug(
        "venue minimum ignored",
        (VENUES, "quantity > 0 and quantity >= self.min_quantity and", "quantity > 0 or"),
    ),
    bug("smallest purchase ignored", (ACCOUNT, "money >= rules.venue.min_buy", "money >= 0")),
    bug("orders not split", (STEPS, "if not 1 < legs <= _MAX_PARTS:", "if True:")),
    bug("sales split at the largest order itself", (VENUES, "_SALE_MARGIN = 0.95", "_SALE_MARGIN = 1.0")),
    bug("quantity rounded half up", (VENUES, "rounding=ROUND_DOWN", 'rounding="ROUND_HALF_UP"')),
    bug("no ruin at a close", (ACCOUNT, "account.equity(price) <= 0:", "price < 0:")),
    bug(
        "no ruin at a fill",
        (ACCOUNT, "if side < 0 and account.cash - sold", "if side > 1 and account.cash - sold"),
    ),
    bug("ruined account not marked", (ACCOUNT, "ruined=True", "ruined=False")),
    bug("waiting exit outlives ruin", (STEPS, "if account.side:\n", "if True:\n")),
    bug(
        "drawdown blind to bar 0",
        (ACCOUNT, "peak_equity=balance", "peak_equity=0.0"),
        (ENGINE, WATCH, f"{WATCH} if i else self.account"),
    ),
    # time
    bug(
        "fills at the signal's own open",
        (ENGINE, "fill_pending(i, bars.open.item(i),", "fill_pending(i, bars.open.item(i - 1),"),
    ),
    bug(
        "fills at the signal's own close",
        (ENGINE, "fill_pending(i, bars.open.item(i),", "fill_pending(i, bars.close.item(i - 1),"),
    ),
    bug(
        "decides on the next bar's signal",
        (
            ENGINE,
            "self.targets[account.side].item(i)",
            "self.targets[account.side].item(min(i + 1, len(self.bars) - 1))",
        ),
    ),
    bug(
        "entry kept over a synthetic bar",
        (
            STEPS,
            "for decision in pending if isinstance(decision, Exit))",
            "for decision in pending)",
        ),
    ),
    bug(
        "exit lost over a synthetic bar",
        (STEPS, "for decision in pending if isinstance(decision, Exit))", "for decision in ())"),
    ),
    bug("entry kept over a split", (ENGINE, "hour - self.bars.opened.item(i - 1) == 1", "i > 0")),
    bug(
        "position kept without data",
        (ENGINE, "self.pending = close_without_data(account)", "self.pending = ()"),
    ),
    bug(
        "drawdown not watched without data",
        (ENGINE, WATCH, f"{WATCH} if self.plan.decidable.item(i) else self.account"),
    ),
    # bars that are passed over
    bug(
        "remembered stop not looked at",
        (ENGINE, "self.pending or account.blocked_side or", "self.pending or"),
    ),
    bug("borrow charged where the engine stops", (ENGINE, "or (side < 0 and rules.borrow)", "")),
    bug("ruin passed over", (ENGINE, "_NEARLY * self.account.cash", "_NEVER * self.account.cash")),
    bug(
        "drawdown watched where the engine stops",
        (ENGINE, "(account.quantity or not measured)", "not measured"),
    ),
    bug("drawdown of dust not watched", (ENGINE, "(account.quantity or not", "(side or not")),
    bug("drawdown of a synthetic bar not watched", (ENGINE, "not self.bars.synthetic.item(i) and ", "")),
    bug("drawdown after a jump not watched", (ENGINE, " and not self._held.item(i)", "")),
    bug("stop passed over", (ENGINE, "(closes <= lower) |", "(closes < 0) |")),
    bug("take-profit passed over", (ENGINE, "| (closes >= upper)", "| (closes < 0)")),
    bug("undecidable bar passed over", (ENGINE, "differs | ~self.plan.decidable", "differs")),
    # decisions
    bug("flip not reopened", (STEPS, "elif adjacent and", "elif adjacent and len(pending) == 1 and")),
    bug(
        "stop seen at the low",
        (ENGINE, "closes = self.bars.close[start :", "closes = self.bars.low[start :"),
        (ENGINE, "            close,\n", "            self.bars.low.item(i),\n"),
        (ENGINE, "self.lower < close < self.upper", "self.lower < self.bars.low.item(i) < self.upper"),
    ),
    bug(
        "stop fills at the signal's close",
        (
            ENGINE,
            "self.pending, price, hour,",
            'self.pending, self.bars.close[i - 1] if "stop" in str(self.pending) else price, hour,',
        ),
    ),
    bug("re-entry after a stop", (DECISIONS, "side if stop else account.blocked_side", "0")),
    bug("stop never reset", (DECISIONS, "if target != blocked_side:", "if target is None:")),
    bug(
        "stop and opposite signal do not flip",
        (DECISIONS, "    if target != blocked_side:", "    if target != blocked_side and not stop:"),
        (DECISIONS, "or target == blocked_side or", "or target == blocked_side or stop or"),
    ),
    bug(
        "short stopped below its entry",
        (DECISIONS, "1 - account.side * rules.stop_loss", "1 - rules.stop_loss"),
    ),
    bug(
        "halt blocks exits",
        (DECISIONS, "if side and (stop or", "if side and not account.halted and (stop or"),
    ),
    bug("halt blocks nothing", (DECISIONS, "account.halted or account.ruined", "account.ruined")),
    bug("strict ignored", (DECISIONS, "(rules.strict and not exceeds_cost)", "False")),
    bug("fade closes at an equal forecast", (DECISIONS, "(forecast < 0)", "(forecast <= 0)")),
    # figures
    bug(
        "first point missing from the drawdown",
        (METRICS, "= drawdown(equity, closed)", "= drawdown(equity[1:], closed[1:])"),
    ),
    bug(
        "open trades counted",
        (METRICS, "trade for trade in trades if trade.closed", "trade for trade in trades"),
    ),
    bug("wins counted before fees", (METRICS, "[trade.net_pnl for", "[trade.gross_pnl for")),
    bug("a year of 252 periods", (METRICS, "year = math.sqrt(HOURS_PER_YEAR)", "year = math.sqrt(252)")),
)


def plant(planted, folder):
    """Copy the package into `folder` with `planted` in it."""
    # With the compiled modules, which serve those that are left as they are: importing a module compares times.
    shutil.copytree(ROOT / PACKAGE, folder / PACKAGE)
    for file, text, wrong in planted.edits:
        path = folder / PACKAGE / file
        source = path.read_text(encoding="utf-8")
        found = source.count(text)
        if found != 1:
            raise SystemExit(f"{planted.name}: {text!r} occurs {found} times in {file}, not once")
        path.write_text(source.replace(text, wrong), encoding="utf-8")


def run_tests(folder):
    """Run the fast tests on the package in `folder`; return (exit code, the first failed test or the output)."""
    patterns = ("execution/test_*.py", "backtest/test_engine_*.py", "backtest/test_metrics.py")
    tests = [path for pattern in patterns for path in sorted((ROOT / "tests").glob(pattern))]
    options = ["-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-m", "not slow and not oracle"]
    options += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    options += [
        "--assert=plain"
    ]  # which test fails is all that is asked; rewriting takes longer than most runs
    output = folder / "output.txt"
    child = multiprocessing.get_context("fork").Process(
        target=pytest_on, args=(folder, [*options, *map(str, tests)], output)
    )
    child.start()
    child.join()
    text = output.read_text(encoding="utf-8")
    failed = [line for line in text.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return child.exitcode, failed[0].split(" - ")[0] if failed else text[-2000:]


class PropertiesLast:
    """Tries what takes milliseconds first: hundreds of random examples take seconds."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        items.sort(key=lambda item: hasattr(item.obj, "hypothesis"))


def pytest_on(folder, arguments, output):
    """Run pytest in this fork, with the package in `folder` before an installed one; exit with its code."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    os.environ["PYTHONPATH"] = str(folder)  # of the processes that tests start
    os.environ["HYPOTHESIS_PROFILE"] = "unshrunk"
    with (
        output.open("w", encoding="utf-8") as stream,
        contextlib.redirect_stdout(stream),
        contextlib.redirect_stderr(stream),
    ):
        code = pytest.main(arguments, plugins=[PropertiesLast()])
    sys.exit(int(code))


def caught_by(planted):
    """Return the test that finds `planted`, or None."""
    with tempfile.TemporaryDirectory() as name:
        plant(planted, Path(name))
        code, text = run_tests(Path(name))
    if code == 0:
        return None
    if code != 1 or not text.startswith("FAILED "):
        raise SystemExit(f"{planted.name}: the tests did not run (exit code {code})\n{text}")
    return text.removeprefix("FAILED ").rpartition("/")[2]


def main():
    if caught_by(Bug("nothing planted", ())) is not None:
        raise SystemExit("the tests fail without any bug planted")
    survivors = []
    with ThreadPoolExecutor(os.cpu_count()) as several:  # each waits for a process of its own
        for planted, test in zip(BUGS, several.map(caught_by, BUGS), strict=True):
            print(f"{planted.name:<40} {test or 'SURVIVES'}", flush=True)
            if test is None:
                survivors.append(planted.name)
    print(f"{len(BUGS) - len(survivors)} of {len(BUGS)} caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
