"""What programs print."""

from __future__ import annotations

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import find_command, output_of


@pytest.mark.parametrize(
    ("argv", "output"),
    [
        (["echo", "yes"], "yes\n"),
        (["sh", "-c", "echo $LC_ALL"], "C\n"),
        (["sh", "-c", "echo no; exit 3"], ""),
        (["sh", "-c", "printf '\\377'"], "�"),
        (["edge-slm-no-such-program"], ""),
        (["/nowhere/program"], ""),
    ],
)
def test_output(argv: list[str], output: str) -> None:
    assert output_of(argv) == output


def test_a_program_that_does_not_end_returns_nothing() -> None:
    assert output_of(["sleep", "5"], timeout=0.1) == ""


def test_commands_are_found_whatever_is_in_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_command("sh").endswith("/sh")
    assert find_command("edge-slm-no-such-program") == ""
