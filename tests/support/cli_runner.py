"""The tool as its users meet it: real processes, in folders of their own."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from support.json_schemas import insist_on_schema
from support.warm_process import warm_processes

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = {
    "app_lstm": ROOT / "models" / "app_lstm.py",
    "app_backtester": ROOT / "models" / "app_backtester.py",
    "data": ROOT / "models" / "data" / "app.py",
    "run_trading": ROOT / "run_trading.py",
    "run_multi_ticker": ROOT / "run_multi_ticker.py",
    "check_history": ROOT / "test_historical_data.py",
    "check_mountain_time": ROOT / "test_mountain_time.py",
}
PATIENCE = 1800
"""Seconds: only a process that hangs takes so long, on however busy a machine; less than the limit of a test."""
OURS = ("CRYPTO_", "ALPACA_", "PYTHON", "COLUMNS", "FORCE_COLOR", "TTY_")


@dataclass(frozen=True)
class Home:
    """A model folder, a state folder and an empty working directory."""

    folder: Path

    @property
    def models(self):
        return self.folder / "models"

    @property
    def work(self):
        work = self.folder / "work"
        work.mkdir(parents=True, exist_ok=True)
        return work

    def environment(self, **more):
        """Return the environment of a user who has set nothing but the two folders."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        folders = {"CRYPTO_MODEL_DIR": str(self.models), "CRYPTO_STATE_DIR": str(self.folder / "state")}
        return {**kept, **folders, "PYTHONIOENCODING": "utf-8", **more}

    def options(self, **more):
        return {
            "cwd": self.work,
            "env": self.environment(**more),
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "encoding": "utf-8",
        }

    def run(self, line, *, code=0, timeout=PATIENCE, **more):
        """Run a command line, ``app_lstm --ticker …``, and insist on its exit code."""
        arguments, environment = words(line)[1:], self.environment(**more)
        done = warm_processes().run(arguments, cwd=self.work, env=environment, timeout=timeout)
        assert done.returncode == code, f"{line}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def json(self, line, **options):
        """Run a command line with ``--json`` and return its one document, which keeps its schema."""
        document = one_document(self.run(f"{line} --json", **options).stdout)
        insist_on_schema(shlex.split(str(line)), document)
        return document

    def start(self, line, **more):
        """Start a command line in a process group of its own, as a shell's foreground job."""
        return subprocess.Popen(foreground(words(line)), start_new_session=True, **self.options(**more))

    def tree(self):
        """Return every path below, with the contents of the files."""
        return tree(self.folder)

    def copy(self, folder):
        shutil.copytree(self.folder, folder)
        return Home(folder)


def words(line):
    """Return the argument vector of a command line; its first word is a script or a module."""
    first, *rest = shlex.split(str(line))
    if first in SCRIPTS:
        return [sys.executable, str(SCRIPTS[first]), *rest]
    # What `python -m` does from the checkout, from any folder.
    module = {"crypto-refactor": "crypto_refactor", "demo": "crypto_refactor.cli.commands.demo"}[first]
    start = f"import runpy, sys; sys.path.insert(0, {str(ROOT)!r}); runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    return [sys.executable, "-c", start, *rest]


def foreground(command):
    """Undo what a background job inherits: a shell makes it deaf to SIGINT, and `nohup` to SIGHUP."""
    hearing = (
        "import os, signal, sys; [signal.signal(each, signal.SIG_DFL) for each in (signal.SIGINT, signal.SIGHUP)]; "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    return [sys.executable, "-c", hearing, *command]


def with_small_files(command, limit):
    """Let every write beyond `limit` bytes of a file fail, as on a full disk."""
    limited = (
        "import os, resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        # Python takes a compiled module that was cut short for whole, in every later process.
        "os.environ['PYTHONDONTWRITEBYTECODE'] = '1'; "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); os.execv(sys.argv[1], sys.argv[1:])"
    )
    return [sys.executable, "-c", limited, *command]


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def one_document(text):
    """Parse exactly one JSON document; NaN and the infinities are not JSON."""
    return json.loads(text, parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name)))


def stamps(value):
    """Return every string in a document that looks like an instant."""
    if isinstance(value, dict):
        return [stamp for part in value.values() for stamp in stamps(part)]
    if isinstance(value, list):
        return [stamp for part in value for stamp in stamps(part)]
    return [value] if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value) else []


PROBE = """
import atexit, json, runpy, sys
atexit.register(lambda: print(json.dumps([name for name in {watched!r} if name in sys.modules]), file=sys.stderr))
sys.argv = sys.argv[1:]
if sys.argv[0] == "-c":
    exec(sys.argv.pop(1))
else:
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


def imported(home, line, watched):
    """Return what `line` printed, and which of the modules `watched` it had imported when it ended."""
    _, *rest = words(line)
    command = [sys.executable, "-c", PROBE.format(watched=watched), *rest]
    done = subprocess.run(command, timeout=PATIENCE, check=False, **home.options())
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(done.stderr.splitlines()[-1])
