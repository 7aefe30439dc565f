"""tests/plays.py: a play is killed where the test asks for it, and a test that waits in vain fails."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import plays
import pytest
import testinfra
import yaml
from devices import wait_until
from plays import family, kill_at_work, kill_before, played, playing, refused


@pytest.fixture(autouse=True)
def this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plays, "INVENTORY", "localhost,")


@pytest.fixture
def device() -> Any:
    return testinfra.get_host("local://")


def playbook(directory: Path, **shell: str) -> Path:
    """Write a playbook for this machine whose tasks run shell commands."""
    tasks = [{"name": name, "ansible.builtin.shell": script} for name, script in shell.items()]
    python = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    one = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": python, "tasks": tasks}
    file = directory / "playbook.yml"
    file.write_text(yaml.safe_dump([one]))
    return file


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    return playbook(
        tmp_path,
        Early=f"touch {tmp_path}/early",
        Work=f"touch {tmp_path}/at-work; sleep 30; touch {tmp_path}/worked",
        Late=f"touch {tmp_path}/late",
    )


def test_to_its_end(tmp_path: Path) -> None:
    one = playbook(tmp_path, Say="echo {{ word }}; exit {{ code }}")
    assert "changed=1" in played(one, word="yes", code=0)
    assert "non-zero return code" in refused(one, word="no", code=3)
    with pytest.raises(AssertionError, match="non-zero return code"):
        played(one, word="no", code=3)


def test_killed_before_a_task(slow: Path, tmp_path: Path) -> None:
    kill_before("Work", slow)
    assert (tmp_path / "early").exists()
    assert not (tmp_path / "worked").exists()


def test_killed_at_work(slow: Path, tmp_path: Path, device: Any) -> None:
    kill_at_work("Work", device, f"test -e {tmp_path}/at-work", slow)
    assert (tmp_path / "at-work").exists()
    assert not (tmp_path / "worked").exists()


def test_a_task_that_never_comes_fails_the_test(tmp_path: Path, device: Any) -> None:
    short = playbook(tmp_path, Work="true", Wo="true")
    with pytest.raises(pytest.fail.Exception, match=r"ended \(0\) without the task Wor:"):
        kill_before("Wor", short)
    with pytest.raises(pytest.fail.Exception, match=r"ended \(0\) without the work of Work \(test -e /absent\)"):
        kill_at_work("Work", device, "test -e /absent", short)


def test_its_workers_are_killed_with_it(slow: Path, tmp_path: Path) -> None:
    with playing(slow) as run:
        run.wait_until(lambda: (tmp_path / "at-work").exists(), "work")
        processes = family(run.process.pid)
        assert len(processes) > 3, "the play, its worker, a shell, sleep"
    wait_until(lambda: not any(alive(pid) for pid in processes), "all of them end", 5)


def alive(pid: int) -> bool:
    """Return whether a process runs; one that waits for its parent to notice its end does not."""
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
