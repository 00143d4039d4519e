"""The publisher: what each event says on MQTT."""

import json
from types import SimpleNamespace

import pytest

from vonad import EVENTS, Event
from vonad.mqtt.publisher import Publisher, encode
from vonad.mqtt.topics import Topics

BASE = "vonad/home/"
SECRET = "the blue door"


def view(name, *, online=True, state="idle", session_id=None):
    return SimpleNamespace(id=name, online=online, state=state, session_id=session_id)


class House:
    def __init__(self, *views):
        self.views = list(views)

    def satellites(self):
        return self.views

    def info(self):
        return {"version": "1"}


def publisher(*views, publish_text="events"):
    house = House(*views)
    made = Publisher(Topics("vonad", "home"), publish_text=publish_text, satellites=house.satellites, info=house.info)
    begun = said(made.truth())
    return made, house, begun


def messages(made, event):
    return [*made.states(event), *made.tells(event)]


def said(said_messages):
    """topic below the base → the payload, JSON where it is an object"""
    return {
        message.topic.removeprefix(BASE): json.loads(message.payload)
        if message.payload.startswith(b"{")
        else message.payload.decode()
        for message in said_messages
    }


def stamped(kind, data=None, satellite="desk", session="s1", turn=1):
    return Event(kind, data or {}, satellite, session, "c1", turn, seq=7, ts="2026-01-01T00:00:00.000Z", node="home")


def test_what_is_true_at_the_beginning():
    _, _, begun = publisher(view("desk"), view("attic", online=False))
    assert begun["info"] == {"version": "1"}
    assert begun["satellite/desk/availability"] == "online"
    assert begun["satellite/desk/state"] == "idle"
    assert begun["satellite/attic/availability"] == "offline"
    assert begun["satellite/desk/attributes"].keys() == {
        "session_id", "turn", "outcome", "latency_ms", "backend", "degraded",
    }  # fmt: skip


def test_the_beginning_is_retained_and_sure_to_arrive():
    made, *_ = publisher(view("desk"))
    assert all(message.retain and message.qos == 1 for message in made.truth())


def test_a_sessions_state_is_told_three_times_and_the_satellites_first():
    made, *_ = publisher(view("desk"))
    event = stamped("session.state", {"state": "speaking", "previous": "processing", "reason": "", "degraded": False})
    published = messages(made, event)
    assert [message.topic.removeprefix(BASE) for message in published] == [
        "satellite/desk/state",
        "session/s1/state",
        "session/s1/event/session.state",
    ]
    told = said(published)
    assert told["satellite/desk/state"] == "responding"
    assert told["session/s1/state"] == {
        "session_id": "s1",
        "satellite": "desk",
        "state": "speaking",
        "previous": "processing",
        "reason": "",
        "degraded": False,
        "turn": 1,
        "seq": 7,
        "ts": "2026-01-01T00:00:00.000Z",
    }
    assert told["session/s1/event/session.state"] == event.envelope()


def test_a_state_that_is_coarsely_the_same_is_not_repeated():
    made, *_ = publisher(view("desk"))
    assert "satellite/desk/state" in said(messages(made, stamped("session.state", {"state": "processing"})))
    assert "satellite/desk/state" not in said(messages(made, stamped("session.state", {"state": "executing_skill"})))


def test_a_superseded_session_does_not_speak_for_its_satellite():
    made, *_ = publisher(view("desk"))
    messages(made, stamped("session.created", session="old"))
    messages(made, stamped("session.created", session="new"))
    assert (
        said(messages(made, stamped("session.state", {"state": "listening"}, session="new")))["satellite/desk/state"]
        == "listening"
    )
    assert "satellite/desk/state" not in said(
        messages(made, stamped("session.state", {"state": "closing"}, session="old"))
    )
    assert "satellite/desk/state" not in said(messages(made, stamped("session.closed", session="old")))
    assert said(messages(made, stamped("session.closed", session="new")))["satellite/desk/state"] == "idle"


