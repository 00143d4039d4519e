"""Creating a session: a seat first, then all that is wanted otherwise, and nothing left behind by what fails."""

import asyncio
from pathlib import Path

import pytest

from tests.callers import code, opening, talk
from tests.runtime_house import RuntimeHouse, runtime_house
from vonad.backend import BackendCapabilities, ReplyDone, SkillRequest
from vonad.errors import VonadError
from vonad.host import NoSettings
from vonad.plan import Budget, Overrides, Style
from vonad.plans import plan_session
from vonad.plugins.offer import Group
from vonad.skill import Call, NoArgs, SkillCall, skill
from vonad.testing import ScriptedBackend, ScriptedHost, settle

# Meerkat, create_session


async def test_meerkat_create_session_defers_the_first_turn_or_runs_it_at_once(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        deferred = await home.sessions.create()
        assert (deferred.state, deferred.turn) == ("idle", 0)
        at_once = await home.sessions.create(initial_turn="run_immediately", text="hello")
        assert (at_once.state, at_once.turn, at_once.last_transcript) == ("processing", 1, "hello")
        assert await code(home.sessions.create(initial_turn="run_immediately")) == "malformed"
        await home.connect()
        heard = await home.sessions.create(satellite="desk", initial_turn="run_immediately")
        assert heard.state == "listening"


async def test_a_text_that_no_turn_would_answer_is_refused_and_not_lost(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        assert await code(home.sessions.create(text="hello")) == "malformed"
        assert await home.sessions.list() == []


async def test_meerkat_create_session_after_commit_the_id_is_returned_though_the_first_turn_fails(
    tmp_path: Path,
) -> None:
    async with runtime_house(tmp_path) as home:
        hooks = home.runtime._policy._hooks
        hooks.user_text = lambda text: 1 / 0  # type: ignore[attr-defined]
        view = await home.sessions.create(initial_turn="run_immediately", text="hello")
        await home.until("turn.ended")
        assert home.told("turn.ended")[0].data["outcome"] == "failed"
        assert (await home.sessions.read(view.session_id)).state == "idle"


async def test_meerkat_create_session_reserves_capacity_up_front(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, session="maximum = 1") as home:
        creating = await opening(home)
        assert await code(home.sessions.create()) == "session_limit"
        creating.cancel()


async def test_a_reservation_counts_while_the_past_is_still_being_read(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, session="maximum = 2") as home:
        first = await home.sessions.create()
        await home.sessions.archive(first.session_id)
        await home.until("session.closed")
        resuming = [asyncio.create_task(home.sessions.create(resume=first.session_id)) for _ in range(3)]
        await asyncio.wait(resuming)
        refused = [error.code for task in resuming if isinstance(error := task.exception(), VonadError)]
        assert sorted(refused) == ["session_already_active", "session_limit"]


@pytest.mark.parametrize("how", ["building", "resuming", "opening", "vanishing"])
async def test_cyberverse_session_manager_what_fails_gives_its_seat_back(tmp_path: Path, how: str) -> None:
    async with runtime_house(tmp_path, session="maximum = 1") as home:
        if how == "building":
            assert await code(home.sessions.create(overrides=Overrides(style=Style()))) == "capability_unsupported"
        elif how == "resuming":
            assert await code(home.sessions.create(resume="nothing")) == "session_not_found"
        elif how == "opening":
            home.backend.failure = VonadError("backend_start_failed", "no power")
            assert await code(home.sessions.create()) == "backend_start_failed"
            home.backend.failure = None
        else:
            line = await home.connect()
            creating = await opening(home, satellite="desk")
            line.captured.close()
            assert await code(creating) == "backend_start_failed"
            home.backend.hang.clear()
        await settle()
        assert (await home.sessions.create()).state == "idle"


async def test_cyberverse_session_manager_the_maximum_is_checked_first_and_the_21st_is_refused_at_once(
    tmp_path: Path,
) -> None:
    async with runtime_house(tmp_path) as home:
        views = [await home.sessions.create() for _ in range(20)]
        with pytest.raises(VonadError, match="maximum is 20") as refused:
            await home.sessions.create(satellite=None, overrides=Overrides(style=Style()))
        assert (refused.value.code, refused.value.retryable) == ("session_limit", True)
        assert len(home.told("session.created")) == 20
        await home.sessions.archive(views[3].session_id)
        await home.until("session.closed")
        await home.sessions.create()


async def test_sessions_on_a_satellite_have_a_limit_of_their_own(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        seats = [home.runtime.sessions.reserve("desk", home.runtime.settings) for _ in range(2)]
        with pytest.raises(VonadError, match="desk has 2 sessions open"):
            home.runtime.sessions.reserve("desk", home.runtime.settings)
        home.runtime.sessions.reserve("attic", home.runtime.settings)
        seats[0].release()
        seats[0].release()
        home.runtime.sessions.reserve("desk", home.runtime.settings)


async def test_a_wake_in_a_full_house_takes_the_seat_that_nobody_at_a_keyboard_has_used_for_longest(
    tmp_path: Path,
) -> None:
    async with runtime_house(tmp_path, session="maximum = 3") as home:
        await home.connect("desk")
        await home.connect("attic")
        views = [(await home.sessions.create()).session_id for _ in range(3)]
        await home.clock.advance(1)
        await talk(home, views[2], "hello")
        await home.sessions.start_turn(views[1], "this one is being answered")
        await settle()
        assert await home.asked("desk") == "accepted"
        assert [(await home.sessions.read(name)).state for name in views] == ["closed", "processing", "idle"]
        assert (await home.sessions.read(views[0])).reason == "superseded"
        assert await home.asked("attic") == "accepted"
        assert len(home.runtime.sessions) == 3
        assert await code(home.sessions.create()) == "session_limit", "a keyboard takes nobody's seat"


async def test_a_session_wanted_where_one_rests_takes_its_place_and_where_one_is_busy_it_is_refused(
    tmp_path: Path,
) -> None:
    async with runtime_house(tmp_path, session="maximum = 1") as home:
        await home.connect()
        first = await home.sessions.create(satellite="desk")
        second = await home.sessions.create(satellite="desk")
        assert (await home.sessions.read(first.session_id)).reason == "superseded"
        assert home.house.satellites()[0].session_id == second.session_id
        await home.sessions.start_turn(second.session_id, "what time is it")
        with pytest.raises(VonadError, match="which is processing: take a turn in that one") as refused:
            await home.sessions.create(satellite="desk")
        assert refused.value.code == "session_busy"
        assert not (await home.sessions.read(second.session_id)).reason


async def test_a_wake_that_opens_nothing_takes_nobody_s_seat(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, session="maximum = 1") as home:
        await home.connect()
        view = await home.sessions.create()
        reserve = home.runtime.sessions.reserve
        with reserve("desk", home.runtime.settings), pytest.raises(VonadError, match="maximum is 1"):
            reserve("attic", home.runtime.settings)
        assert (await home.sessions.read(view.session_id)).state == "idle"


# Meerkat: build options


async def test_meerkat_build_options_provider_and_budget_are_chosen_for_one_session(tmp_path: Path) -> None:
    second = ScriptedBackend()
    config = "[backends.second]\n"
    async with runtime_house(tmp_path, config, parts={("backends", "second"): second}) as home:
        view = await home.sessions.create(backend="second", overrides=Overrides(budget=Budget(tokens=5)))
        assert view.backend == "second"
        [session] = home.runtime.sessions.open
        assert (session.plan.backends, session.plan.budget.tokens) == (("second",), 5)
        assert await code(home.sessions.create(backend="third")) in {"backend_unavailable", "not_found"}


@skill("turn on the lamp", name="lamp", description="Turns a lamp on.")
async def lamp(args: NoArgs, call: Call) -> str:
    return "It is on."


async def test_meerkat_build_options_tool_overrides_are_tri_state(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, parts={("skills", "lamp"): lamp(NoSettings(), ScriptedHost())}) as home:
        for skills, names in ((None, ["lamp"]), (("lamp",), ["lamp"]), ((), [])):
            view = await home.sessions.create(overrides=Overrides(skills=skills))
            await home.sessions.start_turn(view.session_id, "turn on the lamp")
            await settle()
            assert [group.skill for group in home.backend.dialogue.sentences.skills] == names
            home.backend.dialogue.emit(SkillRequest(1, SkillCall("k1", "lamp", {})))
            await home.clock.advance(0.1)
            await asyncio.wait_for(answered(home), 5)
            assert home.backend.dialogue.outcomes["k1"].ok is bool(names)
        assert await code(home.sessions.create(overrides=Overrides(skills=("heater",)))) == "skill_not_found"


async def answered(home: RuntimeHouse) -> None:
    while not home.backend.dialogue.outcomes:
        await settle()


async def test_meerkat_build_options_unset_differs_from_false(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, session='follow_up = "always"\nbarge_in = true\ngreeting = "Hello."') as home:
        for wanted in (
            Overrides(),
            Overrides(follow_up=False, barge_in=False, greeting=""),
            Overrides(follow_up=True, endpointing="relaxed"),
        ):
            await home.sessions.create(overrides=wanted)
        as_set, off, on = (session.plan for session in home.runtime.sessions.open)
        assert (as_set.follow_up, as_set.barge_in.enabled, as_set.greeting) == ("always", True, "Hello.")
        assert (off.follow_up, off.barge_in.enabled, off.greeting) == ("never", False, None)
        assert (on.follow_up, on.endpointing.silence_s) == ("always", 1.0)
        assert await code(home.sessions.create(overrides=Overrides(endpointing="hasty"))) == "malformed"


async def test_meerkat_build_options_a_turn_has_its_own_follow_up_and_unset_differs_from_false(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, session='follow_up = "always"') as home:
        await home.connect()
        view = await home.sessions.create(satellite="desk")
        for follow_up, state in ((False, "idle"), (None, "listening")):
            home.answer_with("Yes.")
            await home.sessions.start_turn(view.session_id, "hello", follow_up=follow_up)
            await home.clock.advance(3)
            assert (await home.sessions.read(view.session_id)).state == state


async def test_meerkat_build_options_a_turn_has_its_own_budget_and_unset_leaves_the_session_s(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, parts={("skills", "lamp"): lamp(NoSettings(), ScriptedHost())}) as home:
        view = await home.sessions.create(overrides=Overrides(budget=Budget(skill_calls=1)))
        for turn, (budget, ok) in enumerate(((None, True), (Budget(skill_calls=0), False), (None, True)), start=1):
            first = await home.sessions.start_turn(view.session_id, "turn on the lamp", budget=budget)
            await settle()
            home.backend.dialogue.emit(SkillRequest(turn, SkillCall(f"k{turn}", "lamp", {})))
            async with asyncio.timeout(5):
                while not (ok or first.ended.done()) or (ok and f"k{turn}" not in home.backend.dialogue.outcomes):
                    await home.clock.advance(0.01)
            if ok:
                home.backend.dialogue.emit(ReplyDone(turn))
            assert await asyncio.wait_for(first.ended, 5) == ("completed" if ok else "budget_exceeded")


async def test_meerkat_build_options_a_queued_turn_has_its_own_budget_too(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        await home.sessions.start_turn(view.session_id, "one")
        queued = await home.sessions.start_turn(view.session_id, "two", on_busy="queue", budget=Budget(seconds=2))
        await settle()
        home.backend.dialogue.emit(ReplyDone(1))
        await settle()
        await home.clock.advance(3)
        assert await asyncio.wait_for(asyncio.shield(queued.ended), 5) == "budget_exceeded"


@pytest.mark.parametrize(("greeting", "greets"), [(None, "prompt"), ("", ""), ("Hi.", "Hi.")])
async def test_meerkat_build_options_a_greeting_takes_the_place_of_a_prompt_for_one(
    tmp_path: Path, greeting: str | None, greets: str
) -> None:
    async with runtime_house(tmp_path, session='greeting_prompt = "prompt"') as home:
        await home.sessions.create(overrides=Overrides(greeting=greeting))
        [session] = home.runtime.sessions.open
        assert (session.plan.greeting or session.plan.greeting_prompt or "") == greets


PROFILE = """
[satellites.desk]
language = "de"
backends = ["second", "scripted"]
follow_up = "never"
endpointing = "relaxed"
silence_s = 0.9
barge_in = false
greeting = ""
turn_tokens = 100
turn_s = 10
turn_skill_calls = 0
skills = ["lamp", "gone"]
style.pace = 0.8
[satellites.quiet]
skills = []
[backends.second]
"""


async def test_meerkat_build_options_per_satellite_profile_and_per_turn_overrides(tmp_path: Path) -> None:
    second = ScriptedBackend(BackendCapabilities(style_conditioning=True))
    made: dict[tuple[Group, str], object] = {
        ("backends", "second"): second,
        ("skills", "lamp"): lamp(NoSettings(), ScriptedHost()),
    }
    house = 'greeting = "Hello."\nturn_tokens = 5000'
    async with runtime_house(tmp_path, PROFILE, session=house, parts=made) as home:
        profile = plan_session(home.runtime.settings, "desk", purpose="idle")
        assert (profile.language, profile.backends, profile.follow_up) == ("de", ("second", "scripted"), "never")
        assert (profile.endpointing.silence_s, profile.endpointing.partial_s) == (0.9, 2.0)
        assert (profile.barge_in.enabled, profile.greeting) == (False, None)
        assert profile.budget == Budget(tokens=100, seconds=10, skill_calls=0)
        assert (profile.skills, profile.style.pace) == (("lamp", "gone"), 0.8)
        elsewhere = plan_session(home.runtime.settings, "quiet", purpose="idle")
        assert (elsewhere.greeting, elsewhere.budget.tokens, elsewhere.skills) == ("Hello.", 5000, ())
        assert plan_session(home.runtime.settings, "hall", purpose="idle").skills is None

        await home.connect()  # what the profile names and does not run is not there: the satellite is
        view = await home.sessions.create(satellite="desk")
        for follow_up, state in ((None, "idle"), (True, "listening")):
            second.dialogue.on_say = lambda _: second.dialogue.answer_text("Yes.")
            await home.sessions.start_turn(view.session_id, "hello", follow_up=follow_up)
            await home.clock.advance(3)
            assert (await home.sessions.read(view.session_id)).state == state
        assert [group.skill for group in second.dialogue.sentences.skills] == ["lamp"]
        await home.sessions.archive(view.session_id)
        await home.until("session.closed")

        wanted = Overrides(
            backend="scripted",
            follow_up=True,
            barge_in=True,
            endpointing="aggressive",
            greeting="Hi.",
            budget=Budget(),
            skills=(),
        )
        await home.sessions.create(satellite="desk", overrides=wanted)
        [session] = home.runtime.sessions.open
        plan = session.plan
        assert (plan.backends, plan.follow_up, plan.barge_in.enabled) == (("scripted",), "always", True)
        assert (plan.endpointing.silence_s, plan.greeting, plan.budget, plan.skills) == (0.6, "Hi.", Budget(), ())
        assert plan.language == "de"


async def test_vona_speech_style_profile_is_validated_and_asked_only_of_a_backend_that_can(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        assert await code(home.sessions.create(overrides=Overrides(style=Style(pace=0.9)))) == "capability_unsupported"
        home.backend.capabilities = BackendCapabilities(style_conditioning=True)
        await home.sessions.create(overrides=Overrides(style=Style(pace=0.9, voice="en-gb")))
        assert home.backend.dialogue.brief.style == Style(pace=0.9, voice="en-gb")
        with pytest.raises(VonadError, match="warmth must be"):
            Style(warmth=1.1)


STYLED_FIRST = """
[satellites.desk]
backends = ["styled", "scripted"]
[backends.styled]
"""
CAN_STYLE = BackendCapabilities(style_conditioning=True)


async def test_vona_speech_style_profile_is_asked_of_the_backend_that_opened_and_not_of_the_first(
    tmp_path: Path,
) -> None:
    styled = ScriptedBackend(CAN_STYLE)
    styled.failure = VonadError("backend_start_failed", "no power")
    async with runtime_house(tmp_path, STYLED_FIRST, parts={("backends", "styled"): styled}) as home:
        await home.connect()
        wish = Overrides(style=Style(pace=0.9))
        assert await code(home.sessions.create(satellite="desk", overrides=wish)) == "capability_unsupported"
        await home.clock.advance(4.0)
        assert len(home.runtime.sessions) == 0


async def test_vona_speech_style_profile_of_an_announcement_is_asked_only_of_a_voice_that_can(tmp_path: Path) -> None:
    styled = ScriptedBackend(CAN_STYLE)
    async with runtime_house(tmp_path, STYLED_FIRST, parts={("backends", "styled"): styled}) as home:
        await home.connect()
        with pytest.raises(VonadError, match="backend scripted sounds as it sounds") as refused:
            home.house.say("attic", "dinner is ready", style=Style(pace=0.9))
        assert refused.value.code == "capability_unsupported"
        home.house.say("desk", "dinner is ready", style=Style(pace=0.9))
        await home.until("say.finished")
        assert styled.spoken == ["dinner is ready"]


async def test_a_mistyped_backend_is_not_found_with_the_nearest(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        with pytest.raises(VonadError, match=r"there is no backend 'scriptde'; did you mean scripted\?") as caught:
            await home.sessions.create(overrides=Overrides(backend="scriptde"))
        assert caught.value.code == "not_found"


async def test_the_times_of_a_session_are_written_as_all_others(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        opened = await home.sessions.create()
        await settle()
        (told,) = home.told("session.created")
        assert opened.created.endswith("Z")
        assert str(told.envelope()["ts"]).endswith("Z")
