"""Meerkat's build options, hooks override and external tools: what a caller in the house brings for one session."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime_house import RuntimeHouse, runtime_house
from vonad.backend import BackendCapabilities, ReplyDone, SkillRequest
from vonad.component_voice import ComponentVoice
from vonad.errors import VonadError
from vonad.hookspecs import hookimpl
from vonad.host import Answered, Host, NoSettings
from vonad.plan import Overrides, SessionView
from vonad.policy import SLOW_S
from vonad.skill import Allow, Call, Deny, NoArgs, Skill, SkillCall, SkillResult, skill
from vonad.testing import ScriptedHost, ScriptedVoice, settle


@skill("turn on the lamp", name="lamp", description="Turns a lamp on.")
async def lamp(args: NoArgs, call: Call) -> str:
    return "It is on."


HOUSE = {("skills", "lamp"): lamp(NoSettings(), ScriptedHost())}


class Guard:
    """A say in one session. asked: what it was asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Callable[[], object] = lambda: None

    @hookimpl
    def review_skill_call(self, call: SkillCall) -> object:
        self.asked.append(call.name)
        return self.answer()

    @hookimpl
    def rewrite_user_text(self, text: str, session: SessionView) -> str:
        return f"{text}, in session {session.session_id}"


async def called(home: RuntimeHouse, session_id: str, name: str = "lamp", *, dialogue: int = -1) -> tuple[bool, str]:
    """Take a turn in which a skill is called: whether it did it, and the code if not."""
    own = home.backend.dialogues[dialogue]
    await home.sessions.start_turn(session_id, "please")
    await settle()
    own.emit(SkillRequest(own.turn, SkillCall(f"call{own.turn}", name, {})))
    async with asyncio.timeout(5):
        while f"call{own.turn}" not in own.outcomes:
            await home.clock.advance(0.01)
    own.emit(ReplyDone(own.turn))
    await settle()
    outcome = own.outcomes[f"call{own.turn}"]
    return outcome.ok, outcome.code


# Hooks override


async def test_meerkat_build_options_hooks_override_is_asked_first_and_in_its_session_only(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, parts=HOUSE) as home:
        asked_of_plugins: list[str] = []
        home.runtime._policy._hooks.review = lambda call: asked_of_plugins.append(call.name) or Deny("by a plugin")  # type: ignore[attr-defined]
        guard = Guard()
        own = await home.sessions.create(hooks=guard)
        other = await home.sessions.create()
        assert await called(home, own.session_id, dialogue=0) == (False, "skill_rejected")  # it had nothing to say
        guard.answer = Allow
        assert await called(home, own.session_id, dialogue=0) == (True, "")
        assert await called(home, other.session_id, dialogue=1) == (False, "skill_rejected")
        assert (guard.asked, asked_of_plugins) == (["lamp", "lamp"], ["lamp", "lamp"])
        first, second = home.backend.dialogues
        assert f"say please, in session {own.session_id}" in first.told
        assert "say please" in second.told


@pytest.mark.parametrize("answer", [lambda: 1 / 0, lambda: "yes", exit], ids=["raises", "answers nonsense", "leaves"])
async def test_meerkat_build_options_hooks_override_fails_closed_and_is_reported_by_its_name(
    tmp_path: Path, answer: Callable[[], object]
) -> None:
    async with runtime_house(tmp_path, parts=HOUSE) as home:
        guard = Guard()
        guard.answer = answer
        view = await home.sessions.create(hooks=guard)
        assert await called(home, view.session_id) == (False, "skill_rejected")
        [error] = home.told("error")
        assert (error.data["code"], error.data["op"]) == ("plugin_error", "review_skill_call")
        assert f"review_skill_call of hooks of session {view.session_id} failed" in str(error.data["message"])


async def test_meerkat_build_options_hooks_override_that_dawdles_is_reported_by_its_name(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, parts=HOUSE) as home:
        guard = Guard()

        def dawdle() -> Allow:
            home.clock._monotonic += 2 * SLOW_S
            return Allow()

        guard.answer = dawdle
        view = await home.sessions.create(hooks=guard)
        assert await called(home, view.session_id) == (True, "")
        assert f"of hooks of session {view.session_id} took 0.2 s" in str(home.told("error")[0].data["message"])


