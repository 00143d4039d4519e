"""Earshot: which satellites hear the same person."""

from collections.abc import Mapping

from vonad.settings.tables import Satellite

Mark = tuple[str, str]
"""What satellites have in common: ("area", its name) or ("earshot", its name)."""


class Earshot:
    """Groups of satellites: those of one area, and the areas that a common `earshot` joins.

    Satellites without an area are in one room as far as we know.
    """

    def __init__(self, satellites: Mapping[str, Satellite]) -> None:
        self._areas = {name: _mark("area", table.area or "") for name, table in satellites.items()}
        self._joined: dict[Mark, Mark] = {}
        for name, table in satellites.items():
            if table.earshot is not None:
                one, other = self._group(self._areas[name]), self._group(_mark("earshot", table.earshot))
                if one != other:
                    self._joined[other] = one

    def shared(self, one: str, other: str) -> bool:
        """Whether these two hear the same person."""
        return self._of(one) == self._of(other)

    def _of(self, satellite: str) -> Mark:
        return self._group(self._areas.get(satellite, _mark("area", "")))

    def _group(self, mark: Mark) -> Mark:
        while mark in self._joined:
            mark = self._joined[mark]
        return mark


def _mark(kind: str, name: str) -> Mark:
    """People write "Living room" in more than one way."""
    return kind, " ".join(name.casefold().split())
