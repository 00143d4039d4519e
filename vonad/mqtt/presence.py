"""Presence: proof that what is published below our base comes back, and that no other daemon lives there.

Each daemon asks once per connection on `<base>/selftest`, with a nonce. Its own question coming back proves that the
user may publish and read there; a daemon that lives there already answers. A broker's memory of a dead daemon's
`online` answers nothing, so it never keeps anybody from starting.
"""

import asyncio
import json
import re
from collections.abc import Callable

from vonad.errors import VonadError

_INSTANCE = re.compile(r"[a-z0-9_-]{1,120}")


class AlreadyRunning(VonadError):  # noqa: N818  (said of the other one)
    """Another live daemon uses this base: this one must not."""

    def __init__(self, base: str, instance: str) -> None:
        self.instance = instance
        super().__init__(
            "invalid_state",
            f"another vonad ({instance}) already lives below {base} on this broker: stop it, or give this one its own "
            "[node] id",
            op="mqtt.presence",
        )


class Presence:
    """What one daemon says and hears on the selftest topic.

    instance: random, for the life of the process.
    """

    def __init__(self, base: str, instance: str, publish: Callable[[bytes], None]) -> None:
        self.instance = instance
        self._lived = self._settled = False
        self._base = base
        self._publish = publish
        self._nonce = ""
        self._came_back = asyncio.Event()
        self._rival: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def question(self, nonce: str) -> bytes:
        """What to publish at the start of a connection, and again when in doubt."""
        self._nonce = nonce
        self._came_back.clear()
        return _said(instance=self.instance, nonce=nonce, lived=self._lived)

    def settle(self) -> None:
        """This daemon lives here from now on: it answers whoever asks."""
        self._lived = self._settled = True

    def leave(self) -> None:
        """It has lost its connection."""
        self._settled = False
        self._nonce = ""

    async def proven(self) -> None:
        """Return once the question has come back; everything the broker had kept has arrived before it."""
        await self._came_back.wait()

    async def rival(self) -> None:
        """Raise AlreadyRunning once another daemon answers."""
        raise AlreadyRunning(self._base, await asyncio.shield(self._rival))

    def received(self, payload: bytes) -> None:
        """A message of the selftest topic; what no daemon would say is ignored."""
        try:
            said = json.loads(payload)
        except (ValueError, RecursionError):
            return
        instance = said.get("instance") if isinstance(said, dict) else None
        if not isinstance(instance, str) or not _INSTANCE.fullmatch(instance):
            return
        if instance == self.instance:
            if said.get("nonce") == self._nonce:
                self._came_back.set()
        elif self._nonce and said.get("answer") == self._nonce:
            if not self._rival.done():
                self._rival.set_result(instance)
        elif isinstance(nonce := said.get("nonce"), str) and self._comes_before(
            instance, lived=said.get("lived") is True
        ):
            self._publish(_said(instance=self.instance, answer=nonce))

    def _comes_before(self, other: str, *, lived: bool) -> bool:
        """Whether the other has to give way. Of two that come at the same moment exactly one does."""
        return self._settled or (bool(self._nonce) and (not self._lived, self.instance) < (not lived, other))


def _said(**said: str | bool) -> bytes:
    return json.dumps(said).encode()
