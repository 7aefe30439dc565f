"""What `ansible-galaxy collection build` makes: the collection, nothing of the checkout, and it plays elsewhere."""

from __future__ import annotations

import fnmatch
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import ansible_collections
import pytest
import yaml
from devices import ROOT

#: Neither local state nor what only makes and tests the collection.
FOREIGN = [
    *(
        ".git*",
        ".venv*",
        ".cache*",
        ".demo*",
        ".artifacts*",
        ".ansible*",
        ".status*",
        ".provision*",
        ".*_cache*",
        "*/__pycache__*",
        "*.pyc",
    ),
    *("tests/unit*", "tests/integration*", "molecule*", "tools*", "inventory/demo*", "*.tar.gz", "*id_ed25519*"),
]


def run(*command: str, **settings: str) -> str:
    program = str(Path(sys.executable).with_name(command[0]))
    # Away from the checkout's ansible.cfg.
    environment = {name: value for name, value in os.environ.items() if name != "ANSIBLE_CONFIG"} | settings
    done = subprocess.run(
        [program, *command[1:]], cwd="/", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("built")
    run("ansible-galaxy", "collection", "build", str(ROOT), "--output-path", str(where))
    return next(where.glob("edge_slm-fleet-*.tar.gz"))


def test_it_holds_the_collection_alone(tarball: Path) -> None:
    with tarfile.open(tarball) as opened:
        names = opened.getnames()
    assert [name for name in names if any(fnmatch.fnmatchcase(name, foreign) for foreign in FOREIGN)] == []
    assert {"README.md", "LICENSE", "meta/runtime.yml", "playbooks/site.yml", "tests/sanity"} <= set(names)
    tracked = subprocess.run(["git", "ls-files", "-z", "plugins", "roles", "playbooks"], cwd=ROOT, capture_output=True)
    assert {name.decode() for name in tracked.stdout.split(b"\0") if name and (ROOT / name.decode()).exists()} <= set(
        names
    )
    assert tarball.stat().st_size < 2 << 20


def test_what_git_ignores_at_the_top_is_not_packed() -> None:
    """Local state that is not there today would be packed on the day when it is."""
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().split() if line.startswith("/")]
    assert set(ignored) <= set(yaml.safe_load((ROOT / "galaxy.yml").read_text())["build_ignore"])


def test_its_playbooks_are_found_by_their_names_where_nothing_else_is_installed(tarball: Path, tmp_path: Path) -> None:
    collections = tmp_path / "ansible_collections"
    collections.mkdir()
    # What the package `ansible` brings, without the checkout, which `make env` has linked beside it.
    for brought in Path(next(iter(ansible_collections.__path__))).iterdir():
        if brought.name != "edge_slm" and brought.is_dir():
            (collections / brought.name).symlink_to(brought)
    settings = {"ANSIBLE_COLLECTIONS_PATH": str(tmp_path), "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "false"}
    run(
        "ansible-galaxy",
        "collection",
        "install",
        str(tarball),
        "--no-deps",
        "--offline",
        "-p",
        str(tmp_path),
        **settings,
    )
    installed = collections / "edge_slm/fleet"
    assert not installed.is_symlink()
    names = sorted(path.stem for path in (installed / "playbooks").glob("*.yml"))
    assert "site" in names
    inventory = installed / "inventory/example/hosts.yml"
    output = run(
        *("ansible-playbook", "--inventory", str(inventory), "--syntax-check"),
        *(f"edge_slm.fleet.{name}" for name in names),
        **settings,
    )
    assert [line for line in output.splitlines() if line.startswith("playbook: ")] == [
        f"playbook: {installed}/playbooks/{name}.yml" for name in names
    ]
