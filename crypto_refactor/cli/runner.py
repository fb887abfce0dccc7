"""Run a command from the shell: errors become text or JSON, and an exit code, in one place."""

import errno
import io
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import IO, Any, NoReturn

import click

from crypto_refactor.cli.click_errors import usage_error
from crypto_refactor.cli.command_table import HELP_OPTIONS
from crypto_refactor.cli.configuration.applied import name_file
from crypto_refactor.cli.data_notes import with_data_notes
from crypto_refactor.cli.encoding import write_likenesses
from crypto_refactor.cli.output import fitted
from crypto_refactor.cli.termination import Terminated, arrived, raise_on_signals
from crypto_refactor.errors import (
    EXIT_FAULT,
    EXIT_INTERRUPTED,
    EXIT_OK,
    CryptoRefactorError,
    DataError,
    InternalError,
    UsageError,
)

PROGRAM = "crypto-refactor"
_HELP_COLUMNS = 110
"""A wider terminal does not make help easier to read."""
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def run_command(
    command: click.Command, args: Sequence[str] | None = None, *, name: str | None = None
) -> NoReturn:
    """Run `command` and end the process with the documented exit code.

    `args` are the process's own by default; `name` is what the program calls itself in ``--help``.
    """
    args = list(sys.argv[1:] if args is None else args)
    raise_on_signals()
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Neither a mark nor a folder's name need be text in the terminal's encoding.
            write_likenesses(stream)
    logging.basicConfig(
        level=logging.WARNING,
        format="%(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    if "--debug" in args:
        logging.getLogger("crypto_refactor").setLevel(logging.DEBUG)
    sys.exit(_run(command, args, name))


def _run(command: click.Command, args: list[str], name: str | None) -> int:
    debug, as_json = "--debug" in args, "--json" in args
    try:
        code = command.main(
            args,
            prog_name=name,
            standalone_mode=False,
            help_option_names=HELP_OPTIONS,
            max_content_width=_HELP_COLUMNS,
        )
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return UsageError.exit_code
    except click.ClickException as error:
        return _report(name_file(usage_error(error, name or command.name)), as_json=as_json, debug=debug)
    except CryptoRefactorError as error:
        return _report(name_file(error), as_json=as_json, debug=debug)
    except (BrokenPipeError, SystemExit):
        # The reader of stdout has left (`… | head`); click turns that into SystemExit(1).
        _discard_stdout()
        return EXIT_OK
    except (KeyboardInterrupt, click.Abort):
        arrived()
        _say("Interrupted.")
        return EXIT_INTERRUPTED
    except Terminated as stop:
        arrived()
        _say("Terminated.")
        return stop.exit_code
    except Exception as error:  # noqa: BLE001 - nothing above this call can handle it
        if isinstance(error, OSError) and error.errno in _NO_SPACE:
            _discard_stdout()
            return _report(_no_space(error), as_json=False, debug=debug)
        return _report(InternalError.of(error), as_json=as_json, debug=debug)
    return code if isinstance(code, int) else EXIT_OK


def _open_closed_streams() -> None:
    """Let a stream that was closed (`2>&-`) lead nowhere: the next file to be opened would take its place."""
    for name, own in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(_null_device(own), "w", encoding="utf-8"))


def _null_device(own: int) -> int:
    """Open the null device under the descriptor of a stream, unless another file has taken that already."""
    given = os.open(os.devnull, os.O_WRONLY)
    try:
        os.fstat(own)
    except OSError:
        os.dup2(given, own)
        os.close(given)
        return own
    return given


def _discard_stdout() -> None:
    discard(sys.stdout)


def discard(stream: IO[str]) -> None:
    """Send buffered output nowhere: Python would fail on it again, and complain, at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _say(text: str) -> None:
    """Tell people how the command ended; where nobody can be told, the exit code still tells."""
    try:
        click.echo(fitted(text), err=True)
    except OSError:
        discard(sys.stderr)


def _no_space(error: OSError) -> DataError:
    return DataError(
        f"The results cannot be written: {error.strerror}.",
        expected="a device with free space behind stdout.",
        remedy="free space, or send the output elsewhere.",
    )


def _report(error: CryptoRefactorError, *, as_json: bool, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc(file=sys.stderr)
    if as_json:
        try:
            click.echo(json.dumps({"error": error.to_dict()}))
        except OSError:  # its reader has left or its device is full; the exit code still tells
            _discard_stdout()
    else:
        _say(f"Error: {error.to_text()}")
    return error.exit_code or EXIT_FAULT


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document, with what the source says about its bars; NaN in it is an internal error."""
    click.echo(json.dumps(with_data_notes(document), allow_nan=False, indent=2))
