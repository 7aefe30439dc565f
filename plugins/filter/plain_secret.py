# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter edge_slm.fleet.plain_secret."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: plain_secret
short_description: Take a secret as it was meant, not as its file has it
version_added: 0.1.0
description:
  - A secret from a file, or from a block of YAML, ends in a line end, and some editors put a byte order mark before it.
    Neither belongs to it.
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  _input:
    description: The secret.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Ask with a key from a file
  ansible.builtin.uri:
    url: http://127.0.0.1:8080/v1/models
    headers:
      Authorization: "Bearer {{ lookup('ansible.builtin.file', 'key', rstrip=false) | edge_slm.fleet.plain_secret }}"
  no_log: true
"""

RETURN = r"""
_value:
  description: The secret alone.
  type: str
"""

from collections.abc import Callable

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import plain_secret


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[[str], str]]:
        """Return them by name."""
        return {"plain_secret": plain_secret}
