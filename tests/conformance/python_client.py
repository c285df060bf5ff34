"""The promises of `examples/python/sotto.py` that the chaos run cannot see, one by one.

    python3 tests/conformance/python_client.py ws://127.0.0.1:8080/ws

Invariant: each wait ends with an event, or fails after PATIENCE_S.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "examples/python"))

import sotto

PATIENCE_S = 60.0


class Case:
    """What a check works with: the address of a server, ids of its own, and a folder."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.run = secrets.token_hex(4)

    def id(self, name: str) -> str:
        return f"{name}-{self.run}"

    def connect(self, name: str, *, kept: bool = True) -> sotto.Client:
        store = self.folder / f"{self.id(name)}.store" if kept else None
        return sotto.connect(self.url, id=self.id(name), store=store)


async def joined(me: sotto.Client) -> None:
    event = asyncio.Event()
    me.on_state = lambda state: event.set() if state == "joined" else None
    if me.state != "joined":
        await event.wait()


def collect(me: sotto.Client) -> asyncio.Queue[Any]:
    bodies: asyncio.Queue[Any] = asyncio.Queue()

    async def handle(message: sotto.Message) -> None:
        bodies.put_nowait(message.body)

    me.on_message = handle
    return bodies


async def code_of(sent: sotto.Sent) -> str:
    try:
        await sent.delivered
    except sotto.SottoError as error:
        return error.code
    return "delivered"


async def message_is_delivered_when_its_handler_returns(case: Case) -> None:
    async with case.connect("alice") as alice, case.connect("bob") as bob:
        await joined(bob)
        entered, leave = asyncio.Event(), asyncio.Event()

        async def handle(message: sotto.Message) -> None:
            entered.set()
            await leave.wait()

        bob.on_message = handle
        sent = alice.send(bob.id, "hello")
        await entered.wait()
        # The answer to a later question comes, and the fate has not.
        assert await code_of(alice.send(case.id("nobody"), 1)) == "offline"
        assert alice.pending == (sent,)
        leave.set()
        assert await code_of(sent) == "delivered"


async def failed_handler_gets_its_message_again_and_answers_once(case: Case) -> None:
    async with case.connect("alice") as alice, case.connect("bob") as bob:
        await joined(alice)
        await joined(bob)
        answers, attempts = collect(alice), []

        async def handle(message: sotto.Message) -> None:
            attempts.append(message.body)
            bob.send(message.sender, f"answer to {message.body}")
            if len(attempts) < 3:
                raise RuntimeError("on purpose")

        bob.on_message = handle
        first, second = alice.send(bob.id, 1), alice.send(bob.id, 2)
        assert await code_of(first) == await code_of(second) == "delivered"
        assert attempts == [1, 1, 1, 2], attempts
        assert [await answers.get(), await answers.get()] == ["answer to 1", "answer to 2"]
        await code_of(alice.send(bob.id, 3))
        assert await answers.get() == "answer to 3"


async def send_of_a_killed_handler_is_found_again(case: Case) -> None:
    path = case.folder / "killed.store"
    cause = "alice", 7, 1
    memory = sotto.Memory("bob", path)
    first, is_new = memory.write("alice", "answer", True, cause)
    assert is_new
    # Killed here. Before the message, others come again whose acknowledgement was lost.
    memory.journal.close()
    memory = sotto.Memory("bob", path)
    memory.handled("alice", "a-1", 6)
    second, is_new = memory.write("alice", "answer", True, cause)
    assert (second.number, is_new) == (first.number, False)
    memory.settle(second, None)
    memory.journal.close()
    memory = sotto.Memory("bob", path)
    third, is_new = memory.write("alice", "answer", True, cause)
    assert (third.number, is_new, await code_of(third)) == (first.number, False, "delivered")
    memory.handled("alice", "a-2", 7)
    memory.journal.close()
    assert not sotto.Memory("bob", path).caused


async def sends_outlive_the_client_in_order(case: Case) -> None:
    async with case.connect("bob") as bob:
        await joined(bob)
    async with case.connect("alice") as alice:
        await joined(alice)
        for number in range(300):
            alice.send(bob.id, number)
    async with case.connect("alice") as alice, case.connect("bob") as bob:
        bodies = collect(bob)
        assert [await bodies.get() for _ in range(300)] == list(range(300))
        await asyncio.gather(*(sent.delivered for sent in alice.pending))


