"""The service face: sessions are read, followed, informed, resumed and archived by callers at any moment."""

import asyncio
from pathlib import Path

from tests.callers import code, reply, talk
from tests.runtime_house import runtime_house
from vonad.backend import ReplyDone, ReplyText, SkillRequest
from vonad.bus import Subscription
from vonad.errors import VonadError
from vonad.plan import ContextEvent
from vonad.session.machine import State
from vonad.skill import Call, NoArgs, SkillCall, skill
from vonad.testing import settle

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
        assert await code(home.sessions.interrupt(view.session_id)) == "session_not_active"
        assert await code(home.sessions.archive("nobody")) == "session_not_found"


async def test_meerkat_checkpointer_a_late_save_never_resurrects_an_archived_session(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        await talk(home, view.session_id, "hello")
        await home.sessions.start_turn(view.session_id, "tell me a story")
        await settle()
        late = home.backend.dialogue
        await home.sessions.archive(view.session_id)
        late.emit(ReplyText(late.turn, "Once there lived."), ReplyDone(late.turn))
        await home.until("session.closed")
        await settle()
        assert (await home.sessions.read(view.session_id)).state == "closed"
        assert await code(home.sessions.start_turn(view.session_id, "go on")) == "session_expired"
        assert len(home.told("session.closed")) == 1
    async with runtime_house(tmp_path) as home:
        read = await home.sessions.read(view.session_id)
        assert (read.state, read.reason, read.turn) == ("closed", "user_ended", 2)
        kept = [(turn.outcome, turn.reply) for turn in await home.house.history()]
        assert kept == [("completed", "Yes."), ("interrupted", "")]


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
        still_open = await home.sessions.create()
        await talk(home, still_open.session_id, "another secret")
        await home.house.delete_history(everything=True)
        assert (await home.sessions.read(still_open.session_id)).last_transcript == ""
        await home.sessions.start_turn(still_open.session_id, "what did I say")
        await settle()
        assert home.backend.dialogue.history == ()


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
            [gap] = [event for event in told if event.type == "events_dropped"]
            assert int(str(gap.data["count"])) > 5
            assert told[-1].type == "session.closed"


# Injection and compaction by id


async def test_vona_external_context_event_names_the_session_and_is_acknowledged(tmp_path: Path) -> None:
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
        assert await code(home.sessions.inject(view.session_id, event)) == "session_not_active"


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


async def test_the_first_turn_of_a_session_can_be_waited_for_by_its_id(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create(initial_turn="run_immediately", text="hello")
        name = home.sessions.first_turn(view.session_id)
        assert name is not None
        await settle()
        reply(home, "Hello.")
        await settle()
        assert (await home.sessions.wait(name, 5)).reply == "Hello."
        assert home.sessions.first_turn((await home.sessions.create()).session_id) is None


async def test_repeat_that_knows_the_reply_before_in_a_session_that_resumes(tmp_path: Path) -> None:
    heard: list[str] = []

    async def run(args: NoArgs, call: Call) -> str:
        heard.append(call.previous_reply)
        return "Noon."

    repeat = skill("repeat that", name="repeat", description="Repeats.")(run)
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        await talk(home, view.session_id, "what time is it", "It is noon.")
        await home.sessions.archive(view.session_id)
        await home.until("session.closed")
        again = await home.sessions.create(resume=view.session_id, skills=[repeat])
        await home.sessions.start_turn(again.session_id, "repeat that")
        await settle()
        home.backend.dialogue.emit(SkillRequest(home.backend.dialogue.turn, SkillCall("1", "repeat", {})))
        await settle()
        assert heard == ["It is noon."]
        reply(home, "Noon.")
        await settle()
        await home.house.delete_history(everything=True)
        assert (await home.sessions.read(again.session_id)).last_reply == ""


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
        journal.turn_started("s1-1", session_id="s1", conversation_id="c1", satellite="desk", number=1, source="voice")
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


async def test_what_a_crash_cuts_short_keeps_the_words_that_came_as_text(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        view = await home.sessions.create()
        turn = await home.sessions.start_turn(view.session_id, "open the front door")
        await settle()
        assert (await home.house.turn(turn.id)).transcript == "open the front door"
        (tmp_path / "crashed").mkdir()
        for suffix in ("", "-wal"):
            copy = tmp_path / "crashed" / f"vonad.db{suffix}"
            copy.write_bytes((tmp_path / f"vonad.db{suffix}").read_bytes())
    async with runtime_house(tmp_path / "crashed") as home:
        [found] = await home.house.history(search="front")
        assert (found.turn_id, found.outcome, found.transcript) == (turn.id, "interrupted", "open the front door")


async def test_vona_metrics_are_told_when_the_session_closes(tmp_path: Path) -> None:
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


async def test_a_backend_that_hangs_is_blamed_for_the_time_of_its_turn(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        turn = await home.house.text("desk", "tell me a story")
        await settle()
        await home.clock.advance(12)
        home.house.stop("desk")
        await home.until("turn.ended")
        explained = await home.house.why(turn.id)
        assert explained.slowest is not None
        assert (explained.slowest.owner, explained.slowest.took_ms) == ("scripted: agent", 12_000.0)


async def test_a_microphone_that_heard_nobody_tells_how_long_it_was_open(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        assert await home.asked() == "accepted"
        await home.clock.advance(3)
        home.house.stop("desk")
        await home.until("turn.ended")
        explained = await home.house.why()
        assert (explained.outcome, explained.total_ms, explained.slowest) == ("empty", 3000.0, None)