class Planning:
    @hookimpl
    def plan_session(self, wake: object) -> None: ...


class Misspelt:
    @hookimpl
    def review_skill_cal(self, call: object) -> None: ...


class Overcurious:
    @hookimpl
    def review_skill_call(self, call: object, weather: object) -> None: ...


class Awaiting:
    @hookimpl
    async def rewrite_reply(self, text: str) -> None: ...


class Wrapping:
    @hookimpl(wrapper=True)
    def rewrite_reply(self) -> object:
        return (yield)


class Nasty:
    @property
    def rewrite_reply(self) -> None:
        raise LookupError("not today")


@pytest.mark.parametrize(
    ("hooks", "why"),
    [
        (object(), "no method of it is under @hookimpl"),
        (Planning(), "plan_session is not asked in a session"),
        (Misspelt(), "review_skill_cal"),
        (Overcurious(), "weather"),
        (Awaiting(), "must be a plain function, not async"),
        (Wrapping(), "rewrite_reply cannot be a wrapper"),
        (Nasty(), "no method of it is under @hookimpl"),
    ],
)
async def test_meerkat_build_options_hooks_override_that_could_never_be_asked_is_refused(
    tmp_path: Path, hooks: object, why: str
) -> None:
    async with runtime_house(tmp_path, session="maximum = 1") as home:
        with pytest.raises(VonadError, match=why) as refused:
            await home.sessions.create(hooks=hooks)
        assert refused.value.code == "plugin_error"
        assert refused.value.message.startswith("hooks of session ")
        assert (await home.sessions.create()).state == "idle"  # its seat is free again


# As a component asks for them


async def test_meerkat_build_options_a_component_opens_sessions_through_its_host(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, parts=HOUSE) as home:
        home.backend.capabilities = BackendCapabilities(structured_output=True)
        service, guard = home.runtime.parts.host("guest").service, Guard()
        session_id = await service.open(hooks=guard, skills=[seat], overrides=Overrides(skills=()))
        dialogue = home.backend.dialogue
        dialogue.on_say = lambda text: dialogue.answer_text("Yes.")
        dialogue.on_structure = lambda text: dialogue.answer_structured("3")
        said = f"say please, in session {session_id}"
        assert await service.ask(session_id, "please") == Answered(f"{session_id}-1", "Yes.", "completed")
        assert said in dialogue.told
        answered = await service.ask(session_id, "how many", output_schema={"type": "integer"})
        assert (answered.reply, answered.output) == ("3", 3)
        with pytest.raises(VonadError, match="fits output_schema"):
            await service.ask(session_id, "how many", output_schema={"type": "string"})
        await service.close(session_id)
        with pytest.raises(VonadError, match="is closed"):
            await service.ask(session_id, "please")


async def test_a_component_opens_no_session_before_there_is_a_service() -> None:
    voice = ComponentVoice(lambda announcement: announcement)
    with pytest.raises(VonadError, match="has only begun to open") as refused:
        await voice.open()
    assert refused.value.retryable


async def test_the_scripted_voice_holds_conversations_as_the_house_does() -> None:
    voice = ScriptedVoice()
    voice.answers = {"how many": "3", "why": VonadError("timeout", "it thinks")}
    session_id = await voice.open(skills=[seat])
    assert voice.sessions[session_id]["skills"] == (seat,)
    assert (await voice.ask(session_id, "how many", output_schema={})).output == 3
    with pytest.raises(VonadError, match="it thinks"):
        await voice.ask(session_id, "why")
    assert voice.asked == [(session_id, "how many"), (session_id, "why")]
    await voice.close(session_id)
    for gone in (voice.ask(session_id, "how many"), voice.close(session_id)):
        with pytest.raises(VonadError, match="no open session"):
            await gone


# External tools


@skill("pick a seat", name="seat", description="Picks a seat.")
async def seat(args: NoArgs, call: Call) -> SkillResult:
    return SkillResult(speech=f"{call.host.name} {call.session_id}")


@skill("buy it", name="buy", description="Buys it.", risk="sensitive")
async def buy(args: NoArgs, call: Call) -> str:
    return "Bought."


@skill("go on", name="slow", description="Takes long.", timeout_s=0.02)
async def slow(args: NoArgs, call: Call) -> str:
    await asyncio.Event().wait()
    return ""


