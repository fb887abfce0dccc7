"""A stop that comes at the worst moment."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.cli_runner import PATIENCE, ROOT, foreground

LOST = """
import os, signal, sys, time, weakref
import click
from crypto_refactor.cli.runner import run_command

class Held:
    pass

@click.command()
def wait():
    held = Held()
    {callback}
    del held
    print("went on", flush=True)
    time.sleep({patience})

run_command(wait, [])
"""
CALLBACKS = {
    "weak reference": "reference = weakref.ref(held, lambda _: os.kill(os.getpid(), signal.{name}))",
    "finaliser": "Held.__del__ = lambda _: os.kill(os.getpid(), signal.{name})",
}


def ended(script):
    return subprocess.run(
        foreground([sys.executable, "-c", script]),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )


@pytest.mark.parametrize("place", CALLBACKS)
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_stop_that_the_interpreter_swallows_comes_again(place, name, code):
    script = LOST.format(callback=CALLBACKS[place].format(name=name), patience=2 * PATIENCE)
    done = ended(script)
    assert done.returncode == code
    assert "went on" in done.stdout
    assert "Traceback" not in done.stderr


def test_other_faults_of_finalisers_are_still_printed():
    script = LOST.format(callback="Held.__del__ = lambda _: 1 / 0", patience=0)
    done = ended(script)
    assert done.returncode == 0
    assert "ZeroDivisionError" in done.stderr
