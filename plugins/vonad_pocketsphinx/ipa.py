"""The sounds of the International Phonetic Alphabet as the phones of the English model."""

# ruff: noqa: RUF001  (letters that look like others are what this alphabet is made of)

import unicodedata

_SOUNDS = {
    # diphthongs and vowels with r, as the voices of eSpeak write them
    "aɪɚ": "AY ER", "aɪə": "AY AH", "aʊə": "AW ER", "aɪ": "AY", "aʊ": "AW", "ɔɪ": "OY", "eɪ": "EY", "oʊ": "OW",
    "əʊ": "OW", "ɛɹ": "EH R", "eə": "EH R", "ɪə": "IH R", "iə": "IY AH", "ʊə": "UH R", "oːɹ": "AO R", "ɔːɹ": "AO R",
    "ɑːɹ": "AA R", "ɜːɹ": "ER", "əɹ": "ER", "ɚɹ": "ER",
    # vowels
    "iː": "IY", "i": "IY", "ɪ": "IH", "ᵻ": "IH", "ɨ": "IH", "eː": "EY", "e": "EH", "ɛ": "EH", "æ": "AE", "aː": "AA",
    "a": "AE", "ɑ": "AA", "ɒ": "AA", "ɔ": "AO", "oː": "AO", "o": "OW", "ʊ": "UH", "uː": "UW", "u": "UW", "ʉ": "UW",
    "ʌ": "AH", "ə": "AH", "ɐ": "AH", "ɘ": "AH", "ɚ": "ER", "ɝ": "ER", "ɜ": "ER", "ɵ": "OW", "ɤ": "AH", "ɯ": "UW",
    "y": "UW", "ʏ": "UH", "ø": "ER", "œ": "ER", "ɶ": "AA",
    "ɑ̃": "AA N", "ɔ̃": "AO N", "ɛ̃": "AE N", "œ̃": "AH N", "ã": "AA N", "õ": "OW N",
    # consonants
    "tʃ": "CH", "dʒ": "JH", "p": "P", "b": "B", "t": "T", "d": "D", "k": "K", "ɡ": "G", "g": "G", "f": "F", "v": "V",
    "θ": "TH", "ð": "DH", "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH", "h": "HH", "m": "M", "n": "N", "ŋ": "NG", "l": "L",
    "ɹ": "R", "w": "W", "j": "Y", "ɾ": "T", "ʔ": "T", "n̩": "AH N", "m̩": "AH M", "l̩": "AH L",
    # of other languages, as an English speaker says them
    "r": "R", "ɻ": "R", "ʁ": "R", "ʀ": "R", "ɽ": "R", "x": "K", "χ": "K", "ç": "HH", "ɣ": "G", "ɦ": "HH", "ħ": "HH",
    "ɲ": "N Y", "ɴ": "NG", "ɳ": "N", "ɱ": "M", "ɫ": "L", "ʎ": "L Y", "ɭ": "L", "ɬ": "L", "ʟ": "L", "β": "V", "ɸ": "F",
    "ʋ": "V", "ʍ": "W", "ɥ": "W", "q": "K", "c": "K", "ɟ": "G", "ʈ": "T", "ɖ": "D", "ʂ": "SH", "ʐ": "ZH", "ɕ": "SH",
    "ʑ": "ZH",
}  # fmt: skip
_TABLE = {unicodedata.normalize("NFD", sound): phones for sound, phones in _SOUNDS.items()}
_LONGEST = max(map(len, _TABLE))


def arpabet(ipa: str) -> str:
    """Phones with spaces between; what is no sound (stress, length, tone) is nothing. Empty: there is no sound."""
    text = unicodedata.normalize("NFD", ipa).replace("\u0361", "")  # the tie of t͡ʃ
    phones = []
    at = 0
    while at < len(text):
        sound = next((text[at : at + n] for n in range(_LONGEST, 0, -1) if text[at : at + n] in _TABLE), None)
        if sound is not None:
            phones.append(_TABLE[sound])
        at += len(sound or "x")
    return " ".join(phones)
