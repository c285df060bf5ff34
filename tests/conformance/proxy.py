"""A proxy that treats connections as bad networks do. It knows bytes, and no frame or line.

Invariants:

- All faults are drawn from one random generator, so a seed draws them again.
- Bytes pass in order, and unchanged. A connection may lose its last bytes, and no others.
- After `heal` no new fault begins, and each connection with one is cut.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import Literal

CHUNK_BYTES = 65_536
#: Powers of two of the bytes in one direction before a fault. A handshake has some 200, a message
#: some 200: many connections fail in them, and most carry some messages.
EARLY_POWERS, LATE_POWERS, EARLY_SHARE = (0.0, 8.0), (8.0, 16.0), 0.25
#: Seconds for which bytes are swallowed before the cut; and those that only a probe ends.
SWALLOW_S_MAX, SILENCE_S_MAX = 3.0, 120.0

UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"

Fault = Literal["none", "refuse", "unavailable", "close", "reset", "pause", "swallow"]


@dataclass
class Plan:
    """The fate of a connection, drawn when it is made."""

    fault: Fault
    #: The direction in which bytes are counted, and the count after which the fault begins.
    to_server: bool
    after_bytes: int
    #: Seconds from its beginning to the cut.
    seconds: float
    #: Bytes that pass at once, and the most seconds between them.
    piece_bytes: int
    delay_s: float

    def __str__(self) -> str:
        direction = "to the server" if self.to_server else "to the client"
        return f"{self.fault} after {self.after_bytes} bytes {direction}, {self.seconds:.1f} s"


def draw(rng: random.Random, silences: bool) -> Plan:
    kinds: list[Fault] = ["none", "refuse", "unavailable", "close", "reset", "pause", "swallow"]
    [fault] = rng.choices(kinds, [8, 3, 1, 25, 35, 12, 12])
    seconds = rng.uniform(0.0, SWALLOW_S_MAX) if fault in ("pause", "swallow") else 0.0
    if silences and fault == "swallow" and rng.random() < 0.2:
        seconds = SILENCE_S_MAX
    slow = rng.random() < 0.3
    powers = EARLY_POWERS if rng.random() < EARLY_SHARE else LATE_POWERS
    return Plan(
        fault,
        rng.random() < 0.5,
        int(2 ** rng.uniform(*powers)),
        seconds,
        rng.randint(1, 700) if slow else CHUNK_BYTES,
        rng.uniform(0.0, 0.05) if slow else 0.0,
    )


@dataclass(eq=False)
class Connection:
    plan: Plan
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    began: float = field(default_factory=time.monotonic)
    to_server: int = 0
    to_client: int = 0
    fault_began: bool = False
    is_cut: bool = False

    def cut(self, reset: bool) -> None:
        self.is_cut = True
        for writer in (self.client, self.server):
            if writer is None:
                continue
            if reset:
                sock = writer.get_extra_info("socket")
                linger = struct.pack("ii", 1, 0)
                if sock is not None and sock.fileno() >= 0:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                try:
                    writer.transport.abort()
                except AttributeError:
                    # asyncio's, if it was closed while bytes waited, and has written them since.
                    pass
            else:
                writer.close()

    def __str__(self) -> str:
        age = time.monotonic() - self.began
        return (
            f"{age:.1f} s old, {self.to_server} bytes to the server, {self.to_client} to the "
            f"client; {self.plan}{', begun' if self.fault_began else ''}"
        )


class Proxy:
    """Listens for one client."""

    def __init__(self, server_port: int, rng: random.Random, silences: bool) -> None:
        self.server_port = server_port
        self.rng = rng
        self.silences = silences
        self.is_healthy = True
        self.port = 0
        self.accepted = self.cuts = self.refused = self.swallowed = self.halves = 0
        self.connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def heal(self) -> None:
        self.is_healthy = True
        for connection in list(self.connections):
            if connection.plan.fault != "none":
                connection.cut(reset=False)
            connection.plan.piece_bytes, connection.plan.delay_s = CHUNK_BYTES, 0.0

    def cut_all(self) -> None:
        for connection in list(self.connections):
            self.cuts += 1
            connection.cut(reset=self.rng.random() < 0.5)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.cut(reset=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        plan = draw(self.rng, self.silences)
        if self.is_healthy:
            plan.fault, plan.piece_bytes, plan.delay_s = "none", CHUNK_BYTES, 0.0
        connection = Connection(plan, writer)
        self.connections.add(connection)
        try:
            await self._carry(connection, reader)
        except OSError:
            pass
        finally:
            connection.cut(reset=False)
            self.connections.discard(connection)

    async def _carry(self, connection: Connection, reader: asyncio.StreamReader) -> None:
        plan, writer = connection.plan, connection.client
        if plan.fault in ("refuse", "unavailable"):
            self.refused += 1
            if plan.fault == "unavailable":
                await reader.read(CHUNK_BYTES)
                writer.write(UNAVAILABLE)
            return
        from_server, connection.server = await asyncio.open_connection(
            "127.0.0.1", self.server_port
        )
        if connection.is_cut:
            return connection.cut(reset=False)
        ways = [
            asyncio.create_task(self._copy(connection, reader, connection.server, True)),
            asyncio.create_task(self._copy(connection, from_server, writer, False)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _copy(
        self,
        connection: Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        to_server: bool,
    ) -> None:
        """Carries bytes in one direction, until an end of the stream or a fault."""
        plan = connection.plan
        while data := await reader.read(CHUNK_BYTES):
            while data:
                passed = connection.to_server if to_server else connection.to_client
                room = plan.piece_bytes
                is_counted = plan.fault != "none" and plan.to_server == to_server
                if is_counted:
                    room = min(room, plan.after_bytes - passed)
                    if room <= 0:
                        return await self._fail(connection, bool(passed))
                if connection.fault_began and plan.fault == "swallow":
                    # Both directions are silent.
                    await asyncio.sleep(plan.seconds)
                    return
                piece, data = data[:room], data[room:]
                writer.write(piece)
                if to_server:
                    connection.to_server += len(piece)
                else:
                    connection.to_client += len(piece)
                await writer.drain()
                if plan.delay_s:
                    await asyncio.sleep(self.rng.uniform(0.0, plan.delay_s))

    async def _fail(self, connection: Connection, is_half: bool) -> None:
        plan = connection.plan
        connection.fault_began = True
        self.halves += is_half
        if plan.seconds:
            self.swallowed += plan.fault == "swallow"
            # `pause`: this direction stands still with half a frame, the other goes on.
            await asyncio.sleep(plan.seconds)
        self.cuts += 1
        connection.cut(reset=plan.fault != "close")
