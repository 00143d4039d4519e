"""The wav transport: its settings and its one line."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from types import TracebackType

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vonad import Component, Frame, Host, Line, LineCapabilities, Transport, VonadError, Wake
from vonad_wav.microphone import WavMicrophone
from vonad_wav.speaker import PLAYBACK_RATE, WavFile, WavSpeaker


class WavSettings(BaseModel):
    """A satellite made of WAV files."""

    model_config = ConfigDict(extra="forbid")

    microphone: list[Path] = Field(
        default=[],
        description="WAV files to hear, one for each wake or listen, in order; then silence. Relative paths start "
        "where vonad was started.",
    )
    speaker: Path | None = Field(
        default=None,
        description="WAV file that is written with all that was heard from the satellite; none: not kept.",
        examples=["out.wav"],
    )
    realtime: bool = Field(
        default=True, description="Hear and play at the pace of the clock; false: as fast as vonad can."
    )
    full_duplex: bool = Field(
        default=False,
        description="Hear the recording also while it is answered, as a satellite without an echo does: speech in it "
        "interrupts. Needs realtime.",
    )

    @model_validator(mode="after")
    def _in_time(self) -> "WavSettings":
        if self.full_duplex and not self.realtime:
            raise ValueError("full_duplex needs realtime = true: nobody can speak over a reply that takes no time")
        return self


class WavLine(Line):
    """The one satellite of a wav transport, for as long as that is open."""

    def __init__(
        self, satellite: str, microphone: WavMicrophone, speaker: WavSpeaker, *, full_duplex: bool = False
    ) -> None:
        self.satellite = satellite
        self.capabilities = LineCapabilities(playback_rate=PLAYBACK_RATE, full_duplex=full_duplex, position=True)
        self._microphone = microphone
        self._speaker = speaker

    def frames(self) -> AsyncIterator[Frame]:
        return self._microphone.frames()

    async def play(self, frame: Frame) -> None:
        if frame.rate != PLAYBACK_RATE:
            raise VonadError(
                "unsupported_audio_format", f"this line plays {PLAYBACK_RATE} Hz: got {frame.rate} Hz", op="wav.play"
            )
        await self._speaker.play(frame.samples)

    async def clear(self) -> None:
        self._speaker.clear()

    def hush(self) -> None:
        self._speaker.clear()

    async def drained(self) -> None:
        await self._speaker.drained()

    @property
    def played(self) -> float:
        return self._speaker.played

    def show(self, state: str, *, opened_by: Wake | None = None) -> None:
        if state == "listening":
            if opened_by is not None or not self.capabilities.full_duplex:
                self._microphone.listen(begin=opened_by is not None)
        elif state == "idle" or not self.capabilities.full_duplex:
            self._microphone.shut()


class Wav(Component[WavSettings], Transport):
    """Offers its one line at once. Opening raises invalid_config for a file that is not there."""

    @classmethod
    def missing(cls, settings: WavSettings) -> Iterable[tuple[tuple[str | int, ...], str]]:
        for number, file in enumerate(settings.microphone):
            if not file.is_file():
                yield ("microphone", number), f"there is no file {file.absolute()}: mend the path"

    async def __aenter__(self) -> "Wav":
        settings = self.settings
        self._file = _open_files(settings, self.host)
        self._microphone = WavMicrophone(settings.microphone, self.host, realtime=settings.realtime)
        self._speaker = WavSpeaker(self.host.clock, self._file, realtime=settings.realtime)
        self._closed = asyncio.Event()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._microphone.close()
        try:
            self._speaker.save()
        finally:
            if self._file is not None:
                self._file.close()

    async def lines(self) -> AsyncIterator[Line]:
        if not self._closed.is_set():
            full_duplex = self.settings.full_duplex
            yield WavLine(self.host.name, self._microphone, self._speaker, full_duplex=full_duplex)
        await self._closed.wait()


def _open_files(settings: WavSettings, host: Host) -> WavFile | None:
    """The speaker's file. Raises invalid_config for it, and for a recording that is not there."""
    table = f"[transports.{host.name}]"
    for file in settings.microphone:
        if not file.is_file():
            raise VonadError(
                "invalid_config", f"{table} microphone: there is no file {file}: mend the path", op="wav.open"
            )
    if settings.speaker is None:
        return None
    try:
        return WavFile(settings.speaker)
    except OSError as error:
        raise VonadError(
            "invalid_config",
            f"{table} speaker: {settings.speaker} cannot be written ({error.strerror}): name a file that can be",
            op="wav.open",
        ) from error
