"""The promises of Transport and Line."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from vonad.clock import SystemClock
from vonad.errors import VonadError
from vonad.frame import Frame
from vonad.plan import SATELLITE_ID, Wake
from vonad.testing.checks.promise import is_stream, nothing_left, promise, soon, sounding
from vonad.testing.sound import tone
from vonad.transport import Line, LineCapabilities, Transport

WHO = "Line"

CLOCK = SystemClock()
"""The house's, outside of tests that move time by hand."""

FRAMES = 5
"""Captured frames that are looked at."""

SLACK_S = 0.15
"""By which `played` may be off while sound plays: a device counts in blocks."""


async def check_transport(open: Callable[[], AbstractAsyncContextManager[Transport]]) -> None:
    """A transport to which a satellite connects at once, and the first line it offers.

    open: makes a fresh one, as `factory(settings, host)` does.
    """
    async with nothing_left("a Transport that is closed"):
        context = open()
        transport = await soon(context.__aenter__(), "a Transport opens")
        promise(isinstance(transport, Transport), f"it is a Transport: got {type(transport).__name__}")
        lines = transport.lines()
        is_stream(lines, "Transport.lines")
        line = await soon(anext(lines), "Transport.lines yields a line for a satellite that is connected")
        frames = await check_line(line)
        # as the house does it: no more lines are taken, the transport closes, what is connected ends
        taking = asyncio.create_task(_rest(lines), name="check: more lines")
        await asyncio.sleep(0)
        taking.cancel()
        await soon(asyncio.wait({taking}), "Transport.lines ends when it is cancelled")
        await soon(context.__aexit__(None, None, None), "a Transport closes while a line is in use")
        await soon(_until_gone(frames), "Line.frames ends when the transport has closed")
        await soon(_hung_up(line), "a line whose transport has closed does not hang")


async def check_line(line: Line) -> AsyncIterator[Frame]:
    """A line of a satellite that is connected; the frames, which have one consumer and go on."""
    promise(isinstance(line, Line), f"Transport.lines yields Lines: got {type(line).__name__}")
    promise(
        isinstance(line.satellite, str) and SATELLITE_ID.fullmatch(line.satellite) is not None,
        f"Line.satellite is an id of a-z, 0-9, _ and -, at most 64 of them: got {line.satellite!r}",
    )
    can = line.capabilities
    promise(isinstance(can, LineCapabilities), f"Line.capabilities are LineCapabilities: got {can!r}")
    promise(can.playback_rate > 0, f"a playback rate is in Hz above 0: got {can.playback_rate}")
    _check_show(line)
    frames = await _check_frames(line)
    await _check_playback(line)
    await _check_clear(line)
    await _check_wakes(line)
    line.show("idle")
    return frames


def _check_show(line: Line) -> None:
    wake = Wake(satellite=line.satellite, source="api", at=0.0)
    for state in ("processing", "responding", "idle", "listening"):
        answer: object = line.show(state, opened_by=wake if state == "listening" else None)  # type: ignore[func-returns-value]
        promise(answer is None, f"Line.show is called, not awaited, and returns nothing: got {answer!r}")


async def _check_frames(line: Line) -> AsyncIterator[Frame]:
    frames = line.frames()
    is_stream(frames, f"{WHO}.frames")
    last = float("-inf")
    for _ in range(FRAMES):
        frame = sounding(await soon(anext(frames), f"{WHO}.frames yields what is captured"), f"{WHO}.frames")
        promise(frame.turn == 0 and not frame.filler, "captured frames belong to no turn and are no fillers")
        now = CLOCK.monotonic()
        promise(
            0 < frame.at <= now,
            f"captured frames say when, in the clock's monotonic seconds: got at={frame.at:.3f} at {now:.3f}; without "
            "it, whoever is still speaking is cut short",
        )
        promise(frame.at >= last, f"frames are captured in order: {frame.at} came after {last}")
        last = frame.at
    return frames


