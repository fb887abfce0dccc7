"""Draw what the tool shows, from real runs on simulated bars: terminals as SVG, a page by a browser: `make docs`."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from homes import TOOL, environment_of
from rich.console import Console
from rich.text import Text

PICTURES = Path(__file__).parent / "pictures"
BARS = "--ticker BTC/USD --source sample --network small"
TERMINALS = {
    "signal": f"signal {BARS} --hours 240",
    "backtest": "backtest --ticker BTC/USD --source sample --network linear --hours 2160",
}
PAGE = f"backtest {BARS} --hours 2160 --report page.html"
COLUMNS = 88
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def terminal_text(line: str, work: Path) -> str:
    """Return what a command prints to a terminal, with its control sequences."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    environment = environment_of(work) | {"CRYPTO_JOURNAL": "false", "TERM": "xterm-256color"}
    command = [*TOOL, *line.split()]
    with subprocess.Popen(  # noqa: S603 - the command lines above
        command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.DEVNULL
    ) as process:
        os.close(theirs)
        text = b"".join(iter(lambda: _read(ours), b"")).decode()
    os.close(ours)
    if process.returncode != 0:
        raise SystemExit(f"{line}: exit code {process.returncode}\n{text}")
    return text.replace("\r\n", "\n")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed
        return b""


def draw_terminal(name: str, line: str, work: Path) -> None:
    """Draw a run of a command as a terminal."""
    terminal_text(line, work)  # trains the models: the picture shows the run that answers at once
    shown = f"$ crypto-refactor {line}\n{terminal_text(line, work).rstrip()}"
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(Text.from_ansi(shown))
    svg = console.export_svg(title="crypto-refactor", unique_id=name)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # no font is fetched from anywhere
    (PICTURES / f"{name}.svg").write_text(svg, encoding="utf-8")


def draw_page(work: Path) -> None:
    """Take a picture of the top of a report."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print("docs/pictures/report.png stays as it is: no Chromium is installed")
        return
    terminal_text(PAGE, work)
    subprocess.run(  # noqa: S603 - found above
        [
            *(
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--window-size=1200,1150",
            ),
            *(
                "--virtual-time-budget=20000",
                f"--screenshot={PICTURES / 'report.png'}",
                (work / "page.html").as_uri(),
            ),
        ],
        check=True,
        capture_output=True,
    )
    print("docs/pictures/report.png")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name, line in TERMINALS.items():
            draw_terminal(name, line, work)
            print(f"docs/pictures/{name}.svg")
        draw_page(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
