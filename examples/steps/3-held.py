"""Step 3, held messages: an id with a key is owned, and messages wait for it while it is away.

    python3 3-held.py ws://127.0.0.1:8080/ws
"""

import asyncio
import json
import secrets
import sys

import websockets

run = secrets.token_hex(4)
alice, bob = f"alice-{run}", f"bob-{run}"
# A secret of 16 to 128 bytes. Only who has it can join as bob, so keep it.
key = secrets.token_hex(16)


async def say(socket, line: dict) -> None:
    await socket.send(json.dumps(line))


async def lines(socket):
    async for data in socket:
        for text in data.split("\n"):
            yield json.loads(text)


async def main(url: str) -> None:
    # Bob claims his id, and goes.
    async with websockets.connect(url) as socket:
        await say(socket, {"type": "join", "id": bob, "key": key})
        await anext(lines(socket))

    async with websockets.connect(url) as socket:
        await say(socket, {"type": "join", "id": alice})
        async for line in lines(socket):
            if line["type"] == "joined":
                ref = secrets.token_hex(8)
                await say(socket, {"type": "send", "to": bob, "body": "call me", "ref": ref})
            if line["type"] == "sent":
                is_held = line.get("held", False)
                print("bob is away, and the message waits" if is_held else "bob is here")
                break

    # Bob comes back.
    async with websockets.connect(url) as socket:
        await say(socket, {"type": "join", "id": bob, "key": key})
        async for line in lines(socket):
            if line["type"] == "joined":
                print(f"resumed: {str(line['resumed']).lower()}, waiting: {line['held']}")
            if line["type"] == "message":
                print(line["from"].split("-")[0], "wrote:", line["body"])
                await say(socket, {"type": "leave"})


asyncio.run(main(sys.argv[1]))
