"""Plans: what a session will be, by the wake first, then its satellite's table, then the defaults."""

from vonad.plan import Endpointing, Plan, Purpose, Style, Wake
from vonad.settings import Settings
from vonad.settings.tables import Satellite


def own_settings(settings: Settings, satellite: str | None) -> Satellite:
    """The satellite's table; an empty one where it has none."""
    return settings.satellites.get(satellite or "", Satellite())


def plan_wake(settings: Settings, wake: Wake) -> Plan:
    """What a wake becomes."""
    return plan_session(
        settings,
        wake.satellite,
        purpose="listen" if wake.text is None else "text",
        text=wake.text,
        backend=wake.backend,
        follow_up=wake.follow_up,
    )


def plan_session(
    settings: Settings,
    satellite: str | None,
    *,
    purpose: Purpose,
    text: str | None = None,
    backend: str | None = None,
    follow_up: bool | None = None,
) -> Plan:
    """What a session for this purpose becomes."""
    own, defaults = own_settings(settings, satellite), settings.session
    habit = own.follow_up or defaults.follow_up
    return Plan(
        satellite=satellite,
        backends=(backend,) if backend else tuple(own.backends or defaults.backends),
        language=own.language or settings.node.language,
        purpose=purpose,
        text=text,
        follow_up=habit if follow_up is None else "always" if follow_up else "never",
        endpointing=Endpointing(
            silence_s=defaults.silence_s if own.silence_s is None else own.silence_s,
            no_speech_s=defaults.no_speech_s,
            maximum_s=defaults.maximum_s,
        ),
        style=Style() if own.style is None else Style(**own.style.model_dump(exclude_none=True)),
    )