class ClosedTransport:
    """A transport of asyncio that was closed while bytes waited, and has written them since."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def abort(self) -> None:
        self._transport.abort()
        raise AttributeError("'NoneType' object has no attribute 'call_soon'")


async def client_of_a_closed_transport_comes_back(case: Case) -> None:
    async with case.connect("alice") as alice:
        await joined(alice)
        socket = alice._link.socket
        socket.transport = ClosedTransport(socket.transport)
        states: asyncio.Queue[str] = asyncio.Queue()
        alice.on_state = states.put_nowait
        await socket.close()
        assert [await states.get() for _ in range(3)] == ["lost", "connecting", "joined"]


async def bodies_come_out_as_they_went_in(case: Case) -> None:
    async with case.connect("alice", kept=False) as alice:
        await joined(alice)
        bodies = collect(alice)
        values: list[Any] = [None, "", "ä\n\ud800", 1.5, [], {"text": "x", "number": 1}, {"body": 1}]
        for body in values:
            alice.send(alice.id, body)
            assert await bodies.get() == body
        plain = {"text": "x", "number": 1.5}
        alice.send(alice.id, plain, numbered=False)
        assert await bodies.get() == plain


async def refused_send_tells_its_code(case: Case) -> None:
    async with case.connect("alice", kept=False) as alice:
        await joined(alice)
        assert await code_of(alice.send(case.id("nobody"), 1)) == "offline"
        assert await code_of(alice.send("no id", 1)) == "bad_id"
        assert await code_of(alice.send(alice.id, "x" * 70_000)) == "long"
        late = alice.send(case.id("nobody"), 1)
    assert await code_of(late) in ("closed", "offline")


async def second_client_replaces_the_first(case: Case) -> None:
    first = case.connect("alice")
    await joined(first)
    # The same key: a copy of the store.
    path = case.folder / f"{first.id}.store"
    copy = case.folder / "copy.store"
    copy.write_bytes(path.read_bytes())
    try:
        case.connect("alice")
        raise AssertionError("two programs have one store")
    except sotto.SottoError as error:
        assert error.code == "store"
    async with sotto.connect(case.url, id=first.id, store=copy) as second:
        await joined(second)
        try:
            await first.wait_closed()
            raise AssertionError("it was not replaced")
        except sotto.SottoError as error:
            assert (error.code, first.state) == ("replaced", "replaced")
    await first.close()
    async with sotto.connect(case.url, id=first.id) as stranger:
        try:
            await stranger.wait_closed()
        except sotto.SottoError as error:
            assert (error.code, stranger.state) == ("id_taken", "refused")


async def peers_are_watched_signalled_and_blocked(case: Case) -> None:
    async with case.connect("alice") as alice, case.connect("bob") as bob:
        await joined(alice)
        news: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
        alice.watch([bob.id], lambda id, online: news.put_nowait((id, online)))
        await joined(bob)
        while await news.get() != (bob.id, True):
            pass
        signals: asyncio.Queue[Any] = asyncio.Queue()
        bob.on_signal = lambda sender, body: signals.put_nowait((sender, body))
        alice.signal(bob.id, {"typing": True})
        assert await signals.get() == (alice.id, {"typing": True})
        bob.block([alice.id])
        assert await news.get() == (bob.id, False)
        assert await code_of(alice.send(bob.id, 1)) == "offline"
        bob.unblock([alice.id])
        assert await news.get() == (bob.id, True)
        await bob.close()
        assert await news.get() == (bob.id, False)


async def client_that_leaves_gives_up_its_id_and_store(case: Case) -> None:
    async with case.connect("alice") as alice, case.connect("bob") as bob:
        await joined(alice)
        await joined(bob)
        sent = alice.send(bob.id, 1)
        while sent._mid is None:
            await asyncio.sleep(0.01)
        await bob.leave()
        assert await code_of(sent) == "expired"
        assert not (case.folder / f"{bob.id}.store").exists()


CHECKS = [
    message_is_delivered_when_its_handler_returns,
    failed_handler_gets_its_message_again_and_answers_once,
    send_of_a_killed_handler_is_found_again,
    sends_outlive_the_client_in_order,
    client_of_a_closed_transport_comes_back,
    bodies_come_out_as_they_went_in,
    refused_send_tells_its_code,
    second_client_replaces_the_first,
    peers_are_watched_signalled_and_blocked,
    client_that_leaves_gives_up_its_id_and_store,
]


async def main(url: str) -> None:
    # One of the handlers fails on purpose.
    logging.getLogger("sotto").setLevel(logging.CRITICAL)
    for check in CHECKS:
        with tempfile.TemporaryDirectory() as folder:
            await asyncio.wait_for(check(Case(url, Path(folder))), PATIENCE_S)
        print(f"ok      {check.__name__}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
