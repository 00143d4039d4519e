"""The service face: sessions are created, asked, interrupted, read, followed and closed by callers at any moment."""

import asyncio
import itertools
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.runtime_house import RuntimeHouse, runtime_house
from vonad.backend import BackendCapabilities, ReplyDone, ReplyText, SkillRequest
from vonad.bus import Subscription
from vonad.errors import VonadError
from vonad.host import NoSettings
from vonad.plan import Budget, ContextEvent, Overrides, SessionView, Style
from vonad.session.machine import State
from vonad.skill import Call, NoArgs, SkillCall, skill
from vonad.testing import ScriptedBackend, ScriptedHost, settle


async def code(awaited: object) -> str:
    """The code of the error that it raises."""
    with pytest.raises(VonadError) as refused:
        await awaited  # type: ignore[misc]
    return refused.value.code


def reply(home: RuntimeHouse, text: str = "Yes.", **more: object) -> None:
    """The turn that runs is answered."""
    dialogue = home.backend.dialogue
    dialogue.emit(ReplyText(dialogue.turn, text), ReplyDone(dialogue.turn, **more))  # type: ignore[arg-type]


async def talk(home: RuntimeHouse, session_id: str, text: str, answer: str = "Yes.", **more: object) -> None:
    turn = await home.sessions.start_turn(session_id, text)
    await settle()
    reply(home, answer, **more)
    await settle()
    await asyncio.wait_for(asyncio.shield(turn.ended), 5)


async def opening(home: RuntimeHouse, **wanted: object) -> "asyncio.Task[SessionView]":
    """A session that is being created, and whose backend takes its time."""
    home.backend.hang.add("open")
    creating = asyncio.create_task(home.sessions.create(**wanted))  # type: ignore[arg-type]
    await settle()
    return creating


# Meerkat, create_session


