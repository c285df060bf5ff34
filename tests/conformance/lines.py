"""Holds a server to the protocol: scripts of lines that clients say, and lines that they expect.

    python3 tests/conformance/lines.py ws://127.0.0.1:8080/ws [scripts/join.txt ...]

README.md tells the form of a script.

Invariants:

- Each script has ids and keys of its own, drawn anew for each run, so a server may be in use.
- Each wait ends with an event of the server, or fails after PATIENCE_S.
- A client expects its lines in order, except with `<~`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import secrets
import sys
from collections import deque
from pathlib import Path
from typing import Any

import websockets

PATIENCE_S = 10.0
FRAME_BYTES_MAX = 128 * 1024 * 1024

STEP = re.compile(r"(?P<client>[a-z]+) (?P<count>\d*)(?P<verb>>|<~|<|[a-z]+)(?: (?P<rest>.*))?")


class Broken(Exception):
    """The server did not keep the protocol, or the script is wrong."""


class Names:
    """What the words with `@` and `$` stand for."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.bound: dict[str, Any] = {}

    def put(self, value: Any, index: int | None = None) -> Any:
        """Returns a value to say, or to compare with."""
        if isinstance(value, dict):
            return {self.put(key, index): self.put(item, index) for key, item in value.items()}
        if isinstance(value, list):
            return [self.put(item, index) for item in value]
        if not isinstance(value, str):
            return value
        if index is not None:
            value = value.replace("#", str(index))
        if value.startswith("@"):
            return f"{value[1:]}-{self.run}"
        if value.startswith("$key-") and value not in self.bound:
            self.bound[value] = secrets.token_hex(16)
        if value.startswith("*fill "):
            return "x" * int(value.removeprefix("*fill "))
        if value.startswith("*deep "):
            deep: Any = None
            for _ in range(int(value.removeprefix("*deep "))):
                deep = [deep]
            return deep
        return self.bound.get(value, value)

    def match(self, expected: Any, heard: Any) -> bool:
        """Compares, and binds the names that are not bound. Unexpected keys are ignored."""
        if expected == "*":
            return True
        if isinstance(expected, str) and expected.startswith("$"):
            return bool(self.bound.setdefault(expected, heard) == heard)
        if isinstance(expected, dict) and isinstance(heard, dict):
            return all(
                key not in heard if value == "!" else key in heard and self.match(value, heard[key])
                for key, value in expected.items()
            )
        if isinstance(expected, list) and isinstance(heard, list):
            return len(expected) == len(heard) and all(map(self.match, expected, heard))
        return type(expected) is type(heard) and bool(expected == heard)


class Client:
    """A connection of the script, made again when it is named after its end."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name
        self.socket: Any = None
        self.lines: deque[Any] = deque()

    async def open(self) -> None:
        if self.socket is None:
            self.lines.clear()
            self.socket = await websockets.connect(
                self.url,
                subprotocols=["sotto.v1"],  # type: ignore[list-item]
                compression=None,
                max_size=FRAME_BYTES_MAX,
                ping_interval=None,
                close_timeout=PATIENCE_S,
            )

    async def say(self, text: str | bytes) -> None:
        await self.open()
        await self.socket.send(text)

    async def hear(self) -> Any:
        if not self.lines:
            await self.open()
            try:
                text = await asyncio.wait_for(self.socket.recv(), PATIENCE_S)
            except asyncio.TimeoutError:
                raise Broken("no line came") from None
            except websockets.ConnectionClosed as closed:
                raise Broken(f"the server closed: {closed}") from None
            self.lines.extend(json.loads(line) for line in text.split("\n") if line.strip())
        return self.lines.popleft()

    async def closed(self) -> int | None:
        """Waits for the end, and returns the code of the server's close frame."""
        try:
            while True:
                text = await asyncio.wait_for(self.socket.recv(), PATIENCE_S)
                raise Broken(f"a line came before the end: {text}")
        except asyncio.TimeoutError:
            raise Broken("the connection does not end") from None
        except websockets.ConnectionClosed as closed:
            self.socket = None
            return None if closed.rcvd is None else closed.rcvd.code

    async def close(self, code: int) -> None:
        await self.socket.close(code)
        self.socket = None

    def cut(self) -> None:
        if self.socket is not None:
            try:
                self.socket.transport.abort()
            except AttributeError:
                pass  # Closed already.
            self.socket = None


