"""Understands text by the skills' own sentences, with hassil (Apache-2.0).

Two engines:

sentences:      an agent: finds the sentence that was said, has its skill run and passes on what that says.
sentences_turn: a turn detector: tells whether the words so far are a whole sentence, or the beginning of one.
"""

from contextlib import AbstractAsyncContextManager

from vonad import Agent, Host, NoSettings, Registrar, TurnDetector, hookimpl

VONAD_API = ">=1,<2"


def open_agent(settings: NoSettings, host: Host) -> AbstractAsyncContextManager[Agent]:
    """The agent; what is heavy is imported only now."""
    from vonad_sentences.engine import SentencesAgent

    return SentencesAgent(settings, host)


def open_turn_detector(settings: NoSettings, host: Host) -> AbstractAsyncContextManager[TurnDetector]:
    """The turn detector; what is heavy is imported only now."""
    from vonad_sentences.engine import SentencesTurnDetector

    return SentencesTurnDetector(settings, host)


@hookimpl
def register_engines(registrar: Registrar) -> None:
    """Offer both. An engine's name stands for one role."""
    registrar.add("sentences", open_agent, role="agent", settings=NoSettings)
    registrar.add("sentences_turn", open_turn_detector, role="turn", settings=NoSettings)
