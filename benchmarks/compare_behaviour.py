"""Run every documented command of two checkouts and compare what they do: everything but wording.

    python benchmarks/compare_behaviour.py BEFORE AFTER [--data-dir DIR] [--only NAME ...] [--list]

BEFORE and AFTER are folders with a checkout each, for example two git worktrees: the state before a
refactoring and the state after it.  Each case of `compare_behaviour_cases.py` is a few command lines.  They
run as processes for both sides at the same time, with the same arguments and the interpreter of this script,
in folders of their own.  The output is one line a case, ``ok`` or ``DIFFERS`` with the first differences, and
the exit code is 1 where anything differs.

Compared is

- the exit code of every command, which before must also be the one that the case expects;
- JSON and lines of JSON on stdout, key by key.  What `WORDING` and `OF_THIS_RUN` name has to be there and of
  the same type, but may say anything.  A key that only AFTER has is reported as added, and fails with
  `--strict-keys` only;
- the options and commands that ``--help`` lists, by name;
- the files that a case leaves in its working folder, its state folder and the model folder: their names,
  every cell of CSV files, every row of SQLite files (with their JSON), and model cards.  Of an HTML report
  only that it is larger than 10 kB, of other files (networks among them) only that they are there: a card
  holds the fingerprint of its network's weights.

Of text for people only the numbers are looked at; where they differ the line says so, and nothing fails.  The
order of keys in JSON, of rows in SQLite, and whatever goes to stderr are not compared.

`--data-dir` adds cases on real hourly bars (2024, BTC/USD and ETH/USD, as ``--source files`` reads them).
Cases at Alpaca run against servers on this machine, those of BEFORE's tests, so no network is needed.  What
trades until it is stopped, clusters and `--notify` are not run.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compare_behaviour_cases import Case, cases, write_inputs

WORDING = (
    "error.message",
    "error.remedy",
    "unavailable",
    "stdout.reason",  # of a trading decision; `reason` of fills, trades and orders is a code
    "tickers.reason",
    "decision.reason",
    "entry.reason",
    "model_info.reason",
    "stdout.pending",  # in words; the decisions themselves are in the ledger
    "tickers.pending",
    "sub_accounts.pending",
    "notes",
    "at_alpaca_note",
    "verdict.text",
    "stdout.title",
    "checks.what",
    "checks.found",
    "checks.detail",
    "stdout.halt",
)
"""Ends of paths to sentences for people."""
OF_THIS_RUN = (
    "created_at",  # when a model was trained
    "last_trained",
    "checksum",  # of a card, with the time in it
    "sha256..keras",  # the archive holds the time; weights are compared by the card's `weights`
    "sha256..onnx",  # nodes get other names every time
    "stdout.models.bytes",
    "accounts.opened_at",
    "accounts.traded_at",
    "stdout.opened_at",
    "stdout.traded_at",
    "sent_at",  # of an order
    "halt.json.at",
)
"""Ends of paths to what depends on when a command ran."""
PATIENCE = 600  # seconds for one command
SHOWN = 5  # differences of a case
OURS = ("CRYPTO_", "ALPACA_", "PYTHON", "COLUMNS", "FORCE_COLOR", "TTY_")
"""Beginnings of variables that commands must not see."""
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
STAMP = re.compile(r"\d{4}-\d\d-\d\dT[\d:]+Z")
"""In text for people it is the time of the run, or an option to repeat a command."""
ABSENT = "(absent)"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A place where two outcomes differ."""

    path: str
    before: Any
    after: Any

    @property
    def added(self) -> bool:
        """Whether it is a key that only the JSON of AFTER has."""
        return self.before is ABSENT and ".stdout" in self.path

    @property
    def rank(self) -> int:
        """Place among those shown: exit codes, then keys and files that are missing or new, then values."""
        if self.path.endswith(".exit_code"):
            return 0
        return 1 if self.before is ABSENT or self.after is ABSENT else 2

    def __str__(self) -> str:
        return f"{self.path}: {_short(self.before)} -> {_short(self.after)}"


