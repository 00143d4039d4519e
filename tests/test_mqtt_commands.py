"""Commands: what may be sent, and the sentence for everything else."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vonad import VonadError, Wake
from vonad.mqtt.commands import (
    Inject,
    Say,
    Text,
    decode_inject,
    decode_say,
    decode_stop,
    decode_text,
    decode_wake,
)
from vonad.mqtt.message import PAYLOAD_LIMIT
from vonad.plan import ContextEvent


def wake(payload: bytes) -> Wake:
    return decode_wake("desk", payload, at=1.0, retained=False)


def refusal(decode, payload: bytes) -> str:
    with pytest.raises(VonadError) as caught:
        decode(payload)
    assert caught.value.code == "malformed"
    caught.value.message.encode()
    assert len(caught.value.message) < 400
    return caught.value.message


@pytest.mark.parametrize("payload", [b"", b"{}", b"  \n", b'{"id":null,"text":null}'])
def test_an_empty_wake_is_explicit(payload):
    assert wake(payload) == Wake(satellite="desk", source="mqtt", at=1.0)
    assert wake(payload).explicit


def test_a_wake_as_plain_text_is_a_detectors_phrase():
    assert wake(b" okay nabu ").phrase == "okay nabu"
    assert wake(b"[1]").phrase == "[1]"


def test_a_wake_says_all_that_it_may():
    said = {
        "id": "w1",
        "phrase": "okay nabu",
        "score": 1,
        "speaker_score": 0.5,
        "ts": 1_700_000_000.5,
        "age_ms": 12,
        "expires_s": 3,
        "backend": "bridge",
        "text": " what time is it ",
        "follow_up": False,
    }
    assert wake(json.dumps(said).encode()) == Wake(
        satellite="desk",
        source="mqtt",
        at=1.0,
        id="w1",
        phrase="okay nabu",
        score=1.0,
        speaker_score=0.5,
        ts=datetime(2023, 11, 14, 22, 13, 20, 500_000, tzinfo=UTC),
        age_ms=12.0,
        expires_s=3.0,
        backend="bridge",
        text="what time is it",
        follow_up=False,
    )


@pytest.mark.parametrize("ts", ["2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00", "2023-11-14 22:13:20+00:00"])
def test_the_time_of_a_wake_may_be_iso_8601(ts):
    assert wake(json.dumps({"ts": ts}).encode()).ts == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_a_time_without_offset_is_local():
    local = datetime(2023, 11, 14, 22, 13, 20).astimezone()
    assert wake(b'{"ts":"2023-11-14T22:13:20"}').ts == local


@pytest.mark.parametrize("ts", ["1700000000000", "-1e18", '"yesterday"', '"1700000000"'])
def test_what_is_no_time_is_malformed(ts):
    assert "MQTT wake: not a time: 'ts': epoch seconds (not milliseconds)" in refusal(wake, f'{{"ts":{ts}}}'.encode())


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (b"x" * (PAYLOAD_LIMIT + 1), "MQTT wake: too large: payload: at most 16384 bytes"),
        (b"{" + b" " * PAYLOAD_LIMIT + b"}", "MQTT wake: too large: payload"),
        (b"\xff\xfe", "MQTT wake: not UTF-8: byte 0: UTF-8 text, or a JSON object"),
        (b"a\0b", "MQTT wake: a NUL character: character 1: text without NUL"),
        (b"a" * 129, "MQTT wake: a long phrase: 129 characters: at most 128"),
        (b'{"id":', "MQTT wake: not valid JSON (Expecting value): line 1 column 7: a JSON object, or plain text"),
        (b"{} {}", "MQTT wake: not valid JSON (Extra data)"),
        (b"{'id':1}", "MQTT wake: not valid JSON"),
        (b'{"score":NaN}', "MQTT wake: not a JSON number: NaN: finite numbers"),
        (b'{"score":-Infinity}', "MQTT wake: not a JSON number: -Infinity"),
        (b'{"score":1e999}', "MQTT wake: not a finite number: '1e999'"),
        (b'{"score":' + b"9" * 5_000 + b"}", "MQTT wake: a huge number: 99999999… (5000 digits): at most 19 digits"),
        (b'{"id":"a","id":"b"}', "MQTT wake: a key twice: 'id': each key once"),
        (b'{"id":' + b"[" * 16_000, "MQTT wake: nested too deeply: payload: a flat JSON object"),
        (b'{"id":"\\ud800"}', "MQTT wake: wrong value: 'id': valid Unicode"),
        (b'{"\\ud800":1}', "MQTT wake: wrong value: payload: valid Unicode"),
        (b'{"text":"a\\u0000b"}', "MQTT wake: wrong value: 'text': text without NUL"),
        (b'{"text":"  "}', "MQTT wake: wrong value: 'text': at least 1 character"),
        (b'{"id":""}', "MQTT wake: wrong value: 'id': at least 1 character"),
        (b'{"id":1}', "MQTT wake: wrong value: 'id': a text"),
        (b'{"id":["a"]}', "MQTT wake: wrong value: 'id'"),
        (b'{"score":"0.5"}', "MQTT wake: wrong value: 'score': a number"),
        (b'{"score":true}', "MQTT wake: wrong value: 'score'"),
        (b'{"score":1.5}', "MQTT wake: wrong value: 'score': less than or equal to 1"),
        (b'{"age_ms":-1}', "MQTT wake: wrong value: 'age_ms': greater than or equal to 0"),
        (b'{"follow_up":1}', "MQTT wake: wrong value: 'follow_up': true or false"),
        (b'{"follow-up":true}', "MQTT wake: unknown key: 'follow-up'"),
        (b'{"phrse":"x"}', "did you mean phrase?"),
        (b'{"v":2}', "MQTT wake: unknown key: 'v': id, phrase, score, speaker_score, ts, age_ms, expires_s, backend"),
    ],
)
def test_a_wake_that_is_not_as_the_contract_says_is_malformed(payload, sentence):
    assert sentence in refusal(wake, payload)


def test_json_deeper_than_any_stack_is_an_error_not_a_crash():
    # The limit of size comes first on the wire; the parser behind it must stand on its own as well.
    assert "nested too deeply" in refusal(wake, b'{"a":' + b"[" * 16_000)


def test_a_text_is_plain_or_an_object():
    assert decode_text("wie spät ist es\n".encode()) == Text("wie spät ist es")
    assert decode_text(b'{"text":"hello","id":"t1"}') == Text("hello", "t1")


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (b"", "MQTT text: empty: payload: text, or a JSON object with text"),
        (b" \n", "MQTT text: empty"),
        (b'{"id":"t1"}', "MQTT text: wrong value: 'text': must be given"),
        (b'{"text":"x","priority":1}', "MQTT text: unknown key: 'priority': text, id, on_busy are known"),
    ],
)
def test_a_text_without_text_is_malformed(payload, sentence):
    assert sentence in refusal(decode_text, payload)


def test_an_announcement_is_plain_or_an_object():
    assert decode_say(b"dinner") == Say("dinner")
    assert decode_say(b'{"text":"dinner","id":"a","priority":3,"interrupt":true}') == Say("dinner", "a", 3, True)


@pytest.mark.parametrize("key", ["preannounce", "durable"])
def test_an_announcement_may_chime_and_endure(key):
    assert decode_say(f'{{"text":"dinner","{key}":true}}'.encode()) == Say("dinner", **{key: True})
    assert f"MQTT say: wrong value: '{key}': true or false" in refusal(
        decode_say, f'{{"text":"dinner","{key}":1}}'.encode()
    )


def test_a_text_may_wait_for_the_turn_that_runs():
    assert decode_text(b'{"text":"hello","on_busy":"queue"}') == Text("hello", None, "queue")
    assert "wrong value: 'on_busy'" in refusal(decode_text, b'{"text":"hello","on_busy":"wait"}')


def test_vona_external_context_event_over_mqtt_says_all_that_it_may():
    assert decode_inject(b'{"source":"doorbell"}') == Inject(ContextEvent(source="doorbell"))
    whole = {
        "source": "s",
        "spoken_summary": " It rang. ",
        "payload": {"a": [1, {"b": None}]},
        "mode": "steer",
        "id": "i",
    }
    event = ContextEvent(source="s", spoken_summary="It rang.", payload={"a": [1, {"b": None}]})
    assert decode_inject(json.dumps(whole).encode()) == Inject(event, "steer", "i")


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (b"", "MQTT inject: no JSON object: payload: a JSON object with source"),
        (b"it rang", "MQTT inject: no JSON object"),
        (b"{}", "MQTT inject: wrong value: 'source': must be given"),
        (b'{"source":""}', "MQTT inject: wrong value: 'source'"),
        (b'{"source":"x","payload":"y"}', "MQTT inject: wrong value: 'payload'"),
        (b'{"source":"x","mode":"now"}', "MQTT inject: wrong value: 'mode'"),
        (b'{"source":"x","playload":{}}', "did you mean payload?"),
        (b'{"source":"x","payload":{"a":1,"a":2}}', "MQTT inject: a key twice: 'a'"),
        (b'{"source":"x","payload":{"a":"\\ud800"}}', "MQTT inject: wrong value: 'payload': valid Unicode"),
        (b'{"source":"x","payload":{"a":"\\u0000"}}', "MQTT inject: wrong value: 'payload': text without NUL"),
        (b'{"source":"x","payload":{"a":NaN}}', "MQTT inject: not a JSON number"),
        (b'{"source":"x","payload":{"a":"' + b"x" * PAYLOAD_LIMIT + b'"}}', "MQTT inject: too large"),
    ],
)
def test_what_cannot_be_injected_is_malformed(payload, sentence):
    assert sentence in refusal(decode_inject, payload)


@pytest.mark.parametrize("depth", [2_000, 8_000])
def test_what_is_injected_too_deep_is_malformed(depth):
    refusal(decode_inject, b'{"source":"x","payload":{"a":' + b"[" * depth + b"]" * depth + b"}}")


@pytest.mark.parametrize("payload", [b"", b"{}", b"PRESS", b"ON"])
def test_whatever_a_button_sends_stops(payload):
    decode_stop(payload)


def test_a_stop_has_no_keys():
    assert refusal(decode_stop, b'{"id":"x"}') == "MQTT stop: unknown key: 'id': an empty object"


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
        max_leaves=8,
    ).map(lambda value: json.dumps({"id": value, "text": value}).encode())
)
def test_any_payload_is_a_command_or_malformed(payload):
    for decode in (wake, decode_text, decode_say, decode_stop):
        said = _outcome(decode, payload)
        assert said is None or (said.code == "malformed" and said.message.encode().startswith(b"MQTT "))


def _outcome(decode, payload: bytes) -> VonadError | None:
    try:
        decode(payload)
    except VonadError as error:
        return error
    return None
