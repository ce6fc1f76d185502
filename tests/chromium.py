"""A headless Chromium for tests: real clicks and keys over the DevTools protocol, spoken through two pipes."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FOUND = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = (
    "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-extensions", "--disable-background-networking", "--force-color-profile=srgb",
    "--hide-scrollbars",
)  # fmt: skip
CODES = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Escape": 27, "Home": 36, "End": 35}
START = (  # the browser reads commands from 3 and answers on 4
    "import os, sys; _, commands, answers, *browser = sys.argv\n"
    "os.dup2(int(commands), 3); os.dup2(int(answers), 4); os.execv(browser[0], browser)"
)
LIMIT = 60.0  # seconds that an answer may take


class Chromium:
    """A browser with one page. It notes what the page says on its console, and what it asks of the network.

    Args:
        profile: Folder for the browser's own files.

    Attributes:
        errors: Errors and warnings of the console, and exceptions.
        requests: Addresses that were asked for, data within the page left out.
    """

    def __init__(self, profile: Path) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._number, self._rest, self._session = 0, b"", None
        (commands, self._out), (self._in, answers) = os.pipe(), os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (commands, answers)]  # clear of 3 and 4
        command = [sys.executable, "-c", START, *map(str, ends), str(FOUND), *FLAGS, f"--user-data-dir={profile}"]
        self._browser = subprocess.Popen(command, pass_fds=ends, stderr=subprocess.DEVNULL)
        for end in (commands, answers, *ends):
            os.close(end)
        page = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def close(self) -> None:
        """End the browser."""
        self._browser.terminate()
        self._browser.wait(20)
        os.close(self._out)
        os.close(self._in)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """A command of the protocol, and its answer.

        Raises:
            RuntimeError: the browser refuses it.
        """
        self._number += 1
        number = self._number
        command = {"id": number, "method": method, "params": params}
        if self._session is not None:
            command["sessionId"] = self._session
        rest = json.dumps(command).encode() + b"\0"
        while rest:
            rest = rest[os.write(self._out, rest) :]
        while (answer := self._next()).get("id") != number:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        """The next message."""
        until = time.monotonic() + LIMIT
        while b"\0" not in self._rest:
            if not select.select([self._in], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            read = os.read(self._in, 1 << 20)
            if not read:
                raise RuntimeError("the browser has ended")
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(str(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.errors.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent" and not params["request"]["url"].startswith("data:"):
            self.requests.append(params["request"]["url"])

    def open(self, path: Path, width: int = 1400, height: int = 900) -> None:
        """Show a file in a window of that size, to its last byte."""
        self.resize(width, height)
        self.errors.clear()
        self.requests.clear()
        self.ask("Page.navigate", url=path.as_uri())
        self.wait(f"document.readyState === 'complete' && location.href === {json.dumps(path.as_uri())}")

    def resize(self, width: int, height: int) -> None:
        """The window; as a phone's where it is narrow."""
        phone = width < 600
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone,
        )  # fmt: skip

    def js(self, code: str) -> Any:
        """The value of an expression in the page, once it is there where it is a promise.

        Raises:
            RuntimeError: it throws.
        """
        found = self.ask("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{code}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait(self, code: str, seconds: float = 30.0) -> None:
        """Until an expression holds.

        Raises:
            TimeoutError: it does not.
        """
        until = time.monotonic() + seconds
        while not self.js(f"Boolean({code})"):
            if time.monotonic() > until:
                raise TimeoutError(code)
            time.sleep(0.02)

    def settle(self) -> None:
        """Until what was asked for is drawn."""
        self.js("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")

    def place(self, selector: str, x: float = 0.5, y: float = 0.5) -> tuple[float, float]:
        """A point of an element, by shares of its width and height, scrolled to where it is seen."""
        found = self.js(
            f"(() => {{ const at = document.querySelector({json.dumps(selector)});"
            " at.scrollIntoView({block: 'nearest', behavior: 'instant'});"
            " const box = at.getBoundingClientRect(); return [box.x, box.y, box.width, box.height]; })()"
        )
        return found[0] + x * found[2], found[1] + y * found[3]

    def mouse(self, kind: str, at: tuple[float, float], **more: Any) -> None:
        """A mouse event: mouseMoved, mousePressed, mouseReleased."""
        self.ask("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], **more)

    def click(self, selector: str, x: float = 0.5, y: float = 0.5) -> None:
        """Click an element where it is."""
        self.place(selector, x, y)
        self.settle()  # what comes into view may move it
        at = self.place(selector, x, y)
        self.mouse("mouseMoved", at)
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, at, button="left", clickCount=1)
        self.settle()

    def press(self, key: str) -> None:
        """A key, or a letter."""
        letter = {"text": key} if len(key) == 1 else {}
        code = CODES.get(key, ord(key[0].upper()))
        for kind in ("keyDown", "keyUp"):
            sent = letter if kind == "keyDown" else {}
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **sent)
        self.settle()

    def choose(self, selector: str, value: str) -> None:
        """An entry of a list, whose pop-up is no part of the page."""
        self.js(
            f"(() => {{ const at = document.querySelector({json.dumps(selector)}); at.value = {json.dumps(value)};"
            " at.dispatchEvent(new Event('change', {bubbles: true})); })()"
        )
        self.settle()

    def picture(self) -> bytes:
        """The window as PNG."""
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])
