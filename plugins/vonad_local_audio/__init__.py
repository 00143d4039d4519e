"""This machine's own microphone and speaker, through PortAudio, held by processes that can be killed."""

from vonad import Registrar, hookimpl
from vonad_local_audio.transport import LocalAudio, LocalAudioSettings


@hookimpl
def register_transports(registrar: Registrar) -> None:
    """Offer the satellite."""
    registrar.add("local_audio", LocalAudio, settings=LocalAudioSettings)
