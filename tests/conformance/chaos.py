"""A chaos run: clients write to each other while everything breaks; each message arrives once.

    python3 tests/conformance/chaos.py --server 'target/debug/sotto --store {dir}/store' \\
        --client 'python3 tests/conformance/drivers/python.py'

README.md tells the faults, the rules and the interface of a client under test.

Invariants:

- Faults are drawn from the seed that is printed. (The order of events in the machine is not.)
- Faults end when all messages are written. After that every client has to come to rest.
- A client is judged by its lines on standard output only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from proxy import Proxy

#: Seconds in which a client hears nothing, though messages wait for it.
DEAF_S = 45.0
#: Seconds from the start of a program until it is ready.
START_S = 30.0
#: Errors of one kind that are told one by one.
ERRORS_SHOWN = 10
LINE_BYTES_MAX = 16 * 1024 * 1024

Body = Any


def say(text: str) -> None:
    print(f"{time.monotonic() - BEGAN:7.2f} s  {text}", flush=True)


BEGAN = time.monotonic()


@dataclass
class Written:
    """A message that a client was asked to send."""

    sender: str
    recipient: str
    number: int
    is_accepted: bool = False
    failed: str | None = None
    is_delivered: bool = False
    #: The kills of the recipient before each time that its handler had the message.
    heard: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.sender} → {self.recipient} {self.number}"


class Ledger:
    """All messages, and all that went wrong with them."""

    def __init__(self) -> None:
        self.written: dict[str, Written] = {}
        self.errors: list[str] = []
        self.repeats_across_kills = 0
        self._latest: dict[tuple[str, str], Written] = {}
        self._repeated: set[tuple[str, str, int]] = set()

    def mark(self, body: Body) -> Written | None:
        """Returns the message of a body, which begins with its own mark."""
        text = body.get("mark") if isinstance(body, dict) else body
        return self.written.get(text.split(" ")[0]) if isinstance(text, str) else None

    def error(self, text: str) -> None:
        self.errors.append(text)
        same = sum(error.split(":")[0] == text.split(":")[0] for error in self.errors)
        if same <= ERRORS_SHOWN:
            say(f"ERROR: {text}{' (and so on)' if same == ERRORS_SHOWN else ''}")

    def heard(self, recipient: str, sender: str, body: Body, kills: int) -> None:
        message = self.mark(body)
        if message is None or (message.sender, message.recipient) != (sender, recipient):
            return self.error(f"{recipient} heard what nobody wrote to it: {str(body)[:80]}")
        latest = self._latest.get((sender, recipient))
        if message.heard:
            key = (sender, recipient, kills)
            if message is latest and message.heard[-1] < kills and key not in self._repeated:
                self._repeated.add(key)
                self.repeats_across_kills += 1
            else:
                self.error(f"DOUBLED: {message}")
        elif latest is not None and message.number < latest.number:
            self.error(f"OUT OF ORDER: {message} after {latest.number}")
        else:
            self._latest[sender, recipient] = message
        message.heard.append(kills)

    def missing(self, recipient: str | None = None) -> list[Written]:
        return [
            message
            for message in self.written.values()
            if recipient in (None, message.recipient)
            and message.is_accepted
            and message.failed is None
            and not message.heard
        ]


def free_port() -> int:
    """Returns a port that no outgoing connection takes while the server is down."""
    while True:
        port = random.SystemRandom().randrange(10_240, 32_768)
        with socket.socket() as free:
            try:
                free.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Server:
    def __init__(self, command: str, folder: Path) -> None:
        self.port = free_port()
        self.command = shlex.split(command.replace("{dir}", str(folder)))
        self.command += ["--listen", f"127.0.0.1:{self.port}"]
        self.log = open(folder / "server.log", "ab")
        self.process: asyncio.subprocess.Process | None = None
        self.kills = 0

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(*self.command, stderr=self.log)
        until = time.monotonic() + START_S
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                return writer.close()
            except OSError:
                if self.process.returncode is not None or time.monotonic() > until:
                    sys.exit(f"the server does not start: {self.command}, see {self.log.name}")
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()


class Client:
    """A client under test, over all its processes."""

    def __init__(self, id: str, command: str, folder: Path, proxy: Proxy, ledger: Ledger) -> None:
        self.id = id
        self.command = [*shlex.split(command), f"ws://127.0.0.1:{proxy.port}/ws", id]
        self.command.append(str(folder / f"{id}.store"))
        self.proxy = proxy
        self.ledger = ledger
        self.errors: IO[bytes] = open(folder / f"{id}.stderr", "ab")
        self.process: asyncio.subprocess.Process | None = None
        self.kills = 0
        self.states: deque[tuple[float, str]] = deque(maxlen=20)
        self.joins = 0
        self.last_event = time.monotonic()
        self.is_deaf = False
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self.errors,
            limit=LINE_BYTES_MAX,
        )
        self._reader = asyncio.create_task(self._read(self.process))

    async def kill(self) -> None:
        """Kills it with SIGKILL, and hears all that it had said."""
        if self.process is None or self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()
        if self._reader is not None:
            await self._reader
        self.kills += 1
        self.states.append((time.monotonic(), "killed"))

    async def write(self, message: Written, body: Body) -> None:
        if self.process is None or self.process.stdin is None:
            return
        try:
            line = json.dumps({"to": message.recipient, "body": body})
            self.process.stdin.write(line.encode() + b"\n")
            await self.process.stdin.drain()
        except OSError:
            pass  # Killed: it never accepted the message.

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if line.endswith(b"\n"):
                self._hear(json.loads(line))
        code = await process.wait()
        if code not in (0, -signal.SIGKILL):
            self.ledger.error(f"{self.id} ended with {code}, see {self.errors.name}")

    def _hear(self, event: dict[str, Any]) -> None:
        self.last_event, self.is_deaf = time.monotonic(), False
        if event["event"] == "state":
            self.states.append((time.monotonic(), event["state"]))
            self.joins += event["state"] == "joined"
            return
        body = event["body"]
        if event["event"] == "message":
            return self.ledger.heard(self.id, event["from"], body, self.kills)
        message = self.ledger.mark(body)
        if message is None or message.sender != self.id:
            return self.ledger.error(f"{self.id} told of a message that it never wrote: {event}")
        if event["event"] == "accepted":
            message.is_accepted = True
        elif event["event"] == "failed":
            message.failed = event["code"]
        elif event["event"] == "delivered":
            message.is_delivered = True
            # The recipient's print may not have been read yet: judged at the end.

    def report(self) -> str:
        now = time.monotonic()
        states = ", ".join(f"{state} {now - at:.1f} s ago" for at, state in self.states)
        connections = "; ".join(map(str, self.proxy.connections)) or "none"
        waiting = len(self.ledger.missing(self.id))
        return (
            f"{self.id} has heard nothing for {now - self.last_event:.1f} s, {waiting} messages "
            f"wait for it\n  states: {states}\n  connections: {connections}\n"
            f"  its errors: {self.errors.name}"
        )


class Run:
    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.rng = random.Random(options.seed)
        self.ledger = Ledger()
        self.server = Server(options.server, folder)
        self.clients = []
        self.deaf = 0
        for at in range(options.clients):
            proxy = Proxy(self.server.port, random.Random(self.rng.random()), options.silences)
            command = options.client[at % len(options.client)]
            self.clients.append((f"client-{at}", command, folder, proxy))
        self.peers: list[Client] = []

    async def run(self) -> bool:
        await self.server.start()
        for id, command, folder, proxy in self.clients:
            await proxy.start()
            client = Client(id, command, folder, proxy, self.ledger)
            self.peers.append(client)
            await client.start()
        try:
            await self._wait(lambda: all(peer.joins for peer in self.peers), START_S, "all join")
            watch = asyncio.create_task(self._watch_for_deaf())
            await self._break_and_write()
            watch.cancel()
            await self._come_to_rest()
        finally:
            for peer in self.peers:
                await peer.kill()
                await peer.proxy.stop()
            await self.server.kill()
        return self._judge()

    async def _wait(self, is_done: Any, seconds: float, name: str) -> bool:
        until = time.monotonic() + seconds
        while not is_done():
            if time.monotonic() > until:
                self.ledger.error(f"not within {seconds:.0f} s: {name}")
                return False
            await asyncio.sleep(0.05)
        return True

    # ---- while it breaks ----

    async def _break_and_write(self) -> None:
        for peer in self.peers:
            peer.proxy.is_healthy = False
            # Connections from before the faults.
            peer.proxy.cut_all()
        monkey = asyncio.create_task(self._monkey())
        writers = [asyncio.create_task(self._write(peer)) for peer in self.peers]
        await asyncio.gather(*writers)
        monkey.cancel()
        await asyncio.gather(monkey, return_exceptions=True)
        if isinstance(error := monkey.exception() if not monkey.cancelled() else None, Exception):
            raise error
        if self.server.process is None or self.server.process.returncode is not None:
            await self.server.start()
        for peer in self.peers:
            if peer.process is None or peer.process.returncode is not None:
                await peer.start()
            peer.proxy.heal()
            peer.last_event = time.monotonic()
        say(f"healed: {len(self.ledger.missing())} messages are on their way")

    async def _write(self, peer: Client) -> None:
        rng = random.Random(self.rng.random())
        others = [other.id for other in self.peers if other is not peer]
        numbers = Counter[str]()
        pace = self.options.seconds / self.options.messages
        for _ in range(self.options.messages):
            await asyncio.sleep(rng.uniform(0, 2 * pace))
            # Bursts to one recipient, so that order is worth a look.
            recipient = rng.choice(others)
            numbers[recipient] += 1
            message = Written(peer.id, recipient, numbers[recipient])
            mark = f"{peer.id}/{recipient}/{message.number}"
            # The server holds 512 KiB for one id, and half of it from one address.
            fill = "ä" * int(2 ** rng.uniform(0, 13 if rng.random() < 0.02 else 8))
            body: Body = f"{mark} {fill}"
            if rng.random() < 0.5:
                body = {"mark": mark, "fill": fill, "list": [None, True, 1.5, {"number": 7}]}
            self.ledger.written[mark] = message
            await peer.write(message, body)

    async def _monkey(self) -> None:
        """Kills programs, and cuts all connections of a client."""
        acts = ["cut"]
        acts += [] if self.options.keep_server else ["server"]
        acts += [] if self.options.keep_clients else ["client"]
        while True:
            await asyncio.sleep(self.rng.uniform(0.3, 2.5) * self.options.calm)
            act, peer = self.rng.choice(acts), self.rng.choice(self.peers)
            pause = self.rng.uniform(0.0, 1.0)
            if act == "cut":
                peer.proxy.cut_all()
            elif act == "server":
                await self.server.kill()
                self.server.kills += 1
                await asyncio.sleep(pause)
                await self.server.start()
            else:
                await peer.kill()
                await asyncio.sleep(pause)
                await peer.start()

    async def _watch_for_deaf(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._look_for_deaf()

    def _look_for_deaf(self) -> list[Client]:
        deaf = []
        for peer in self.peers:
            is_deaf = time.monotonic() - peer.last_event > DEAF_S
            if is_deaf and self.ledger.missing(peer.id):
                deaf.append(peer)
                if not peer.is_deaf:
                    peer.is_deaf = True
                    self.deaf += 1
                    say(f"DEAF: {peer.report()}")
        return deaf

    # ---- afterwards ----

    async def _come_to_rest(self) -> None:
        until = time.monotonic() + self.options.deadline
        while self.ledger.missing():
            if self._look_for_deaf() or time.monotonic() > until:
                for peer in self.peers:
                    say(peer.report())
                break
            await asyncio.sleep(0.05)
        # Late doubles, and fates: those of the last 128 sends only are promised to a client that
        # lost its connection, so a missing one is told and is no error.
        until = time.monotonic() + self.options.linger
        while time.monotonic() < until:
            await asyncio.sleep(0.1)

    def _judge(self) -> bool:
        ledger, options = self.ledger, self.options
        for message in ledger.missing():
            ledger.error(f"LOST: {message}")
        failed = Counter(m.failed for m in ledger.written.values() if m.failed is not None)
        may_forget = "--store" not in options.server and self.server.kills
        for code, count in failed.items():
            if code != "offline" or not may_forget:
                ledger.error(f"REFUSED: {count} messages, {code}")
        for message in ledger.written.values():
            if message.is_delivered and not message.heard:
                ledger.error(f"DELIVERED, but its recipient's handler never had it: {message}")
        all = list(ledger.written.values())
        proxies = [peer.proxy for peer in self.peers]
        kinds = Counter(error.split(":")[0] for error in ledger.errors)
        accepted = [m for m in all if m.is_accepted]
        fateless = [m for m in accepted if not m.is_delivered and m.failed is None]
        arrived = sum(bool(m.heard) for m in all)
        figures = {
            "written": len(all),
            "accepted": len(accepted),
            "arrived": arrived,
            "lost": kinds["LOST"],
            "doubled": kinds["DOUBLED"],
            "out of order": kinds["OUT OF ORDER"],
            "repeats across a kill": ledger.repeats_across_kills,
            "refused as offline": failed["offline"],
            "without a fate": len(fateless),
            "connections": sum(p.accepted for p in proxies),
            "cuts": sum(p.cuts for p in proxies),
            "half frames": sum(p.halves for p in proxies),
            "refused connections": sum(p.refused for p in proxies),
            "swallowed": sum(p.swallowed for p in proxies),
            "server kills": self.server.kills,
            "client kills": sum(peer.kills for peer in self.peers) - len(self.peers),
            "deaf": self.deaf,
        }
        say(", ".join(f"{name}: {count}" for name, count in figures.items()))
        say(f"{'FAILED' if ledger.errors else 'passed'}, seed {options.seed}")
        return not ledger.errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--server", required=True, help="its command; {dir} is a folder that outlasts its kills")
    add("--client", required=True, action="append", help="the command of a driver; repeatable")
    add("--seed", type=int, default=random.randrange(2**32))
    add("--clients", type=int, default=3)
    add("--messages", type=int, default=300, help="of each client")
    add("--seconds", type=float, default=20, help="of faults")
    add("--deadline", type=float, default=120, help="seconds to come to rest afterwards")
    add("--linger", type=float, default=2, help="seconds to watch for late doubles")
    add("--calm", type=float, default=1, help="a factor for the time between kills")
    add("--silences", action="store_true", help="swallow bytes until a client gives up by itself")
    add("--keep-server", action="store_true", help="do not kill the server")
    add("--keep-clients", action="store_true", help="do not kill clients")
    options = parser.parse_args()
    if options.clients < 2:
        parser.error("at least two clients")
    # It warns of each line that a killed client did not take.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    folder = Path(tempfile.mkdtemp(prefix="sotto-chaos-"))
    say(f"seed {options.seed}, files in {folder}")
    is_passed = asyncio.run(Run(options, folder).run())
    if is_passed:
        shutil.rmtree(folder)
    sys.exit(0 if is_passed else 1)


if __name__ == "__main__":
    main()
