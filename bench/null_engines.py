"""Parts that cost nothing but are all asked: what is left is what the house itself costs. Loaded as a drop-in plugin.

The benchmarks that use them hold on to the lines and the detector through `DESK`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence

import numpy as np

from vonad import (
    Agent,
    Component,
    Frame,
    Heard,
    Line,
    LineCapabilities,
    Mailbox,
    NoSettings,
    Registrar,
    Request,
    Samples,
    Sentences,
    SkillDesk,
    SpeechToText,
    Style,
    TextToSpeech,
    Transport,
    VoiceActivity,
    VoiceActivityDetector,
    Wake,
    hookimpl,
)

VONAD_API = ">=1,<2"

RATE = 16_000
PCM = b"\0\x10" * 320
"""20 ms, as it comes from a socket: loud enough for an interruption."""

SAY = b"\1\x10" * (RATE // 10)
"""100 ms; the voice streams 30 of these."""

ROOM_S = 0.5
"""Sound that the line takes ahead of time, like any satellite with a buffer."""

SAID = "turn on the kitchen light"

now = time.monotonic  # the clock of frames; on Linux also that of time.perf_counter


class NullLine(Line):
    """In-process: frames go in by `push`; what is played takes its time without making a sound.

    on_first, on_clear: told once of the next frame that is played, or of the next hush or clear: its time.
    on_show: told of every state and its time.
    hushes:  it falls silent without waiting, as most lines can; else when it is told to clear.
    late:    frames that were played after a clear, of the turn that was cleared.
    """

    def __init__(self, satellite: str, *, full_duplex: bool) -> None:
        self.satellite = satellite
        self.capabilities = LineCapabilities(playback_rate=RATE, full_duplex=full_duplex)
        self.captured: Mailbox[Frame] = Mailbox(2_000)
        self.hushes = True
        self.late = 0
        self.state = "idle"
        self.on_first: Callable[[float], None] | None = None
        self.on_clear: Callable[[float], None] | None = None
        self.on_show: Callable[[str, float], None] | None = None
        self._cleared_turn = -1
        self._turn = 0
        self._done_at = 0.0
        self._silent = asyncio.Event()

    def push(self, at: float | None = None) -> None:
        """20 ms are captured, now or when they should have been."""
        self.captured.put(Frame(np.frombuffer(PCM, np.int16), RATE, now() if at is None else at))

    def frames(self) -> AsyncIterator[Frame]:
        return self.captured

    async def play(self, frame: Frame) -> None:
        at = now()
        self._turn = frame.turn
        if frame.turn == self._cleared_turn:
            self.late += 1
        if self.on_first is not None:
            first, self.on_first = self.on_first, None
            first(at)
        self._done_at = max(self._done_at, at) + frame.seconds
        await self._rest(ROOM_S)

    async def clear(self) -> None:
        self._fall_silent()

    def hush(self) -> None:
        if self.hushes:
            self._fall_silent()

    async def drained(self) -> None:
        await self._rest(0.0)

    def show(self, state: str, *, opened_by: Wake | None = None) -> None:
        self.state = state
        if self.on_show is not None:
            self.on_show(state, now())

    def _fall_silent(self) -> None:
        at = now()
        self._cleared_turn, self._done_at = self._turn, 0.0
        self._silent.set()
        if self.on_clear is not None:
            clear, self.on_clear = self.on_clear, None
            clear(at)

    async def _rest(self, left_s: float) -> None:
        """Until no more than this is left to be heard, or it is thrown away."""
        wait = self._done_at - now() - left_s
        if wait <= 0:
            return
        self._silent.clear()
        handle = asyncio.get_running_loop().call_later(wait, self._silent.set)
        await self._silent.wait()
        handle.cancel()


class Desk:
    """Where a benchmark finds what the house has opened.

    probability: of speech, on every line.
    arrived:     told of each frame that has come through to the recogniser.
    words_after: so many frames of an utterance the recogniser knows its words; 0: at its end.
    holding:     set when the agent keeps somebody waiting.
    """

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[NullLine] = asyncio.Queue()
        self.probability = 1.0
        self.words_after = 0
        self.arrived: Callable[[Frame], None] = lambda frame: None
        self.holding = asyncio.Event()

    def connect(self, satellite: str, *, full_duplex: bool = True) -> NullLine:
        """A satellite that is switched on."""
        line = NullLine(satellite, full_duplex=full_duplex)
        self.waiting.put_nowait(line)
        return line


DESK = Desk()


class NullTransport(Component[NoSettings], Transport):
    """Offers the lines of the desk."""

    async def lines(self) -> AsyncIterator[Line]:
        while True:
            yield await DESK.waiting.get()


class NullActivity(VoiceActivity):
    """Counts the samples, as every detector must."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._waiting = 0

    def push(self, samples: Samples) -> Sequence[float]:
        self._waiting += len(samples)
        if self._waiting < self._window:
            return ()
        windows, self._waiting = divmod(self._waiting, self._window)
        return (DESK.probability,) * windows


class NullDetector(Component[NoSettings], VoiceActivityDetector):
    """Says what the desk says."""

    streams = 10_000

    def stream(self) -> VoiceActivity:
        return NullActivity(self.window)


class NullRecogniser(Component[NoSettings], SpeechToText):
    """Takes every frame; understands the same sentence always."""

    streams = 10_000

    async def listen(
        self, frames: AsyncIterator[Frame], *, language: str, sentences: Sentences
    ) -> AsyncIterator[Heard]:
        count = 0
        async for frame in frames:
            DESK.arrived(frame)
            count += 1
            if count == DESK.words_after:
                yield Heard(SAID)
        yield Heard(SAID, final=True)


class NullAgent(Component[NoSettings], Agent):
    """Answers at once; a text that begins with `wait` for ever."""

    streams = 10_000

    async def answer(self, request: Request, desk: SkillDesk) -> AsyncIterator[str]:
        if request.text.startswith("wait"):
            DESK.holding.set()
            await asyncio.Event().wait()
        yield "Okay, done."


class NullVoice(Component[NoSettings], TextToSpeech):
    """3 s of sound in 30 pieces; others may run between them, as with every voice that streams."""

    streams = 10_000

    async def speak(self, text: str, *, language: str, style: Style) -> AsyncIterator[Frame]:
        for _ in range(30):
            yield Frame(np.frombuffer(SAY, np.int16), RATE)
            await asyncio.sleep(0)


@hookimpl
def register_transports(registrar: Registrar) -> None:
    """Offer the line in the process."""
    registrar.add("null_line", NullTransport)


@hookimpl
def register_engines(registrar: Registrar) -> None:
    """Offer an engine for each role."""
    registrar.add("null_vad", NullDetector, role="vad")
    registrar.add("null_stt", NullRecogniser, role="stt")
    registrar.add("null_agent", NullAgent, role="agent")
    registrar.add("null_tts", NullVoice, role="tts")
