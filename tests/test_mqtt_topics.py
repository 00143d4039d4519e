"""Topics: built, parsed, and never such that a broker would cut us off."""

import pytest

from vonad import VonadError
from vonad.mqtt.topics import COMMANDS, STATE, WORDS, Place, Topics, check, satellite_id

TOPICS = Topics("vonad", "home")


def test_the_topics_are_those_of_the_contract():
    assert (TOPICS.status, TOPICS.info, TOPICS.event) == ("vonad/home/status", "vonad/home/info", "vonad/home/event")
    assert TOPICS.satellite("desk", "state") == "vonad/home/satellite/desk/state"
    assert TOPICS.session_state("s1") == "vonad/home/session/s1/state"
    assert TOPICS.session_event("s1", "turn.final") == "vonad/home/session/s1/event/turn.final"
    assert TOPICS.commands == [
        *(f"vonad/home/satellite/+/{verb}" for verb in ("wake", "text", "say", "stop")),
        "vonad/home/session/+/inject",
    ]


def test_every_topic_that_is_built_is_parsed_back():
    for leaf in (*COMMANDS, *STATE, *WORDS, "event"):
        assert TOPICS.parse(TOPICS.satellite("desk", leaf)) == Place("satellite", "desk", leaf)
    for leaf in ("status", "info", "event", "selftest"):
        assert TOPICS.parse(getattr(TOPICS, leaf)) == Place("node", "", leaf)
    assert TOPICS.parse(TOPICS.session_state("s1")) == Place("session", "s1", "state")
    assert TOPICS.parse("vonad/home/session/s1/inject") == Place("session", "s1", "inject")
    assert TOPICS.parse(TOPICS.session_event("s1", "turn.final")) == Place("session", "s1", "event/turn.final")


def test_a_prefix_may_have_several_levels():
    topics = Topics("house/voice", "home")
    assert topics.parse(topics.satellite("desk", "wake")) == Place("satellite", "desk", "wake")


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "vonad/home",
        "vonad/home/",
        "vonad/homes/status",
        "vonad/other/satellite/desk/wake",
        "vonad/home/satellite/desk",
        "vonad/home/satellite/desk/wake/deeper",
        "vonad/home/satellite/de/sk/wake",
        "vonad/home/satellite/desk/mic_mute",
        "vonad/home/session/s1/event/turn/final",
        "vonad/home/statu\0s",
        "$SYS/broker/version",
        "x" * 65_536,
    ],
)
def test_a_foreign_topic_is_malformed(topic):
    with pytest.raises(VonadError, match=r"MQTT topic: not one of ours: .*: vonad/home/satellite/<id>/") as caught:
        TOPICS.parse(topic)
    assert caught.value.code == "malformed"
    assert len(caught.value.message) < 300
    assert not TOPICS.remembered(topic)


@pytest.mark.parametrize(
    "name", ["", "Desk", "de sk", "a/b", "+", "#", "de\0sk", "x" * 65, "küche", "desk\n", "\ud800"]
)
def test_no_satellite_has_an_id_that_a_topic_cannot_hold(name):
    with pytest.raises(VonadError, match=r"no satellite can have this id: .*ids are 1 to 64 of a-z, 0-9, _ and -"):
        satellite_id(name)
    with pytest.raises(VonadError, match="no satellite can have this id"):
        TOPICS.satellite(name, "state")


@pytest.mark.parametrize(
    ("topic", "what"),
    [
        ("a\0b", "contains '\\\\x00'"),
        ("a/+/b", "contains '\\+'"),
        ("a/#", "contains '#'"),
        ("a/\ud800", "a lone surrogate"),
        ("$SYS/x", "begins with \\$"),
        ("", "0 bytes"),
        ("ü" * 32_768, "65536 bytes"),
    ],
)
def test_what_a_broker_would_cut_us_off_for_never_reaches_it(topic, what):
    with pytest.raises(VonadError, match=f"MQTT topic: {what}") as caught:
        check(topic)
    assert caught.value.code == "malformed"
    caught.value.message.encode()


def test_a_session_id_is_one_level():
    with pytest.raises(VonadError, match="contains '/'"):
        TOPICS.session_state("a/b")


def test_a_base_that_cannot_be_a_topic_is_refused_at_once():
    with pytest.raises(VonadError, match="contains"):
        Topics("vonad/#", "home")


def test_only_what_vonad_may_have_left_retained_is_remembered():
    assert TOPICS.remembered(TOPICS.status)
    assert TOPICS.remembered(TOPICS.satellite("desk", "transcript"))
    assert not TOPICS.remembered(TOPICS.satellite("desk", "wake"))
    assert not TOPICS.remembered(TOPICS.satellite("desk", "event"))
