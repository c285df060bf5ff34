"""An echo bot: each message goes back to its sender, once, whatever is killed meanwhile.

    python3 echo.py ws://127.0.0.1:8080/ws echo echo.json
"""

import asyncio
import sys

import sotto


async def main(url: str, id: str, store: str) -> None:
    async with sotto.connect(url, id=id, store=store) as me:

        async def echo(message: sotto.Message) -> None:
            me.send(message.sender, message.body)

        me.on_message = echo
        await me.wait_closed()


asyncio.run(main(*sys.argv[1:]))
