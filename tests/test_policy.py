"""Policy: what hooks decide, what it means when they fail, and what the house decides itself."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import get_args

import pytest

from vonad.backend import Diagnostic, SkillRequest, SpeechStarted, Transcript
from vonad.bus import Bus
from vonad.control import (
    Continue,
    ControlEvent,
    Decision,
    FallBack,
    FallbackReason,
    Ignore,
    InjectContext,
)
from vonad.errors import VonadError
from vonad.events import EVENTS as CATALOGUE
from vonad.events import Event
from vonad.plan import ContextEvent, Plan, Refusal, SessionView, Wake
from vonad.plugins import Plugins
from vonad.policy import DefaultPolicy, Policy, question
from vonad.skill import Allow, Confirm, Deny, DenyKind, Risk, SkillCall
from vonad.testing import ManualClock

SEEN = SessionView(
    session_id="s1", conversation_id="c1", satellite="desk", state="processing", turn=1, backend="b", created=""
)


def view() -> SessionView:
    """A look at the session."""
    return SEEN


WAKE = Wake(satellite="desk", source="mqtt", at=0.0)
CALL = SkillCall("1", "unlock", {"door": "front"})
EVENTS: tuple[ControlEvent, ...] = (
    SkillRequest(1, CALL),
    Transcript(1, "unlock the"),
    SpeechStarted(1),
    Diagnostic(1, "warming up"),
)
RISKS: Mapping[str, Risk] = {"unlock": "sensitive", "lamp": "reversible", "time": "read"}

HOOKS: Mapping[str, Callable[[Policy], object]] = {
    "plan_session": lambda policy: policy.plan(WAKE, []),
    "review_skill_call": lambda policy: policy.review(CALL, view),
    "review_control_event": lambda policy: policy.control(EVENTS[1], view),
    "should_fall_back": lambda policy: policy.should_fall_back("silence", view),
    "rewrite_user_text": lambda policy: policy.user_text("hello", view),
    "rewrite_reply": lambda policy: policy.reply("hello", view),
}
every_hook = pytest.mark.parametrize("hook", HOOKS)


class House:
    """Policy with the house's own answers last, and plugins that a test speaks for."""

    def __init__(self, **plugins: Callable[..., object]) -> None:
        self.clock = ManualClock()
        self.reported: list[tuple[str, VonadError]] = []
        self.own = DefaultPolicy(lambda wake: Plan(satellite=wake.satellite, backends=("b",)), risk=RISKS.get)
        self.plugins = plugins
        self.policy = Policy(self, lambda hook, error: self.reported.append((hook, error)), clock=self.clock)

    def says(self, hook: str) -> Sequence[tuple[str, Callable[..., object]]]:
        told: dict[str, Callable[..., object]] = {
            "plan_session": lambda wake, active: self.own.plan_session(wake),
            "review_skill_call": lambda call, session: self.own.review_skill_call(call, session()),
            "should_fall_back": lambda reason, session: self.own.should_fall_back(reason),
        }
        own = [("own", told[hook])] if hook in told else []
        plugins = self.plugins.items()
        return [*((f"plugin {name}", lambda say=say, **about: say(*_seen(about))) for name, say in plugins), *own]


def _seen(about: Mapping[str, object]) -> list[object]:
    return [SEEN if name == "session" else value for name, value in about.items()]


def slow(house: House, seconds: float, answer: object = None) -> Callable[..., object]:
    """A plugin that keeps everybody waiting."""

    def say(*about: object) -> object:
        house.clock._monotonic += seconds  # time passes while nothing else can run
        return answer

    return say


# What the house decides


def test_vona_runtime_decision_each_of_the_four_is_what_policy_can_say() -> None:
    event = ContextEvent(source="camera", payload={"seen": "cat"})
    decisions: tuple[Decision, ...] = (Ignore(), Continue(), InjectContext(event), FallBack("too slow"))
    for decision in decisions:
        assert (
            House(plugin=lambda event, session, decision=decision: decision).policy.control(EVENTS[0], view) is decision
        )
    assert set(get_args(Decision)) == {type(decision) for decision in decisions}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_vona_control_events_all_four_kinds_pass_policy_and_go_on_by_default(event: ControlEvent) -> None:
    seen: list[object] = []
    house = House(observer=lambda event, session: seen.append(event))
    assert house.policy.control(event, view) == Continue()
    assert seen == [event]
    assert {type(event) for event in EVENTS} == set(get_args(ControlEvent))


