"""Plans: what a session will be, by the wake first, then its satellite's table, then the defaults."""

from vonad.plan import PATIENCE, BargeIn, Budget, Endpointing, Plan, Purpose, Style, Wake
from vonad.settings import Settings
from vonad.settings.tables import Satellite, SessionDefaults


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
    style: Style | None = None,
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
        endpointing=_endpointing(defaults, own),
        barge_in=BargeIn(
            enabled=defaults.barge_in if own.barge_in is None else own.barge_in,
            words=defaults.barge_in_words,
            speech_s=defaults.barge_in_speech_s,
            need=defaults.barge_in_need,
        ),
        budget=Budget(tokens=defaults.turn_tokens, seconds=defaults.turn_s, skill_calls=defaults.turn_skill_calls),
        preemptive=defaults.preemptive,
        filler=defaults.filler,
        filler_s=defaults.filler_s,
        greeting=defaults.greeting,
        style=style or (Style() if own.style is None else Style(**own.style.model_dump(exclude_none=True))),
    )


def _endpointing(defaults: SessionDefaults, own: Satellite) -> Endpointing:
    """A preset, with what was set instead of it; no pause of a sentence's middle is shorter than one behind it."""
    preset = PATIENCE[own.endpointing or defaults.endpointing]
    silence_s = own.silence_s or defaults.silence_s or preset.silence_s
    return Endpointing(
        complete_s=min(preset.complete_s, silence_s),
        silence_s=silence_s,
        partial_s=max(preset.partial_s, silence_s),
        no_speech_s=defaults.no_speech_s,
        maximum_s=defaults.maximum_s,
    )
