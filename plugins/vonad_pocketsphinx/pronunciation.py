"""Asks the house's voices how they would pronounce what the dictionary lacks."""

from collections.abc import Collection

from vonad import Host, VonadError
from vonad_pocketsphinx.ipa import arpabet
from vonad_pocketsphinx.lexicon import Pronunciations

LANGUAGE = "en-us"
"""The model's: a British voice gets one sound in six wrong for it, an American one in nine."""

LONGEST = 40
"""Phones of a word: beyond this a voice has read something out that is no word."""


async def ask(host: Host, words: Collection[str]) -> Pronunciations:
    """What the first voice that can tell says; words that none can pronounce are missing from the answer."""
    found: dict[str, tuple[str, ...]] = {}
    for name in host.engines("tts"):
        try:
            async with host.engine("tts", name) as voice:
                for word in sorted(set(words) - found.keys()):
                    phones = arpabet(await voice.phonemes(word, language=LANGUAGE))
                    if 0 < len(phones.split()) <= LONGEST:
                        found[word] = (phones,)
        except VonadError as error:
            host.log.debug("[engines.%s] cannot tell how words are pronounced: %s", name, error.message)
        if len(found) == len(words):
            break
    return found