def test_vona_session_policy_says_when_the_next_backend_takes_over() -> None:
    policy = House().policy
    answers = {reason: policy.should_fall_back(reason, view) for reason in get_args(FallbackReason)}
    assert answers == {
        "backend_unavailable": True,
        "control_rejected": True,
        "silence": True,
        "interrupted": True,
        "tool_timeout": False,
        "tool_failed": False,
    }


def test_vona_session_policy_a_plugin_overrides_the_house() -> None:
    house = House(mine=lambda reason, session: reason == "tool_timeout")
    assert house.policy.should_fall_back("tool_timeout", view)
    assert not house.policy.should_fall_back("silence", view)


def test_vona_external_context_event_comes_from_policy_with_source_summary_and_payload() -> None:
    event = ContextEvent(source="doorbell", spoken_summary="Somebody is at the door.", payload={"who": "?"})
    decision = House(bell=lambda _, session: InjectContext(event)).policy.control(EVENTS[1], view)
    assert isinstance(decision, InjectContext)
    assert (decision.event.source, decision.event.spoken_summary, decision.event.payload) == (
        "doorbell",
        "Somebody is at the door.",
        {"who": "?"},
    )


@pytest.mark.parametrize(
    ("name", "verdict"),
    [("time", Allow()), ("lamp", Allow()), ("unlock", Confirm("Shall I do this: unlock, door front?"))],
)
def test_only_what_is_sensitive_is_to_be_confirmed(name: str, verdict: object) -> None:
    call = SkillCall("1", name, {"door": "front"})
    assert House().policy.review(call, view) == verdict


def test_the_question_names_the_skill_and_what_it_is_told() -> None:
    call = SkillCall("1", "send_message", {"to": "Ann", "body_text": "x" * 500})
    assert question(call).startswith("Shall I do this: send message, to Ann, body text xxx")
    assert len(question(call)) < 230


@pytest.mark.parametrize(
    ("description", "asked"),
    [
        ("Unlocks a door.", "Unlocks a door: door front, for long no. Shall I do this?"),
        ("Unlocks a door", "Unlocks a door: door front, for long no. Shall I do this?"),
        ("  Unlocks a door. Only for those at home.", "Unlocks a door: door front, for long no. Shall I do this?"),
        ("Unlocks a door\nof the house", "Unlocks a door: door front, for long no. Shall I do this?"),
        ("", "Shall I do this: unlock, door front, for long no?"),
        (" . ", "Shall I do this: unlock, door front, for long no?"),
    ],
)
def test_the_question_says_what_the_skill_says_of_itself(description: str, asked: str) -> None:
    assert question(SkillCall("1", "unlock", {"door": "front", "for_long": "no"}), description) == asked


def test_the_question_of_a_skill_without_arguments_is_its_own_sentence() -> None:
    assert question(SkillCall("1", "buy", {}), "Buys what is on the list!") == (
        "Buys what is on the list. Shall I do this?"
    )
    assert "door front" in question(SkillCall("1", "unlock", {"door": "front"}), "x" * 500)


def test_a_plugin_may_spare_the_question_or_ask_one_of_its_own() -> None:
    assert House(trusting=lambda call, session: Allow()).policy.review(CALL, view) == Allow()
    asking = House(careful=lambda call, session: Confirm("The lamp, really?"))
    assert asking.policy.review(SkillCall("1", "lamp", {}), view) == Confirm("The lamp, really?")


def test_the_first_answer_that_is_not_none_counts() -> None:
    house = House(
        silent=lambda call, session: None,
        first=lambda call, session: Deny("no"),
        second=lambda call, session: Allow(),
    )
    assert house.policy.review(CALL, view) == Deny("no")


def test_a_wake_becomes_what_the_hooks_say() -> None:
    assert House().policy.plan(WAKE, []) == Plan(satellite="desk", backends=("b",))
    refusal = Refusal("hook_denied", "quiet hours")
    assert House(night=lambda wake, active: refusal).policy.plan(WAKE, []) is refusal


