"""Holds an echo bot to its word: each message comes back once, in order, whatever is killed.

    python3 tests/conformance/echo.py --server 'target/debug/sotto --store {dir}/store' \\
        --bot 'python3 examples/python/echo.py'

The bot is started as `COMMAND URL ID STORE_FILE`, and killed with SIGKILL again and again, as is the
server. The run itself writes by `examples/python/sotto.py`.

Invariant: kills are drawn from the seed that is printed, and end when all messages are written.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shlex
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from chaos import Server, say

sys.path.insert(0, str(Path(__file__).parents[2] / "examples/python"))

import sotto

ID = "echo"


class Bot:
    def __init__(self, command: str, port: int, folder: Path) -> None:
        self.command = [*shlex.split(command), f"ws://127.0.0.1:{port}/ws", ID]
        self.command.append(str(folder / "bot.store"))
        self.errors = open(folder / "bot.stderr", "ab")
        self.process: asyncio.subprocess.Process | None = None
        self.kills = 0

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=self.errors,
        )

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


async def kill_both(rng: random.Random, bot: Bot, server: Server) -> None:
    while True:
        await asyncio.sleep(rng.uniform(0.1, 0.8))
        if rng.random() < 0.75:
            await bot.kill()
            bot.kills += 1
            await bot.start()
        else:
            await server.kill()
            server.kills += 1
            await asyncio.sleep(rng.uniform(0.0, 0.3))
            await server.start()


async def wait_for_bot(me: sotto.Client) -> None:
    is_here = asyncio.Event()
    me.watch([ID], lambda id, online: is_here.set() if online else None)
    await asyncio.wait_for(is_here.wait(), 30)


async def run(options: argparse.Namespace, folder: Path) -> bool:
    rng = random.Random(options.seed)
    server = Server(options.server, folder)
    await server.start()
    bot = Bot(options.bot, server.port, folder)
    await bot.start()
    echoes: list[object] = []

    async def handle(message: sotto.Message) -> None:
        echoes.append(message.body)

    try:
        url = f"ws://127.0.0.1:{server.port}/ws"
        async with sotto.connect(url, id="alice", store=folder / "alice.store") as me:
            me.on_message = handle
            await wait_for_bot(me)
            killing = asyncio.create_task(kill_both(rng, bot, server))
            written: list[object] = []
            for number in range(options.messages):
                body: object = number if number % 2 else {"number": number, "text": f"ä{number}"}
                written.append(body)
                me.send(ID, body)
                await asyncio.sleep(rng.uniform(0, 2 * options.seconds / options.messages))
            killing.cancel()
            await asyncio.gather(killing, return_exceptions=True)
            await bot.kill()
            await bot.start()
            await server.kill()
            await server.start()
            until = asyncio.get_running_loop().time() + options.deadline
            while len(echoes) < len(written) and asyncio.get_running_loop().time() < until:
                await asyncio.sleep(0.1)
            # Late doubles.
            await asyncio.sleep(2)
    finally:
        await bot.kill()
        await server.kill()
    counts = Counter(map(str, echoes))
    missing = [body for body in written if str(body) not in counts]
    doubled = sum(counts.values()) - len(counts)
    firsts = list(dict.fromkeys(map(str, echoes)))
    in_order = firsts == [str(body) for body in written if str(body) in counts]
    say(
        f"written: {len(written)}, echoed: {len(counts)}, lost: {len(missing)}, doubled: {doubled}, "
        f"in order: {in_order}, bot kills: {bot.kills}, server kills: {server.kills}"
    )
    is_passed = not missing and not doubled and in_order
    say(f"{'passed' if is_passed else 'FAILED'}, seed {options.seed}")
    return is_passed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--server", required=True, help="its command; {dir} is a folder that outlasts its kills")
    add("--bot", required=True, help="the command of the bot")
    add("--seed", type=int, default=random.randrange(2**32))
    add("--messages", type=int, default=1000)
    add("--seconds", type=float, default=15)
    add("--deadline", type=float, default=120, help="seconds to come to rest afterwards")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="sotto-echo-"))
    say(f"seed {options.seed}, files in {folder}")
    is_passed = asyncio.run(run(options, folder))
    if is_passed:
        shutil.rmtree(folder)
    sys.exit(0 if is_passed else 1)


if __name__ == "__main__":
    main()
