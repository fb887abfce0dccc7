"""A headless Chromium, spoken to over a pipe in its own protocol: no port, no further library."""

from __future__ import annotations

import base64
import fcntl
import io
import json
import os
import select
import shutil
import subprocess
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 60.0


def binary():
    """Return where Chromium lies, or None."""
    return next(filter(None, map(shutil.which, (os.environ.get("CRYPTO_CHROMIUM", ""), *NAMES))), None)


class Chromium:
    """One page of a headless Chromium that can reach no network; `events` holds its unsolicited messages."""

    def __init__(self, profile, path=None):
        # Chromium reads requests from descriptor 3 and answers on 4; pipes above them do not collide.
        self._requests_in, self._out = map(_high, os.pipe())
        self._in, self._answers_out = map(_high, os.pipe())
        self._process = subprocess.Popen(
            [
                path or binary(),
                *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
                *("--no-first-run", "--disable-extensions", "--hide-scrollbars", "--mute-audio"),
                *("--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"),
                *("--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"),
            ],
            preexec_fn=self._wire,  # noqa: PLW1509 - two system calls, nothing a thread could hold a lock of
            close_fds=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(self._requests_in)
        os.close(self._answers_out)
        self._buffer, self._count, self._session = b"", 0, None
        self.events = []
        (page,) = [
            target for target in self.call("Target.getTargets")["targetInfos"] if target["type"] == "page"
        ]
        attached = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def _wire(self):
        os.dup2(self._requests_in, 3)
        os.dup2(self._answers_out, 4)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def call(self, method, **parameters):
        """Ask for `method` and return the answer."""
        self._count += 1
        request = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            request["sessionId"] = self._session
        os.write(self._out, json.dumps(request).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self._count:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def _message(self):
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(deadline - time.monotonic(), 0))
            assert ready, "Chromium does not answer"
            part = os.read(self._in, 1 << 20)
            assert part, "Chromium has ended"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(text)

    def show(self, *, width, height=900, dark=False, phone=False):
        """Set the size of the window, the colour scheme, and whether a finger points."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, path):
        """Open a file and wait until its charts are drawn."""
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait("location.protocol === 'file:' && document.readyState === 'complete'")
        self.drawn()

    def drawn(self):
        """Wait until all charts are drawn."""
        self.wait("document.documentElement.dataset.drawn !== undefined")

    def wait(self, condition):
        """Wait until the JavaScript `condition` holds."""
        deadline = time.monotonic() + PATIENCE
        while not self.ask(condition):
            assert time.monotonic() < deadline, f"never became true: {condition}; {self.complaints()}"
            self.ask("new Promise((go) => setTimeout(go, 50))")

    def ask(self, expression):
        """Return the value of a JavaScript expression."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def press(self, key, code, text=""):
        """Press a key of the keyboard."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code, text=text)

    def picture(self, path, *, whole=True):
        """Write a picture of the page."""
        options = {}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            options = {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole, **options)
        path.write_bytes(base64.b64decode(shot["data"]))

    def printed(self):
        """Print the page on A4, and return the number of sheets and their text."""
        from pypdf import PdfReader

        done = self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        sheets = PdfReader(io.BytesIO(base64.b64decode(done["data"]))).pages
        return len(sheets), "\n".join(sheet.extract_text() for sheet in sheets)

    def complaints(self):
        """Return every exception, console message and log entry so far."""
        return [
            event["params"]
            for event in self.events
            if event.get("method")
            in {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"}
        ]

    def requests(self):
        """Return the address of everything the page has requested so far."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]


def _high(descriptor):
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved
