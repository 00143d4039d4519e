"""The microphone over a change of backends: it stays as it was, and still nobody listens for ever."""

import pytest

from tests.conversation import conversation
from vonad.backend import BackendCapabilities
from vonad.plan import Plan
from vonad.testing import ScriptedBackend, quiet, settle

OWN_EARS = BackendCapabilities(turn_detection=True, hears=True)


@pytest.mark.parametrize("capabilities", [BackendCapabilities(), OWN_EARS])
@pytest.mark.parametrize("frames_come", [False, True])
async def test_a_microphone_that_outlives_a_slow_fallback_still_closes_when_nobody_speaks(
    capabilities: BackendCapabilities, *, frames_come: bool
) -> None:
    """The wait for frames that stop rings while there is no backend: it is set anew."""
    second = ScriptedBackend(capabilities)
    second.hang.add("open")
    plan = Plan(satellite="desk", backends=("scripted", "second", "third"))
    others = {"second": second, "third": ScriptedBackend(capabilities)}
    async with conversation(plan=plan, capabilities=capabilities, others=others) as story:
        story.dialogue.finish()
        await settle()
        for _ in range(150):
            if frames_come:
                await story.hear(quiet(0.1))
            else:
                await story.clock.advance(0.1)
        assert "listening" in story.states
        assert story.session.state == "idle"
        assert [e.data["endpoint"] for e in story.told("turn.ended")] == ["no_speech"]
