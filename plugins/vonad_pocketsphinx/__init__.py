"""Speech recognition of what the skills know, with PocketSphinx (BSD): the English model is in its package.

It hears only the sentences it is given, and rejects what none of them is. Words that its dictionary lacks are
pronounced as `pronunciations.txt` in the configuration directory says, or as an engine that speaks would say them.
"""

from contextlib import AbstractAsyncContextManager

from vonad import Host, Registrar, SpeechToText, hookimpl
from vonad_pocketsphinx.settings import PocketSphinxSettings

VONAD_API = ">=1,<2"


def open_engine(settings: PocketSphinxSettings, host: Host) -> AbstractAsyncContextManager[SpeechToText]:
    """The engine; what is heavy is imported only now."""
    from vonad_pocketsphinx.engine import PocketSphinx

    return PocketSphinx(settings, host)


@hookimpl
def register_engines(registrar: Registrar) -> None:
    """Offer the recogniser."""
    registrar.add("pocketsphinx", open_engine, role="stt", settings=PocketSphinxSettings)
