# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What modules document about their option api_keys; its argument is serving.API_KEYS_ARGUMENT."""

from __future__ import annotations


class ModuleDocFragment:
    """Options shared by the modules that take an endpoint's keys."""

    DOCUMENTATION = r"""
options:
  api_keys:
    description: The endpoint's keys, as in the inventory's C(edge_slm_api_keys).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Who uses the key.
        type: str
      key:
        description: The key.
        type: str
      scope:
        description: What the key is for.
        type: str
"""
