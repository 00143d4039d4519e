"""Seats: how many sessions fit, in the house and on each satellite. One is taken before anything is built for it."""

from types import TracebackType
from typing import Self

from vonad.errors import VonadError


class Seat:
    """Room for one session. Given back when the `with` ends, unless it was kept; then by `release`.

    instead: the one that it takes the place of, once it is kept.
    """

    def __init__(self, seats: "Seats", satellite: str | None, instead: "Seat | None" = None) -> None:
        self.satellite = satellite
        self.instead = instead
        self._seats = seats
        self._kept = False

    def keep(self) -> None:
        """There is a session in it now."""
        self._kept = True
        if self.instead is not None:
            self.instead.release()

    def release(self) -> None:
        """It is free again."""
        self._seats.free(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if not self._kept:
            self.release()


class Seats:
    """Those that are taken, by sessions and by those that are being made."""

    def __init__(self) -> None:
        self._taken: set[Seat] = set()

    def __len__(self) -> int:
        return len(self._taken)

    def reserve(self, satellite: str | None, *, most: int, each: int, instead: Seat | None = None) -> Seat:
        """Take one. Raises session_limit.

        most:    in the house; each: on the same satellite, 0: no limit.
        instead: of this one, which is released as soon as the new one is kept.
        """
        taken = [seat for seat in self._taken if seat is not instead]
        if len(taken) >= most:
            why = f"{len(taken)} sessions are open; session.maximum is {most}"
            raise VonadError("session_limit", why, op="session", retryable=True)
        here = sum(1 for seat in taken if satellite is not None and seat.satellite == satellite)
        if each and here >= each:
            why = f"{satellite} has {here} sessions open; policy.sessions_per_satellite is {each}"
            raise VonadError("session_limit", why, op="session", retryable=True)
        seat = Seat(self, satellite, instead)
        self._taken.add(seat)
        return seat

    def promised(self, seat: Seat) -> bool:
        """Whether another is about to take its place."""
        return any(other.instead is seat for other in self._taken)

    def free(self, seat: Seat) -> None:
        """Give one back; twice is once."""
        self._taken.discard(seat)
