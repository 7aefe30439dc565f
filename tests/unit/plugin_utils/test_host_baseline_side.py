"""What host_baseline's plan takes from the controller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.baseline import Inputs as Cast
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.baseline import Live, problems
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.controller_side import before
from ansible_collections.edge_slm.fleet.plugins.plugin_utils.roles import Inputs, collect

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
DEVICE = {"os_id": "debian", "os_version": "13", "systemd": True, "container": False}


def collected(**variables: Any) -> Inputs:
    inputs = collect("host_baseline", DataLoader(), {"inventory_hostname_short": "pi-01", **variables})
    before(inputs)
    assert inputs.refusals == []
    return inputs


def test_only_certificates_leave_the_controller(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(f"# ours\n{KEY}{CERTIFICATE}trailing", encoding="utf-8")
    inputs = collected(host_baseline_ca_certificates=[str(tmp_path / "ca.pem")])
    assert inputs.values["ca_texts"] == [CERTIFICATE]
    assert "PRIVATE" not in str(inputs.values)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (CERTIFICATE, ""),
        (None, "cannot be read on the controller"),
        (KEY, "holds no certificate in PEM form"),
    ],
)
def test_files_that_are_not_certificates_are_refused_beside_all_else(
    tmp_path: Path, content: str | None, problem: str
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    inputs = collected(host_baseline_ca_certificates=[str(file)], host_baseline_hostname="a.b")
    refusals, unfit = problems(Cast.of(inputs.values), DEVICE, Live())
    assert unfit == []
    assert refusals[0].startswith("host_baseline_hostname: 'a.b'")
    assert [problem in sentence for sentence in refusals[1:]] == ([True] if problem else [])


def test_nothing_is_read_where_the_role_goes(tmp_path: Path) -> None:
    gone = collected(host_baseline_ca_certificates=[str(tmp_path / "gone.pem")], host_baseline_state="absent")
    assert "ca_texts" not in gone.values
