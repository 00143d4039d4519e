"""The tables of vonad.toml, one a module: every setting with its default, its limits and a sentence about it."""

from vonad.settings.tables.component import ComponentTable
from vonad.settings.tables.history import History
from vonad.settings.tables.log import Log
from vonad.settings.tables.mqtt import Mqtt
from vonad.settings.tables.node import Node
from vonad.settings.tables.policy import Policy
from vonad.settings.tables.satellite import Satellite, SatelliteStyle
from vonad.settings.tables.session import FollowUp, Patience, SessionDefaults
from vonad.settings.tables.sounds import Sounds
from vonad.settings.tables.table import Name, Table
from vonad.settings.tables.wake import WakeDefaults
from vonad.settings.tables.web import Web

__all__ = [
    "ComponentTable",
    "FollowUp",
    "History",
    "Log",
    "Mqtt",
    "Name",
    "Node",
    "Patience",
    "Policy",
    "Satellite",
    "SatelliteStyle",
    "SessionDefaults",
    "Sounds",
    "Table",
    "WakeDefaults",
    "Web",
]
