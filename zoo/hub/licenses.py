"""Licences in the terms of the Hugging Face Hub, which has names of its own for them."""

from __future__ import annotations

import re
from typing import Any

from zoo.specs.license import spdx

HUGGING_FACE = frozenset(
    {
        "afl-3.0", "agpl-3.0", "apache-2.0", "artistic-2.0", "bsd-2-clause", "bsd-3-clause",
        "bsd-3-clause-clear", "bsl-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0",
        "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0",
        "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0",
        "cdla-permissive-1.0", "cdla-permissive-2.0", "cdla-sharing-1.0", "ecl-2.0", "epl-1.0", "epl-2.0",
        "etalab-2.0", "eupl-1.1", "eupl-1.2", "gpl-2.0", "gpl-3.0", "isc", "lgpl-2.1", "lgpl-3.0",
        "lppl-1.3c", "mit", "mpl-2.0", "ms-pl", "ncsa", "ofl-1.1", "osl-3.0", "postgresql", "unlicense",
        "wtfpl", "zlib",
    }
)  # fmt: skip
"""Licences that the Hub lists by their SPDX identifier in lower case."""
HUB_ONLY = frozenset(
    {
        "apple-amlr", "apple-ascl", "bigcode-openrail-m", "bigscience-bloom-rail-1.0",
        "bigscience-openrail-m", "bsd", "cc", "creativeml-openrail-m", "deepfloyd-if-license", "gemma",
        "gfdl", "gpl", "lgpl", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4", "openrail",
        "openrail++", "other", "unknown",
    }
)  # fmt: skip
"""What else it lists: families, and licences that SPDX has no identifier for."""
OTHER_SPELLINGS = {
    "c-uda-1.0": "c-uda",
    "lgpllr": "lgpl-lr",
    "odbl-1.0": "odbl",
    "odc-by-1.0": "odc-by",
    "pddl-1.0": "pddl",
    **{f"{name}-only": name for name in ("agpl-3.0", "gpl-2.0", "gpl-3.0", "lgpl-2.1", "lgpl-3.0")},
}
"""SPDX identifier in lower case → the name that the Hub lists the same licence by."""


def license_keys(license: str) -> dict[str, str]:
    """An SPDX expression as the Hub has it: by the Hub's name, or as ``other`` with a name and a link."""
    low = license.lower()
    if name := OTHER_SPELLINGS.get(low, low if low in HUGGING_FACE else None):
        return {"license": name}
    keys = {"license": "other", "license_name": re.sub("[^a-z0-9.]+", "-", low).strip("-")}
    listed = re.fullmatch(r"[A-Za-z0-9.+-]+", license) and not low.startswith("licenseref-")
    return keys | ({"license_link": f"https://spdx.org/licenses/{license}.html"} if listed else {})


def is_license(name: Any) -> bool:
    """Whether the Hub has a licence of this name, or SPDX does."""
    if not isinstance(name, str):
        return False
    if name in HUGGING_FACE | HUB_ONLY or name in OTHER_SPELLINGS.values():
        return True
    try:
        return bool(spdx(name[:300]))
    except ValueError:
        return False