async def test_meerkat_create_session_defers_the_first_turn_or_runs_it_at_once(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        deferred = await home.sessions.create(text="hello")
        assert (deferred.state, deferred.turn) == ("idle", 0)
        at_once = await home.sessions.create(initial_turn="run_immediately", text="hello")
        assert (at_once.state, at_once.turn, at_once.last_transcript) == ("processing", 1, "hello")
        assert await code(home.sessions.create(initial_turn="run_immediately")) == "malformed"


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


async def test_vona_speech_style_profile_is_validated_and_asked_only_of_a_backend_that_can(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        assert await code(home.sessions.create(overrides=Overrides(style=Style(pace=0.9)))) == "capability_unsupported"
        home.backend.capabilities = BackendCapabilities(style_conditioning=True)
        await home.sessions.create(overrides=Overrides(style=Style(pace=0.9, voice="en-gb")))
        assert home.backend.dialogue.brief.style == Style(pace=0.9, voice="en-gb")
        with pytest.raises(VonadError, match="warmth must be"):
            Style(warmth=1.1)


# Meerkat, start_turn


async def test_meerkat_start_turn_admits_one_and_tells_the_second_at_once(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        both = await asyncio.gather(
            *(home.sessions.start_turn(view.session_id, text) for text in ("one", "two")), return_exceptions=True
        )
        assert [type(outcome).__name__ for outcome in both] == ["Turn", "VonadError"]
        assert both[1].code == "session_busy"  # type: ignore[union-attr]
        assert await code(home.sessions.start_turn("nobody", "hello")) == "session_not_found"


async def test_meerkat_start_turn_queues_one_on_request_whose_id_is_known_at_once(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        await home.sessions.start_turn(view.session_id, "one")
        queued = await home.sessions.start_turn(view.session_id, "two", on_busy="queue")
        assert await code(home.sessions.start_turn(view.session_id, "three", on_busy="queue")) == "session_busy"
        await settle()
        assert home.backend.dialogue.told[-1] == "say one"
        reply(home, "First.")
        await settle()
        assert home.backend.dialogue.told[-1] == "say two"
        reply(home, "Second.")
        await settle()
        result = await home.sessions.wait(queued.id, 5)
        assert (result.transcript, result.reply, result.outcome) == ("two", "Second.", "completed")
        assert result.turn_id == f"{view.session_id}-2"
        assert await home.sessions.wait(result.turn_id, 5) == result
        await home.until("turn.ended")
        assert (await home.house.turn(queued.id)).turn_id == result.turn_id


async def test_a_queued_turn_is_not_overtaken_by_one_that_does_not_wait(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        await home.sessions.start_turn(view.session_id, "one")
        await home.sessions.start_turn(view.session_id, "two", on_busy="queue")
        await settle()
        overtaking: list[str] = []

        def idle(event_type: str, state: object) -> None:
            if event_type == "session.state" and state == "idle":
                try:
                    home.runtime.sessions.get(view.session_id).admission.ask("three")
                except VonadError as error:
                    overtaking.append(error.code)

        original = home.runtime.bus.publish

        def publish(event):  # type: ignore[no-untyped-def]
            idle(event.type, event.data.get("state"))
            return original(event)

        home.runtime.bus.publish = publish  # type: ignore[method-assign]
        reply(home)
        await settle()
        assert overtaking == ["session_busy"]
        assert home.backend.dialogue.told[-1] == "say two"


async def test_cyberverse_preemption_voice_comes_before_a_queued_text(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        await home.house.text("desk", "one")
        queued = await home.house.text("desk", "two", on_busy="queue")
        await settle()
        assert await home.asked() == "accepted"
        assert home.house.satellites()[0].state == "listening"
        assert not queued.ended.done()
        await home.sessions.interrupt(str(home.house.satellites()[0].session_id))
        await settle()
        assert home.backend.dialogue.told[-1] == "say two"


async def test_stop_means_what_waits_too(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        await home.house.text("desk", "one")
        queued = await home.house.text("desk", "two", on_busy="queue")
        await settle()
        assert home.house.stop("desk")
        assert (await home.sessions.wait(queued.id, 5)).outcome == "interrupted"
        await settle()
        assert home.house.satellites()[0].state == "idle"
        assert not home.house.stop("desk")


async def test_a_satellite_takes_so_many_turns_a_minute_whoever_asks(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, "[policy]\nturns_per_minute = 2\n") as home:
        await home.connect()
        view = await home.sessions.create(satellite="desk", initial_turn="run_immediately", text="one")
        await home.sessions.interrupt(view.session_id)
        await settle()
        await home.sessions.start_turn(view.session_id, "two")
        await home.sessions.interrupt(view.session_id)
        await settle()
        assert await code(home.sessions.start_turn(view.session_id, "three")) == "rate_limited"
        assert (await home.sessions.create()).state == "idle"


async def test_a_session_that_ends_ends_the_turn_that_waits(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        await home.sessions.start_turn(view.session_id, "one")
        queued = await home.sessions.start_turn(view.session_id, "two", on_busy="queue")
        await home.sessions.archive(view.session_id)
        await home.until("session.closed")
        result = await home.sessions.wait(queued.id, 5)
        assert (result.outcome, result.transcript, result.reply) == ("interrupted", "two", "")


# Meerkat: interrupt; the upstream bug "lost interrupt"


async def test_meerkat_interrupt_ends_the_turn_and_without_one_says_so(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        assert await code(home.sessions.interrupt(view.session_id)) == "session_not_running"
        assert await code(home.sessions.interrupt("nobody")) == "session_not_found"
        turn = await home.sessions.start_turn(view.session_id, "hello")
        await home.sessions.interrupt(view.session_id)
        assert (await home.sessions.wait(turn.id, 5)).outcome == "interrupted"


async def test_regression_lost_interrupt_while_the_session_is_still_connecting(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        creating = await opening(home, initial_turn="run_immediately", text="open the door")
        [view] = await home.sessions.list()
        assert view.state == "connecting"
        await home.sessions.interrupt(view.session_id)
        assert await code(home.sessions.interrupt(view.session_id)) == "session_not_running"
        await home.clock.advance(11)  # the backend does not open: nothing ran in any case
        with pytest.raises(VonadError):
            await creating
        assert home.told("turn.started") == []


async def test_regression_lost_interrupt_between_acceptance_and_start_of_the_first_turn(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        gate = asyncio.Event()
        met, home.backend._open = home.backend._open, None  # type: ignore[method-assign,assignment]

        def slowly(brief):  # type: ignore[no-untyped-def]
            @asynccontextmanager
            async def opened():  # type: ignore[no-untyped-def]
                await gate.wait()
                async with met(brief) as dialogue:
                    yield dialogue

            return opened()

        home.backend._open = slowly  # type: ignore[method-assign]
        creating = asyncio.create_task(home.sessions.create(initial_turn="run_immediately", text="open the door"))
        await settle()
        [view] = await home.sessions.list()
        await home.sessions.interrupt(view.session_id)
        gate.set()
        assert (await creating).session_id == view.session_id
        await settle()
        assert home.told("turn.started") == []
        assert home.backend.dialogue.told == []
        await talk(home, view.session_id, "hello")


async def test_regression_lost_interrupt_of_a_wake_whose_text_waits_for_the_backend(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        assert home.house.wake(home.wake(text="open the door")).accepted
        assert home.house.stop("desk")
        await home.until("turn.ended")
        assert [event.data["outcome"] for event in home.told("turn.ended")] == ["interrupted"]
        assert home.house.satellites()[0].state == "idle"


async def test_regression_lost_interrupt_of_a_turn_that_is_queued_behind_one_being_interrupted(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        await home.sessions.start_turn(view.session_id, "one")
        queued = await home.sessions.start_turn(view.session_id, "two", on_busy="queue")
        await settle()
        await home.sessions.interrupt(view.session_id)
        await settle()
        assert home.backend.dialogue.told[-1] == "say two"  # the next one, as asked for
        await home.sessions.interrupt(view.session_id)
        assert (await home.sessions.wait(queued.id, 5)).outcome == "interrupted"


async def test_regression_lost_interrupt_while_another_backend_takes_over(tmp_path: Path) -> None:
    second = ScriptedBackend()
    second.hang.add("open")
    config = "[backends.second]\n"
    async with runtime_house(tmp_path, config, parts={("backends", "second"): second}) as home:
        settings = home.runtime.settings
        chain = settings.session.model_copy(update={"backends": ["scripted", "second"]})
        home.runtime.reception.configure(settings.model_copy(update={"session": chain}))
        view = await home.sessions.create()
        turn = await home.sessions.start_turn(view.session_id, "open the door")
        await settle()
        home.backend.dialogue.emit(VonadError("backend_step_failed", "it fell over"))
        await settle()
        assert (await home.sessions.read(view.session_id)).state == "falling_back"
        second.hang.clear()
        await home.sessions.interrupt(view.session_id)
        await home.clock.advance(11)
        assert (await home.sessions.wait(turn.id, 5)).outcome in {"interrupted", "failed"}


async def test_regression_state_callback_under_lock_a_turn_begins_after_the_transition_that_made_room(
    tmp_path: Path,
) -> None:
    """Whoever is told of a state may ask for it, and ask for the next turn, without a deadlock or a torn order."""
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        await home.sessions.start_turn(view.session_id, "one")
        await home.sessions.start_turn(view.session_id, "two", on_busy="queue")
        await settle()
        reply(home)
        await settle()
        moves = [(str(event.data["previous"]), str(event.data["state"])) for event in home.told("session.state")]
        assert all(before[1] == after[0] for before, after in itertools.pairwise(moves))
        assert moves[-2:] == [("processing", "idle"), ("idle", "processing")]
        seqs = [event.seq for event in home.events]
        assert seqs == sorted(set(seqs))


# Meerkat: read, list, archive


async def test_meerkat_read_shows_state_and_usage_and_never_waits_for_a_running_turn(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        await talk(home, view.session_id, "hello", usage={"prompt_tokens": 5, "completion_tokens": 2})
        await home.sessions.start_turn(view.session_id, "and now")
        reading = await asyncio.wait_for(home.sessions.read(view.session_id), 1)
        assert (reading.state, reading.turn, reading.tokens) == ("processing", 2, 7)


async def test_meerkat_list_has_offset_and_limit_and_makes_no_view_beyond_its_page(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, session="maximum = 1000") as home:
        ids = [(await home.sessions.create()).session_id for _ in range(30)]
        made: list[str] = []
        for opened in home.runtime.sessions.opened:
            session = opened.session
            session.view = lambda view=session.view: made.append("") or view()  # type: ignore[method-assign,misc]
        assert [view.session_id for view in await home.sessions.list(limit=2, offset=3)] == [ids[26], ids[25]]
        assert len(made) <= 5
        assert await home.sessions.list(limit=5, offset=100) == []


async def test_meerkat_archive_leaves_a_session_readable_that_takes_no_turns(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        await talk(home, view.session_id, "hello")
        await home.sessions.archive(view.session_id)
        assert await code(home.sessions.start_turn(view.session_id, "again")) == "session_expired"
        await home.until("session.closed")
        await home.sessions.archive(view.session_id)
        read = await home.sessions.read(view.session_id)
        assert (read.state, read.reason, read.last_reply) == ("closed", "user_ended", "Yes.")
        assert await code(home.sessions.interrupt(view.session_id)) == "session_expired"
        assert await code(home.sessions.archive("nobody")) == "session_not_found"


async def test_what_was_closed_before_a_restart_is_read_and_listed_from_the_history(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        before = [(await home.sessions.create()).session_id for _ in range(3)]
        await talk(home, before[2], "hello")
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        assert (await home.sessions.read(before[2])).last_transcript == "hello"
        assert (await home.sessions.read(before[2])).reason == "shutdown"
        listed = [one.session_id for one in await home.sessions.list()]
        assert listed[0] == view.session_id
        assert set(listed[1:]) == set(before)
        assert [one.session_id for one in await home.sessions.list(limit=2, offset=2)] == listed[2:]
        assert await code(home.sessions.start_turn(before[2], "again")) == "session_expired"
        await home.house.delete_history(everything=True)
        assert await code(home.sessions.read(before[2])) == "session_not_found"


async def test_what_was_said_in_a_deleted_session_is_known_nowhere(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        await talk(home, view.session_id, "a secret")
        await home.sessions.archive(view.session_id)
        await home.until("session.closed")
        await home.house.delete_history(everything=True)
        assert await home.sessions.list() == []
        assert await code(home.sessions.read(view.session_id)) == "session_not_found"


# Meerkat, subscribe


async def read_all(subscription: Subscription) -> list[str]:
    return [event.type async for event in subscription]


async def test_meerkat_subscribe_to_one_session_ends_with_it(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        mine, other = await home.sessions.create(), await home.sessions.create()
        with home.sessions.subscribe(mine.session_id) as events, home.sessions.subscribe() as everything:
            reading = asyncio.create_task(read_all(events))
            await home.sessions.start_turn(other.session_id, "not mine")
            await home.sessions.archive(mine.session_id)
            types = await asyncio.wait_for(reading, 5)
            assert types == ["session.state", "session.state", "session.closed"]
            everything.close()
            assert "turn.started" in await read_all(everything)
        with home.sessions.subscribe(mine.session_id) as events:  # over: no zombie
            assert await asyncio.wait_for(read_all(events), 5) == []
        with home.sessions.subscribe("nobody") as events:
            assert await asyncio.wait_for(read_all(events), 5) == []


async def test_meerkat_subscribe_a_lagging_reader_is_skipped_and_told(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        with home.sessions.subscribe(view.session_id, limit=3) as events:
            await home.sessions.start_turn(view.session_id, "hello")
            for _ in range(10):
                home.backend.dialogue.emit(ReplyText(1, "word"))
            await settle()
            await home.sessions.archive(view.session_id)
            await home.until("session.closed")
            told = [event async for event in events]
            assert told[0].type == "events_dropped"
            assert int(str(told[0].data["count"])) > 5
            assert told[-1].type == "session.closed"


# Injection and compaction by id


async def test_inject_names_the_session_and_is_acknowledged(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        event = ContextEvent(source="door", payload={"open": True})
        assert await home.sessions.inject(view.session_id, event) == "queued"
        assert await code(home.sessions.inject(view.session_id, event, "steer")) == "capability_unsupported"
        assert await code(home.sessions.inject("nobody", event)) == "session_not_found"
        for payload in ({"nan": float("nan")}, {"far": object()}, {"long": "x" * 20_000}):
            assert await code(home.sessions.inject(view.session_id, ContextEvent(source="x", payload=payload))) == (
                "malformed"
            )
        assert await code(home.sessions.inject(view.session_id, ContextEvent(source=" "))) == "malformed"
        await home.sessions.archive(view.session_id)
        assert await code(home.sessions.inject(view.session_id, event)) == "session_expired"


async def test_meerkat_error_codes_each_have_their_case(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, "[history]\nenabled = true\n") as home:
        view = await home.sessions.create()
        codes = {
            "NOT_FOUND": await code(home.sessions.start_turn("nobody", "hello")),
            "COMPACTION_DISABLED": await code(home.sessions.compact(view.session_id)),
            "NOT_RUNNING": await code(home.sessions.interrupt(view.session_id)),
        }
        await home.sessions.start_turn(view.session_id, "hello")
        codes["BUSY"] = await code(home.sessions.start_turn(view.session_id, "again"))
        home.backend.failure = VonadError("backend_start_failed", "no power")
        codes["AGENT_ERROR"] = await code(home.sessions.create())
        assert codes == {
            "NOT_FOUND": "session_not_found",
            "COMPACTION_DISABLED": "compaction_disabled",
            "NOT_RUNNING": "session_not_running",
            "BUSY": "session_busy",
            "AGENT_ERROR": "backend_start_failed",
        }


async def test_meerkat_error_codes_persistence_disabled_and_store_error(tmp_path: Path) -> None:
    async with runtime_house(tmp_path, history=False) as home:
        view = await home.sessions.create()
        assert await code(home.house.history()) == "persistence_disabled"
        assert await code(home.sessions.create(resume="c1")) == "persistence_disabled"
        assert await code(home.sessions.read("nobody")) == "session_not_found"
        assert [one.session_id for one in await home.sessions.list()] == [view.session_id]
    async with runtime_house(tmp_path) as home:
        home.runtime.journal._reader._path = tmp_path  # type: ignore[union-attr]
        await home.runtime.journal._reader.close()  # type: ignore[union-attr]
        assert await code(home.house.history()) == "store_error"


async def test_meerkat_usage_is_told_per_turn_and_per_session(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        for tokens in (3, 4):
            await talk(home, view.session_id, "hello", usage={"tokens": tokens})
        assert (await home.sessions.read(view.session_id)).tokens == 7
        assert (await home.house.turn("last")).usage == {"tokens": 4}
        await home.sessions.archive(view.session_id)
        await home.until("session.closed")
        assert home.told("session.closed")[0].data["metrics"]["tokens"] == 7  # type: ignore[index]


# CyberVerse: resuming, teardown


async def test_cyberverse_dialog_context_a_resumed_session_knows_what_was_said(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        first = await home.sessions.create()
        await talk(home, first.session_id, "my name is Ada", "Hello Ada.")
        assert await code(home.sessions.create(resume=first.session_id)) == "session_already_active"
        await home.sessions.archive(first.session_id)
        await home.until("session.closed")
        second = await home.sessions.create(resume=first.session_id)
        assert second.conversation_id == first.conversation_id
        assert second.session_id != first.session_id
        await home.sessions.start_turn(second.session_id, "what is my name")
        await settle()
        assert [(said.user, said.assistant) for said in home.backend.dialogue.history] == [
            ("my name is Ada", "Hello Ada.")
        ]
    async with runtime_house(tmp_path) as home:
        third = await home.sessions.create(resume=first.conversation_id)
        assert third.conversation_id == first.conversation_id


async def test_cyberverse_pipeline_done_a_turn_is_saved_before_its_session_is_gone(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        await home.sessions.start_turn(view.session_id, "hello")
        there: list[tuple[str, bool]] = []
        publish = home.runtime.bus.publish
        home.runtime.bus.publish = lambda event: (  # type: ignore[method-assign]
            there.append((event.type, home.runtime.sessions.is_open(view.session_id))) or publish(event)  # type: ignore[func-returns-value]
        )
        await home.sessions.archive(view.session_id)
        await home.until("session.closed")
        assert there[-1] == ("session.closed", True)
        order = [event.type for event in home.events if event.type in {"turn.ended", "session.closed"}]
        assert order == ["turn.ended", "session.closed"]
        assert home.told("turn.ended")[0].data["stored"] is True
        await settle()
        assert home.runtime.sessions.open == []


async def test_cyberverse_persistence_each_turn_is_on_disk_when_it_has_ended(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        for text in ("one", "two"):
            await talk(home, view.session_id, text)
            assert (await home.house.turn("last")).transcript == text


async def test_what_a_crash_left_undone_is_told_when_the_house_is_ready(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        journal = home.runtime.journal
        journal.session_opened("s1", "c1", "desk", "scripted", "idle")
        journal.turn_started("s1-1", "s1", "c1", "desk", 1, "voice")
        assert await journal.skill_started("k1", "s1-1", "lock", "sensitive", "{}")
        for suffix in ("", "-wal"):
            (tmp_path / "crashed").mkdir(exist_ok=True)
            copy = tmp_path / "crashed" / f"vonad.db{suffix}"
            copy.write_bytes((tmp_path / f"vonad.db{suffix}").read_bytes())
    async with runtime_house(tmp_path / "crashed") as home:
        home.house.now_ready()
        await settle()
        [told] = [event for event in home.told("error") if event.data["op"] == "recovery"]
        assert (told.satellite, told.data["id"]) == ("desk", "k1")
        assert "skill lock had begun in turn s1-1" in str(told.data["message"])
        assert [action.name for action in home.house.recovered()] == ["lock"]
        assert [attempt.outcome for attempt in (await home.house.turn("s1-1")).attempts] == ["unknown"]
        assert (await home.sessions.read("s1")).reason == "crash"
        assert home.told("skill.attempt") == []


async def test_session_metrics_are_told_when_it_closes(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        await talk(home, view.session_id, "hello")
        await home.sessions.start_turn(view.session_id, "and")
        await home.sessions.interrupt(view.session_id)
        await home.sessions.archive(view.session_id)
        await home.until("session.closed")
        metrics = home.told("session.closed")[0].data["metrics"]
        assert metrics["turns"] == 2  # type: ignore[index]
        assert metrics["interruptions"] == 1  # type: ignore[index]
        assert metrics["skills"] == {"attempts": 0, "ok": 0, "failed": 0, "timed_out": 0}  # type: ignore[index]


async def test_a_turn_tells_why_it_took_its_time(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        turn = await home.sessions.start_turn(view.session_id, "hello")
        await home.clock.advance(2)
        reply(home)
        await settle()
        await home.sessions.wait(turn.id, 5)
        explained = await home.house.why()
        assert explained.turn_id == turn.id
        assert explained.slowest is not None
        assert (explained.slowest.owner, explained.slowest.took_ms) == ("scripted: agent", 2000.0)
        assert explained == await home.house.why(turn.id)
        assert (await home.sessions.read(view.session_id)).state == State.IDLE
