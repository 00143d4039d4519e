"""Confirmation: what is sensitive runs after a plain yes to just that, here, now, once; and never otherwise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hassil.expression import Group, TextChunk
from hassil.parse_expression import parse_sentence

from tests.skill_bench import VIEW, Args, Bench, audit, bench
from vonad.clock import Clock
from vonad.plan import Plan, SessionView
from vonad.sentences import Sentences, sentences_of
from vonad.session.confirmation import ANSWERS, GROUP, Confirmation, Verdict
from vonad.skill import Allow, Call, Confirm, Deny, SkillCall, SkillResult
from vonad.skills.pending import CONFIRM_S, MOST, Pending
from vonad.testing import ManualClock

BASE = Sentences((sentences_of("unlock", ["unlock the {door} door"], {"door": ["front", "back"]}),))


@dataclass
class Place:
    clock: Clock
    plan: Plan


class Locks:
    """A desk with a sensitive skill, and the session in front of it."""

    def __init__(self, desk: Bench, session: SessionView) -> None:
        self.bench = desk
        self.session = session
        self.confirmation = Confirmation(Place(desk.clock, Plan(satellite=session.satellite, backends=("b",))))
        self.opened: list[int] = []
        desk.skill.act = self.open

    async def open(self, args: Args, call: Call) -> object:
        self.opened.append(args.minutes)
        return SkillResult(speech="It is open.")

    async def ask(self, minutes: int = 5, call_id: str = "call_1") -> Pending:
        """Somebody wants it; the user is asked."""
        settled = await self.bench.run(SkillCall(call_id, "probe", {"minutes": minutes}), session=self.session)
        assert settled.confirm is not None
        assert settled.end == "asked"
        assert settled.follow_up
        self.confirmation.asked(settled.confirm)
        return settled.confirm

    async def confirm(self, call: SkillCall, session: SessionView | None = None) -> str:
        """The session says that the user agreed; how the attempt ends."""
        settled = await self.bench.run(call, turn_id="t2", session=session or self.session, confirmed=True)
        assert (settled.confirm is not None) == (settled.end == "asked")
        return settled.end


def locks(folder: Path, session: SessionView = VIEW) -> "Story":
    return Story(folder, session)


class Story:
    """`async with locks(folder) as house`."""

    def __init__(self, folder: Path, session: SessionView) -> None:
        self._session = session
        self._desk = bench(folder, self._nothing, "sensitive")

    async def _nothing(self, args: Args, call: Call) -> object:
        return ""

    async def __aenter__(self) -> Locks:
        return Locks(await self._desk.__aenter__(), self._session)

    async def __aexit__(self, *about: object) -> None:
        await self._desk.__aexit__(None, None, None)


# What runs


async def test_a_yes_runs_what_was_asked_about_as_an_attempt_of_its_own(tmp_path: Path) -> None:
    async with locks(tmp_path) as house:
        pending = await house.ask()
        assert house.opened == []
        assert pending.prompt == "Shall I do this: probe, minutes 5?"
        assert house.confirmation.answered("Yes, please.", "en") == "yes"
        assert pending.call.id != "call_1"
        assert await house.confirm(pending.call) == "done"
        assert house.opened == [5]
        assert [type_ for type_, _ in house.bench.told] == [
            "skill.attempt",
            "skill.confirm",
            "skill.attempt",
            "skill.result",
        ]
    assert audit(tmp_path) == [("probe", "asked"), ("probe", "done")]


async def test_the_outcome_of_asking_is_the_question_and_says_that_nothing_was_done(tmp_path: Path) -> None:
    async with locks(tmp_path) as house:
        settled = await house.bench.run(SkillCall("call_1", "probe", {"minutes": 5}))
    assert settled.outcome.speech == "Shall I do this: probe, minutes 5?"
    assert settled.outcome.payload is not None
    assert settled.outcome.payload["done"] is False


async def test_a_session_of_text_confirms_by_its_next_text(tmp_path: Path) -> None:
    async with locks(tmp_path, replace(VIEW, satellite=None)) as house:
        pending = await house.ask()
        assert house.confirmation.answered("do it", "en") == "yes"
        assert await house.confirm(pending.call) == "done"
    assert audit(tmp_path)[-1] == ("probe", "done")


async def test_policy_is_asked_again_after_the_yes_and_may_still_deny(tmp_path: Path) -> None:
    async with locks(tmp_path) as house:
        pending = await house.ask()
        house.bench.hooks.review = lambda call: Deny("it is night now")
        assert await house.confirm(pending.call) == "rejected"
        assert house.bench.told[-1][1]["reason"] == "it is night now"
        house.bench.hooks.review = lambda call: Confirm("Sure?")
        assert await house.confirm(pending.call) == "asked"  # the yes was used up by the attempt that was denied
        assert house.opened == []


async def test_policy_may_ask_about_any_skill_with_a_question_of_its_own(tmp_path: Path) -> None:
    async with locks(tmp_path) as house:
        house.bench.hooks.review = lambda call: Confirm("The whole house, really?")
        pending = await house.ask()
        assert pending.prompt == "The whole house, really?"
        assert await house.confirm(pending.call) == "done"


async def test_policy_may_spare_the_question(tmp_path: Path) -> None:
    async with locks(tmp_path) as house:
        house.bench.hooks.review = lambda call: Allow()
        assert (await house.bench.call(minutes=5)).end == "done"
        assert house.opened == [5]


# What never runs


async def too_late(house: Locks, pending: Pending) -> tuple[SkillCall, SessionView]:
    await house.bench.clock.advance(CONFIRM_S + 0.1)
    return pending.call, house.session


async def another_satellite(house: Locks, pending: Pending) -> tuple[SkillCall, SessionView]:
    return pending.call, replace(house.session, satellite="nursery")


async def another_session(house: Locks, pending: Pending) -> tuple[SkillCall, SessionView]:
    return pending.call, replace(house.session, session_id="s2")


async def a_second_time(house: Locks, pending: Pending) -> tuple[SkillCall, SessionView]:
    assert await house.confirm(pending.call) == "done"
    house.opened.clear()
    return pending.call, house.session


async def other_arguments(house: Locks, pending: Pending) -> tuple[SkillCall, SessionView]:
    return replace(pending.call, arguments={"minutes": 500}), house.session


async def another_skill(house: Locks, pending: Pending) -> tuple[SkillCall, SessionView]:
    other = type("Other", (type(house.bench.skill),), {"name": "other"})
    house.bench.catalogue.add(other(house.bench.skill.settings, house.bench.skill.host), "a-plugin")
    return replace(pending.call, name="other"), house.session


async def the_id_of_the_question(house: Locks, pending: Pending) -> tuple[SkillCall, SessionView]:
    return replace(pending.call, id="call_1"), house.session


async def an_id_made_up(house: Locks, pending: Pending) -> tuple[SkillCall, SessionView]:
    return replace(pending.call, id="call_2"), house.session


BREACHES = [
    too_late,
    another_satellite,
    another_session,
    a_second_time,
    other_arguments,
    another_skill,
    the_id_of_the_question,
    an_id_made_up,
]


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: breach.__name__)
async def test_a_yes_covers_nothing_but_what_was_asked_here_and_now(
    tmp_path: Path, breach: Callable[[Locks, Pending], object]
) -> None:
    async with locks(tmp_path) as house:
        call, session = await breach(house, await house.ask())  # type: ignore[misc]  # every breach is a coroutine
        assert await house.confirm(call, session) == "asked"
        assert house.opened == []


async def test_a_yes_covers_the_arguments_as_they_were_even_if_somebody_changes_them_meanwhile(tmp_path: Path) -> None:
    async with locks(tmp_path) as house:
        doors = ["front"]
        arguments: dict[str, object] = {"minutes": 5, "doors": doors}
        house.bench.hooks.review = lambda call: Confirm("Sure?")
        type(house.bench.skill).Args = Listed
        settled = await house.bench.run(SkillCall("call_1", "probe", arguments))
        assert settled.confirm is not None
        doors.append("safe")
        assert await house.confirm(settled.confirm.call) == "asked"
        assert house.opened == []


class Listed(Args):
    doors: list[str]


async def test_a_model_cannot_confirm(tmp_path: Path) -> None:
    async with locks(tmp_path) as house:
        pending = await house.ask()
        again = await house.bench.run(pending.call, turn_id="t2")  # without the session's word
        assert again.end == "asked"
        assert house.opened == []


async def test_only_so_many_calls_wait_and_those_that_are_too_old_are_forgotten(tmp_path: Path) -> None:
    async with locks(tmp_path) as house:
        first = await house.ask()
        asked = [await house.ask(n, f"call_{n + 2}") for n in range(MOST)]
        assert await house.confirm(first.call) == "asked"
        assert await house.confirm(asked[-1].call) == "done"


# What is a yes


@pytest.mark.parametrize(
    ("text", "language", "verdict"),
    [
        ("yes", "en", "yes"),
        ("  YES, please!", "en", "yes"),
        ("go ahead", "en", "yes"),
        ("no", "en", "no"),
        ("No, don\u2019t.", "en", "no"),
        ("never mind", "en", "no"),
        ("Ja, bitte.", "de", "yes"),
        ("Oui, vas-y !", "fr", "yes"),
        ("\u00a1S\u00ed!", "es", "yes"),
        ("Laat maar", "nl", "no"),
        ("annulla", "it", "no"),
        ("yes", "fi", "yes"),
        ("yes and the back door too", "en", None),
        ("what time is it", "en", None),
        ("yesterday", "en", None),
        ("ja", "en", None),
        ("", "en", None),
    ],
)
async def test_only_a_plain_answer_is_one(tmp_path: Path, text: str, language: str, verdict: Verdict | None) -> None:
    async with locks(tmp_path) as house:
        await house.ask()
        assert house.confirmation.answered(text, language) == verdict
        assert house.confirmation.pending is None


async def test_after_anything_else_a_yes_is_none(tmp_path: Path) -> None:
    async with locks(tmp_path) as house:
        await house.ask()
        assert house.confirmation.answered("what time is it", "en") is None
        assert house.confirmation.answered("yes", "en") is None


async def test_a_yes_to_nothing_is_no_answer(tmp_path: Path) -> None:
    async with locks(tmp_path) as house:
        assert house.confirmation.answered("yes", "en") is None
        await house.ask()
        house.confirmation.drop()
        assert house.confirmation.answered("yes", "en") is None


@pytest.mark.parametrize(("seconds", "verdict"), [(20.0, "yes"), (20.1, "no")])
async def test_a_yes_after_20_s_is_a_no(tmp_path: Path, seconds: float, verdict: Verdict) -> None:
    async with locks(tmp_path) as house:
        await house.ask()
        await house.bench.clock.advance(seconds)
        assert house.confirmation.answered("yes", "en") == verdict


async def test_the_newest_question_is_the_one_that_is_answered(tmp_path: Path) -> None:
    async with locks(tmp_path) as house:
        await house.ask(1, "call_1")
        second = await house.ask(2, "call_2")
        assert house.confirmation.pending is second


def test_no_answer_is_both() -> None:
    for answers in ANSWERS.values():
        assert not set(answers["yes"]) & set(answers["no"])


# What may be said


def confirmation(language: str = "en") -> tuple[Confirmation, ManualClock]:
    clock = ManualClock()
    return Confirmation(Place(clock, Plan(satellite="desk", backends=("b",), language=language))), clock


def pending(clock: Clock) -> Pending:
    return Pending(SkillCall("1", "probe", {}), "Sure?", "s1", "desk", clock.monotonic() + CONFIRM_S, "{}")


def said(sentences: Sentences) -> Mapping[str, list[str]]:
    return {group.skill: [sentence.template for sentence in group.sentences] for group in sentences.skills}


def test_yes_and_no_may_be_said_while_an_answer_is_awaited_and_only_then() -> None:
    asked, clock = confirmation()
    assert asked.sentences(BASE) is BASE
    asked.asked(pending(clock))
    words = said(asked.sentences(BASE))
    assert words["unlock"] == ["unlock the {door} door"]
    assert {"yes", "yes please", "no", "never mind"} <= set(words[GROUP])
    asked.answered("yes", "en")
    assert asked.sentences(BASE) is BASE


async def test_after_20_s_nothing_more_is_listened_for() -> None:
    asked, clock = confirmation()
    asked.asked(pending(clock))
    await clock.advance(20.1)
    assert asked.sentences(BASE) is BASE


def test_recognisers_compile_the_sentences_once() -> None:
    asked, clock = confirmation("de")
    asked.asked(pending(clock))
    once = asked.sentences(BASE)
    assert "ja bitte" in said(once)[GROUP]
    assert asked.sentences(BASE) is once
    other, _ = confirmation("de")
    other.asked(pending(clock))
    assert hash(other.sentences(BASE)) == hash(once)
    assert other.sentences(BASE) == once
    more = Sentences((*BASE.skills, sentences_of("time", ["what time is it"], {})))
    assert "time" in said(asked.sentences(more))


@pytest.mark.parametrize("language", ANSWERS)
def test_no_yes_begins_a_no_nor_a_no_a_yes_so_nobody_has_to_wait_for_the_rest(language: str) -> None:
    answers = ANSWERS[language]
    for one, other in (("yes", "no"), ("no", "yes")):
        assert not [text for text in answers[other] if text.startswith(tuple(f"{said} " for said in answers[one]))]


@pytest.mark.parametrize("language", ANSWERS)
def test_every_answer_is_a_sentence_of_hassil_s_that_says_just_this(language: str) -> None:
    for templates in ANSWERS[language].values():
        for template in templates:
            assert not set(template) & set("[](){}|<>:")
            expression = parse_sentence(template).expression
            assert isinstance(expression, Group)
            chunks = [item for item in expression.items if isinstance(item, TextChunk)]
            assert len(chunks) == len(expression.items)
            assert "".join(chunk.original_text for chunk in chunks) == template