def test_a_session_that_began_before_us_is_believed():
    made, _, begun = publisher(view("desk", state="listening", session_id="s1"))
    assert begun["satellite/desk/state"] == "listening"
    assert (
        said(messages(made, stamped("session.state", {"state": "processing"})))["satellite/desk/state"] == "processing"
    )


@pytest.mark.parametrize(
    ("kind", "data", "name"),
    [
        ("wake.accepted", {"id": "w1", "source": "mqtt"}, "wake_accepted"),
        ("wake.refused", {"id": "w1", "reason": "stale"}, "wake_refused"),
        ("session.closed", {"reason": "idle_timeout"}, "session_ended"),
        ("say.finished", {"id": "a1", "ok": True}, "say_finished"),
        ("error", {"code": "malformed", "message": "…"}, "error"),
    ],
)
def test_what_concerns_a_satellite_is_told_on_its_event_topic(kind, data, name):
    made, *_ = publisher(view("desk"))
    told = said(messages(made, stamped(kind, data)))["satellite/desk/event"]
    assert told["event_type"] == name
    assert data.items() <= told.items()


def test_without_a_known_satellite_it_is_told_on_the_nodes_event_topic():
    made, *_ = publisher(view("desk"))
    event = stamped("wake.refused", {"reason": "unknown_satellite"}, "Küche", None, None)
    (message,) = messages(made, event)
    assert message.topic == "vonad/home/event"
    assert json.loads(message.payload)["satellite"] == "Küche"
    assert (
        said(messages(made, stamped("backend.health", {"name": "x"}, None, None)))["event"]["event_type"]
        == "backend_health"
    )


def test_a_text_only_session_has_no_satellite_topics():
    made, *_ = publisher(view("desk"))
    told = said(messages(made, stamped("session.closed", {"reason": "user_ended"}, None)))
    assert told.keys() == {"event", "session/s1/event/session.closed"}


def test_attributes_change_once_a_turn():
    made, *_ = publisher(view("desk"))
    data = {"outcome": "completed", "first_audio_ms": 412.5, "backend": "bridge", "degraded": False}
    attributes = said(messages(made, stamped("turn.ended", data)))["satellite/desk/attributes"]
    assert attributes == {
        "session_id": "s1",
        "turn": 1,
        "outcome": "completed",
        "latency_ms": 412.5,
        "backend": "bridge",
        "degraded": False,
    }
    others = (
        kind
        for kind in EVENTS
        if kind not in {"turn.ended", "satellite.online", "satellite.offline", "plugins.changed"}
    )
    assert not any("satellite/desk/attributes" in said(messages(made, stamped(kind))) for kind in others)
    never_begun = stamped("turn.ended", {**data, "outcome": "interrupted"}, turn=None)
    assert "satellite/desk/attributes" not in said(messages(made, never_begun))


@pytest.mark.parametrize(("kind", "leaf"), [("turn.final", "transcript"), ("reply.complete", "reply")])
@pytest.mark.parametrize(("publish_text", "retained"), [("events", False), ("retained", True)])
def test_words_are_published_as_the_owner_wants(kind, leaf, publish_text, retained):
    made, *_ = publisher(view("desk"), publish_text=publish_text)
    published = messages(made, stamped(kind, {"turn_id": "t1", "text": SECRET}))
    (message,) = [m for m in published if m.topic.endswith(leaf)]
    assert json.loads(message.payload) == {"turn_id": "t1", "text": SECRET}
    assert message.retain is retained
    assert message not in list(made.truth()), "a reconnect must not say it again"
    assert [m.topic for m in published if m.retain and SECRET.encode() in m.payload] == [message.topic] * retained


def test_with_publish_text_off_no_word_leaves_the_house():
    made, *_ = publisher(view("desk"), publish_text="off")
    for kind, promised in EVENTS.items():
        data = {key: SECRET if key in promised.words else 1 for key in promised.data}
        for message in messages(made, stamped(kind, data)):
            assert SECRET.encode() not in message.payload, kind
            assert not message.topic.endswith(("/transcript", "/reply"))


