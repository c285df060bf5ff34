"""A client of sotto: messages to an id, each handled once, in order, also if the peer is away.

    async with sotto.connect("ws://127.0.0.1:8080/ws", id="alice", store="alice.json") as me:
        me.on_message = handle                      # acknowledged when it returns
        sent = me.send("bob", {"hello": "world"})   # on disk when it returns
        await sent.delivered                        # or raises SottoError: expired, offline, full ...

Python 3.11 or later and the package `websockets`, 10.4 or later; nothing else.

Invariants:

- A message is acknowledged after its handler has returned and the store has it as handled.
- A send is in the store before `send` returns, and stays there until its fate is known.
- A send that a handler wrote is not written again if the handler has to run again.
- A send keeps its number whatever happens, so its recipient drops each repetition.
- Sends to one recipient go to the server in the order in which they were written.
- Every table and queue has a bound with a name.

Encryption is not known here: to this client a sealed body is a JSON object like any other.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import os
import random
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, Literal

import websockets

try:
    import fcntl
except ImportError:  # Windows: nothing keeps a second program from the same store.
    fcntl = None  # type: ignore[assignment]

__all__ = ["Client", "Message", "Sent", "SottoError", "State", "connect"]

log = logging.getLogger("sotto")

#: Sends without an answer. The server knows a repetition of the last 128, and no earlier one.
UNANSWERED_MAX = 128
#: Sends without a fate. More are refused here, with `full`.
UNSETTLED_MAX = 65_536
#: Mids and numbers of handled messages. A repetition comes within the server's `--held`.
SEEN_MAX = 65_536
#: Messages that wait for the handler. More end the connection: the server holds and repeats them.
INBOX_MAX = 16_384
#: Fates that came before the mid of their send was known: as many as the server remembers.
EARLY_MAX = 1024
#: Sends of handlers that have not returned.
CAUSED_MAX = 1024
#: Ids that a client may watch, and that it may block; and mids in one `ack`.
IDS_MAX = LIST_MAX = 256
#: Lines that wait to be said, besides sends and acks. Further signals are dropped.
LINES_MAX = 1024
#: Bytes of the longest frame: `--outbox` is 512 KiB by default, and at most some times 16 MiB.
FRAME_BYTES_MAX = 128 * 1024 * 1024
#: Bytes of a frame with more than one line. The server gives a frame 10 s to be whole.
SAID_BYTES_MAX = 8192
#: Bytes of a line, until `joined` has told the server's own limit.
LINE_BYTES_MAX = 65_536
#: Lines of the store that are of no use any more, before it is written anew.
GARBAGE_LINES_MAX = 100_000

#: Seconds. The bound of a delay doubles; each delay is drawn from nothing up to it.
DELAY_S_FIRST, DELAY_S_MAX = 0.5, 20.0
#: Seconds without a line before the client asks for one; shorter while a send is unanswered.
SILENCE_S, SILENCE_UNANSWERED_S = 30.0, 10.0
#: Seconds from a question to the first line; doubled with each connection given up for it.
ANSWER_S_FIRST, ANSWER_S_MAX = 10.0, 80.0
#: Seconds. After a restart of a server without a store all peers come back, but not at once: a
#: peer that is not back after the longest delay and a bit is offline.
RETURN_S = 25.0
#: Seconds between attempts to reach such a peer.
RETURN_STEP_S = 1.0

#: Answers to `join` that another attempt would get, too.
FINAL_CODES = frozenset({"id_taken", "bad_id", "bad_key", "forbidden"})
CLOSE_LEFT, CLOSE_TRY_LATER, CLOSE_REPLACED = 1000, 1013, 4001
NUMBER_MAX = 2**53 - 1

State = Literal["connecting", "joined", "lost", "replaced", "refused", "closed"]


class SottoError(Exception):
    """A request failed. `code` is one of the protocol's, or:

    `forgotten` (the server lost a numberless message, maybe), `long`, `closed`, `replaced`,
    `left`, `lost`, `store`.
    """

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(f"{code}: {text}" if text else code)
        self.code = code


@dataclass(frozen=True)
class Message:
    """A message that has come."""

    sender: str
    body: Any
    mid: str
    #: Milliseconds since 1970, by the server's clock.
    at: int


class Sent:
    """A message that was written here."""

    def __init__(self, to: str, body: Any, wire: str, number: int, ref: str) -> None:
        self.to = to
        self.body = body
        self.number = number
        #: The body as it stands in the line.
        self._wire = wire
        self._ref = ref
        #: The ownership under which it was said last.
        self._under: str | None = None
        self._mid: str | None = None
        #: Its `sent` came over an earlier connection, so its fate may have been missed.
        self._is_stale = False
        self._is_numbered = True
        self._cause: Cause | None = None
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Not every caller waits for the fate.
        self._future.add_done_callback(lambda f: f.cancelled() or f.exception())

    @property
    def delivered(self) -> asyncio.Future[None]:
        """Resolves when the recipient has acknowledged it, or raises `SottoError`."""
        # A caller that gives up waiting must not cancel the fate itself.
        return asyncio.shield(self._future)

    def _settle(self, error: SottoError | None) -> None:
        if self._future.done():
            return
        if error is None:
            self._future.set_result(None)
        else:
            self._future.set_exception(error)


#: Names a send by the message whose handler wrote it: sender, number or mid, and a count.
Cause = tuple[str, str | int, int]


class Handling:
    """A message that the handler has."""

    def __init__(self, client: Client, sender: str, mark: str | int) -> None:
        self.client = client
        self._sender, self._mark, self._count = sender, mark, 0
        self.is_over = False

    def next_cause(self) -> Cause:
        self._count += 1
        return self._sender, self._mark, self._count


HANDLING: contextvars.ContextVar[Handling | None] = contextvars.ContextVar("handling", default=None)


def wrap(body: Any, number: int) -> dict[str, Any]:
    """Returns the numbered form of a body."""
    return {"text" if isinstance(body, str) else "body": body, "number": number}


def unwrap(body: Any) -> tuple[Any, int | None]:
    """Returns the body and the number of a numbered form, or any other body as it is."""
    if isinstance(body, dict) and len(body) == 2:
        number = body.get("number")
        if type(number) is int and 1 <= number <= NUMBER_MAX:
            if isinstance(body.get("text"), str):
                return body["text"], number
            if "body" in body:
                return body["body"], number
    return body, None


def dump(value: Any) -> str:
    """Returns the shortest JSON of a value, in text that UTF-8 can carry."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # A lone surrogate.
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text


