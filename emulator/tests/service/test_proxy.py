"""The proxy by itself: how fast a slow connection is, by a clock that the test has."""

import asyncio

import pytest

from kaz_azure_emulator.proxy import Proxy

HOST = "account.blob.core.windows.net"
CONTENT = b"x" * 250_000


async def sent(speed: float | None) -> tuple[bytes, list[float]]:
    """What a host gets that a client has sent through the proxy, and for how long the proxy slept meanwhile."""
    received, slept = asyncio.get_running_loop().create_future(), []

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.set_result(await reader.read(-1))
        writer.close()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    host = await asyncio.start_server(receive, "127.0.0.1", 0)
    proxy = Proxy({HOST: host.sockets[0].getsockname()[1]}, sleep)
    if speed:
        proxy.upload_speeds[HOST] = speed
    await proxy.start()
    async with host:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(f"CONNECT {HOST}:443 HTTP/1.1\r\n\r\n".encode())
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(CONTENT)
        writer.write_eof()
        content = await received
        writer.close()
        await proxy.stop()
    return content, slept


def test_a_slow_connection_takes_its_bytes_a_second():
    content, slept = asyncio.run(sent(100_000))
    assert content == CONTENT
    assert sum(slept) == pytest.approx(2.5)
    assert max(slept) <= 0.1  # it is slow throughout, and does not stand still


def test_other_connections_do_not_wait():
    assert asyncio.run(sent(None)) == (CONTENT, [])