def test_a_satellite_that_goes_is_offline_and_idle_and_told():
    made, house, _ = publisher(view("desk", state="listening", session_id="s1"))
    house.views = []
    told = said(messages(made, stamped("satellite.offline", {"reason": "unplugged"}, session=None)))
    assert told["satellite/desk/availability"] == "offline"
    assert told["satellite/desk/state"] == "idle"
    assert told["event"]["event_type"] == "satellite_offline"
    house.views = [view("desk")]
    assert said(messages(made, stamped("satellite.online", session=None)))["satellite/desk/availability"] == "online"


def test_a_satellite_that_is_no_longer_part_of_the_house_leaves_nothing_on_the_broker():
    made, house, _ = publisher(view("desk"), view("attic"))
    house.views = [view("desk")]
    published = messages(made, stamped("plugins.changed", satellite=None, session=None))
    cleared = {m.topic.removeprefix(BASE) for m in published if m.retain and not m.payload}
    assert cleared == {
        f"satellite/attic/{leaf}" for leaf in ("availability", "state", "attributes", "transcript", "reply")
    }
    assert made.stale("vonad/home/satellite/attic/state")
    assert not made.stale("vonad/home/satellite/desk/state")


@pytest.mark.parametrize(("publish_text", "stale"), [("off", True), ("events", True), ("retained", False)])
def test_words_from_earlier_stay_on_the_broker_only_if_the_owner_wants_it(publish_text, stale):
    made, *_ = publisher(view("desk"), publish_text=publish_text)
    assert made.stale("vonad/home/satellite/desk/transcript") is stale


def test_every_type_of_event_can_be_published():
    made, *_ = publisher(view("desk"))
    for kind, promised in EVENTS.items():
        for message in messages(made, stamped(kind, dict.fromkeys(promised.data, "x"))):
            assert message.qos == 1 or not promised.kept


def test_states_and_endings_are_sure_to_arrive_and_the_rest_may_be_lost():
    made, *_ = publisher(view("desk"))
    qos = {kind: [m.qos for m in messages(made, stamped(kind)) if "/session/" in m.topic] for kind in EVENTS}
    assert qos["turn.ended"] == [1]
    assert qos["reply.delta"] == qos["transcript.partial"] == qos["latency.mark"] == [0]


def test_what_json_cannot_say_becomes_text():
    assert json.loads(encode({"a": SimpleNamespace, "b": "\ud800"}))["b"] == "?"


@pytest.mark.parametrize("kind", sorted(set(EVENTS) - {"satellite.online", "satellite.offline", "plugins.changed"}))
def test_whatever_happens_in_a_session_is_told_under_its_own_type(kind):
    made, _, _ = publisher(view("desk"), publish_text="off")
    made.states(stamped("session.created", {}))
    words = EVENTS[kind].words
    data = {key: SECRET if key in words else key for key in EVENTS[kind].data}
    out = said(messages(made, stamped(kind, data)))
    told = out[f"session/s1/event/{kind}"]
    assert (told["type"], told["seq"], told["session_id"]) == (kind, 7, "s1")
    assert told["data"] == {key: key for key in EVENTS[kind].data if key not in words}
    assert SECRET not in json.dumps(out)


def test_beluga_away_presence_is_told_on_mqtt_by_the_session_and_the_satellite_is_idle():
    made, *_ = publisher(view("desk"))
    made.states(stamped("session.created", {}))
    out = said(messages(made, stamped("session.state", {"state": "away", "previous": "idle", "reason": "left"})))
    assert out["session/s1/state"]["state"] == "away"
    assert "satellite/desk/state" not in out
    for kind in ("user.away", "user.back"):
        assert said(messages(made, stamped(kind)))[f"session/s1/event/{kind}"]["satellite"] == "desk"


def test_meerkat_subscribe_on_mqtt_a_gap_is_told_with_how_many_events_it_swallowed():
    made, *_ = publisher(view("desk"))
    told = said(messages(made, Event("events_dropped", {"count": 7})))
    assert told["event"]["event_type"] == "events_dropped"
    assert told["event"]["count"] == 7
