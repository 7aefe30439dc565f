#!/usr/bin/python
# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module edge_slm.fleet.hf_snapshot."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: model_pipeline_snapshot
short_description: Fetch a pinned revision of a Hugging Face repository to a host
version_added: 0.1.0
description:
  - Asks the hub with huggingface_hub which files a revision has, with their sizes and checksums, and fetches those
    that are wanted with aria2, resuming and verifying each.
  - The list is kept beside the directory. When it was made for the same inputs and all its files have
    their sizes, the network is not touched.
requirements:
  - huggingface_hub 0.26 or newer in the Python that runs this module (O(python))
  - aria2c (Debian package aria2)
author:
  - edge_slm.fleet contributors (@edge-slm)
options:
  repo:
    description: ORG/NAME.
    type: str
    required: true
  revision:
    description: Commit, 40 hexadecimal digits.
    type: str
    required: true
  dest:
    description: Directory to put the files in.
    type: path
    required: true
  include:
    description: Globs of the files that are wanted; an empty list takes all.
    type: list
    elements: str
    default: []
  exclude:
    description: Globs of those that are not.
    type: list
    elements: str
    default: []
  python:
    description: The Python that runs this module, whatever C(ansible_python_interpreter) is.
    type: path
    required: true
  endpoint:
    description: Base URL of the hub (HF_ENDPOINT).
    type: str
    default: https://huggingface.co
  token:
    description: Access token for private and gated repositories.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Reports whether something would be fetched; does not ask the hub.
  diff_mode:
    support: none
    description: Contents are large and binary.
"""

EXAMPLES = r"""
- name: Fetch the original weights
  edge_slm.fleet.model_pipeline_snapshot:
    repo: HuggingFaceTB/SmolLM2-135M-Instruct
    revision: 0123456789abcdef0123456789abcdef01234567
    dest: /var/cache/edge-slm/models/smollm2/source/smollm2
    include: ["*.safetensors", "*.json"]
    python: /opt/edge-slm/llama.cpp/venv/bin/python
"""

RETURN = r"""
files:
  description: The files, with C(path), C(size), C(algorithm) (sha256, or git-sha1 for small ones) and C(hex).
  returned: success
  type: list
  elements: dict
size:
  description: Bytes of all files together.
  returned: success
  type: int
  sample: 271000000
gguf_bytes:
  description: About how large a GGUF made of these becomes, by outtype.
  returned: success
  type: dict
projector_bytes:
  description: The same for the projector alone.
  returned: success
  type: dict
"""

import os
import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.cast import plain_secret
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import (
    Digest,
    DurableError,
    mib,
    read_json,
    require_space,
    write_json,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.http import shown_url, token_problem
from ansible_collections.edge_slm.fleet.plugins.module_utils.jobs.followed import followed
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.fetch import Fetch, fetch
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.remote import wanted
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.safetensors import (
    ELEMENT_BYTES,
    SafetensorsError,
    gguf_bytes,
    shapes,
)

try:
    from huggingface_hub import HfApi, hf_hub_url
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.hf_api import RepoFile
except ImportError:
    HfApi = None

ACCESS_FIX = "put a token that may read it into model_pipeline_hf_token (from the environment or a vault)"


class SnapshotError(Exception):
    """The hub does not give what is wanted. The message is meant for the operator."""


def refusal(error: Exception, repo: str, revision: str, endpoint: str) -> str:
    """Return what the operator reads when the hub could not be asked."""
    endpoint = shown_url(endpoint)
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", 0)
    if isinstance(error, GatedRepoError) or status == 403:
        return f"source.repo: {repo} is gated on {endpoint}: accept its terms there and {ACCESS_FIX}"
    if isinstance(error, RevisionNotFoundError):
        return (
            f"source.revision: {repo} on {endpoint} has no commit {revision}: take one from its page, "
            "under Files, History"
        )
    if isinstance(error, RepositoryNotFoundError):
        return f"source.repo: {endpoint} knows no {repo}: correct the name, or if it is private {ACCESS_FIX}"
    if status == 401:
        return f"model_pipeline_hf_token: {endpoint} does not accept the token: {ACCESS_FIX}"
    if isinstance(error, HfHubHTTPError) and status:
        return f"model_pipeline_hf_endpoint: {endpoint} answered {status} for {repo}: try again later"
    return (
        f"model_pipeline_hf_endpoint: {endpoint} cannot be reached from this host "
        f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no answer'}): "
        "see to its network, proxy or CA certificates, or name a mirror"
    )


def listing(params: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask the hub for the files of a revision."""
    repo, revision, endpoint = params["repo"], params["revision"], params["endpoint"]
    # Without a token none is to be looked for in the home directory.
    api = HfApi(endpoint=endpoint, token=params["token"] or False)
    try:
        entries = list(api.list_repo_tree(repo, revision=revision, recursive=True))
    except Exception as error:  # the transport below the library differs between its versions
        raise SnapshotError(refusal(error, repo, revision, endpoint)) from error
    files = []
    for entry in entries:
        if not isinstance(entry, RepoFile) or not wanted(entry.path, params["include"], params["exclude"]):
            continue
        if entry.path.startswith("/") or ".." in entry.path.split("/"):
            raise SnapshotError(f"{endpoint} lists {entry.path!r}, which leads out of the directory")
        digest = Digest(entry.lfs.sha256) if entry.lfs else Digest(entry.blob_id, "git-sha1")
        files.append({"path": entry.path, "size": entry.size, "algorithm": digest.algorithm, "hex": digest.hex})
    if not files:
        there = ", ".join(sorted(entry.path for entry in entries)[:20])
        raise SnapshotError(
            f"source: nothing in {repo} at {revision} matches include {params['include']} "
            f"and not exclude {params['exclude']}; it has {there}"
        )
    return files


