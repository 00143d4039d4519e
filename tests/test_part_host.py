"""The host of a part: under its own name, and the others as they are when it looks."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from vonad.directories import Directories
from vonad.errors import VonadError
from vonad.history import Journal, open_journal
from vonad.host import NoSettings, Role
from vonad.part import Part
from vonad.part_host import Facilities, PartHost
from vonad.plugins.offer import Group
from vonad.resilience import Breaker, Pool
from vonad.settings import ComponentTable
from vonad.skills.catalogue import Catalogue
from vonad.testing import EchoSkill, ManualClock, ScriptedHost, ScriptedVoice


class House:
    """The others, for a part that looks at them."""

    def __init__(self, folder: Path, journal: Journal, clock: ManualClock) -> None:
        self.catalogue = Catalogue()
        self.satellites: list[str] = []
        self.names: list[str] = []
        self.clock = clock
        self.facilities = Facilities(
            clock=clock,
            journal=journal,
            directories=Directories(config=folder, state=folder, runtime=folder, cache=folder / "cache"),
            timezone=ZoneInfo("UTC"),
            voice=ScriptedVoice(),
            satellites=lambda: self.satellites,
        )

    def host(self, group: Group, name: str) -> PartHost:
        return PartHost(Part(group, name, ComponentTable()), self.facilities, self, language="en")

    def engines(self, role: Role) -> list[str]:
        return self.names

    def pool(self, role: Role, name: str) -> Pool[object]:
        if name not in self.names:
            raise VonadError("backend_unavailable", f"[engines.{name}] is not configured")
        return Pool(f"{role} {name}", Breaker(name, self.clock), streams=1, clock=self.clock)


def seen(host: PartHost) -> tuple[list[str], list[str], list[str]]:
    """The satellites, the engines that recognise speech, the skills."""
    return [*host.satellites], [*host.engines("stt")], [said.skill for said in host.sentences.skills]


async def test_parts_of_one_name_in_two_groups_keep_their_values_apart(tmp_path: Path) -> None:
    clock = ManualClock()
    async with open_journal(tmp_path / "vonad.db", clock=clock) as journal:
        house = House(tmp_path, journal, clock)
        engine, backend = house.host("engines", "twin"), house.host("backends", "twin")
        await engine.store.set("voice", "en-gb")
        assert (await engine.store.get("voice"), await backend.store.get("voice")) == ("en-gb", None)
        assert (engine.log.name, backend.log.name) == ("vonad.engines.twin", "vonad.backends.twin")
        assert engine.cache_dir == tmp_path / "cache" / "twin"


async def test_a_part_sees_the_others_as_they_are_when_it_looks(tmp_path: Path) -> None:
    clock = ManualClock()
    async with open_journal(None, clock=clock) as journal:
        house = House(tmp_path, journal, clock)
        host = house.host("backends", "bridge")
        assert seen(host) == ([], [], [])
        with pytest.raises(VonadError, match="not configured"):
            host.engine("stt", "late")
        house.satellites.append("desk")
        house.names.append("late")
        house.catalogue.add(EchoSkill(NoSettings(), ScriptedHost(tmp_path, name="echo")), "a-plugin")
        assert seen(host) == (["desk"], ["late"], ["echo"])
        async with host.engine("stt", "late") as engine:
            assert engine == "stt late"