@dataclass(frozen=True, kw_only=True)
class Side:
    """A checkout, a folder for all that its commands write, and Alpaca as it sees it."""

    checkout: Path
    folder: Path
    alpaca: Mapping[str, str]

    def run(self, case: Case) -> dict[str, Any]:
        """Run a case; return what each step said and which files are there in the end."""
        home = self.folder / case.name
        work, state = home / "work", home / "state"
        models = home / "models" if case.own_models else self.folder / "models"
        work.mkdir(parents=True)
        known = self._contents(models)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        environment = {
            **kept,
            **self.alpaca,
            "CRYPTO_MODEL_DIR": str(models),
            "CRYPTO_STATE_DIR": str(state),
            "PYTHONPATH": str(self.checkout),
            "PYTHONIOENCODING": "utf-8",
            "PYTHONDONTWRITEBYTECODE": "1",  # a checkout is left as it is
        }
        said = {
            f"step {number}": self._step(step.words(), work, environment)
            for number, step in enumerate(case.steps, start=1)
        }
        return said | {
            "work": self._contents(work),
            "state": self._contents(state),
            "models": _changes(known, self._contents(models)),
        }

    def _step(self, words: Sequence[str], work: Path, environment: Mapping[str, str]) -> dict[str, Any]:
        first, *rest = words
        program = ["-m", "crypto_refactor"] if first == "crypto-refactor" else [str(self.checkout / first)]
        try:
            done = subprocess.run(
                [sys.executable, *program, *rest],
                cwd=work,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
                timeout=PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"exit_code": f"none within {PATIENCE} s"}
        text = self._placeless(done.stdout)
        if "--json" in words:
            return {"exit_code": done.returncode, "stdout": _documents(text)}
        if "--help" in words:
            return {"exit_code": done.returncode, "listed": _listed(text)}
        return {"exit_code": done.returncode, "numbers": Counter(NUMBER.findall(STAMP.sub("", text)))}

    def _contents(self, folder: Path) -> dict[str, Any]:
        """Return what is to be compared of every file below a folder, by name."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): self._content(path) for path in files}

    def _content(self, path: Path) -> Any:
        match path.suffix:
            case ".csv":
                reader = csv.DictReader(self._placeless(path.read_text(encoding="utf-8")).splitlines())
                return {"rows": list(reader), "columns": list(reader.fieldnames or ())}
            case ".json":
                return json.loads(self._placeless(path.read_text(encoding="utf-8")))
            case ".sqlite":
                return self._tables(path)
            case ".html":
                return {"larger than 10 kB": path.stat().st_size > 10_000}
        return None

    def _tables(self, path: Path) -> dict[str, Any]:
        with closing(sqlite3.connect(path)) as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            marks = {
                name: connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("application_id", "user_version")
            }
            return marks | {name: self._table(connection, path.name, name) for (name,) in names}

    def _table(self, connection: sqlite3.Connection, file: str, name: str) -> dict[str, Any]:
        found = connection.execute(f"SELECT * FROM {name}")  # noqa: S608 - a name of the file's own
        columns = [each[0] for each in found.description]
        rows = [dict(zip(columns, map(self._cell, row), strict=True)) for row in found]
        compared = [each for each in columns if not _is_free(f"{file}.{name}.{each}")]
        return {"columns": columns, "rows": sorted(rows, key=lambda row: repr([row[c] for c in compared]))}

    def _cell(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = self._placeless(value)
        return json.loads(text) if text.startswith(("{", "[")) else text

    def _placeless(self, text: str) -> str:
        return text.replace(str(self.folder), "<folder>").replace(str(self.checkout), "<checkout>")


def _documents(text: str) -> Any:
    """Parse one JSON document, or lines of JSON; what is neither is returned as text."""
    for parse in (json.loads, lambda lines: [json.loads(line) for line in lines.splitlines()]):
        try:
            return parse(text)
        except ValueError:
            continue
    return text


def _listed(text: str) -> dict[str, str]:
    """Return the names of options and commands in a help text, as keys."""
    _, _, lists = text.partition("\nOptions:\n")
    entries = re.findall(r"^  (-\S.*?|[a-z]\S*)(?:  .*)?$", lists, re.MULTILINE)
    return dict.fromkeys(
        re.findall(r"--?[a-z][a-z-]*|^[a-z][a-z-]*", "\n".join(entries), re.MULTILINE), "listed"
    )


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return files that are new or another now, and names of those that are gone."""
    changed = {name: content for name, content in after.items() if before.get(name, ABSENT) != content}
    return changed | {name: "removed" for name in before if name not in after}


def _is_free(path: str) -> bool:
    """Return whether the value at a path may differ."""
    plain = re.sub(r"\[\d+\]|\.rows(?=\[)", "", path)
    return plain.endswith(tuple(f".{end}" for end in (*WORDING, *OF_THIS_RUN)))


