"""The table [sounds]: the short ones between the words."""

from pydantic import Field

from vonad.settings.tables.table import Table, Text


class Sounds(Table):
    """Short sounds: vonad's own, a WAV file of yours (a path from this file's folder), or none."""

    wake: Text = Field(default="off", description="When the microphone opens: on, off or a WAV file.")
    heard: Text = Field(default="off", description="When the user's words have ended: on, off or a WAV file.")
    error: Text = Field(default="on", description="When not even an apology can be spoken: on, off or a WAV file.")
    announce: Text = Field(
        default="on", description="Before an announcement that asks for it (preannounce): on, off or a WAV file."
    )
    filler: Text = Field(
        default="on", description="While a reply is long in coming: on (spoken words), off or a WAV file."
    )
