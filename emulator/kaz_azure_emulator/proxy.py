"""An HTTP CONNECT proxy that leads Azure's host names to this machine, and refuses every other host.

Clients are told of it with HTTPS_PROXY. They then keep Azure's own host names and never ask DNS, so nothing in them is
patched, and what they want of other hosts is seen by name and goes nowhere.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

_MOST_HEADER_BYTES = 64 * 1024
_CHUNK = 256 * 1024
_SLOW_SECONDS = 0.1  # between two chunks of a slow connection


class Proxy:
    """Leads `host:443` to a port of this machine.

    Args:
        ports: for each host, the loopback port where it is answered with TLS.
        sleep: waits for some seconds; so are slow connections made.
    """

    def __init__(self, ports: dict[str, int], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep):
        self.ports = ports
        self._sleep = sleep
        self.refused_hosts: list[str] = []  # in the order in which they were first asked for
        self.unreachable: set[str] = set()  # hosts that are away: their connections are cut
        self.upload_speeds: dict[str, float] = {}  # of slow hosts: the bytes a second that a new connection takes
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tunnels: dict[int, tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = {}

    async def start(self, port: int = 0) -> None:
        """Listens on the loopback address; on a free port, unless one is given and free."""
        try:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=_MOST_HEADER_BYTES)
        except OSError:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_MOST_HEADER_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        for tunnel in list(self._tunnels):
            self.cut(tunnel)

    def cut(self, tunnel: int) -> None:
        """Ends a client's connection in the middle: the one that reaches the service from port `tunnel`."""
        for writer in self._tunnels.get(tunnel, ()):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, target, *_ = [*head.partition("\r\n")[0].split(" "), "", ""]
            host, port = _host_and_port(method, target)
            if method != "CONNECT" or port != 443 or host not in self.ports:
                await self._refuse(writer, host)
            elif host not in self.unreachable:
                await self._tunnel(reader, writer, self.ports[host], self.upload_speeds.get(host))
        writer.close()

    async def _refuse(self, writer: asyncio.StreamWriter, host: str) -> None:
        if host not in self.refused_hosts:
            self.refused_hosts.append(host)
        log.warning("refused: %s", host)
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()

    async def _tunnel(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, speed: float | None
    ) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port, limit=_CHUNK)
        tunnel = far_writer.get_extra_info("sockname")[1]
        self._tunnels[tunnel] = writer, far_writer
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(self._copy(reader, far_writer, speed), self._copy(far_reader, writer))
        finally:
            del self._tunnels[tunnel]
            far_writer.close()

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, speed: float | None = None
    ) -> None:
        chunk = max(1, min(_CHUNK, int(speed * _SLOW_SECONDS))) if speed else _CHUNK
        try:
            while data := await reader.read(chunk):
                writer.write(data)
                await writer.drain()
                if speed:
                    await self._sleep(len(data) / speed)
        except OSError:
            pass
        # One side has ended, so the other cannot be of use: TLS has no half-closed connections.
        writer.close()


def _host_and_port(method: str, target: str) -> tuple[str, int]:
    """Of a CONNECT's `host:port`, or of the whole address with which a client asks for an unencrypted page."""
    if method != "CONNECT":
        target = target.partition("://")[2].partition("/")[0]
    host, colon, port = target.rpartition(":")
    return (host if colon else target).lower(), int(port) if port.isdigit() else 0
