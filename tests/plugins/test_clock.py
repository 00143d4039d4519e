"""The clock skill: the template people copy, so it had better be right."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from vonad_clock import Clock, Question, ordinal, spoken_time

from tests.plugins.fake_host import FakeHost
from vonad.host import NoSettings
from vonad.skill import Call
from vonad.testing import ManualClock


async def ask(folder: Path, what: str, now: datetime, zone: str = "UTC") -> str:
    host = FakeHost(folder, name="clock", clock=ManualClock(now))
    host.timezone = ZoneInfo(zone)
    call = Call(id="1", text="", satellite=None, session_id="s", language="en", previous_reply="", host=host)
    return await Clock(NoSettings(), host).run(Question.model_validate({"what": what}), call)


async def test_the_time_is_told_in_the_houses_time_zone(tmp_path: Path) -> None:
    assert await ask(tmp_path, "time", datetime(2026, 7, 1, 12, 5, tzinfo=UTC), "Europe/Berlin") == "It is 2 oh 5 p.m."


async def test_the_date_and_the_day(tmp_path: Path) -> None:
    now = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    assert await ask(tmp_path, "date", now) == "Today is Saturday, November 21st, 2026."
    assert await ask(tmp_path, "day", now) == "Today is Saturday."


@pytest.mark.parametrize(
    ("hour", "minute", "said"),
    [(0, 0, "12 o'clock a.m."), (12, 0, "12 o'clock p.m."), (9, 30, "9 30 a.m."), (23, 59, "11 59 p.m.")],
)
def test_a_time_as_people_say_it(hour: int, minute: int, said: str) -> None:
    assert spoken_time(datetime(2026, 1, 1, hour, minute, tzinfo=UTC)) == said


def test_days_of_the_month() -> None:
    assert [ordinal(day) for day in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 31)] == [
        "1st",
        "2nd",
        "3rd",
        "4th",
        "11th",
        "12th",
        "13th",
        "21st",
        "22nd",
        "23rd",
        "31st",
    ]
