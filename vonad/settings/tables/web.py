"""The table [web]: the HTTP API on the network's side."""

from pydantic import Field

from vonad.settings.tables.table import Port, Table


class Web(Table):
    """The HTTP API on the network's side; the command line uses its own socket."""

    enabled: bool = Field(default=True, description="Whether to open the port.")
    port: Port = Field(default=8470, description="Port on 127.0.0.1.")
