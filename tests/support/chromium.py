"""For tests of pages: a headless browser that is spoken to by its own protocol, on loopback."""

import json
import re
import shutil
import tempfile
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from anyio.abc import Process

_PROGRAM = shutil.which("chromium")
CHROMIUM = pytest.mark.skipif(
    _PROGRAM is None,
    reason="needs Debian's chromium, which scripts/install_system_packages.sh installs",
)
_SECONDS = 90
_FLAGS = (
    "--headless",
    "--no-sandbox",  # tests may be run by root, for whom there is none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
_TROUBLE = frozenset({"Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"})


@dataclass(slots=True)
class Page:
    """An open tab, and everything that it said."""

    _socket: aiohttp.ClientWebSocketResponse
    _session: str = ""
    _calls: int = 0
    events: list[Mapping[str, Any]] = field(default_factory=list)

    async def call(self, method: str, **params: object) -> Mapping[str, Any]:
        """Ask the browser, and return its answer."""
        self._calls += 1
        number = self._calls
        asked = {"id": number, "method": method, "params": params}
        await self._socket.send_json(
            asked | ({"sessionId": self._session} if self._session else {})
        )
        while (said := await self._next()).get("id") != number:
            pass
        assert "error" not in said, f"{method}: {said.get('error')}"
        result: Mapping[str, Any] = said["result"]
        return result

    async def attach(self) -> None:
        """Open a tab, and listen to what happens in it."""
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")

    async def load(self, address: str) -> None:
        """Go to a page and wait until it is there, whole."""
        await self.call("Page.navigate", url=address)
        while (await self._next()).get("method") != "Page.loadEventFired":
            pass

    async def ask(self, script: str) -> Any:
        """Return what a line of script comes to on the page."""
        said = await self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    async def screenshot(self) -> bytes:
        """Return what is to be seen, as a PNG."""
        return b64decode((await self.call("Page.captureScreenshot"))["data"])

    async def print_pdf(self) -> bytes:
        """Return the page as it is printed."""
        return b64decode((await self.call("Page.printToPDF", preferCSSPageSize=True))["data"])

    def troubles(self) -> list[Mapping[str, Any]]:
        """Return errors, warnings and whatever else reached the console."""
        return [event for event in self.events if event.get("method") in _TROUBLE]

    def requests(self) -> list[str]:
        """Return the addresses that the page asked for."""
        sent = [e for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    async def _next(self) -> Mapping[str, Any]:
        said: Mapping[str, Any] = json.loads(await self._socket.receive_str())
        self.events.append(said)
        return said


@asynccontextmanager
async def open_page() -> AsyncIterator[Page]:
    """Start a browser with one empty tab; it is ended afterwards, whatever happened."""
    assert _PROGRAM
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [_PROGRAM, *_FLAGS, f"--user-data-dir={folder}", "about:blank"]
        environment = {"HOME": folder, "PATH": "/usr/bin:/bin"}
        with anyio.fail_after(_SECONDS):
            async with await anyio.open_process(
                command, stdin=None, stdout=None, env=environment, start_new_session=True
            ) as process:
                try:
                    address = await _address(process, Path(folder))
                    async with (
                        aiohttp.ClientSession() as session,
                        session.ws_connect(address, max_msg_size=0) as socket,
                    ):
                        page = Page(socket)
                        await page.attach()
                        yield page
                        await socket.send_json({"id": 0, "method": "Browser.close"})
                finally:
                    process.terminate()


async def _address(process: Process, folder: Path) -> str:
    """Return where the browser listens, which it says on its standard error."""
    assert process.stderr
    heard = b""
    async for piece in process.stderr:
        heard += piece
        if found := re.search(rb"DevTools listening on (ws://\S+)\s", heard):
            return found[1].decode()
    raise AssertionError(f"the browser did not start: {heard.decode(errors='replace')}")