async def test_meerkat_build_options_external_tools_exist_for_their_session_only(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, parts=HOUSE) as home:
        view = await home.sessions.create(skills=[seat, slow(NoSettings(), ScriptedHost())])
        other = await home.sessions.create()
        for name, result in (("seat", (True, "")), ("lamp", (True, "")), ("slow", (False, "skill_timeout"))):
            assert await called(home, view.session_id, name, dialogue=0) == result
        assert home.backend.dialogues[0].outcomes["call1"].speech == f"seat {view.session_id}"
        assert await called(home, other.session_id, "seat", dialogue=1) == (False, "skill_not_found")
        assert [shown.name for shown in home.house.skills()] == ["lamp"]
        assert [event.data["name"] for event in home.told("skill.attempt")] == ["seat", "lamp", "slow", "seat"]


async def test_meerkat_build_options_external_tools_pass_policy_as_all_others(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, parts=HOUSE) as home:
        view = await home.sessions.create(skills=[buy])
        await home.sessions.start_turn(view.session_id, "buy it")
        await settle()
        home.backend.dialogue.emit(SkillRequest(1, SkillCall("k", "buy", {})))
        await home.until("skill.confirm")
        assert home.told("skill.confirm")[0].data["prompt"] == "Buys it. Shall I do this?"
        home.runtime._policy._hooks.review = lambda call: Deny("not here")  # type: ignore[attr-defined]
        other = await home.sessions.create(skills=[seat])
        assert await called(home, other.session_id, "seat") == (False, "skill_rejected")


async def test_meerkat_build_options_external_tools_go_with_tri_state_overrides(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, parts=HOUSE) as home:
        view = await home.sessions.create(skills=[seat], overrides=Overrides(skills=()))
        assert await called(home, view.session_id, "lamp") == (False, "skill_not_found")
        assert await called(home, view.session_id, "seat") == (True, "")


async def test_meerkat_build_options_preload_skills_are_offered_from_the_first_turn_on(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, parts=HOUSE) as home:
        for overrides, names in (
            (Overrides(), ["lamp", "seat"]),
            (Overrides(skills=("lamp",)), ["lamp", "seat"]),
            (Overrides(skills=()), ["seat"]),
        ):
            await home.sessions.create(initial_turn="run_immediately", text="hello", skills=[seat], overrides=overrides)
            await settle()
            assert home.backend.dialogue.turn == 1
            assert [group.skill for group in home.backend.dialogue.sentences.skills] == names


class Opened(Skill[NoSettings]):
    """Has to be opened."""

    name = "opened"
    description = "Needs its file."

    def __init__(self, settings: NoSettings, host: Host) -> None:
        super().__init__(settings, host)

    async def run(self, args: NoArgs, call: Call) -> str:
        return "Read."


class Nameless(Skill[NoSettings]):
    async def run(self, args: NoArgs, call: Call) -> str:
        return ""


async def undecorated(args: NoArgs, call: Call) -> str:
    return ""


@pytest.mark.parametrize(
    ("skills", "refused", "why"),
    [
        ([lamp], "plugin_conflict", "skill 'lamp' of session [0-9a-f]+ is already offered by scripted"),
        ([seat, seat], "plugin_conflict", "skill 'seat' of session .* already offered by session"),
        ([undecorated], "plugin_error", "is no skill: decorate it with @skill"),
        ([3], "plugin_error", "3 is no skill: pass an object made from vonad.Skill"),
        ([Nameless], "plugin_error", "skill Nameless: it needs name"),
        ([Opened], "plugin_error", "skill Opened: pass an object of it that is open"),
    ],
)
async def test_meerkat_build_options_external_tools_are_validated_as_all_others(
    tmp_path: Path, skills: list[object], refused: str, why: str
) -> None:
    async with runtime_house(tmp_path, parts=HOUSE, session="maximum = 1") as home:
        for overrides in (Overrides(), Overrides(skills=())):  # a name that is taken is taken, whether it is on or not
            with pytest.raises(VonadError, match=why) as fault:
                await home.sessions.create(skills=skills, overrides=overrides)
            assert fault.value.code == refused
        await home.sessions.create(skills=[Opened(NoSettings(), ScriptedHost())])