def differences(before: Any, after: Any, path: str) -> Iterator[Difference]:
    """Yield every difference between two outcomes, a place at a time."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before | after:
            one, other = before.get(key, ABSENT), after.get(key, ABSENT)
            yield from differences(one, other, f"{path}.{key}" if path else key)
    elif isinstance(before, list) and isinstance(after, list):
        if len(before) != len(after):
            yield Difference(path=f"{path}.length", before=len(before), after=len(after))
        for place, (one, other) in enumerate(zip(before, after, strict=False)):
            yield from differences(one, other, f"{path}[{place}]")
    elif repr(before) != repr(after) and not _may_differ(before, after, path):
        yield Difference(path=path, before=before, after=after)


def _may_differ(before: Any, after: Any, path: str) -> bool:
    there = before is not ABSENT and after is not ABSENT
    return there and type(before) is type(after) and _is_free(path)


def _short(value: Any) -> str:
    text = value if value is ABSENT else repr(value)
    return text if len(text) <= 90 else f"{text[:87]}..."


def check(case: Case, before: dict[str, Any], after: dict[str, Any], *, strict_keys: bool) -> bool:
    """Print how a case came out; return whether both sides do the same."""
    found = [
        Difference(path=f"step {number}.exit_code", before=f"{step.code} expected", after=code)
        for number, step in enumerate(case.steps, start=1)
        if (code := before[f"step {number}"]["exit_code"]) != step.code
    ]
    steps = [name for name in before if name.startswith("step ")]
    notes = [n for n in steps if before[n].pop("numbers", None) != after[n].pop("numbers", None)]
    found += differences(before, after, "")
    added = [] if strict_keys else [each for each in found if each.added]
    failed = sorted((each for each in found if each not in added), key=lambda each: each.rank)
    print(f"{'DIFFERS' if failed else 'ok     '} {case.name} ({len(case.steps)} commands)", flush=True)
    for each in failed[:SHOWN]:
        print(f"          {each}")
    if len(failed) > SHOWN:
        print(f"          and {len(failed) - SHOWN} more")
    for each in added:
        print(f"          added: {each.path} = {_short(each.after)}")
    for name in notes:
        print(f"          note: numbers differ in the text of {name}")
    _print_commands(case, [each.path for each in failed[:SHOWN]] + notes)
    return not failed


def _print_commands(case: Case, paths: Sequence[str]) -> None:
    for number, step in enumerate(case.steps, start=1):
        if any(re.match(rf"step {number}\b", path) for path in paths):
            print(f"          step {number} is: {step.line}")


@contextmanager
def played_alpaca(case: Case, before: Path) -> Iterator[Sequence[Mapping[str, str]]]:
    """Start BEFORE's test servers if a case needs them; yield variables that lead each side to its account.

    Bars and accounts live by the hour, so where this one ends within five minutes the next is waited for.
    """
    if case.needs != "alpaca":
        yield {}, {}
        return
    left = 3600 - time.time() % 3600
    if left < 300:
        print(f"        waiting {left:.0f} s for the full hour", flush=True)
        time.sleep(left + 5)
    program = Path(__file__).with_name("compare_behaviour_alpaca.py")
    paths = os.pathsep.join(map(str, (before, before / "tests")))
    environment = os.environ | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        [sys.executable, str(program)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())
        finally:
            server.stdin.close()  # which ends it


def run(
    before: Path, after: Path, chosen: Sequence[Case], data_dir: Path | None, *, strict_keys: bool
) -> int:
    """Run all cases; return the exit code."""
    began, same = time.monotonic(), []
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(2) as pool:
        folder = Path(temporary).resolve()
        write_inputs(folder / "inputs")
        for case in chosen:
            filled = case.filled(inputs=folder / "inputs", data_dir=data_dir)
            with played_alpaca(case, before) as alpaca:
                sides = (
                    Side(checkout=before, folder=folder / "old", alpaca=alpaca[0]),
                    Side(checkout=after, folder=folder / "new", alpaca=alpaca[1]),
                )
                outcomes = list(pool.map(Side.run, sides, [filled, filled]))
            same.append(check(filled, *outcomes, strict_keys=strict_keys))
    print(f"{same.count(True)} of {len(same)} cases are the same, in {time.monotonic() - began:.0f} s")
    return 0 if all(same) else 1


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path, nargs="?", help="checkout before a change")
    parser.add_argument("after", type=Path, nargs="?", help="checkout after it")
    parser.add_argument("--data-dir", type=Path, help="real hourly bars, for further cases")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="cases to run; --list shows their names")
    parser.add_argument("--list", action="store_true", help="list the cases and their commands")
    parser.add_argument("--strict-keys", action="store_true", help="a key added to JSON is a difference")
    options = parser.parse_args()
    known = {case.name: case for case in cases()}
    if options.list:
        for case in known.values():
            print(f"{case.name}{f' (needs {case.needs})' if case.needs else ''}")
            print("".join(f"    {step.line}\n" for step in case.steps), end="")
        return 0
    unknown = set(options.only or ()) - set(known)
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    folders = [options.before, options.after]
    if not all(folder and (folder / "crypto_refactor").is_dir() for folder in folders):
        parser.error("BEFORE and AFTER must be two folders with a checkout each")
    if options.data_dir is None:
        known = {name: case for name, case in known.items() if case.needs != "bars"}
    chosen = [known[name] for name in known if not options.only or name in options.only]
    if not chosen:
        parser.error("these cases need --data-dir")
    data_dir = options.data_dir and options.data_dir.resolve()
    before, after = (each.resolve() for each in folders)
    return run(before, after, chosen, data_dir, strict_keys=options.strict_keys)


if __name__ == "__main__":
    sys.exit(main())
