# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the plan of the role chat_frontend takes from the controller: units, script, release, the role's constants."""

from __future__ import annotations

import hashlib
import json

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.network import as_networks
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import COLLECTION, Inputs

#: The role's constants, by what the plan calls them.
PLACES = ("user", "door_user", "config_dir", "door_dir", "data_dir", "root", "script")
#: Templates of the page's unit, by page.
PAGE_UNITS = {"sillytavern": "sillytavern.service.j2", "open_webui": "open-webui.service.j2"}
#: What a release is made of.
MADE_OF = ("package.json", "package-lock.json", "install.sh")


def before(inputs: Inputs) -> None:
    """Add the units, the script and the role's constants; without networks that can be used the plan refuses them."""
    files = COLLECTION / "roles" / inputs.role.name / "files"
    made_of = {name: (files / name).read_bytes() for name in MADE_OF}
    version = json.loads(made_of["package.json"])["dependencies"]["sillytavern"]
    problems = Problems()
    for name in ("allowed_cidrs", "endpoint_cidrs"):
        as_networks(inputs.values[name], name, problems)
    page = inputs.values["page"]
    wanted = inputs.values["state"] == "present" and page in PAGE_UNITS and not problems.found
    inputs.values |= {
        "places": {name: inputs.role.variables[f"__chat_frontend_{name}"] for name in PLACES},
        "script": (files / "connect-chat").read_text(encoding="utf-8"),
        "release": f"{version}-{hashlib.sha256(b''.join(made_of.values())).hexdigest()[:12]}",
        "page_unit": inputs.render(PAGE_UNITS[page]) if wanted else "",
        "door_unit": inputs.render("edge-slm-chat-door.service.j2") if wanted else "",
    }
