"""The Python client as a client under test: `python.py URL ID STORE_FILE`, see README.md."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3] / "examples/python"))

import sotto

LINE_BYTES_MAX = 16 * 1024 * 1024


def tell(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


async def follow(sent: sotto.Sent) -> None:
    try:
        await sent.delivered
        tell("delivered", body=sent.body)
    except sotto.SottoError as error:
        tell("failed", code=error.code, body=sent.body)


async def handle(message: sotto.Message) -> None:
    tell("message", **{"from": message.sender, "body": message.body})


async def main(url: str, id: str, store: str) -> None:
    tasks = set()
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with sotto.connect(url, id=id, store=store) as me:
        me.on_state = lambda state: tell("state", state=state)
        me.on_message = handle
        for sent in me.pending:
            tasks.add(asyncio.create_task(follow(sent)))
        while line := await reader.readline():
            request = json.loads(line)
            sent = me.send(request["to"], request["body"])
            tell("accepted", body=sent.body)
            task = asyncio.create_task(follow(sent))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
