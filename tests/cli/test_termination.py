"""A stop that comes at the worst moment."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.cli_runner import PATIENCE, ROOT, foreground

LOST = """
import io, os, signal, sys, time, weakref
import click
import numpy
from crypto_refactor.cli.runner import run_command

class Held:
    pass

class Closed(io.RawIOBase):
    def close(self):
        if not self.closed:
            super().close()
            os.kill(os.getpid(), self.number)

def stop_once(number):
    asked = []
    def look_up(self, name):
        asked.append(name)
        if len(asked) == 1:
            os.kill(os.getpid(), number)
        raise AttributeError(name)
    return look_up

def replaced(number):
    try:
        try:
            os.kill(os.getpid(), number)
        except BaseException as stop:
            raise ValueError("of a library that catches everything") from stop
    except ValueError as error:
        kept.append(error)

kept = []

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
    "a stream that is forgotten": "Closed.number = signal.{name}; Closed()",
    "a look-up by C code": "Held.__getattr__ = stop_once(signal.{name}); numpy.ones(1) == held",
    "an error of its own": "replaced(signal.{name})",
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


SLOW_END = """
import os, signal, time
import click
from crypto_refactor.cli.runner import run_command

@click.command()
def work():
    try:
        os.kill(os.getpid(), signal.{name})
    finally:
        try:
            raise ValueError("on the way")
        except ValueError:
            time.sleep(1.2)
        print("cleaned up", flush=True)

run_command(work, [])
"""


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_stop_that_is_on_its_way_does_not_disturb_what_cleans_up(name, code):
    done = ended(SLOW_END.format(name=name))
    assert done.returncode == code
    assert done.stdout.strip() == "cleaned up"
    assert "Traceback" not in done.stderr


def test_other_faults_of_finalisers_are_still_printed():
    script = LOST.format(callback="Held.__del__ = lambda _: 1 / 0", patience=0)
    done = ended(script)
    assert done.returncode == 0
    assert "ZeroDivisionError" in done.stderr
