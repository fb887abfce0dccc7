"""What a service manager is told: readiness, signs of life of the loop alone, and the end."""

from __future__ import annotations

import socket
import subprocess
import threading

import pytest

from crypto_refactor.cli.trading.service_manager import ServiceManager

from .test_lasting_runs import LINE, decided, stop, wait_for, words
from .test_trading_at_alpaca import models, open_world, within_one_hour  # noqa: F401 - fixtures


@pytest.fixture
def channel(socket_enabled, tmp_path):
    """A socket as systemd opens it: its address, and what has been received."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(0)

        def received():
            found = []
            while True:
                try:
                    found.append(listening.recv(4096).decode())
                except BlockingIOError:
                    return found

        yield str(tmp_path / "notify"), received


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now, self.slept = 0.0, []

    def sleep(self, seconds):
        self.now += seconds
        self.slept.append(seconds)


def manager(clock, **environment):
    return ServiceManager(environment, sleep=clock.sleep, clock=lambda: clock.now)


def test_readiness_and_the_end_are_one_message_each(channel):
    address, received = channel
    told = manager(Clock(), NOTIFY_SOCKET=address)
    told.ready("trading BTC/USD")
    told.stopping()
    assert received() == ["READY=1\nSTATUS=trading BTC/USD", "STOPPING=1"]


def test_a_long_wait_shows_signs_of_life_well_within_the_timeout(channel):
    address, received = channel
    clock = Clock()
    manager(clock, NOTIFY_SOCKET=address, WATCHDOG_USEC="900000000").sleep(3600)
    assert clock.now == 3600
    assert len(told := received()) <= 14  # of which the socket keeps ten
    assert set(told) == {"WATCHDOG=1"}


def test_the_threads_of_tickers_say_nothing_about_the_loop(channel):
    address, received = channel
    clock = Clock()
    told = manager(clock, NOTIFY_SOCKET=address, WATCHDOG_USEC="3000000")
    thread = threading.Thread(target=told.sleep, args=(60,))
    thread.start()
    thread.join()
    assert clock.slept == [60]
    assert received() == []


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_USEC": "3000000"},
        {"NOTIFY_SOCKET": "/nowhere"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "0"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"},
    ],
)
def test_without_a_watchdog_a_wait_says_nothing(environment):
    clock = Clock()
    told = manager(clock, **environment)
    assert told.interval is None
    told.ready("x")
    told.sleep(60)
    told.stopping()
    assert clock.now == 60


def test_a_wait_lets_a_signal_in_every_second():
    clock = Clock()
    manager(clock).sleep(900.5)
    assert clock.now == 900.5
    assert max(clock.slept) <= 1


def test_a_manager_that_is_gone_stops_nothing():
    clock = Clock()
    manager(clock, NOTIFY_SOCKET="@gone", WATCHDOG_USEC="90000000").sleep(90)
    assert clock.now == 90


@pytest.mark.slow
@within_one_hour
def test_a_continuous_run_tells_systemd_from_its_beginning_to_its_end(world, channel):
    address, received = channel
    options = world.home.options(**world.environment(), NOTIFY_SOCKET=address, WATCHDOG_USEC="3000000")
    process = subprocess.Popen(words(LINE), **options, start_new_session=True)
    wait_for(lambda: decided(world), process)
    told = []
    wait_for(lambda: told.extend(received()) or told.count("WATCHDOG=1") > 2, process)
    stop(process)
    told += received()
    assert told[0] == "READY=1\nSTATUS=trading BTC/USD"
    assert told[-1] == "STOPPING=1"
    assert set(told[1:-1]) == {"WATCHDOG=1"}
