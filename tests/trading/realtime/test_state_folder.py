"""A state folder that cannot be written blocks entries: it is said and posted when it begins and when it ends."""

from __future__ import annotations

import errno
import os

import pytest
from support.fake_clock_loop import ACCOUNT, PassingHours, alpaca_bars
from support.stub_models import BTC

FIRST = int(alpaca_bars(BTC).closed[1533])


@pytest.fixture
def world(tmp_path, fits):
    with PassingHours({BTC: alpaca_bars(BTC)}, tmp_path) as running:
        running.start(FIRST, seconds=30.0)
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_nothing_is_entered_while_nothing_can_be_written(world, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    loop = world.loop()
    loop.run(1)
    before = world.ledger.fills(ACCOUNT, BTC)
    with monkeypatch.context() as patch:
        patch.setattr("crypto_refactor.storage.atomic_file.write_temporary", refuse)
        for _ in range(30):
            world.sleep(3600)
            loop.run(1)
        after = world.ledger.fills(ACCOUNT, BTC)
    assert {fill.reason for fill in after[len(before) :]}.isdisjoint({"entry"})
    world.sleep(3600)
    loop.run(1)
    said = [why for _, why in world.blocks]
    assert said == [
        f"the state folder {world.folder / 'state'} cannot be written: {os.strerror(number)}; exits go",
        None,
    ]
