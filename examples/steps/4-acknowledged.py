"""Step 4, acknowledgements: a message is held until it is acknowledged, so it survives a crash of
its recipient. A known mid shows that it came before.

    python3 4-acknowledged.py ws://127.0.0.1:8080/ws
"""

import asyncio
import json
import secrets
import sys

import websockets

run = secrets.token_hex(4)
alice, bob = f"alice-{run}", f"bob-{run}"
keys = {alice: secrets.token_hex(16), bob: secrets.token_hex(16)}
#: The mids that bob has handled. A program that may be killed keeps them on disk.
known: set[str] = set()


async def say(socket, line: dict) -> None:
    await socket.send(json.dumps(line))


async def lines(socket):
    async for data in socket:
        for text in data.split("\n"):
            yield json.loads(text)


async def handle_once(url: str, is_there: asyncio.Event) -> None:
    async with websockets.connect(url) as socket:
        await say(socket, {"type": "join", "id": bob, "key": keys[bob]})
        async for line in lines(socket):
            is_there.set()
            if line["type"] != "message":
                continue
            if line["mid"] not in known:
                known.add(line["mid"])
                print("bob handled:", line["body"])
                # He crashes before he has acknowledged it.
                return
            print("bob knows it, and acknowledges it")
            await say(socket, {"type": "ack", "to": line["from"], "mids": [line["mid"]]})
            await say(socket, {"type": "leave"})


async def main(url: str) -> None:
    is_there = asyncio.Event()
    crashing = asyncio.create_task(handle_once(url, is_there))
    await is_there.wait()
    async with websockets.connect(url) as socket:
        await say(socket, {"type": "join", "id": alice, "key": keys[alice]})
        async for line in lines(socket):
            if line["type"] == "joined":
                ref = secrets.token_hex(8)
                await say(socket, {"type": "send", "to": bob, "body": "pay 5", "ref": ref})
                await crashing
                # Bob comes back.
                again = asyncio.create_task(handle_once(url, is_there))
            if line["type"] == "delivered":
                print("alice knows that it was delivered")
                await say(socket, {"type": "leave"})
    await again


asyncio.run(main(sys.argv[1]))
