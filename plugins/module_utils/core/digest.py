# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One name for equal inputs."""

from __future__ import annotations

import hashlib
import json


def digest(content: object) -> str:
    """Return the sha256 of something as canonical JSON: equal content, whatever its order, has an equal digest."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
