"""The sentence splitter, for any text in any pieces."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from vonad_bridge.sentences import LONGEST, SentenceSplitter

TEXT = st.text(alphabet=st.sampled_from("ab 9.!?…:;\n\t\"')\u3002\uff01é") | st.characters(), max_size=1_000)


def cut(text: str, at: list[int]) -> list[str]:
    """The text in pieces that end at these places."""
    edges = [0, *sorted(min(place, len(text)) for place in at), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


@given(TEXT, st.lists(st.integers(0, 1_000), max_size=20))
def test_beluga_streaming_agent_text_is_emitted_at_sentence_ends_and_nothing_is_skipped_in_silence(
    text: str, at: list[int]
) -> None:
    splitter = SentenceSplitter()
    sentences = [sentence for piece in cut(text, at) for sentence in splitter.push(piece)]
    sentences += splitter.flush()
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(sentence == sentence.strip() and sentence for sentence in sentences)


@given(st.text(alphabet="ab .!?\n'", max_size=LONGEST), st.lists(st.integers(0, LONGEST), max_size=20))
def test_the_sentences_are_the_same_in_whatever_pieces_they_come(text: str, at: list[int]) -> None:
    whole, pieced = SentenceSplitter(), SentenceSplitter()
    sentences = [sentence for piece in cut(text, at) for sentence in pieced.push(piece)]
    assert sentences + pieced.flush() == whole.push(text) + whole.flush()


@given(st.text(alphabet="ab ", max_size=3_000))
def test_a_sentence_without_an_end_is_cut_before_somebody_waits_too_long(text: str) -> None:
    splitter = SentenceSplitter()
    sentences = splitter.push(text) + splitter.flush()
    assert all(len(sentence) <= LONGEST for sentence in sentences)
    assert "".join("".join(sentences).split()) == "".join(text.split())


@given(st.lists(st.sampled_from(["It is noon.", "Is it?", "Yes!", "Turn it on;"]), min_size=1, max_size=20))
def test_each_sentence_comes_out_as_soon_as_the_next_one_begins(sentences: list[str]) -> None:
    splitter = SentenceSplitter()
    for sentence in sentences:
        assert splitter.push(f"{sentence} ") == [sentence]
    assert splitter.flush() == []
