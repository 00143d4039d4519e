"""A file that holds one secret and nothing else."""

import stat
from pathlib import Path

LIMIT = 1 << 16
"""Bytes."""


class SecretFileError(Exception):
    """Why a secret cannot be had from its file: a sentence with the remedy."""


def read_secret(path: Path, *, private: bool) -> str:
    """The secret, without the line's end. private: only from a file that other users cannot read.

    Raises SecretFileError.
    """
    try:
        with path.open("rb") as file:
            mode = path.stat().st_mode
            raw = file.read(LIMIT + 1)
    except FileNotFoundError:
        raise SecretFileError(f"{path} does not exist; make it, with mode 600") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SecretFileError(f"{path} cannot be read ({reason}); vonad needs a file it may read") from None
    if private and mode & (stat.S_IROTH | stat.S_IWOTH):
        raise SecretFileError(f"every user can read {path} (mode {stat.S_IMODE(mode):04o}): chmod 600 {path}")
    try:
        secret = raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        secret = ""
    if not secret or len(raw) > LIMIT or "\n" in secret or "\0" in secret:
        raise SecretFileError(f"{path} must hold one line of text, the secret")
    return secret