class Script:
    def __init__(self, url: str, path: Path) -> None:
        self.path = path
        self.names = Names(secrets.token_hex(4))
        self.url = url
        self.clients: dict[str, Client] = {}
        self.steps = 0

    async def run(self) -> None:
        try:
            for number, line in enumerate(self.path.read_text().splitlines(), 1):
                if not line.strip() or line.startswith("#"):
                    continue
                try:
                    await self._step(line)
                except Broken as error:
                    raise Broken(f"{self.path.name}:{number}: {error}\n  {line}") from None
                self.steps += 1
        finally:
            for client in self.clients.values():
                client.cut()
            # The tasks of the connections end in the next turns of the loop.
            await asyncio.sleep(0.05)

    async def _step(self, line: str) -> None:
        step = STEP.fullmatch(line.rstrip())
        if step is None:
            raise Broken("this is no step")
        name, verb, rest = step["client"], step["verb"], step["rest"] or ""
        client = self.clients.setdefault(name, Client(self.url, name))
        for index in range(int(step["count"] or 1)):
            await self._act(client, verb, rest, index if step["count"] else None)

    async def _act(self, client: Client, verb: str, rest: str, index: int | None) -> None:
        match verb:
            case ">":
                await client.say(self._text(rest, index))
            case "frame":
                # Lines of one message, with `\\n` between them.
                lines = (self._text(line, index) for line in rest.split("\\n"))
                await client.say("\n".join(lines))
            case "binary":
                await client.say(bytes.fromhex(rest))
            case "<":
                self._compare(json.loads(rest), await client.hear(), index)
            case "<~":
                await self._find(client, self.names.put(json.loads(rest), index))
            case "quiet":
                # Its answer comes behind all lines that came before it.
                await client.say(json.dumps({"type": "watch", "ids": [self.names.put(rest)]}))
                self._compare({"type": "presence", "id": rest}, await client.hear(), None)
            case "close":
                await client.close(int(rest))
            case "cut":
                client.cut()
            case "closed":
                code = await client.closed()
                if str(code) != rest:
                    raise Broken(f"the close code was {code}")
            case _:
                raise Broken(f"no step is called {verb}")

    def _text(self, line: str, index: int | None) -> str:
        """Returns a line to say; one that is no JSON as it is."""
        try:
            pairs = json.loads(line, object_pairs_hook=Pairs)
        except ValueError:
            return line
        if isinstance(pairs, Pairs) and pairs.is_repeated:
            return line
        return json.dumps(self.names.put(json.loads(line), index), ensure_ascii=False)

    def _compare(self, expected: Any, heard: Any, index: int | None) -> None:
        expected = self.names.put(expected, index)
        if not self.names.match(expected, heard):
            raise Broken(f"expected {json.dumps(expected)}\n  but heard {json.dumps(heard)}")

    async def _find(self, client: Client, expected: Any) -> None:
        others = []
        while not self.names.match(expected, heard := await client.hear()):
            others.append(heard)
        client.lines.extendleft(reversed(others))


class Pairs(dict[str, Any]):
    """An object that knows whether a key stands twice in it."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.is_repeated = len(self) < len(pairs)


async def run(url: str, paths: list[Path]) -> bool:
    is_good = True
    for path in paths:
        script = Script(url, path)
        try:
            await script.run()
            print(f"ok      {path.name}: {script.steps} steps", flush=True)
        except (Broken, OSError, websockets.WebSocketException) as error:
            is_good = False
            print(f"FAILED  {error}", flush=True)
    return is_good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("url")
    parser.add_argument("scripts", nargs="*", type=Path)
    options = parser.parse_args()
    scripts = options.scripts or sorted((Path(__file__).parent / "scripts").glob("*.txt"))
    sys.exit(0 if asyncio.run(run(options.url, scripts)) else 1)


if __name__ == "__main__":
    main()
