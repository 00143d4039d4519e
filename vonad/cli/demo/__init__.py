"""demo: a newcomer's first command. A daemon of its own, real sound in, real sound out, everything checked."""

from pathlib import Path
from typing import Annotated

import typer

from vonad.cli.exits import FAILED, Failure


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: vonad demo --output reply.wav")(demo)


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="WAV", help="Where the spoken replies are written.")
    ] = Path("vonad-demo.wav"),
) -> None:
    """See it all: a daemon starts, is woken over MQTT, hears recordings of people, and answers aloud.

    It has its own broker, node and directories and leaves nothing behind but the replies.

    Exit status 0 only if all of it really happened.
    """
    import asyncio
    import logging

    from vonad.cli.demo.account import Account
    from vonad.cli.demo.story import tell

    if not output.absolute().parent.is_dir():
        raise Failure(f"{output} cannot be written: there is no such directory")
    # The broker of the demo lives in this process, and is no concern of who watches.
    logging.getLogger().addHandler(logging.NullHandler())
    account = Account()
    broken = asyncio.run(tell(account, output))
    account.verdict(broken)
    if broken:
        raise typer.Exit(FAILED)
