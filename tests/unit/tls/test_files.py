"""Tables for certificate and key on a host: what is refused, what is pending, what is never shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import draft_name
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import LiveFile
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Plan
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls import files as decide
from ansible_collections.edge_slm.fleet.plugins.module_utils.tls.files import Inputs, Live, Paths

DIR = "/srv/tls"
CERT, KEY, CA, NEW = (f"{DIR}/{name}" for name in ("certificate.pem", "key.pem", "ca.pem", ".key.pem.new"))
BLOCK = "-----BEGIN {0}-----\n{1}\n-----END {0}-----\n"
LEAF, OTHER, CA_PEM = (BLOCK.format("CERTIFICATE", text) for text in ("LEAF", "OTHER", "CA"))
PRIVATE, NEW_PRIVATE = (BLOCK.format("PRIVATE KEY", text) for text in ("SECRET", "NEWSECRET"))

VALUES: dict[str, Any] = {
    "state": "present",
    "mode": "fleet_ca",
    "names": ["pi-01.lan"],
    "certificate": "/c.pem",
    "key": "~/k.pem",
    "ca_dir": "/ca",
    "days": 90,
    "renew_days": 30,
    "group": "edge-slm",
    "dir": DIR,
}


def inputs_of(**changes: Any) -> tuple[Inputs, list[str]]:
    problems = Problems()
    return Inputs.of({**VALUES, **changes}, problems), problems.found


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        ({}, []),
        ({"mode": "given"}, []),
        ({"mode": "given", "names": []}, []),
        ({"mode": "given", "days": "nonsense", "ca_dir": ""}, []),
        ({"days": "90", "renew_days": "89"}, []),
        # What the mode does not need is not looked at.
        ({"mode": "off", "names": 5, "ca_dir": "", "days": "x", "dir": "x"}, []),
        ({"mode": False, "names": 5}, []),
        ({"state": "absent", "mode": "nonsense", "names": 5, "group": "a b"}, []),
        ({"state": "gone"}, ["endpoint_tls_state: 'gone' is not known; give present or absent."]),
        ({"mode": "nonsense"}, ["endpoint_tls_mode: 'nonsense' is not known; give one of off, given, fleet_ca."]),
        ({"mode": True}, ["endpoint_tls_mode: True is not known"]),
        ({"names": []}, ["endpoint_tls_names: is empty"]),
        ({"names": "pi-01"}, ["endpoint_tls_names: is not a list"]),
        ({"names": ["a b"]}, ["endpoint_tls_names: 'a b' is neither"]),
        ({"ca_dir": "ca"}, ["endpoint_tls_ca_dir: 'ca' is not an absolute path; give a directory, backed up,"]),
        ({"ca_dir": None}, ["endpoint_tls_ca_dir: '' is not an absolute path"]),
        ({"days": 1000}, ["endpoint_tls_days: must be a whole number from 1 to 825"]),
        ({"renew_days": 90}, ["endpoint_tls_renew_days: must be a whole number from 0 to 89"]),
        ({"group": "a b"}, ["endpoint_tls_group: 'a b' is not a group name"]),
        ({"dir": "tls"}, ["endpoint_tls_dir: 'tls' is not a directory of its own"]),
        ({"dir": "/"}, ["endpoint_tls_dir: '/' is not a directory of its own"]),
        ({"dir": ""}, ["endpoint_tls_dir: '' is not a directory of its own"]),
        ({"mode": "given", "certificate": ""}, ["endpoint_tls_certificate: '' is not an absolute path; give a file"]),
        ({"mode": "given", "key": "k.pem"}, ["endpoint_tls_key: 'k.pem' is not an absolute path; give a file"]),
        ({"mode": "given", "renew_days": -1}, ["endpoint_tls_renew_days: must be a whole number from 0 to 825"]),
        ({"days": 0, "group": "", "dir": "x"}, ["endpoint_tls_dir", "endpoint_tls_group", "endpoint_tls_days"]),
    ],
)
def test_refused(changes: dict[str, Any], sentences: list[str]) -> None:
    found = inputs_of(**changes)[1]
    assert len(found) == len(sentences)
    assert [(one, begin) for one, begin in zip(found, sentences, strict=True) if not one.startswith(begin)] == []


def file(content: str, mode: int, group: str = "root", owner: str = "root") -> LiveFile:
    return LiveFile(content, mode, 0.0, owner, group)


DIRECTORY = file("", 0o755)
ISSUED = Live(
    {
        DIR: DIRECTORY,
        KEY: file(PRIVATE, 0o640, "edge-slm"),
        CERT: file(LEAF, 0o644),
        CA: file(CA_PEM, 0o644),
    },
    group=True,
    matches=True,
)
GIVEN = replace(ISSUED, files={path: found for path, found in ISSUED.files.items() if path != CA})


def with_files(live: Live, **changes: LiveFile | None) -> Live:
    """Return it with files changed or, by None, removed; named dir, key, cert, ca, new."""
    paths = {"dir": DIR, "key": KEY, "cert": CERT, "ca": CA, "new": NEW, "draft": draft_name(KEY)}
    changed = {paths[name]: found for name, found in changes.items()}
    files = {path: found for path, found in {**live.files, **changed}.items() if found}
    return replace(live, files=files)


def plan_of(live: Live, **changes: Any) -> Plan:
    inputs, problems = inputs_of(**changes)
    assert problems == []
    return decide.plan(inputs, live)


AS_GIVEN: dict[str, Any] = {"mode": "given", "certificate_pem": LEAF, "key_pem": PRIVATE}
AS_ISSUED: dict[str, Any] = {"ca_pem": CA_PEM}


@pytest.mark.parametrize(
    ("inputs", "live", "pending"),
    [
        (AS_ISSUED, ISSUED, []),
        (AS_GIVEN, GIVEN, []),
        # Nothing is pending whatever is there.
        ({"mode": "off"}, Live(), []),
        ({"mode": "off"}, with_files(ISSUED, key=file(PRIVATE, 0o777)), []),
        (AS_ISSUED, replace(ISSUED, group=False), ["group edge-slm: is missing"]),
        (
            AS_ISSUED,
            with_files(ISSUED, key=file(PRIVATE, 0o640, "995")),
            [f"file {KEY}: it belongs to root:995, not root:edge-slm"],
        ),
        (
            AS_ISSUED,
            with_files(ISSUED, key=file(PRIVATE, 0o644, "edge-slm")),
            [f"file {KEY}: its mode is 0644, not 0640"],
        ),
        (AS_ISSUED, with_files(ISSUED, dir=file("", 0o777)), [f"directory {DIR}: its mode is 0777, not 0755"]),
        (AS_ISSUED, with_files(ISSUED, ca=None), [f"file {CA}: is missing"]),
        (AS_ISSUED, with_files(ISSUED, ca=file(OTHER, 0o644)), [f"file {CA}: its text differs"]),
        (AS_ISSUED, with_files(ISSUED, cert=file(LEAF + PRIVATE, 0o644)), [f"file {CERT}: its text differs"]),
        (AS_ISSUED, with_files(ISSUED, new=file(NEW_PRIVATE, 0o600)), [f"{NEW}: is no longer wanted"]),
        # Whether one is issued is the controller's to decide.
        (AS_ISSUED, with_files(ISSUED, cert=None, key=None), []),
        (AS_GIVEN, with_files(GIVEN, cert=file(LEAF + PRIVATE, 0o644)), [f"file {CERT}: its text differs"]),
        (AS_GIVEN, with_files(GIVEN, key=file(NEW_PRIVATE, 0o640, "edge-slm")), [f"file {KEY}: its text differs"]),
        (AS_GIVEN, ISSUED, [f"{CA}: is no longer wanted"]),
        (
            AS_GIVEN,
            Live(),
            [
                "group edge-slm: is missing",
                f"directory {DIR}: is missing",
                f"file {KEY}: is missing",
                f"file {CERT}: is missing",
            ],
        ),
        ({"state": "absent"}, Live(group=True), []),
        (
            {"state": "absent"},
            with_files(ISSUED, draft=file(PRIVATE, 0o640)),
            [f"{path}: is no longer wanted" for path in (CERT, KEY, CA, draft_name(KEY), DIR)],
        ),
        # A directory that somebody else uses, too, stays.
        (
            {"state": "absent"},
            replace(GIVEN, only_ours=False),
            [f"{path}: is no longer wanted" for path in (CERT, KEY)],
        ),
    ],
)
def test_pending(inputs: dict[str, Any], live: Live, pending: list[str]) -> None:
    assert plan_of(live, **inputs).pending == pending


def test_a_file_in_the_directorys_place() -> None:
    found = plan_of(Live(taken=True), **AS_ISSUED)
    assert found.unfit == [f"endpoint_tls_dir: {DIR} is not a directory on this host; give another path."]


@pytest.mark.parametrize(
    ("new_key", "key"),
    [(True, NEW_PRIVATE), (False, PRIVATE)],
)
def test_what_was_issued_is_written_with_the_key_that_it_is_for(new_key: bool, key: str) -> None:
    live = with_files(ISSUED, new=file(NEW_PRIVATE, 0o600))
    write = decide.plan(inputs_of(**AS_ISSUED, issued=OTHER, new_key=new_key)[0], live).files["configure"]
    texts = {one.path: one.content for one in write.files}
    assert texts[CERT] == OTHER
    assert texts.get(KEY, PRIVATE) == key
    assert write.remove == [NEW]


@pytest.mark.parametrize(
    ("inputs", "live"),
    [
        (AS_GIVEN, Live()),
        (AS_GIVEN, with_files(ISSUED, cert=file(LEAF + PRIVATE, 0o644))),
        (AS_ISSUED, with_files(ISSUED, cert=file(PRIVATE + LEAF, 0o644), new=file(NEW_PRIVATE, 0o600))),
        ({"state": "absent"}, with_files(ISSUED, cert=file(PRIVATE + LEAF, 0o644))),
    ],
)
def test_no_key_is_in_what_comes_back(inputs: dict[str, Any], live: Live) -> None:
    found = plan_of(live, **inputs)
    returned = repr(found.as_dict())
    assert "SECRET" not in returned
    assert all(one.secret for files in found.files.values() for one in files.files)
    certificates = [one.content for files in found.files.values() for one in files.files if one.path == CERT]
    assert [text for text in certificates if "PRIVATE" in text] == []


@pytest.mark.parametrize(
    ("directory", "paths"),
    [("/etc/edge-slm/tls", ["/etc/edge-slm", "/etc/edge-slm/tls"]), ("/srv/x/", ["/srv/x"])],
)
def test_directories(directory: str, paths: list[str]) -> None:
    assert [one.path for one in decide.wanted_directories(inputs_of(dir=directory)[0])] == paths


def test_the_shared_directory_goes_when_it_is_empty() -> None:
    def pruned(directory: str) -> list[str]:
        inputs = inputs_of(state="absent", dir=directory)[0]
        return list(decide.plan(inputs, Live({directory: DIRECTORY})).files["uninstall"].prune)

    assert pruned("/etc/edge-slm/tls") == ["/etc/edge-slm"]
    assert pruned("/srv/tls") == []


def test_paths_are_all_in_the_directory() -> None:
    assert {path.rpartition("/")[0] for path in Paths("/srv/tls").all} == {"/srv/tls"}
