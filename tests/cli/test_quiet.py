"""Nothing is written outside the tool's folders, and nobody is asked but whom the command names.

The native libraries are watched, too: a small library that is loaded before them notes every look-up of a host and
every connection of a process and of those it starts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from support.cli_runner import PATIENCE, ROOT, Home, words

WATCH = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

static void note(const char *what, const char *whom) {
    FILE *log = fopen(getenv("WATCHED_TO"), "a");
    if (log) { fprintf(log, "%s %s\n", what, whom ? whom : "-"); fclose(log); }
}

static void note_address(const char *what, const struct sockaddr *to) {
    char text[INET6_ADDRSTRLEN] = "?";
    if (!to || (to->sa_family != AF_INET && to->sa_family != AF_INET6)) return;
    if (to->sa_family == AF_INET) inet_ntop(AF_INET, &((struct sockaddr_in *)to)->sin_addr, text, sizeof text);
    else inet_ntop(AF_INET6, &((struct sockaddr_in6 *)to)->sin6_addr, text, sizeof text);
    note(what, text);
}

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **found) {
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
    note("look-up", host);
    return real(host, port, hints, found);
}

struct hostent *gethostbyname(const char *host) {
    struct hostent *(*real)(const char *) = dlsym(RTLD_NEXT, "gethostbyname");
    note("look-up", host);
    return real(host);
}

int connect(int socket, const struct sockaddr *to, socklen_t length) {
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    note_address("connection", to);
    return real(socket, to, length);
}

ssize_t sendto(int socket, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length) {
    ssize_t (*real)(int, const void *, size_t, int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "sendto");
    note_address("datagram", to);
    return real(socket, data, size, flags, to, length);
}
"""
SHORT = "--source sample --network small --lookback 12 --train-hours 480 --end 2024-06-10T00:00Z"
REPLAY = f"run_trading --ticker BTC/USD --demo {SHORT} --replay-hours 24 --min-confirmations 3"
TWO_FITS = f"run_multi_ticker --mode parallel --ticker BTC/USD --ticker ETH/USD {SHORT}"


@pytest.fixture(scope="session")
def watch(tmp_path_factory):
    """Compile the library that watches."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("watching native libraries takes Linux and a C compiler")
    folder = tmp_path_factory.mktemp("watch")
    (folder / "watch.c").write_text(WATCH)
    library = folder / "watch.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, folder / "watch.c", "-ldl"], check=True)
    return library


@pytest.fixture
def watched(watch, tmp_path):
    """Run a command line as a user who has just arrived; return what was asked, and what lies where."""
    home = Home(tmp_path / "tool")
    place = tmp_path / "user"

    def run(command, **more):
        for name in ("home", "cache", "config", "data", "tmp"):
            (place / name).mkdir(parents=True, exist_ok=True)
        folders = {
            "HOME": place / "home",
            "XDG_CACHE_HOME": place / "cache",
            "XDG_CONFIG_HOME": place / "config",
            "XDG_DATA_HOME": place / "data",
            "TMPDIR": place / "tmp",
        }
        environment = home.environment(
            **{name: str(folder) for name, folder in folders.items()},
            LD_PRELOAD=str(watch),
            WATCHED_TO=str(tmp_path / "asked"),
            PYTHONDONTWRITEBYTECODE="1",
            **more,
        )
        for name in ("KERAS_HOME", "ORT_DISABLE_TELEMETRY", "MPLCONFIGDIR"):
            if name not in more:
                environment.pop(name, None)
        done = subprocess.run(
            command,
            cwd=home.work,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )
        asked = (tmp_path / "asked").read_text().splitlines() if (tmp_path / "asked").exists() else []
        assert done.returncode == 0, done.stderr
        left = [str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir()]
        return SimpleNamespace(out=done.stdout, asked=asked, left=left, own=tool_files(home.folder))

    return run


def tool_files(folder):
    return {path.name for path in folder.iterdir()}


def nothing_but(done, own):
    assert done.asked == []
    assert done.left == []
    assert done.own <= {"work", *own}


def test_the_watch_sees_native_look_ups(watched):
    look_up = (
        "import ctypes, socket; ctypes.CDLL(None).getaddrinfo(b'127.0.0.1', None, None, ctypes.byref(ctypes.c_void_p()));"
        "socket.socket().connect_ex(('127.0.0.1', 9))"
    )
    assert watched([sys.executable, "-c", look_up]).asked == ["look-up 127.0.0.1", "connection 127.0.0.1"]


def test_a_network_is_loaded_in_silence(watched, tmp_path):
    """Whoever loads onnxruntime through this package sends nothing, and leaves no device id."""
    serve = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.path.insert(0, {str(ROOT / 'tests')!r})\n"
        "from crypto_refactor.signals import SignalGenerator\n"
        "from support.stub_models import planted_network\n"
        "from crypto_refactor.model.forecaster import load\n"
        "import numpy\n"
        "served = load(planted_network(12), network='small', lookback=12, volatility_floor=1.0, name='planted')\n"
        "print(served.raw(numpy.zeros((3, 12, 14), numpy.float32)).shape, sys.modules['onnxruntime'].__name__)"
    )
    done = watched([sys.executable, "-c", serve])
    assert done.out == "(3,) onnxruntime\n"
    nothing_but(done, ())


SETTINGS = "import os, crypto_refactor.model.training.{module}; print(os.environ['ORT_DISABLE_TELEMETRY'], os.environ['KERAS_HOME'])"


@pytest.mark.slow
@pytest.mark.parametrize("module", ["parallel", "dask_worker", "jobs", "trainer"])
def test_every_process_that_fits_is_told_before_anything_is_imported(watched, module):
    """What a fit process and a worker of a cluster import first."""
    path = f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
    program = [sys.executable, "-c", path + SETTINGS.format(module=module)]
    assert watched(program).out == f"1 {os.devnull}\n"
    assert watched(program, KERAS_HOME="/my/own", ORT_DISABLE_TELEMETRY="0").out == "1 /my/own\n"
    assert watched(program, KERAS_HOME="").out == f"1 {os.devnull}\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    ["app_lstm --hours 120 --ticker BTC/USD --source sample --network small", REPLAY, TWO_FITS],
    ids=["signal", "replay", "fits side by side"],
)
def test_a_command_on_simulated_bars_writes_to_its_own_folders_and_asks_nobody(watched, line):
    for _ in range(2):  # with a fit, and with what is there already
        nothing_but(watched(words(line)), {"models", "state"})


@pytest.mark.slow
def test_a_fit_beside_a_worker_of_a_cluster_leaves_nothing(watched):
    pytest.importorskip("distributed")
    fit = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.path.insert(0, {str(ROOT / 'tests')!r})\n"
        "from functools import partial\n"
        "from support.trained_models import SETTINGS, training_data\n"
        "from crypto_refactor.model.training.dask_worker import run_in_process\n"
        "from crypto_refactor.model.training.trainer import train\n"
        "print(len(run_in_process(partial(train, training_data(), SETTINGS)).onnx) > 0)"
    )
    done = watched([sys.executable, "-c", fit])
    assert done.out == "True\n"
    nothing_but(done, ())
