"""The local_audio transport: its settings, and the life of its line: opened, lost, opened again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import BaseModel, ConfigDict, Field

from vonad import Component, Line, Transport
from vonad_local_audio.child import DeviceError
from vonad_local_audio.line import LocalLine
from vonad_local_audio.process import Wanted, device

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 10.0
"""Between attempts to open the devices: doubled each time."""

SETTLED_S = 30.0
"""A line that lived that long was in order: the pauses begin anew."""

QUIET_PAUSE_S = 30.0
"""Between looks for the first sound device of a machine whose owner has named none."""

SAME_AGAIN_S = 600.0
"""An error is said again that long after it was said last."""

ABSENT = frozenset({"no_portaudio", "no_device"})


class LocalAudioSettings(BaseModel):
    """The sound devices of this machine."""

    model_config = ConfigDict(extra="forbid")

    input: str | None = Field(
        default=None,
        description="Microphone: a device's name or a part of it that no other has, as `python -m sounddevice` lists "
        "them; without it, the system's default.",
        examples=["USB Microphone"],
    )
    output: str | None = Field(default=None, description="Speaker: likewise.", examples=["USB Speaker"])
    input_rate: int | None = Field(
        default=None,
        ge=8_000,
        le=192_000,
        description="Hz at which the microphone is opened; without it, 16000, or else its own rate.",
        examples=[16_000],
    )
    output_rate: int | None = Field(
        default=None,
        ge=8_000,
        le=192_000,
        description="Hz at which the speaker is opened; without it, 48000, or else its own rate.",
        examples=[48_000],
    )
    input_latency_s: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Seconds of sound that the microphone's buffer holds; more costs less and is heard later.",
    )
    output_latency_s: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Seconds of sound that the speaker's buffer holds; more survives a busier machine.",
    )


class LocalAudio(Component[LocalAudioSettings], Transport):
    """Offers one line while there is a microphone and a speaker; says what is wrong while there is not."""

    async def __aenter__(self) -> "LocalAudio":
        self._said: dict[str, float] = {}
        return self

    async def lines(self) -> AsyncIterator[Line]:
        """The line, each time its devices can be opened. Devices are closed when the iteration ends."""
        clock = self.host.clock
        pause_s, seen = FIRST_PAUSE_S, False
        while True:
            begun = clock.monotonic()
            try:
                async with self._open() as line:
                    seen = True
                    yield line
                    error = await line.watch()
            except DeviceError as failure:
                error = failure
            if clock.monotonic() - begun > SETTLED_S:
                pause_s = FIRST_PAUSE_S
                self._said.clear()
            self._say(error)
            quiet = not seen and self._expendable(error)
            await clock.sleep(QUIET_PAUSE_S if quiet else pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[LocalLine]:
        """Raises DeviceError."""
        own, name = self.settings, self.host.name
        hear = Wanted(role="capture", name=own.input, rate=own.input_rate, latency_s=own.input_latency_s)
        speak = Wanted(role="playback", name=own.output, rate=own.output_rate, latency_s=own.output_latency_s)
        async with device(hear) as capture, device(speak) as playback:
            line = LocalLine(name, capture, playback, self.host.clock)
            self.host.log.info(
                "%s hears through %r at %d Hz and speaks through %r at %d Hz",
                *(name, capture.name, capture.rate, playback.name, playback.rate),
            )
            try:
                yield line
            finally:
                line.close()
                dropped, overruns = line.microphone.dropped, line.microphone.overruns
                if dropped or overruns:
                    self.host.log.warning(
                        "%s lost sound of the microphone: %d frames dropped, %d overruns", name, dropped, overruns
                    )

    def _expendable(self, error: DeviceError) -> bool:
        """Whether this is a machine without sound, whose owner has not asked for any."""
        return error.reason in ABSENT and self.settings.input is None and self.settings.output is None

    def _say(self, error: DeviceError) -> None:
        """Once, and again from time to time."""
        now, sentence = self.host.clock.monotonic(), str(error)
        quiet = self._expendable(error)
        if now - self._said.get(sentence, -SAME_AGAIN_S) < SAME_AGAIN_S or (quiet and sentence in self._said):
            return
        self._said[sentence] = now
        if quiet:
            self.host.log.info("%s: no local sound: %s", self.host.name, sentence)
        elif error.reason == "lost":
            self.host.log.warning("%s: %s; opening it again", self.host.name, sentence)
        else:
            self.host.log.error("[transports.%s] %s", self.host.name, sentence)
