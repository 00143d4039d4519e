"""The engine: compiles what may be said, and hears utterances in a thread of its own."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from vonad import CAPTURE_RATE, Blocks, Component, Frame, Heard, Sentences, SpeechToText, VonadError
from vonad_pocketsphinx.decoders import Decoders, dictionary
from vonad_pocketsphinx.lexicon import Lexicon, Pronunciations
from vonad_pocketsphinx.network import Grammar, Network, grammar
from vonad_pocketsphinx.pronunciation import ask
from vonad_pocketsphinx.settings import PocketSphinxSettings
from vonad_pocketsphinx.templates import TemplateFault, read
from vonad_pocketsphinx.utterance import PIECE, Utterance

GRAMMARS = 8
"""Compiled grammars that are kept: the house's own, and those of questions being asked. One with 300 names: 9 MB."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Compiled:
    """A grammar that can be searched.

    search: its name with the decoder; empty: there is nothing in it.
    whole:  every word has a pronunciation.
    """

    grammar: Grammar
    search: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Template:
    """A sentence of a skill, as words."""

    skill: str
    text: str
    network: Network


class PocketSphinx(Component[PocketSphinxSettings], SpeechToText):
    """Hears one utterance at a time. The decoders and all that touches them live in one thread."""

    streams = 1

    async def __aenter__(self) -> "PocketSphinx":
        """Load the acoustic model. Raises backend_start_failed."""
        self._grammars: OrderedDict[Sentences, Compiled] = OrderedDict()
        self._compiling = asyncio.Lock()
        self._warned: set[str] = set()
        self._utterance: Utterance | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=self.host.name)
        try:
            self._decoders = await self._run(Decoders)
            self._own = self.host.config_dir / "pronunciations.txt"
            self._lexicon = await self._run(lambda: Lexicon(dictionary(), self._own, self.host.log))
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._run(self._abandon)
        finally:
            self._thread.shutdown(wait=False)
            self._grammars.clear()
            del self._decoders, self._lexicon

    def serves(self, language: str) -> bool:
        return _english(language)

    async def prepare(self, sentences: Sentences, language: str) -> None:
        """Compile the sentences. Those whose words lacked a pronunciation are tried again: a voice may be there now.

        Raises capability_unsupported for a language other than English.
        """
        _check(language)
        known = self._grammars.get(sentences)
        if known is not None and not known.whole:
            await self._run(lambda: self._forget(sentences))
        await self._compiled(sentences)

    async def listen(
        self, frames: AsyncIterator[Frame], *, language: str, sentences: Sentences
    ) -> AsyncIterator[Heard]:
        """Partial texts, each again while it stands, then what was said: empty when it was none of the sentences.

        Raises capability_unsupported for a language other than English, unsupported_audio_format for frames of
        another rate than 16 kHz.
        """
        _check(language)
        utterance = await self._begin(await self._compiled(sentences))
        pieces = Blocks(PIECE)
        async for frame in frames:
            if frame.rate != CAPTURE_RATE:
                raise VonadError(
                    "unsupported_audio_format",
                    f"pocketsphinx hears sound of {CAPTURE_RATE} Hz, not {frame.rate} Hz; resample it first",
                    op="pocketsphinx.listen",
                )
            for piece in pieces.push(frame.samples):
                if utterance is not None and (text := await self._run(utterance.hear, piece)):
                    yield Heard(text)
        text = await self._run(utterance.finish, pieces.flush()) if utterance is not None else ""
        yield Heard(text, final=True)

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        """In the engine's thread, after all that was asked before."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def _begin(self, compiled: Compiled) -> Utterance | None:
        """An utterance; None: nothing may be said. One that was left in the middle is over now."""

        def begin() -> Utterance:
            self._abandon()
            self._decoders.use(compiled.search)
            self._utterance = Utterance(self._decoders, compiled.grammar, self.settings, self.host.log)
            return self._utterance

        return await self._run(begin) if compiled.search else None

    def _abandon(self) -> None:
        if self._utterance is not None:
            self._utterance.abandon()
            self._utterance = None

    # Compiling

    async def _compiled(self, sentences: Sentences) -> Compiled:
        async with self._compiling:
            if sentences not in self._grammars:
                templates, lacking = await self._run(lambda: self._read(sentences))
                told = await ask(self.host, lacking) if lacking else {}
                await self._run(lambda: self._keep(sentences, templates, told))
            self._grammars.move_to_end(sentences)
            return self._grammars[sentences]

    def _read(self, sentences: Sentences) -> tuple[list[Template], set[str]]:
        """The templates as words, and the words that the dictionary lacks."""
        templates = list(self._templates(sentences))
        words = {word for template in templates for word in template.network.words() if not self._decoders.knows(word)}
        found = self._lexicon.find(words) if words else {}
        self._decoders.learn(found)
        return templates, words - found.keys()

    def _templates(self, sentences: Sentences) -> Iterator[Template]:
        for group, sentence in sentences:
            lists = {words.name: words for words in group.lists}
            try:
                yield Template(group.skill, sentence.template, read(sentence.template, lists))
            except TemplateFault as fault:
                self._warn(f"skill {group.skill}: speech cannot be matched with {sentence.template!r}: {fault}")

    def _keep(self, sentences: Sentences, templates: list[Template], told: Pronunciations) -> None:
        """Compile what can be pronounced."""
        if sentences in self._grammars:  # by somebody who was cancelled while waiting for it
            return
        self._decoders.learn(told)
        whole = True
        for template in templates:
            for word in sorted(template.network.words()):
                if not self._decoders.knows(word):
                    whole = False
                    self._warn_of(word, template)
                    template.network.silence({word})
        compiled = grammar([template.network for template in templates])
        while len(self._grammars) >= GRAMMARS:
            self._forget(next(iter(self._grammars)))
        search = self._decoders.load(compiled) if compiled else ""
        self._grammars[sentences] = Compiled(compiled, search, whole)

    def _forget(self, sentences: Sentences) -> None:
        compiled = self._grammars.pop(sentences)
        if compiled.search == self._decoders.used:
            self._abandon()
        if compiled.search:
            self._decoders.forget(compiled.search)

    def _warn_of(self, word: str, template: Template) -> None:
        self._warn(
            f"skill {template.skill}: {word!r} in {template.text!r} has no pronunciation, and what contains it is not"
            f" recognised; add a line to {self._own}, the word and its sounds, like: roomba R UW M B AH"
        )

    def _warn(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            self.host.log.warning("%s", message)


def _english(language: str) -> bool:
    return language.replace("_", "-").partition("-")[0].lower() == "en"


def _check(language: str) -> None:
    if not _english(language):
        raise VonadError(
            "capability_unsupported",
            f"pocketsphinx hears English, not {language!r}; name another engine first in [backends.bridge] stt",
            op="pocketsphinx.listen",
            details={"language": language},
        )
