"""A satellite made of WAV files, for tests and scripts.

Each wake hears the next file; all that is said is written to another.
"""

from vonad import Registrar, hookimpl
from vonad_wav.transport import Wav, WavSettings


@hookimpl
def register_transports(registrar: Registrar) -> None:
    """Offer the satellite."""
    registrar.add("wav", Wav, settings=WavSettings)
