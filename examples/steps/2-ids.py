"""Step 2, ids: a message goes to the client that has the id, or its sender learns that it does not.

    python3 2-ids.py ws://127.0.0.1:8080/ws
"""

import asyncio
import json
import secrets
import sys

import websockets

run = secrets.token_hex(4)
alice, bob = f"alice-{run}", f"bob-{run}"


async def say(socket, line: dict) -> None:
    await socket.send(json.dumps(line))


async def lines(socket):
    async for data in socket:
        for text in data.split("\n"):
            yield json.loads(text)


async def answer(url: str, is_there: asyncio.Event) -> None:
    async with websockets.connect(url) as socket:
        await say(socket, {"type": "join", "id": bob})
        async for line in lines(socket):
            if line["type"] == "joined":
                is_there.set()
            if line["type"] == "message":
                print("bob got:", line["body"])
                # The id of the sender is in each message, so an answer needs no more.
                answer = {"type": "send", "to": line["from"], "body": line["body"] + " to you"}
                await say(socket, answer)


async def main(url: str) -> None:
    is_there = asyncio.Event()
    answering = asyncio.create_task(answer(url, is_there))
    await is_there.wait()
    async with websockets.connect(url) as socket:
        await say(socket, {"type": "join", "id": alice})
        async for line in lines(socket):
            if line["type"] == "joined":
                await say(socket, {"type": "send", "to": bob, "body": "hello"})
            if line["type"] == "message":
                print("alice got:", line["body"])
                # No client has this id. `ref` names the request in the answer.
                nobody, ref = f"nobody-{run}", secrets.token_hex(8)
                await say(socket, {"type": "send", "to": nobody, "body": "hello?", "ref": ref})
            if line["type"] == "error":
                print("refused:", line["code"])
                break
    answering.cancel()


asyncio.run(main(sys.argv[1]))
