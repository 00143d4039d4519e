"""Licences: what installed packages say of their own."""

import importlib.metadata
import re

from packaging.requirements import Requirement

PERMISSIVE = {"MIT", "MIT-0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "PSF-2.0"}
SPELT = {
    "MIT License": "MIT",
    "BSD License": "BSD",
    "Apache Software License": "Apache-2.0",
    "Apache": "Apache-2.0",
    "ISC License": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""How packages call a licence → its short name."""


def licence(name: str) -> str:
    """What an installed package says of itself; empty: nothing."""
    said = importlib.metadata.metadata(name)
    classified = [
        line.rpartition(" :: ")[2] for line in said.get_all("Classifier", []) if line.startswith("License ::")
    ]
    stated = said.get("License-Expression") or (said.get("License") if len(classified) < 2 else None)
    names = [stated] if stated and "\n" not in stated else classified
    return " OR ".join(SPELT.get(name, name) for name in names)


def installed(name: str, seen: set[str]) -> set[str]:
    """A distribution and all it needs here."""
    if name not in seen:
        seen.add(name)
        for need in map(Requirement, importlib.metadata.requires(name) or []):
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                installed(re.sub(r"[-_.]+", "-", need.name).lower(), seen)
    return seen
