"""What `deploy/` holds: command lines that exist, units and files that their own tools accept where these are installed."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from crypto_refactor.cli.command_table import COMMANDS, load_command
from crypto_refactor.cli.configuration.file import read_config
from crypto_refactor.model.recipe import TRAINING_LIBRARIES

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def name_of(requirement):
    return re.match(r"[A-Za-z0-9_-]+", requirement)[0]


def test_what_serves_is_what_the_package_needs_without_what_trains():
    every = {each for each in PROJECT["project"]["dependencies"] if name_of(each) not in TRAINING_LIBRARIES}
    assert set(PROJECT["dependency-groups"]["serving"]) == every
    assert set(TRAINING_LIBRARIES) <= {name_of(each) for each in PROJECT["project"]["dependencies"]}


def command_lines():
    """Yield each command line of the examples as words after the program."""
    for unit in (DEPLOY / "systemd").glob("*.service"):
        for line in re.findall(r"^ExecStart=(.*)$", unit.read_text(encoding="utf-8"), flags=re.MULTILINE):
            yield pytest.param(shlex.split(line)[1:], id=unit.name)
    for line in (DEPLOY / "cron" / "crypto-refactor").read_text(encoding="utf-8").splitlines():
        for words in re.findall(r"(?:&& |\$\()crypto-refactor ([^>)]*?)(?:2?>|\))", line):
            yield pytest.param(shlex.split(words), id="cron")
    flows = re.compile(r"(?:command|args|CMD|HEALTHCHECK.*)\s*:?\s*(\[.*?\])")
    for path in (*DEPLOY.glob("docker/*"), *DEPLOY.glob("kubernetes/*")):
        for listed in flows.findall(path.read_text(encoding="utf-8").replace("\\\n", " ")):
            words = [word.strip().strip('"') for word in listed.strip("[]").split(",")]
            yield pytest.param(words[words[0] == "crypto-refactor" :], id=path.name)


@pytest.mark.parametrize("words", list(command_lines()))
def test_every_command_line_of_the_examples_is_one(words, monkeypatch):
    monkeypatch.delenv("CRYPTO_CONFIG", raising=False)
    assert words[0] in COMMANDS
    load_command(words[0]).make_context(words[0], words[1:])


def test_the_examples_hold_as_many_command_lines_as_they_should():
    assert len(list(command_lines())) >= 10


def test_the_example_of_a_configuration_file_can_be_used():
    file = read_config(DEPLOY / "config.toml")
    for name in COMMANDS:
        file.defaults(name, load_command(name))
        file.settings(name)
    assert file.values("multi")["ticker"] == ["BTC/USD", "ETH/USD"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_units(tmp_path):
    units = []
    for unit in (DEPLOY / "systemd").iterdir():
        text = unit.read_text(encoding="utf-8")
        copy = tmp_path / unit.name
        copy.write_text(text.replace("/opt/crypto-refactor/bin/crypto-refactor", shutil.which("true")))
        units.append(str(copy))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed")
def test_hadolint_accepts_the_images():
    files = [str(DEPLOY / "docker" / name) for name in ("Dockerfile", "Dockerfile.training")]
    done = subprocess.run(["hadolint", *files], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
