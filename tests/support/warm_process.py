"""Processes that begin with the libraries imported.

Most of a short command's time goes into importing TensorFlow and pandas, the same for each of them.  So one process
imports them, once, and forks itself for each command: the child has its own folder, environment, streams, arguments and
exit code, and imports the tool's own modules itself.  TensorFlow starts its threads with its first tensor, so none are lost
by the fork.  Tests of imports, of start-up and of signals start cold processes instead.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from functools import cache
from pathlib import Path

LIBRARIES = (
    "numpy",
    "pandas",
    "click",
    "rich",
    "onnxruntime",
    "tensorflow",
    "keras",
    "alpaca.data",
    "joblib",
)
THREADS = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
"""What the tool sets before it imports TensorFlow; written again, because this process imports nothing of the tool."""
_STREAMS = 3


# --- in the test ---------------------------------------------------------------------------------------


class WarmProcesses:
    """Runs commands in forks of one process."""

    def __init__(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel, self._turn = ours, threading.Lock()
        command = [sys.executable, __file__, str(theirs.fileno())]
        self._server = subprocess.Popen(command, pass_fds=[theirs.fileno()], env={**os.environ, **THREADS})
        theirs.close()
        atexit.register(self.close)

    def run(self, arguments, *, cwd, env, timeout):
        """Run ``python *arguments``, and return what `subprocess.run` would."""
        with contextlib.ExitStack() as stack:
            none = stack.enter_context(Path(os.devnull).open("rb"))
            out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
            request = json.dumps({"arguments": arguments, "cwd": str(cwd), "env": env, "timeout": timeout})
            with self._turn:
                streams = [none.fileno(), out.fileno(), err.fileno()]
                socket.send_fds(self._channel, [request.encode()], streams)
                code = int(self._channel.recv(64))
            printed, complained = (_contents(stream, env) for stream in (out, err))
        if code == -signal.SIGALRM:
            raise subprocess.TimeoutExpired(arguments, timeout, printed, complained)
        return subprocess.CompletedProcess(arguments, code, printed, complained)

    def close(self):
        self._channel.close()
        self._server.wait()


@cache
def warm_processes():
    """Return the one of this process."""
    return WarmProcesses()


def _contents(stream, env):
    stream.seek(0)
    return stream.read().decode(env.get("PYTHONIOENCODING", "utf-8"))


# --- in the process that forks -------------------------------------------------------------------------


def _serve(channel):
    for name in LIBRARIES:
        __import__(name)
    while True:
        message, streams, _, _ = socket.recv_fds(channel, 1 << 20, _STREAMS)
        if not message:
            return
        request = json.loads(message)
        child = os.fork()
        if child == 0:
            channel.close()
            os._exit(_exit_code(_become, request, streams))
        for stream in streams:
            os.close(stream)
        channel.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())


def _exit_code(function, *arguments):
    """Call `function` as the interpreter runs a program, up to the exit code.

    What the libraries do in C when a process ends waits for threads that a fork does not have.
    """
    try:
        function(*arguments)
        code = 0
    except SystemExit as error:
        code = error.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
        code = code if isinstance(code, int) else int(code is not None)
    except BaseException:  # noqa: BLE001 - what nobody catches ends a program
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code & 0xFF


def _become(request, streams):
    """Become the process of a command; SIGALRM ends it where it takes longer than it may."""
    os.setsid()
    signal.alarm(request["timeout"])
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["env"] | THREADS)
    os.chdir(request["cwd"])
    encoding = request["env"].get("PYTHONIOENCODING", "utf-8")
    sys.stdin = open(0, encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding=encoding, errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    first, *rest = request["arguments"]
    if first == "-c":
        program, *rest = rest
        sys.argv, sys.path[0] = ["-c", *rest], ""
        exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv, sys.path[0] = [first, *rest], str(Path(first).parent)
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
