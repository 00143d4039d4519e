"""Whatever callers do and whenever they do it: one turn at a time, one that waits, and no interrupt is lost."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.callers import code, opening, reply, talk
from tests.runtime_house import RuntimeHouse, runtime_house
from vonad.admission import QueuedTurn
from vonad.backend import ReplyDone, ReplyText
from vonad.errors import VonadError
from vonad.events import EVENTS
from vonad.session.turn import Turn
from vonad.testing import ScriptedBackend, settle

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
        assert result.turn_id == queued.id
        assert [event.data["turn_id"] for event in home.told("turn.started")][1:] == [queued.id]
        while len(home.told("turn.ended")) < 2:
            await settle()
        assert [event.data["turn_id"] for event in home.told("turn.ended")][1:] == [queued.id]
    async with runtime_house(tmp_path) as home:  # the same, in another run of the house
        assert (await home.house.turn(queued.id)).number == 2
        assert (await home.house.why(queued.id)).transcript == "two"


@pytest.mark.parametrize("ends", ["interrupted", "stopped", "archived", "never opened"])
async def test_a_turn_that_ends_before_it_has_begun_is_told_to_whoever_follows_the_events(
    tmp_path: Path, ends: str
) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        if ends == "interrupted":
            await opening(home, initial_turn="run_immediately", text="two")
            [view] = await home.sessions.list()
            await home.sessions.interrupt(view.session_id)
        elif ends == "never opened":
            home.backend.failure = VonadError("backend_start_failed", "no power")
            assert await code(home.house.text("desk", "two")) == "backend_start_failed"
        else:
            view = await home.sessions.create(satellite="desk")
            await home.sessions.start_turn(view.session_id, "one")
            queued = await home.sessions.start_turn(view.session_id, "two", on_busy="queue")
            await (home.sessions.archive(view.session_id) if ends == "archived" else _stopped(home))
            assert (await home.sessions.wait(queued.id, 5)).outcome == "interrupted"
        await settle()
        [event] = [event for event in home.told("turn.ended") if event.turn is None]
        assert str(event.data["turn_id"]) == f"{event.session_id}-q1"
        assert (event.data["outcome"], event.data["stored"]) == ("interrupted", False)
        assert set(event.data) == set(EVENTS["turn.ended"].data)
        closed = home.told("session.closed")
        assert not closed or home.events.index(event) < home.events.index(closed[0])


async def _stopped(home: RuntimeHouse) -> None:
    assert home.house.stop("desk")


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


async def test_regression_lost_interrupt_of_a_wake_whose_first_backend_does_not_open(tmp_path: Path) -> None:
    second = ScriptedBackend()
    config = "[backends.second]\n"
    async with runtime_house(tmp_path, config, parts={("backends", "second"): second}) as home:
        settings = home.runtime.settings
        chain = settings.session.model_copy(update={"backends": ["scripted", "second"]})
        home.runtime.settings = settings.model_copy(update={"session": chain})
        home.backend.failure = VonadError("backend_start_failed", "no power")
        second.hang.add("open")
        await home.connect()
        assert home.house.wake(home.wake(text="open the door")).accepted
        await settle()
        assert (await home.sessions.list())[0].state == "falling_back"
        assert home.house.stop("desk")
        await home.clock.advance(20)
        assert [event.data["outcome"] for event in home.told("turn.ended")] in ([], ["interrupted"])
        assert not any(say.startswith("say") for one in second.dialogues for say in one.told)


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


@asynccontextmanager
async def slow_to_open(tmp_path: Path) -> AsyncIterator[tuple[RuntimeHouse, ScriptedBackend, asyncio.Event]]:
    """A house with two backends, the second of which opens when it is told to."""
    second, gate = ScriptedBackend(), asyncio.Event()
    met = second._open

    def slowly(brief):  # type: ignore[no-untyped-def]
        @asynccontextmanager
        async def opened():  # type: ignore[no-untyped-def]
            await gate.wait()
            async with met(brief) as dialogue:
                yield dialogue

        return opened()

    second._open = slowly  # type: ignore[method-assign]
    async with runtime_house(tmp_path, "[backends.second]\n", parts={("backends", "second"): second}) as home:
        settings = home.runtime.settings
        chain = settings.session.model_copy(update={"backends": ["scripted", "second"]})
        home.runtime.settings = settings.model_copy(update={"session": chain})
        home.runtime.reception.configure(home.runtime.settings)
        yield home, second, gate


async def test_regression_lost_interrupt_while_another_backend_takes_over_and_a_turn_waits(tmp_path: Path) -> None:
    async with slow_to_open(tmp_path) as (home, second, gate):
        view = await home.sessions.create()
        turn = await home.sessions.start_turn(view.session_id, "open the door")
        queued = await home.sessions.start_turn(view.session_id, "and the window", on_busy="queue")
        await settle()
        home.backend.dialogue.emit(VonadError("backend_step_failed", "it fell over"))
        await settle()
        assert (await home.sessions.read(view.session_id)).state == "falling_back"
        await home.sessions.interrupt(view.session_id)
        assert not queued.ended.done()
        gate.set()
        assert (await home.sessions.wait(turn.id, 5)).outcome == "interrupted"
        await settle()
        assert second.dialogue.told[-1] == "say and the window"


async def test_regression_lost_interrupt_of_a_wake_that_opens_a_session_for_which_a_turn_waits(tmp_path: Path) -> None:
    async with slow_to_open(tmp_path) as (home, second, gate):
        home.backend.failure = VonadError("backend_start_failed", "no power")
        await home.connect()
        assert home.house.wake(home.wake(text="open the door")).accepted
        [view] = await home.sessions.list()
        queued = await home.sessions.start_turn(view.session_id, "and the window", on_busy="queue")
        await settle()
        await home.sessions.interrupt(view.session_id)  # the first in the line
        assert not queued.ended.done()
        await home.sessions.interrupt(view.session_id)  # the second
        assert (await home.sessions.wait(queued.id, 5)).outcome == "interrupted"
        await home.sessions.interrupt(view.session_id)  # told already
        gate.set()
        await home.until("turn.ended")
        assert [event.data["outcome"] for event in home.told("turn.ended")] == ["interrupted"]
        assert not any(told.startswith("say") for told in second.dialogue.told)


@pytest.mark.parametrize("place", [None, "desk"])
async def test_a_session_opened_for_a_text_goes_from_connecting_to_its_answer(
    tmp_path: Path, place: str | None
) -> None:
    async with runtime_house(tmp_path) as home:
        if place is None:
            await home.sessions.create(initial_turn="run_immediately", text="one")
        else:
            await home.connect(place)
            await home.house.text(place, "one")
        await settle()
        states = [event.data["state"] for event in home.told("session.state")]
        assert states == ["connecting", "processing"]
        assert [event.turn for event in home.told("session.state")] == [None, 1]
        assert home.backend.dialogue.told == ["begin 1", "say one"]


async def test_a_session_opened_for_a_text_goes_on_to_its_answer_with_the_next_backend(tmp_path: Path) -> None:
    lost = ScriptedBackend()
    lost.failure = VonadError("backend_start_failed", "no power")
    chain = '[satellites.desk]\nbackends = ["lost", "scripted"]\n[backends.lost]\n'
    async with runtime_house(tmp_path, chain, parts={("backends", "lost"): lost}) as home:
        await home.connect()
        await home.house.text("desk", "one")
        await settle()
        states = [event.data["state"] for event in home.told("session.state")]
        assert states == ["connecting", "falling_back", "processing"]
        assert home.backend.dialogue.told == ["begin 1", "say one"]


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


# All of it at once

ROUNDS = 60
ALLOWED = {"session_busy", "session_not_running", "session_not_active", "session_expired"}


class Callers:
    """Several callers of one session, who know nothing of each other."""

    def __init__(self, home: RuntimeHouse, session_id: str, chance: random.Random) -> None:
        self.home = home
        self.session_id = session_id
        self.chance = chance
        self.turns: list[Turn | QueuedTurn] = []

    async def act(self) -> None:
        deed = self.chance.choice(["ask", "ask", "queue", "queue", "interrupt", "answer", "answer", "wait", "wait"])
        try:
            await getattr(self, f"_{deed}")()
        except VonadError as error:
            if error.code not in ALLOWED:
                raise

    async def _ask(self) -> None:
        self.turns.append(await self.home.sessions.start_turn(self.session_id, "now"))

    async def _queue(self) -> None:
        self.turns.append(await self.home.sessions.start_turn(self.session_id, "later", on_busy="queue"))

    async def _interrupt(self) -> None:
        """Whatever was first in the line then is over soon after."""
        line = [turn for turn in self.turns if not turn.ended.done()]
        begun = [begun for turn in line if (begun := turn.turn if isinstance(turn, QueuedTurn) else turn) is not None]
        await self.home.sessions.interrupt(self.session_id)
        await settle()
        assert None not in {turn.outcome for turn in begun}
        assert begun or not line or line[0].ended.done()

    async def _answer(self) -> None:
        dialogue = self.home.backend.dialogue
        if dialogue.turn:
            dialogue.emit(ReplyText(dialogue.turn, "Yes."), ReplyDone(dialogue.turn))

    async def _wait(self) -> None:
        await settle()


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_callers_do_every_turn_ends_once_and_none_overlaps_another(tmp_path: Path, seed: int) -> None:
    async with runtime_house(tmp_path, history=False) as home:
        view = await home.sessions.create()
        callers = Callers(home, view.session_id, random.Random(seed))
        for _ in range(ROUNDS):
            await callers.act()
        for _ in range(3):  # the one that runs, and the one that waits
            await settle()
            await callers._answer()
        await settle()
        assert all(turn.ended.done() for turn in callers.turns)
        open_turn = None
        for event in home.events:
            if event.type == "turn.started":
                assert open_turn is None
                open_turn = event.turn
            elif event.type == "session.state" and event.data["state"] in {"idle", "interrupted"}:
                open_turn = None
        started = [event.turn for event in home.told("turn.started")]
        assert started == sorted(set(started))
        assert sorted(event.turn or 0 for event in home.told("turn.ended")) == started


async def test_the_session_of_a_turn_is_known_whoever_asked_for_it(tmp_path: Path) -> None:
    async with runtime_house(tmp_path) as home:
        await home.connect()
        turns = [await home.house.text("desk", "one"), await home.house.text("desk", "two", on_busy="queue")]
        [view] = await home.sessions.list()
        assert [home.sessions.session_of(turn.id) for turn in turns] == [view.session_id] * 2
