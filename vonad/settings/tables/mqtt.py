"""The table [mqtt]: the broker, and what is published there."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from vonad.settings.tables.table import Port, Table, Text

_TopicPrefix = Annotated[str, StringConstraints(pattern="^[^/+#$\\x00]+(/[^/+#\\x00]+)*$")]
_File = Annotated[Path, Field(strict=False)]  # strictly, a Path could not be written as text


class Mqtt(Table):
    """The connection to the MQTT broker."""

    enabled: bool = Field(default=True, description="Whether to speak MQTT at all.")
    host: Text | None = Field(
        default=None,
        description="The broker; when not set, one on this machine is used, else the embedded one.",
        examples=["192.168.1.10"],
    )
    port: Port = Field(default=1883, description="The broker's port; 8883 is usual with TLS.")
    username: Text | None = Field(default=None, description="User name at the broker.", examples=["vonad"])
    password: SecretStr | None = Field(
        default=None,
        description="Password at the broker; only in a file that nobody else can read, better in password_file.",
        examples=["secret"],
    )
    password_file: _File | None = Field(
        default=None,
        description="File that holds the password and nothing else, readable by vonad alone; it wins over password.",
        examples=["mqtt_password"],
    )
    tls: bool = Field(default=False, description="Whether to encrypt, and to verify the broker's certificate.")
    ca_file: _File | None = Field(
        default=None,
        description="Certificate authorities to trust instead of the system's, as PEM.",
        examples=["ca.pem"],
    )
    prefix: _TopicPrefix = Field(default="vonad", description="What every topic begins with, before the node's id.")
    publish_text: Literal["off", "events", "retained"] = Field(
        default="events", description="Whether words are published: not at all, in events, or also kept by the broker."
    )
    keepalive_s: int = Field(default=10, ge=1, le=3600, description="Seconds between signs of life to the broker.")
