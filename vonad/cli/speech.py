"""transcribe, speak: the configured engines alone, without a daemon."""

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer

from vonad.cli.exits import Failure
from vonad.cli.output import print_json

Config = Annotated[
    Path | None, typer.Option("--config", metavar="PATH", help="The configuration; otherwise the usual places.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog="Example: vonad transcribe what_time_is_it.wav")(transcribe)
    app.command(epilog='Example: vonad speak "dinner is ready" -o dinner.wav')(speak)


def transcribe(
    wav: Annotated[list[Path], typer.Argument(metavar="WAV...", help="Recordings, of any rate.")],
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Try the configured speech recognition on recordings. Exit status 1 if one is not understood."""
    from vonad.cli.workbench import workbench
    from vonad.wav import read_wav

    sounds = [(path, read_wav(_read(path), name=str(path))) for path in wav]
    found: list[dict[str, object]] = []

    async def work() -> None:
        async with workbench(config, roles={"stt", "tts"}) as bench:
            for path, sound in sounds:
                began = time.perf_counter()
                text, engine = await bench.transcribe(sound)
                took = round((time.perf_counter() - began) * 1000, 1)
                found.append({"file": str(path), "text": text, "engine": engine, "ms": took})
                if not as_json:
                    told = text or "(not understood)"
                    print(told if len(sounds) == 1 else f"{path}: {told}", flush=True)

    asyncio.run(work())
    if as_json:
        print_json(found)
    if not all(one["text"] for one in found):
        raise typer.Exit(1)


def speak(
    text: Annotated[list[str], typer.Argument(metavar="TEXT...", help="What is spoken; quotes are not needed.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="WAV", help="The file that is written.")],
    config: Config = None,
) -> None:
    """Try the configured voice: speak a text into a WAV file."""
    from vonad.cli.workbench import workbench
    from vonad.wav import write_wav

    async def work() -> bytes:
        async with workbench(config, roles={"tts"}) as bench:
            return write_wav(await bench.speak(" ".join(text)))

    sound = asyncio.run(work())
    try:
        output.write_bytes(sound)
    except OSError as error:
        raise Failure(f"{output} cannot be written: {error.strerror}") from None
    print(f"written to {output}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}") from None