class Journal:
    """The file of a client: JSON lines, appended, and written anew when most are of no use.

    Without a path it keeps nothing.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self.path = None if path is None else os.fspath(path)
        self.lines = 0
        self._file: IO[bytes] | None = None
        self._bytes = 0
        self._is_synced = True

    def read(self) -> Iterator[dict[str, Any]]:
        """Yields the records. A last line that is not whole was never promised to anybody."""
        if self.path is None or not os.path.exists(self.path):
            return
        with open(self.path, "rb") as file:
            lines = file.read().split(b"\n")
        for at, line in enumerate(lines):
            if not line:
                continue
            try:
                record = json.loads(line)
            except ValueError:
                if at == len(lines) - 1:
                    return
                raise SottoError("store", f"{self.path}: line {at + 1} is not JSON") from None
            yield record

    def lock(self) -> None:
        """Keeps other programs from this store. A killed program holds no lock."""
        if self.path is not None:
            self._file = open(self.path, "ab", buffering=0, opener=private)
            self._lock(self._file)

    def _lock(self, file: IO[bytes]) -> None:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise SottoError("store", f"{self.path} is in use by another program") from None

    def rewrite(self, records: Iterable[dict[str, Any]]) -> None:
        """Replaces the file at once, so that a crash leaves the old one or the new one."""
        if self.path is None:
            return
        new = f"{self.path}.new"
        data = b"".join(json.dumps(record).encode() + b"\n" for record in records)
        file = open(new, "wb", buffering=0, opener=private)
        self._lock(file)
        write_all(file, data)
        os.fsync(file.fileno())
        os.replace(new, self.path)
        folder = os.open(os.path.dirname(os.path.abspath(self.path)), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        if self._file is not None:
            self._file.close()
        self._file, self._bytes, self._is_synced = file, len(data), True
        self.lines = data.count(b"\n")

    def append(self, *records: dict[str, Any]) -> None:
        """Writes records. They survive the end of this program, and with `sync` a power cut."""
        if self._file is None:
            return
        data = b"".join(json.dumps(record).encode() + b"\n" for record in records)
        try:
            write_all(self._file, data)
        except OSError:
            # No half line in front of the next one.
            os.ftruncate(self._file.fileno(), self._bytes)
            self._file.seek(0, os.SEEK_END)
            raise
        self._bytes += len(data)
        self.lines += len(records)
        self._is_synced = False

    def sync(self) -> None:
        if self._file is not None and not self._is_synced:
            os.fsync(self._file.fileno())
            self._is_synced = True

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        self.close()
        if self.path is not None:
            os.unlink(self.path)


def private(path: str, flags: int) -> int:
    """Opens a file that other users cannot read: the key of the id is in it."""
    return os.open(path, flags, 0o600)


def write_all(file: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


class Memory:
    """All that a client remembers over connections, in memory and in its journal."""

    def __init__(self, id: str, path: str | os.PathLike[str] | None) -> None:
        self.id = id
        self.key = secrets.token_hex(16)
        #: The latest one; a send without one of its own was said under it, if at all.
        self.ownership: str | None = None
        #: Seconds since 1970: until then peers may return that the server has forgotten.
        self.return_until = 0.0
        self.number = 0
        self.sends: dict[int, Sent] = {}
        #: Sends of a handler that has not returned: if it has to run again, it finds them here.
        self.caused: dict[Cause, Sent] = {}
        self.seen: OrderedDict[tuple[str, str | int], None] = OrderedDict()
        #: `False`: to be unblocked with the next `join`.
        self.blocked: dict[str, bool] = {}
        self.journal = Journal(path)
        self.journal.lock()
        try:
            for record in self.journal.read():
                self._apply(record)
            self.journal.rewrite(self._records())
        except BaseException:
            self.journal.close()
            raise

    def _apply(self, record: dict[str, Any]) -> None:
        match record:
            case {"id": id, "key": key, "number": number}:
                if id != self.id:
                    raise SottoError("store", f"{self.journal.path} belongs to {id}")
                self.key, self.number = key, number
            case {"ownership": ownership}:
                self.ownership = ownership
                self.return_until = min(record.get("until", 0.0), time.time() + RETURN_S)
            case {"send": number, "to": to, "wire": wire, "ref": ref}:
                body = json.loads(wire)
                if is_numbered := not record.get("raw", False):
                    body, _ = unwrap(body)
                self.number = max(self.number, number)
                self.sends[number] = sent = Sent(to, body, wire, number, ref)
                sent._is_numbered = is_numbered
                sent._under, sent._mid = record.get("under", self.ownership), record.get("mid")
                sent._is_stale = sent._mid is not None
                if cause := record.get("for"):
                    sent._cause = cause[0], cause[1], cause[2]
                    self.caused[sent._cause] = sent
            case {"said": number, "ref": ref, "under": under} if number in self.sends:
                sent = self.sends[number]
                sent._ref, sent._under, sent._mid = ref, under, None
            case {"mid": mid, "of": number} if number in self.sends:
                self.sends[number]._mid, self.sends[number]._is_stale = mid, True
            case {"done": number} if number in self.sends:
                code = record.get("code")
                self.sends.pop(number)._settle(None if code is None else SottoError(code))
            case {"seen": mid, "from": sender}:
                self._see(sender, mid, record.get("number"))
            case {"block": ids}:
                self.blocked.update(ids)

    def _records(self) -> Iterator[dict[str, Any]]:
        yield {"id": self.id, "key": self.key, "number": self.number}
        if self.ownership is not None:
            yield {"ownership": self.ownership, "until": self.return_until}
        if self.blocked:
            yield {"block": self.blocked}
        for (sender, mark) in self.seen:
            known = {"seen": mark} if isinstance(mark, str) else {"seen": None, "number": mark}
            yield {**known, "from": sender}
        for sent in (self.sends | {sent.number: sent for sent in self.caused.values()}).values():
            yield self._record(sent)
        for sent in self.caused.values():
            if sent.number not in self.sends:
                yield self._done(sent)

    @staticmethod
    def _record(sent: Sent) -> dict[str, Any]:
        record = {"send": sent.number, "to": sent.to, "wire": sent._wire, "ref": sent._ref}
        record["under"] = sent._under
        if sent._mid is not None:
            record["mid"] = sent._mid
        if not sent._is_numbered:
            record["raw"] = True
        if sent._cause is not None:
            record["for"] = sent._cause
        return record

    @staticmethod
    def _done(sent: Sent) -> dict[str, Any]:
        error = sent._future.exception() if sent._future.done() else None
        code = {"code": error.code} if isinstance(error, SottoError) else {}
        return {"done": sent.number, **code}

    def _see(self, sender: str, mid: str | None, number: int | None) -> None:
        for mark in (mid, number):
            if mark is not None:
                self.seen[sender, mark] = None
        while len(self.seen) > 2 * SEEN_MAX:
            self.seen.popitem(last=False)
        # Its handler will not run again.
        for cause in [c for c in self.caused if c[0] == sender and c[1] in (mid, number)]:
            del self.caused[cause]
        # A message that its sender took back comes no more.
        while len(self.caused) > CAUSED_MAX:
            del self.caused[next(iter(self.caused))]

    # ---- changes ----

    def write(self, to: str, body: Any, numbered: bool, cause: Cause | None) -> tuple[Sent, bool]:
        """Takes a send, which is on disk when this returns. `False`: it was there before."""
        if cause is not None and (known := self.caused.get(cause)) is not None:
            if (known.to, known.body) == (to, body):
                return known, False
        number = max(self.number + 1, time.time_ns() // 1000)
        sent = Sent(to, body, dump(wrap(body, number) if numbered else body), number, new_ref())
        sent._is_numbered, sent._cause = numbered, cause
        # If it is said, then under this one, or a record tells so. Of a numberless one, that the
        # server may have it is worth a record.
        sent._under = self.ownership if numbered else None
        self.journal.append(self._record(sent))
        self.journal.sync()
        self.number = number
        self.sends[number] = sent
        if cause is not None:
            self.caused[cause] = sent
        return sent, True

    def joined(self, ownership: str | None) -> None:
        """Prepares all sends for another ownership, under which the server knows none of them."""
        records: list[dict[str, Any]] = []
        if ownership != self.ownership:
            if self.ownership is not None:
                self.return_until = time.time() + RETURN_S
            self.ownership = ownership
            records.append({"ownership": ownership, "until": self.return_until})
        for sent in list(self.sends.values()):
            if sent._under in (None, ownership):
                continue
            if not sent._is_numbered:
                self.settle(sent, SottoError("forgotten", "maybe delivered, maybe lost"))
                continue
            sent._ref, sent._under, sent._mid = new_ref(), ownership, None
            records.append({"said": sent.number, "ref": sent._ref, "under": ownership})
        self.journal.append(*records)

    def saying(self, sent: Sent) -> None:
        if sent._under is None:
            sent._under = self.ownership
            said = {"said": sent.number, "ref": sent._ref, "under": sent._under}
            self.journal.append(said)

    def taken(self, sent: Sent, mid: str) -> None:
        sent._mid, sent._is_stale = mid, False
        self.journal.append({"mid": mid, "of": sent.number})

    def settle(self, sent: Sent, error: SottoError | None) -> None:
        if self.sends.pop(sent.number, None) is not None:
            sent._settle(error)
            self.journal.append(self._done(sent))
            self._compact()

    def is_new(self, sender: str, mid: str, number: int | None) -> bool:
        return (sender, mid) not in self.seen and (sender, number) not in self.seen

    def handled(self, sender: str, mid: str, number: int | None) -> None:
        """Remembers a message, over the end of this program; over a power cut after `sync`."""
        record = {"seen": mid, "from": sender}
        self.journal.append(record if number is None else {**record, "number": number})
        self._see(sender, mid, number)
        self._compact()

    def block(self, ids: list[str], is_blocked: bool) -> None:
        change = dict.fromkeys(ids, is_blocked)
        if len({id for id, on in {**self.blocked, **change}.items() if on}) > IDS_MAX:
            raise SottoError("too_many", f"at most {IDS_MAX} ids are blocked")
        self.journal.append({"block": change})
        self.journal.sync()
        self.blocked.update(change)
        if len(self.blocked) > 2 * IDS_MAX:
            self.blocked = {id: on for id, on in self.blocked.items() if on}

    def _compact(self) -> None:
        live = len(self.sends) + len(self.seen)
        if self.journal.lines > 2 * live + GARBAGE_LINES_MAX:
            self.journal.rewrite(self._records())


def new_ref() -> str:
    return secrets.token_urlsafe(12)


class Link:
    """One connection, from the attempt to its end."""

    def __init__(self) -> None:
        self.socket: Any = None
        self.is_joined = False
        #: Over this connection the server has heard `join`, maybe; and has answered it.
        self.said_join = self.has_joined = False
        self.line_bytes_max = LINE_BYTES_MAX
        self.refusal: SottoError | None = None


class Client:
    """A client under one id. Made by `connect`."""

    def __init__(
        self,
        url: str,
        id: str,
        store: str | os.PathLike[str] | None,
        password: str | None,
        token: str | Callable[[], str] | None,
    ) -> None:
        self.url = url
        self.id = id
        self.state: State = "connecting"
        self.on_state: Callable[[State], None] = lambda state: None
        self.on_signal: Callable[[str, Any], None] = lambda sender, body: None
        self._password, self._token = password, token
        self._memory = Memory(id, store)
        self._handler: Callable[[Message], Awaitable[None]] | None = None
        self._watched: dict[str, Callable[[str, bool], None]] = {}
        # Sends to say, by number; those without an answer, by ref; those with one, by mid.
        self._queue: deque[int] = deque()
        self._said: dict[str, Sent] = {}
        self._taken: dict[str, Sent] = {}
        self._early: OrderedDict[tuple[str, str], SottoError | None] = OrderedDict()
        self._lines: deque[str] = deque()
        self._acks: deque[tuple[str, str]] = deque()
        self._inbox: deque[tuple[Link, Message, int | None]] = deque()
        self._link = Link()
        self._wake, self._arrived = asyncio.Event(), asyncio.Event()
        # After a changed ownership: peers that have returned; those that had not at their last
        # attempt, with the time of the next.
        self._returned: set[str] = set()
        self._away: dict[str, float] = {}
        # Attempts in a row, handlers that failed in a row, connections given up in a row, and
        # whether an abandoned `join` may still reach the server behind a later one.
        self._attempts = self._failures = self._given_up = 0
        self._has_ghost = False
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = loop.create_future()
        self._ended.add_done_callback(lambda f: f.cancelled() or f.exception())
        self._tasks = [loop.create_task(self._run()), loop.create_task(self._handle())]
        for task in self._tasks:
            task.add_done_callback(self._task_ended)

    # ---- for the program ----

    @property
    def on_message(self) -> Callable[[Message], Awaitable[None]] | None:
        """Handles each message once; acknowledged when it returns. It raises: comes again."""
        return self._handler

    @on_message.setter
    def on_message(self, handler: Callable[[Message], Awaitable[None]] | None) -> None:
        self._handler = handler
        self._arrived.set()

    @property
    def pending(self) -> tuple[Sent, ...]:
        """Sends without a fate, those of an earlier run with the same store included."""
        return tuple(self._memory.sends.values())

    def send(self, to: str, body: Any, *, numbered: bool = True) -> Sent:
        """Writes to an id. With a store the message is on disk when this returns.

        `numbered=False`: for recipients that know no numbers. After a restart of a server without
        a store such a message fails with `forgotten`, because a repetition could be a double.

        Within `on_message`, a handler that runs again (it raised, or the program was killed) gets
        the same `Sent` for its first send, its second, and so on, if recipient and body are the
        same. So an answer is sent once.
        """
        self._check_open()
        if not isinstance(to, str):
            raise TypeError("`to` is an id")
        if len(self._memory.sends) >= UNSETTLED_MAX:
            raise SottoError("full", f"{UNSETTLED_MAX} messages have no fate yet")
        handling = HANDLING.get()
        is_inside = handling is not None and handling.client is self and not handling.is_over
        cause = handling.next_cause() if handling is not None and is_inside else None
        sent, is_new = self._memory.write(to, body, numbered, cause)
        if is_new:
            self._queue.append(sent.number)
            self._wake.set()
        return sent

    def signal(self, to: str, body: Any) -> None:
        """Routes something of passing interest, if both are here."""
        self._check_open()
        if self._link.is_joined and len(self._lines) < LINES_MAX:
            self._say({"type": "signal", "to": to, "body": body})

    def watch(self, ids: list[str], heard: Callable[[str, bool], None]) -> None:
        """Calls `heard(id, online)` now and at each change, over all connections."""
        self._check_open()
        if len(self._watched | dict.fromkeys(ids)) > IDS_MAX - 1:
            raise SottoError("too_many", f"at most {IDS_MAX - 1} ids are watched")
        self._watched.update(dict.fromkeys(ids, heard))
        self._say_ids("watch", ids)

    def unwatch(self, ids: list[str]) -> None:
        for id in ids:
            self._watched.pop(id, None)
        self._say_ids("unwatch", ids)

    def block(self, ids: list[str]) -> None:
        """Refuses messages from these ids, until `unblock`."""
        self._check_open()
        self._memory.block(ids, True)
        self._say_ids("block", ids)

    def unblock(self, ids: list[str]) -> None:
        self._check_open()
        self._memory.block(ids, False)
        self._say_ids("unblock", ids)

    async def leave(self) -> None:
        """Gives the id up, with all messages held for it, and forgets the store."""
        self._check_open()
        if not self._link.is_joined:
            raise SottoError("lost", "not connected")
        link = self._link
        self._say({"type": "leave"})
        await asyncio.wait_for(link.socket.wait_closed(), ANSWER_S_FIRST)
        await self._finish("closed", SottoError("left"), is_error=False)
        self._memory.journal.remove()

    async def close(self) -> None:
        """Ends the connection. With a store, another run goes on where this one ends."""
        await self._finish("closed", SottoError("closed"), is_error=False)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._memory.journal.close()

    async def wait_closed(self) -> None:
        """Returns after `close`; raises if the server refused this client or another replaced it."""
        await asyncio.shield(self._ended)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """A mistake of this client must not leave its program waiting for ever."""
        if not task.cancelled() and (error := task.exception()) and not self._ended.done():
            log.critical("the client has ended by its own mistake", exc_info=error)
            self.state = "closed"
            self._ended.set_exception(error)

    def _check_open(self) -> None:
        if self._ended.done():
            raise SottoError(self.state)

    def _set_state(self, state: State) -> None:
        if self.state != state:
            self.state = state
            guard(self.on_state, state)

    async def _finish(self, state: State, error: SottoError, is_error: bool) -> None:
        if self._ended.done():
            return
        # `wait_closed` returns later than this, and finds the state.
        was, self.state = self.state, state
        if is_error:
            self._ended.set_exception(error)
        else:
            self._ended.set_result(None)
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()
        self._drop(self._link)
        if self._link.socket is not None:
            await close_socket(self._link.socket)
        for sent in self._memory.sends.values():
            sent._settle(error)
        if was != state:
            guard(self.on_state, state)

    # ---- connections ----

    async def _run(self) -> None:
        while not self._ended.done():
            self._set_state("connecting")
            link = self._link = Link()
            code: int | None = None
            try:
                code = await self._serve(link)
            except Exception as error:  # Whatever it is, a client that stops here stays deaf.
                log.info("%s: %s: %s", self.url, type(error).__name__, error)
                if isinstance(error, SottoError) and error.code == "too_many":
                    code = CLOSE_TRY_LATER
            finally:
                self._drop(link)
                # `close` says goodbye first.
                if link.socket is not None and not self._ended.done():
                    abort(link.socket)
            if link.refusal is not None:
                return await self._finish("refused", link.refusal, is_error=True)
            if code == CLOSE_REPLACED and not self._has_ghost:
                replaced = SottoError("replaced", f"{self.id} has joined elsewhere")
                return await self._finish("replaced", replaced, is_error=True)
            self._has_ghost = link.said_join and not link.has_joined
            self._set_state("lost")
            await asyncio.sleep(self._delay(code))

    def _delay(self, code: int | None) -> float:
        attempts = max(self._attempts, self._failures)
        self._attempts += 1
        bound = min(DELAY_S_MAX, DELAY_S_FIRST * 2 ** min(attempts, 10))
        if code == CLOSE_TRY_LATER:
            return DELAY_S_MAX * random.uniform(1.0, 1.25)
        return random.uniform(0.0, bound)

    async def _serve(self, link: Link) -> int | None:
        """Speaks over one connection, and returns the code of its close frame."""
        answer_s = min(ANSWER_S_MAX, ANSWER_S_FIRST * 2 ** min(self._given_up, 10))
        link.socket = await websockets.connect(
            self.url,
            subprotocols=["sotto.v1"],  # type: ignore[list-item]
            compression=None,
            max_size=FRAME_BYTES_MAX,
            open_timeout=min(answer_s, DELAY_S_MAX),
            close_timeout=2,
            ping_interval=None,
        )
        join = {"type": "join", "id": self.id, "key": self._memory.key}
        if self._password is not None:
            join["password"] = self._password
        if self._token is not None:
            join["token"] = self._token if isinstance(self._token, str) else self._token()
        link.said_join = True
        await asyncio.wait_for(link.socket.send(dump(join)), answer_s)
        writer = asyncio.create_task(self._write(link))
        try:
            return await self._read(link, answer_s)
        finally:
            writer.cancel()

    async def _read(self, link: Link, answer_s: float) -> int | None:
        is_asking = True
        while self._link is link and link.refusal is None:
            silence_s = SILENCE_UNANSWERED_S if self._said else SILENCE_S
            try:
                text = await asyncio.wait_for(
                    link.socket.recv(), answer_s if is_asking else silence_s
                )
            except asyncio.TimeoutError:
                if is_asking:
                    self._given_up += 1
                    raise SottoError("lost", f"no answer within {answer_s} s") from None
                # The answer to a `watch` on one's own id: any line shows that the server hears.
                is_asking = True
                self._say({"type": "watch", "ids": [self.id]})
                continue
            except websockets.ConnectionClosed as closed:
                return None if closed.rcvd is None else closed.rcvd.code
            self._given_up = 0
            for line in text.split("\n"):
                try:
                    value = json.loads(line) if line.strip() else None
                except ValueError:
                    continue
                if isinstance(value, dict) and self._link is link:
                    self._hear(link, value)
            is_asking = not link.is_joined
            self._wake.set()
        return None

    def _drop(self, link: Link) -> None:
        """Lets go of a connection, and of all that the server has to say again."""
        link.is_joined = False
        self._said.clear()
        self._queue.clear()
        self._lines.clear()
        self._acks.clear()
        self._inbox.clear()
        if self._link is link:
            self._link = Link()
            self._link.socket = link.socket

    # ---- to the server ----

    async def _write(self, link: Link) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while link.is_joined and (lines := self._take_lines(link)):
                    await link.socket.send("\n".join(lines))
        except websockets.ConnectionClosed:
            pass
        except Exception:
            log.exception("a line could not be written")
            abort(link.socket)

    def _say(self, line: dict[str, Any]) -> None:
        self._lines.append(dump(line))
        self._wake.set()

    def _say_ids(self, kind: str, ids: list[str]) -> None:
        if self._link.is_joined:
            for at in range(0, len(ids), LIST_MAX):
                self._say({"type": kind, "ids": ids[at : at + LIST_MAX]})

    def _take_lines(self, link: Link) -> list[str]:
        """Returns lines for one frame. What it acknowledges is on disk."""
        lines: list[str] = []
        room = SAID_BYTES_MAX
        for line in self._next_lines(link):
            room -= len(line.encode()) + 1
            if room < 0 and lines:
                # Goes first in the next frame.
                self._lines.appendleft(line)
                break
            lines.append(line)
            if room < 0:
                break
        return lines

    def _next_lines(self, link: Link) -> Iterator[str]:
        while self._lines:
            yield self._lines.popleft()
        while self._acks:
            self._memory.journal.sync()
            sender = self._acks[0][0]
            mids: list[str] = []
            while self._acks and self._acks[0][0] == sender and len(mids) < LIST_MAX:
                mids.append(self._acks.popleft()[1])
            yield dump({"type": "ack", "to": sender, "mids": mids})
        while len(self._said) < UNANSWERED_MAX and (sent := self._next_send()) is not None:
            to, ref = json.dumps(sent.to), json.dumps(sent._ref)
            line = f'{{"type":"send","to":{to},"body":{sent._wire},"ref":{ref}}}'
            if len(line.encode()) > link.line_bytes_max:
                error = SottoError("long", f"the server takes {link.line_bytes_max} bytes")
                self._memory.settle(sent, error)
                continue
            self._memory.saying(sent)
            self._said[sent._ref] = sent
            yield line

    def _next_send(self) -> Sent | None:
        """Returns the next send. While peers return, one at a time for each that has not."""
        now, return_until = time.time(), self._memory.return_until
        if now >= return_until:
            self._away.clear()
        skipped = []
        found = None
        while found is None and self._queue:
            number = self._queue.popleft()
            sent = self._memory.sends.get(number)
            if sent is None:
                continue
            if now < return_until and sent.to not in self._returned:
                if now < self._away.get(sent.to, 0.0):
                    skipped.append(number)
                    continue
                # In order: none behind it before its answer.
                self._away[sent.to] = return_until
            found = sent
        self._queue.extendleft(reversed(skipped))
        return found

    # ---- from the server ----

    def _hear(self, link: Link, line: dict[str, Any]) -> None:
        if not link.is_joined:
            if line.get("type") == "joined":
                self._joined(link, line)
            elif line.get("type") == "error":
                code, text = str(line.get("code")), str(line.get("text"))
                if code in FINAL_CODES:
                    link.refusal = SottoError(code, text)
                else:
                    raise SottoError(code, text)
            return
        match line:
            case {"type": "message", "from": str(sender), "mid": str(mid), "body": body}:
                body, number = unwrap(body)
                message = Message(sender, body, mid, line.get("at", 0))
                if len(self._inbox) >= INBOX_MAX:
                    raise SottoError("full", "the handler is too slow")
                self._inbox.append((link, message, number))
                self._arrived.set()
            case {"type": "sent", "ref": str(ref), "mid": str(mid)}:
                self._sent(ref, mid)
            case {"type": "delivered", "from": str(to), "mids": list(mids)}:
                self._fates(to, mids, None)
            case {"type": "expired", "to": str(to), "mids": list(mids)}:
                self._fates(to, mids, SottoError("expired", f"{to} did not come for it"))
            case {"type": "signal", "from": str(sender), "body": body}:
                guard(self.on_signal, sender, body)
            case {"type": "presence", "id": str(id), "online": bool(online)}:
                if heard := self._watched.get(id):
                    guard(heard, id, online)
            case {"type": "error", "code": str(code)}:
                self._refused(line.get("ref"), code, str(line.get("text", "")))

    def _joined(self, link: Link, line: dict[str, Any]) -> None:
        memory, ownership = self._memory, line.get("ownership")
        if memory.ownership != ownership:
            self._returned.clear()
        self._away.clear()
        memory.joined(ownership)
        link.is_joined = link.has_joined = True
        link.line_bytes_max = int(line.get("max_message", LINE_BYTES_MAX))
        self._attempts, self._has_ghost = 0, False
        self._taken = {sent._mid: sent for sent in memory.sends.values() if sent._mid}
        self._queue = deque(n for n, sent in memory.sends.items() if sent._mid is None)
        for sent in self._taken.values():
            sent._is_stale = True
        self._say_ids("block", [id for id, on in memory.blocked.items() if on])
        self._say_ids("unblock", [id for id, on in memory.blocked.items() if not on])
        self._say_ids("watch", list(self._watched))
        self._set_state("joined")

    def _sent(self, ref: str, mid: str) -> None:
        sent = self._said.pop(ref, None)
        if sent is None:
            return
        self._returned.add(sent.to)
        self._taken[mid] = sent
        self._memory.taken(sent, mid)
        if (sent.to, mid) in self._early:
            self._settle(sent, self._early.pop((sent.to, mid)))

    def _settle(self, sent: Sent, error: SottoError | None) -> None:
        if sent._mid is not None:
            self._taken.pop(sent._mid, None)
        self._memory.settle(sent, error)

    def _fates(self, to: str, mids: list[Any], error: SottoError | None) -> None:
        latest = 0
        for mid in mids:
            sent = self._taken.get(mid) if isinstance(mid, str) else None
            if sent is None:
                # A fate may come before the `sent` of its message, after a lost connection.
                self._early[to, str(mid)] = error
                while len(self._early) > EARLY_MAX:
                    self._early.popitem(last=False)
            elif sent.to == to:
                latest = max(latest, sent.number)
                self._taken.pop(mid, None)
                self._settle(sent, error)
        self._ask_for_fates(to, latest)

    def _ask_for_fates(self, to: str, latest: int) -> None:
        """Repeats sends whose fate was missed: the server tells that of the last 128 only.

        A later send to the same recipient has a fate, so theirs was told to a connection that was
        lost. Their recipient knows their numbers, and acknowledges them again.
        """
        for sent in self._memory.sends.values():
            if sent.number >= latest:
                return
            if sent.to == to and sent._is_stale and sent._is_numbered and sent._mid is not None:
                self._taken.pop(sent._mid, None)
                sent._mid, sent._is_stale = None, False
                self._queue.append(sent.number)
                self._wake.set()

    def _refused(self, ref: Any, code: str, text: str) -> None:
        sent = self._said.pop(ref, None) if isinstance(ref, str) else None
        if sent is None:
            return log.warning("%s: %s", code, text)
        is_return = time.time() < self._memory.return_until and sent.to not in self._returned
        if code == "offline" and is_return:
            # The server has forgotten that peer, which may come back as this client did.
            self._away[sent.to] = time.time() + RETURN_STEP_S
            self._queue.appendleft(sent.number)
            asyncio.get_running_loop().call_later(RETURN_STEP_S, self._wake.set)
            return
        self._away.pop(sent.to, None)
        self._memory.settle(sent, SottoError(code, text))

    # ---- to the program ----

    async def _handle(self) -> None:
        """Hands messages to the program, one at a time."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._inbox and self._handler is not None:
                link, message, number = self._inbox.popleft()
                if link is not self._link:
                    continue
                try:
                    if self._memory.is_new(message.sender, message.mid, number):
                        mark = message.mid if number is None else number
                        handling = Handling(self, message.sender, mark)
                        HANDLING.set(handling)
                        try:
                            await self._handler(message)
                        finally:
                            handling.is_over = True
                    # Under this mid, too, if only its number was known.
                    self._memory.handled(message.sender, message.mid, number)
                    self._failures = 0
                except Exception:
                    log.exception("the handler failed, so the message will come again")
                    self._failures += 1
                    if link.socket is not None and link is self._link:
                        abort(link.socket)
                        self._drop(link)
                    continue
                if link is self._link:
                    self._acks.append((message.sender, message.mid))
                    self._wake.set()


def abort(socket: Any) -> None:
    """Ends a connection at once."""
    try:
        socket.transport.abort()
    except AttributeError:
        # asyncio's transport, if it was closed while bytes waited, and has written them since.
        pass


async def close_socket(socket: Any) -> None:
    try:
        await asyncio.wait_for(socket.close(CLOSE_LEFT), 5)
    except Exception:
        abort(socket)


def guard(call: Callable[..., Any], *arguments: Any) -> None:
    """Calls back into the program. Its mistakes do not end the connection."""
    try:
        call(*arguments)
    except Exception:
        log.exception("a callback failed")


def connect(
    url: str,
    *,
    id: str,
    store: str | os.PathLike[str] | None = None,
    password: str | None = None,
    token: str | Callable[[], str] | None = None,
) -> Client:
    """Begins to connect under an id, and goes on until `close`: lost connections are made anew.

    `store`: a file for the id's key, the unsettled sends and the handled messages. Without it all
    of them are lost with the program, and the id stays taken for the server's `--hold`.
    """
    return Client(url, id, store, password, token)
