"""Damage the files this tool reads and look at what it says: ``make fuzz``.

Each case damages one file, or puts hostile values into it, and runs what reads it, in this process.  A file that
cannot be used is refused with the three parts of an error; one that can be used all the same is read.  Exit code 1 if
anything else happens: a traceback, a command that does not end, a secret that is shown.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from unittest.mock import patch

import numpy as np
from support.damage import damaged_bytes, hostile_env, hostile_json, spoil_value
from support.stub_models import PlantedFits

from crypto_refactor import config
from crypto_refactor.cli.commands.accounts.account import COMMANDS
from crypto_refactor.cli.commands.trade import trade
from crypto_refactor.cli.runner import run_command
from crypto_refactor.errors import CryptoRefactorError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.sources.bar_store import BarStore
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.account_names import demo_account_name, ledger_of
from crypto_refactor.trading.kill_switch import halt, halt_reason
from crypto_refactor.transport import validate_url

EARLIER = Path(__file__).parent / "data" / "earlier_version" / "ledger.sqlite"
BTC = Ticker("BTC", "USD")
PASS = (
    "--once --demo --source sample --network small --lookback 12 --train-hours 480 --min-confirmations 3 "
    "--threshold-scale 0.02 --end 2024-06-10T{hour:02}:00Z --json"
)
SECRET = "sEcReTkEy0123456789"
PATIENCE = 60
NAMES = (
    *(
        "",
        " ",
        "x",
        "[/x]",
        "[bold]",
        "demo/",
        "demo/sample/../x",
        "a" * 5000,
        "\x1b[2J",
        "💥",
        "\udcff",
        "%s",
    ),
    *(
        "BTC",
        "BTC/",
        "/USD",
        "BTC/USD/EUR",
        "btc/usd",
        "İ/USD",
        "ßß/USD",
        "BTC/USD\n",
        "１２/USD",
        "A" * 9999 + "/USD",
    ),
)


class HangError(BaseException):
    """A command that does not end."""


@contextmanager
def patience():
    """Raise HangError where the block takes too long."""

    def give_up(*_):
        raise HangError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Fuzzer:
    """Cases and what became of them; `folder` is for the tool's files."""

    def __init__(self, folder, seed):
        self.folder, self.rng = folder, random.Random(seed)
        self.state = folder / "state"
        self.counts, self.failures = Counter(), []
        self._environment()
        self._prepare()

    def _environment(self):
        for name in [name for name in os.environ if name.startswith(("CRYPTO_", "ALPACA_"))]:
            del os.environ[name]
        os.environ["CRYPTO_STATE_DIR"], os.environ["CRYPTO_MODEL_DIR"] = (
            str(self.state),
            str(self.folder / "models"),
        )
        config.settings.cache_clear()

    def _prepare(self):
        """Make an intact ledger with accounts of every kind, a bar store and a halt file."""
        self.state.mkdir()
        shutil.copy(EARLIER, self.state / "ledger.sqlite")
        for hour in range(4):
            code, out, err = self._run(trade, PASS.format(hour=hour).split())
            assert code == 0, (out, err)
        halt(self.state, at="2024-06-10T00:00:00Z", why="weather")
        hours = np.arange(477_000, 477_300)
        price = np.full(len(hours), 100.0)
        bars = Bars(
            ticker=BTC,
            source="alpaca",
            opened=hours,
            volume=price,
            open=price,
            high=price,
            low=price,
            close=price,
        )
        BarStore(self.state / "bars.sqlite", source="alpaca").write(bars, 477_000, 477_300)
        self.intact = self.folder / "intact"
        shutil.rmtree(self.state / "backups")
        shutil.copytree(self.state, self.intact)
        self.accounts = [row.name for row in ledger_of(self.intact).accounts()]

    def restore(self, *, backup=False):
        shutil.rmtree(self.state)
        shutil.copytree(self.intact, self.state, ignore=shutil.ignore_patterns("*-wal", "*-shm"))
        if backup:
            (self.state / "backups").mkdir()
            shutil.copy(self.intact / "ledger.sqlite", self.state / "backups" / "ledger-2024-06-09.sqlite")

    # What runs

    def _run(self, command, args):
        """Run a command as the shell would; return its exit code and what it printed."""
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
        code, terminated = None, signal.getsignal(signal.SIGTERM)
        with redirect_stdout(out), redirect_stderr(err):
            try:
                run_command(command, args, name="tool")
            except SystemExit as left:
                code = left.code
            finally:
                signal.signal(signal.SIGTERM, terminated)
        for stream in (out, err):
            stream.flush()
        return code, *(stream.buffer.getvalue().decode() for stream in (out, err))

    def command(self, command, *args):
        """Run a command and return what became of it."""
        code, out, err = self._run(command, args)
        text = out + err
        if SECRET in text:
            return "secrets shown", text
        if code not in range(6) or "Traceback" in text or "Internal error" in text:
            return "tracebacks", text
        if code > 1 and not _three_parts(out, err):
            return "tracebacks", f"an error without its three parts: {text}"
        return ("refused" if code > 1 else "read"), text

    def call(self, work):
        """Call a function of the package and return what became of it."""
        try:
            work()
        except CryptoRefactorError as error:
            whole = error.what and error.expected and error.remedy and SECRET not in str(error)
            return ("refused" if whole else "secrets shown"), str(error)
        return "read", ""

    def case(self, kind, steps):
        """Run every step of one case, and count the worst that becomes of it."""
        worst, order = "read", ("read", "refused", "secrets shown", "hangs", "tracebacks")
        for step in steps:
            try:
                with patience():
                    outcome, text = step()
            except HangError:
                outcome, text = "hangs", kind
            except Exception:  # noqa: BLE001 - what is looked for
                outcome, text = "tracebacks", traceback.format_exc()
            if order.index(outcome) > order.index("refused"):
                self.failures.append(f"{outcome}: {kind}\n{text[-3000:]}")
            worst = max(worst, outcome, key=order.index)
        self.counts["cases"] += 1
        self.counts[worst] += 1

    def _account_steps(self, *, trade_on):
        demo, args = ("--account", "demo/sample"), []
        for account in self.accounts:
            args += [("status", "--account", account, "--json"), ("trades", "--account", account)]
        args += [("status",), ("trades", "--json"), ("close", "--all", "--json", *demo), ("resume", *demo)]
        args += [("status", "--json", *demo), ("trades", "--csv", str(self.folder / "trades.csv"), *demo)]
        steps = [lambda name=name, rest=rest: self.command(COMMANDS[name], *rest) for name, *rest in args]
        if trade_on:
            steps.insert(2, lambda: self.command(trade, *PASS.format(hour=4).split()))
            steps.append(lambda: self.command(trade, *PASS.format(hour=5).split()))
        return [*steps, *map(self._reads, self.accounts)]

    def _reads(self, account):
        def read():
            ledger = ledger_of(self.state)
            for ticker in ledger.states(account):
                for part in ("opening", "models", "orders", "fills", "trades", "equity", "decisions"):
                    getattr(ledger, part)(account, ticker)

        return lambda: self.call(read)

    # What is damaged

    def damaged_ledger(self, number):
        self.restore(backup=number % 3 == 0)
        path = self.state / "ledger.sqlite"
        if number % 7 == 6:  # what SQLite keeps beside it
            path = path.with_name(f"{path.name}-{self.rng.choice(['wal', 'shm'])}")
            path.write_bytes(self.rng.randbytes(self.rng.choice([10, 5000])))
            kind = path.name
        else:
            content, kind = damaged_bytes(self.rng, path.read_bytes())
            path.write_bytes(content)
        self.case(f"ledger {number}: {kind}", self._account_steps(trade_on=number % 10 == 0))

    def hostile_ledger(self, number):
        self.restore()
        path = self.state / "ledger.sqlite"
        done = [spoil_value(self.rng, path) for _ in range(self.rng.choice([1, 1, 1, 3]))]
        self.case(f"ledger {number}: {done}", self._account_steps(trade_on=number % 10 == 0))

    def bar_store(self, number, *, values):
        self.restore()
        path = self.state / "bars.sqlite"
        if values:
            kind = spoil_value(self.rng, path)
        else:
            content, kind = damaged_bytes(self.rng, path.read_bytes())
            path.write_bytes(content)
        store = BarStore(path, source="alpaca")
        self.case(
            f"bars {number}: {kind}",
            [
                lambda: self.call(lambda: store.read(BTC, 476_000, 478_000)),
                lambda: self.call(lambda: store.missing(BTC, 476_000, 478_000)),
                lambda: self.call(lambda: store.last_close(BTC)),
                lambda: self.call(lambda: store.write(self._one_bar(), 477_400, 477_401)),
            ],
        )

    def _one_bar(self):
        price = np.array([100.0])
        names = ("open", "high", "low", "close", "volume")
        return Bars(ticker=BTC, source="alpaca", opened=np.array([477_400]), **dict.fromkeys(names, price))

    def halt_file(self, number, *, values):
        self.restore()
        path = self.state / "halt.json"
        text = path.read_bytes()
        content = (
            hostile_json(self.rng, text.decode()).encode() if values else damaged_bytes(self.rng, text, 8)[0]
        )
        path.write_bytes(content)

        def read():
            if halt_reason(self.state) is None:
                raise AssertionError("a halt was forgotten")

        steps = [lambda: self.call(read)]
        steps += [
            lambda line=line: self.command(COMMANDS[line[0]], *line[1:]) for line in (["status"], ["resume"])
        ]
        self.case(f"halt {number}: {content[:60]!r}", steps)

    def env_file(self, number):
        self.restore()
        root = self.folder / "checkout"
        root.mkdir(exist_ok=True)
        for name in ("tickers.txt", "pyproject.toml"):
            (root / name).write_text("BTC/USD\n")
        content = hostile_env(self.rng, SECRET)
        (root / ".env").write_bytes(content)

        def status():
            with patch.object(config, "checkout_root", lambda: root):
                config.settings.cache_clear()
                try:
                    for rest in (["status"], ["status", "--demo"], ["close", "--all", "--json"]):
                        outcome = self.command(COMMANDS[rest[0]], *rest[1:])
                    self.command(trade, "--once", "--end", "2024-06-10T04:00Z")
                    return outcome
                finally:
                    config.settings.cache_clear()

        self.case(f"env {number}: {content[:60]!r}", [status])

    def names(self, number):
        self.restore()
        name = self.rng.choice(NAMES)
        if self.rng.random() < 0.5:
            name = f"{name}{self.rng.choice(NAMES)}"
        steps = [
            lambda: self.command(COMMANDS["status"], "--account", name),
            lambda: self.command(COMMANDS["close"], "--ticker", name, "--account", "demo/sample"),
            lambda: self.command(trade, "--ticker", name, *PASS.format(hour=4).split()),
            lambda: self.call(lambda: validate_url(name, setting="A_SETTING")),
            lambda: self._account_in(name),
        ]
        self.case(f"name {number}: {name[:60]!r}", steps)

    def _account_in(self, name):
        """Open an account whose bars lie in a folder of this name, and look at it."""
        folder = self.folder / "bars" / name.replace("/", "-").replace("\0", "")[:100]
        account = demo_account_name("files", folder)
        ledger_of(self.state).open_account(account, "2024-06-10T00:00:00Z", {"source": "files"})
        return self.command(COMMANDS["status"], "--account", account)

    def run(self, cases):
        """Run so many cases with damaged files, and as many with hostile values."""
        for number in range(cases):
            place = self.rng.random()
            if place < 0.7:
                self.damaged_ledger(number)
                self.hostile_ledger(number)
            elif place < 0.85:
                self.bar_store(number, values=False)
                self.bar_store(number, values=True)
            elif place < 0.9:
                self.halt_file(number, values=False)
                self.halt_file(number, values=True)
            else:
                self.env_file(number)
                self.names(number)
        return self


def _three_parts(out, err):
    with suppress(ValueError):
        document = json.loads(out)
        errors = [document.get("error"), *(part.get("error") for part in document.get("tickers", []))]
        return any(
            error and all(error.get(key) for key in ("message", "expected", "remedy")) for error in errors
        )
    return "Error: " in err and "Expected: " in err


def fuzz(folder, seed, cases):
    """Return the fuzzer after `cases` damaged files and as many with hostile values."""
    with patch("crypto_refactor.model.training.jobs.fit_all", PlantedFits()), patch.dict(os.environ):
        try:
            return Fuzzer(folder, seed).run(cases)
        finally:
            config.settings.cache_clear()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--cases", type=int, default=2000, help="damaged files, and files with hostile values"
    )
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        done = fuzz(Path(folder), given.seed, given.cases)
    for failure in done.failures[:20]:
        print(failure, "\n")
    wanted = ("hangs", "tracebacks", "secrets shown")
    names = ("cases", "refused", "read", *wanted)
    print(", ".join(f"{done.counts[name]} {name}" for name in names), f"in {time.monotonic() - began:.0f} s")
    return 1 if any(done.counts[name] for name in wanted) else 0


if __name__ == "__main__":
    sys.exit(main())