def test_words_are_replaced_and_left_alone() -> None:
    loud = House(loud=lambda text, session: text.upper()).policy
    assert (loud.user_text("hello", view), loud.reply("hello", view)) == ("HELLO", "HELLO")
    assert (House().policy.user_text("hello", view), House().policy.reply("hello", view)) == ("hello", "hello")
    assert House(mute=lambda text, session: "").policy.reply("hello", view) == ""


# What it means when they fail


def denied(hook: str, policy: Policy) -> None:
    """Fails when the answer is not a no."""
    if hook.startswith("rewrite"):
        with pytest.raises(VonadError) as refused:
            HOOKS[hook](policy)
        assert refused.value.code == "hook_denied"
        return
    match HOOKS[hook](policy):
        case Refusal(reason, _):
            assert reason == "hook_denied"
        case Deny(_, kind):
            assert kind in {"error", "timeout"}
        case answer:
            assert answer in {Ignore(), False}


def crash(*about: object) -> object:
    raise LookupError("the door is not there")


def leave(*about: object) -> object:
    raise SystemExit


@every_hook
@pytest.mark.parametrize("fault", [crash, leave], ids=["raises", "wants to end the process"])
def test_meerkat_hooks_a_guard_or_rewrite_that_raises_fails_closed_and_is_reported_by_name(
    hook: str, fault: Callable[..., object]
) -> None:
    house = House(nightwatch=fault, yes_man=lambda *about: Allow())
    denied(hook, house.policy)
    [(reported, error)] = house.reported
    assert reported == hook == error.op
    assert f"{hook} of plugin nightwatch failed" in error.message
    assert error.code == ("control_rejected" if hook == "review_control_event" else "plugin_error")


