"""A state folder on a disk that is read-only or full, as Linux itself makes it."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from support.cli_runner import PATIENCE, words

from .test_trading_at_alpaca import RULES, models, open_world, within_one_hour  # noqa: F401 - fixtures

pytestmark = pytest.mark.slow  # runs that last, as real processes

READ_ONLY = "mount -o remount,ro {disk}"
FULL = "dd if=/dev/zero of={disk}/filler bs=4096 2>/dev/null || true"


def may_mount():
    done = subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True
    )
    return done.returncode == 0


@pytest.mark.skipif(not may_mount(), reason="this user cannot mount a file system of its own")
@pytest.mark.parametrize("trouble", [READ_ONLY, FULL], ids=["read-only", "full"])
@within_one_hour
def test_close_sells_and_the_next_run_books_it(world, trouble):
    state = world.home.folder / "state"
    bought = [
        row["ticker"]
        for row in world.json(f"run_multi_ticker --mode once --ticker BTC/USD --ticker ETH/USD {RULES}")[
            "tickers"
        ]
        if row["fills"]
    ]
    assert bought
    disk = world.home.folder / "disk"
    disk.mkdir()
    script = " && ".join(
        [
            f"mount -t tmpfs -o size=16m tmpfs {disk}",
            f"cp -a {state}/. {disk}/",
            f"rm -rf {disk}/locks",
            trouble.format(disk=disk),
            f"exec {shlex.join(words(f'crypto-refactor close --all --state-dir {disk}'))}",
        ]
    )
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", script],
        **world.home.options(**world.environment()),
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert "was sent all the same" in done.stdout + done.stderr
    assert [world.orders.held(ticker) for ticker in bought] == [pytest.approx(0, abs=1e-6)] * len(bought)
    world.run(f"run_multi_ticker --mode once --ticker BTC/USD --ticker ETH/USD {RULES}")
    status = {row["ticker"]: row for row in world.json("crypto-refactor status")["sub_accounts"]}
    assert [status[ticker]["quantity"] < 1e-6 for ticker in bought] == [True] * len(bought)
