"""Speech from text with eSpeak NG, which the package espeakng-loader brings: 0.6 ms of computing per second of sound.

Licence: eSpeak NG is under the GPL, version 3 or later. This plugin is vonad's only link to it, loads it when it opens
and can be taken away (`[engines.espeak] enabled = false`, or without the package): nothing else in vonad needs it.
"""

from vonad import Registrar, hookimpl
from vonad_espeak.engine import Espeak, EspeakSettings


@hookimpl
def register_engines(registrar: Registrar) -> None:
    """Offer the voice."""
    registrar.add("espeak", Espeak, role="tts", settings=EspeakSettings)