class Nasty:
    """Cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


async def late() -> Allow:
    return Allow()


NONSENSE: Mapping[str, Callable[..., object]] = {
    "number": lambda *about: 7,
    "bytes": lambda *about: b"yes",
    "coroutine": lambda *about: late(),
    "class": lambda *about: Allow,
    "unshowable": lambda *about: Nasty(),
    "generator": lambda *about: (n for n in iter(int, 1)),
}


@every_hook
@pytest.mark.parametrize("nonsense", NONSENSE)
def test_nonsense_is_a_no(hook: str, nonsense: str) -> None:
    house = House(odd=NONSENSE[nonsense])
    denied(hook, house.policy)
    assert [reported for reported, _ in house.reported] == [hook]
    assert "plugin odd" in house.reported[0][1].message


@pytest.mark.parametrize(
    ("hook", "answer"),
    [
        ("review_skill_call", Confirm("")),
        ("review_skill_call", Confirm(None)),  # type: ignore[arg-type]  # what plugins return is what is tested
        ("review_skill_call", Deny("no", "whim")),  # type: ignore[arg-type]
        ("review_control_event", InjectContext({"seen": "cat"})),  # type: ignore[arg-type]
        ("should_fall_back", 1),
        ("rewrite_reply", "x" * 50_000_000),
        ("rewrite_user_text", True),
    ],
    ids=str,
)
def test_an_answer_of_the_right_kind_but_without_sense_is_a_no(hook: str, answer: object) -> None:
    house = House(odd=lambda *about: answer)
    denied(hook, house.policy)
    assert len(house.reported) == 1
    assert len(house.reported[0][1].message) < 500


@every_hook
def test_where_nobody_answers_the_answer_is_no_but_for_what_nobody_objects_to(hook: str) -> None:
    house = House()
    house.says = lambda hook: []  # type: ignore[method-assign]
    if hook.startswith("rewrite"):
        assert HOOKS[hook](house.policy) == "hello"
    elif hook == "review_control_event":  # the house itself has nothing against what backends do
        assert HOOKS[hook](house.policy) == Continue()
    else:
        denied(hook, house.policy)
        assert "nobody answered" in house.reported[0][1].message


# Time


@every_hook
def test_meerkat_hooks_an_answer_after_5_s_is_a_no(hook: str) -> None:
    house = House()
    answers = {"plan_session": Plan(satellite=None, backends=("x",)), "should_fall_back": True}
    house.plugins = {"sleepy": slow(house, 5.1, answers.get(hook, Allow() if "skill" in hook else None))}
    denied(hook, house.policy)
    [(_, error)] = house.reported
    assert error.code in {"hook_timeout", "control_rejected"}
    assert f"{hook} of plugin sleepy took 5.1 s" in error.message


def test_a_review_that_took_too_long_is_denied_as_a_timeout() -> None:
    house = House()
    house.plugins = {"sleepy": slow(house, 6, Allow())}
    verdict = house.policy.review(CALL, view)
    assert isinstance(verdict, Deny)
    assert verdict.kind == "timeout"


def test_a_slow_hook_counts_but_is_reported_by_name_once_a_minute() -> None:
    house = House()
    house.plugins = {"quick": slow(house, 0.09, None), "sluggish": slow(house, 0.25, Allow())}
    for _ in range(3):
        assert house.policy.review(CALL, view) == Allow()
    [(hook, error)] = house.reported
    assert (hook, error.op, error.code) == ("review_skill_call", "review_skill_call", "plugin_error")
    assert "of plugin sluggish took 0.2 s" in error.message
    house.clock._monotonic += 60
    house.policy.review(CALL, view)
    assert len(house.reported) == 2


# With real plugins


def test_a_plugin_that_fails_is_named_by_the_file_it_came_in(tmp_path: Path) -> None:
    source = "from vonad import hookimpl, Ignore\n"
    (tmp_path / "broken.py").write_text(source + "@hookimpl\ndef review_control_event(event):\n    1 / 0\n")
    (tmp_path / "careful.py").write_text(
        source + "@hookimpl\ndef should_fall_back(session, reason):\n    return session.satellite == reason\n"
    )
    for path in tmp_path.iterdir():
        path.chmod(0o600)
    plugins = Plugins(drop_ins=tmp_path, allowed=["broken", "careful"])
    plugins.load()
    plugins.register_policy(DefaultPolicy(lambda wake: Plan(satellite=None, backends=("b",)), risk=RISKS.get))
    reported: list[str] = []
    policy = Policy(plugins.hook, lambda hook, error: reported.append(error.message))
    assert policy.control(EVENTS[0], view) == Ignore()
    assert policy.should_fall_back("silence", view) is False
    assert policy.review(CALL, view) == Confirm("Shall I do this: unlock, door front?")
    assert reported == [
        "review_control_event of plugin broken failed, which counts as no: ZeroDivisionError: division by zero"
    ]
    plugins.unload("broken")
    assert policy.control(EVENTS[0], view) == Continue()


def test_a_plugin_that_wraps_the_others_sees_what_the_house_decided(tmp_path: Path) -> None:
    (tmp_path / "strict.py").write_text(
        "from vonad import Confirm, Deny, hookimpl\n@hookimpl(wrapper=True)\ndef review_skill_call(call):\n"
        "    answer = yield\n    return Deny('nothing sensitive') if isinstance(answer, Confirm) else answer\n"
    )
    (tmp_path / "strict.py").chmod(0o600)
    plugins = Plugins(drop_ins=tmp_path, allowed=["strict"])
    plugins.load()
    plugins.register_policy(DefaultPolicy(lambda wake: Plan(satellite=None, backends=("b",)), risk=RISKS.get))
    policy = Policy(plugins.hook, lambda hook, error: pytest.fail(error.message))
    assert policy.review(CALL, view) == Deny("nothing sensitive")
    assert policy.review(SkillCall("1", "lamp", {}), view) == Allow()


def test_meerkat_hooks_deny_reasons_are_these_five() -> None:
    assert get_args(DenyKind) == ("policy", "safety", "schema", "timeout", "error")


def test_meerkat_hooks_every_point_is_a_hook_that_guards_or_an_event_that_is_observed() -> None:
    guards = {"pre_llm": "rewrite_user_text", "post_llm": "rewrite_reply", "pre_tool": "review_skill_call"}
    observed = {
        "run_started": "turn.started",
        "run_completed": "turn.ended",
        "run_failed": "error",
        "post_tool": "skill.result",
        "turn_boundary": "turn.ended",
    }
    assert set(guards.values()) <= set(HOOKS)
    assert set(observed.values()) <= set(CATALOGUE)


def test_meerkat_hooks_an_observer_that_never_looks_stops_nothing() -> None:
    bus = Bus("test", ManualClock())
    with bus.subscribe() as stuck:
        for _ in range(5_000):
            bus.publish(Event("reply.delta", {"text": "x"}))
        assert stuck.dropped > 0
        assert bus.counts["reply.delta"] == 5_000
