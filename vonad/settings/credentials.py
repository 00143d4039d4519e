"""The broker's files: the password from where systemd or the owner put it, and the certificate authorities."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from vonad.directories import home
from vonad.settings.problem import Problem
from vonad.settings.secret_file import SecretFileError, read_secret
from vonad.settings.sources import Sources

CREDENTIAL = "mqtt_password"
"""What the unit's LoadCredential= calls it."""

_PASSWORD, _PASSWORD_FILE, _CA_FILE = ("mqtt", "password"), ("mqtt", "password_file"), ("mqtt", "ca_file")


def fill_in(mqtt: dict[str, object], sources: Sources, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Make the paths of [mqtt] absolute and put the password in; yield what keeps a file from being used.

    A relative path begins at the folder of vonad.toml. Of several passwords the first counts: a variable's, the
    credential's, password_file's, password's.
    """
    folder = sources.file.path.parent if sources.file else Path.cwd()
    for _, key in (_PASSWORD_FILE, _CA_FILE):
        given = mqtt.get(key)
        if isinstance(given, str | Path):
            given = str(given)
            mqtt[key] = str(folder / (home(environ) / given[2:] if given.startswith("~/") else given))
    if exposed := sources.exposed(_PASSWORD):
        yield exposed
    yield from _password(mqtt, sources, environ)
    if isinstance(ca_file := mqtt.get("ca_file"), str) and not Path(ca_file).is_file():
        yield sources.problem(_CA_FILE, f"no such file: {ca_file}")


def _password(mqtt: dict[str, object], sources: Sources, environ: Mapping[str, str]) -> Iterator[Problem]:
    variables = {variable.place for variable in sources.variables}
    credential = Path(environ.get("CREDENTIALS_DIRECTORY", "")) / CREDENTIAL
    named = mqtt.get("password_file")
    if _PASSWORD in variables:
        return
    if _PASSWORD_FILE not in variables and environ.get("CREDENTIALS_DIRECTORY") and credential.exists():
        try:
            mqtt["password"] = read_secret(credential, private=False)  # systemd guards the folder
        except SecretFileError as error:
            yield Problem(str(credential), None, "", str(error))
    elif isinstance(named, str):
        try:
            mqtt["password"] = read_secret(Path(named), private=True)
        except SecretFileError as error:
            yield sources.problem(_PASSWORD_FILE, str(error))