async def _check_playback(line: Line) -> None:
    rate = line.capabilities.playback_rate
    await soon(line.drained(), f"{WHO}.drained returns when nothing was played")
    before, given = line.played, 0.0
    for frame in (tone(0.2, rate=rate), tone(1 / rate, rate=rate), tone(0.0, rate=rate), tone(0.0333, rate=rate)):
        await soon(line.play(frame), f"{WHO}.play returns when there is room")
        given += frame.seconds
        promise(
            line.played - before <= given + SLACK_S,
            f"{WHO}.played counts what was heard: {line.played - before:.3f} s of the {given:.3f} s that were played",
        )
    await soon(line.drained(), f"{WHO}.drained returns when everything queued has been heard")
    if line.capabilities.position:
        heard = line.played - before
        promise(
            abs(heard - given) < SLACK_S,
            f"{WHO}.played is what was heard, as capabilities.position says: {heard:.3f} s of {given:.3f} s",
        )
    else:
        promise(line.played == 0.0, f"{WHO}.played is 0 on a line that cannot tell: got {line.played}")


async def _check_clear(line: Line) -> None:
    rate = line.capabilities.playback_rate
    await _check_cleared(line)
    await _check_cleared(line, hushed=True)
    _check_hush(line)
    await soon(line.clear(), f"{WHO}.clear returns when there is nothing to clear")
    before = line.played
    await soon(line.play(tone(0.1, rate=rate)), f"{WHO}.play plays again after a clear")
    await soon(line.drained(), f"{WHO}.drained returns for what was played after a clear")
    if line.capabilities.position:
        promise(line.played > before, f"{WHO}.play plays again after a clear: nothing was heard")


async def _check_cleared(line: Line, *, hushed: bool = False) -> None:
    """In the middle of much sound. hushed: as somebody who interrupts has it cleared."""
    rate, seconds = line.capabilities.playback_rate, 8.0
    clock = asyncio.get_running_loop().time

    async def play() -> None:
        for _ in range(round(seconds / 0.1)):
            await line.play(tone(0.1, rate=rate))

    playing = asyncio.create_task(play(), name="check: playing")
    try:
        await asyncio.wait({playing}, timeout=0.2)
        begun, held, before = clock(), not playing.done(), line.played
        if hushed:
            _check_hush(line)
        playing.cancel()
        await soon(asyncio.wait({playing}), f"{WHO}.play ends when it is cancelled")
        await soon(line.clear(), f"{WHO}.clear returns")
        await soon(line.drained(), f"{WHO}.drained returns once everything was cleared")
        took = clock() - begun
    finally:
        playing.cancel()
    if held:
        promise(took < 2.0, f"{WHO}.clear throws away at once what was not heard: it took {took:.1f} s")
        if line.capabilities.position:
            heard = line.played - before
            promise(
                heard <= took + SLACK_S,
                f"{WHO}.played does not count what was cleared: {heard:.2f} s more, {took:.2f} s later",
            )


def _check_hush(line: Line) -> None:
    answer: object = line.hush()  # type: ignore[func-returns-value]
    promise(answer is None, f"{WHO}.hush is called, not awaited, and returns nothing: got {answer!r}")


async def _check_wakes(line: Line) -> None:
    promise(isinstance(line.muted, bool), f"{WHO}.muted is True or False: got {line.muted!r}")
    wakes = line.wakes()
    is_stream(wakes, f"{WHO}.wakes")
    waiting = asyncio.create_task(_rest(wakes), name="check: wakes")
    await asyncio.sleep(0)
    waiting.cancel()
    await soon(asyncio.wait({waiting}), f"{WHO}.wakes ends when it is cancelled")


async def _rest(stream: AsyncIterator[object]) -> None:
    async for _ in stream:
        pass


async def _until_gone(frames: AsyncIterator[Frame]) -> None:
    try:
        await _rest(frames)
    except VonadError as error:
        promise(
            error.code == "transport_recv_failed",
            f"{WHO}.frames ends, or raises transport_recv_failed: got {error.code}",
        )


async def _hung_up(line: Line) -> None:
    try:
        _check_hush(line)
        await line.clear()
        await line.drained()
    except VonadError as error:
        promise(
            error.code in {"transport_send_failed", "transport_closed"},
            f"a line that is gone raises transport_send_failed: got {error.code}",
        )
