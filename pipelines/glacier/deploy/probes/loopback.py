"""A server on a free port of loopback, for as long as it is needed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from aiohttp import web

_CLEANUP_SECONDS = 10.0


@asynccontextmanager
async def serving(application: web.Application) -> AsyncIterator[int]:
    """Serve an application for the length of a block, which gets the port."""
    runner = web.AppRunner(application, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield int(runner.addresses[0][1])
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLEANUP_SECONDS):
            await runner.cleanup()