def bring(params: dict[str, Any], files: list[dict[str, Any]]) -> None:
    """Fetch what is missing, after it has been seen to fit."""
    jobs = [
        Fetch(
            url=hf_hub_url(params["repo"], file["path"], revision=params["revision"], endpoint=params["endpoint"]),
            dest=os.path.join(params["dest"], file["path"]),
            digest=Digest(file["hex"], file["algorithm"]),
            size=file["size"],
            bearer_token=params["token"],
        )
        for file in files
    ]
    left = sum(job.size - size_of(job.dest, job.part) for job in jobs)
    require_space(params["dest"], left, f"{params['repo']} ({mib(sum(job.size for job in jobs))})")
    for job in jobs:
        try:
            fetch(job)
        except DurableError as error:
            hint = f". If {params['repo']} is gated, {ACCESS_FIX}" if "401 or 403" in str(error) else ""
            raise SnapshotError(f"{error}{hint}") from error


def size_of(*paths: str) -> int:
    """Return the size of the first of these files that exists."""
    return next((os.path.getsize(path) for path in paths if os.path.isfile(path)), 0)


def complete(dest: str, noted: dict[str, Any], inputs: dict[str, Any]) -> bool:
    """Return whether a list was made for these inputs and all its files are there."""
    return noted.get("inputs") == inputs and all(
        size_of(os.path.join(dest, file["path"])) == file["size"] for file in noted["files"]
    )


def sizes(dest: str, files: list[dict[str, Any]], projector: bool) -> dict[str, int]:
    """Return about how large the GGUF becomes, by outtype; 0 where the weights are not safetensors."""
    weights = [file["path"] for file in files if file["path"].endswith(".safetensors")]
    if not weights:
        return dict.fromkeys(ELEMENT_BYTES, 0)
    tensors = [item for path in weights for item in shapes(os.path.join(dest, path)).items()]
    vocabulary = sum(file["size"] for file in files if os.path.basename(file["path"]).startswith("tokenizer"))
    return {outtype: gguf_bytes(tensors, outtype, projector) + vocabulary for outtype in ELEMENT_BYTES}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "repo": {"type": "str", "required": True},
            "revision": {"type": "str", "required": True},
            "dest": {"type": "path", "required": True},
            "include": {"type": "list", "elements": "str", "default": []},
            "exclude": {"type": "list", "elements": "str", "default": []},
            # The action reads it.
            "python": {"type": "path", "required": True},
            "endpoint": {"type": "str", "default": "https://huggingface.co"},
            "token": {"type": "str", "default": "", "no_log": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    dest = params["dest"] = os.path.abspath(params["dest"])
    params["endpoint"] = params["endpoint"].rstrip("/")
    if not re.fullmatch("[0-9a-f]{40}", params["revision"]):
        module.fail_json(msg="revision: must be a commit, 40 hexadecimal digits")
    params["token"] = plain_secret(params["token"])
    if problem := token_problem(params["token"]):
        module.fail_json(msg=f"model_pipeline_hf_token: {problem}")
    inputs = {name: params[name] for name in ("repo", "revision", "include", "exclude")}
    marker = f"{dest}.snapshot.json"
    noted = read_json(marker)
    changed = not complete(dest, noted, inputs)
    if changed and module.check_mode:
        nothing = dict.fromkeys(ELEMENT_BYTES, 0)
        module.exit_json(changed=True, files=[], size=0, gguf_bytes=nothing, projector_bytes=nothing)
    if changed and HfApi is None:
        module.fail_json(msg=missing_required_lib("huggingface_hub"))
    try:
        if changed:
            noted = {"inputs": inputs, "files": listing(params)}
            os.makedirs(dest, exist_ok=True)
            bring(params, noted["files"])
            write_json(marker, noted)
        gguf, projector = (sizes(dest, noted["files"], part) for part in (False, True))
    except (DurableError, SnapshotError, SafetensorsError, OSError) as error:
        module.fail_json(msg=str(error))
    total = sum(file["size"] for file in noted["files"])
    module.exit_json(changed=changed, files=noted["files"], size=total, gguf_bytes=gguf, projector_bytes=projector)


if __name__ == "__main__":
    followed(main)
