"""Step 1, an echo: a client claims an id, sends a message to itself, and gets it back.

    python3 1-echo.py ws://127.0.0.1:8080/ws
"""

import asyncio
import json
import secrets
import sys

import websockets


async def main(url: str) -> None:
    me = f"echo-{secrets.token_hex(4)}"
    async with websockets.connect(url, subprotocols=["sotto.v1"]) as socket:

        async def say(line: dict) -> None:
            """Says one line: a JSON object."""
            await socket.send(json.dumps(line))

        # The first line of a client claims an id.
        await say({"type": "join", "id": me})
        async for data in socket:
            # One text holds one line or more.
            for line in map(json.loads, data.split("\n")):
                match line["type"]:
                    case "joined":
                        # `ref` names the request in its answer, `sent`.
                        ref = secrets.token_hex(8)
                        await say({"type": "send", "to": me, "body": "hello", "ref": ref})
                    case "sent":
                        print("taken")
                    case "message":
                        print("got:", line["body"])
                        return
                    case "error":
                        print(line["text"], file=sys.stderr)


asyncio.run(main(sys.argv[1]))
