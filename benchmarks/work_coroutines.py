"""What the cells await."""

from __future__ import annotations

import asyncio


async def wait(milliseconds: int) -> int:
    """Waits, as for a server."""
    await asyncio.sleep(milliseconds / 1000)
    return milliseconds


def wait_alone(milliseconds: int) -> int:
    """The same for those who cannot await."""
    return asyncio.run(wait(milliseconds))
