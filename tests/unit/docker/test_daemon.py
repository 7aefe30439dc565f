"""Docker's settings on a Jetson: merged, put back, compared with the daemon that runs."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.dpkg import parse_status
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker import daemon as decide
from ansible_collections.edge_slm.fleet.plugins.module_utils.docker.daemon import Wanted
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import LiveUnit

NVIDIA = {"args": [], "path": "nvidia-container-runtime"}
OURS = {
    "runtimes": {"nvidia": NVIDIA},
    "log-driver": "json-file",
    "log-opts": {"max-size": "10m", "max-file": "3"},
    "live-restore": True,
}

#: What an owner may have, and what becomes of it.
MERGES: list[tuple[dict[str, Any], Wanted, dict[str, Any]]] = [
    ({}, Wanted(), OURS),
    ({"dns": ["10.0.0.1"]}, Wanted(), {"dns": ["10.0.0.1"], **OURS}),
    (
        {"runtimes": {"kata": {"path": "kata"}}, "log-opts": {"labels": "a"}},
        Wanted(),
        {
            **OURS,
            "runtimes": {"kata": {"path": "kata"}, "nvidia": NVIDIA},
            "log-opts": {"labels": "a", "max-size": "10m", "max-file": "3"},
        },
    ),
    # JetPack's own file, and one with the runtime at another path: left alone.
    ({"runtimes": {"nvidia": NVIDIA}}, Wanted(), OURS),
    (
        {
            "runtimes": {"nvidia": {"path": "/opt/nvidia-container-runtime", "runtimeArgs": []}},
            "default-runtime": "nvidia",
        },
        Wanted(log_max_mib=0),
        {
            "runtimes": {"nvidia": {"path": "/opt/nvidia-container-runtime", "runtimeArgs": []}},
            "default-runtime": "nvidia",
            "live-restore": True,
        },
    ),
    ({"runtimes": {"nvidia": {"path": "runc"}}}, Wanted(), OURS),
    # journald rotates by itself, and dockerd would refuse max-size with it.
    (
        {"log-driver": "journald"},
        Wanted(live_restore=False),
        {"log-driver": "journald", "runtimes": {"nvidia": NVIDIA}, "live-restore": False},
    ),
    ({"data-root": "/a"}, Wanted(data_root="/mnt/nvme/docker"), {"data-root": "/mnt/nvme/docker", **OURS}),
]


PROXIES = {"https_proxy": "http://p:1", "HTTPS_PROXY": "http://p:1", "no_proxy": "localhost"}


@pytest.mark.parametrize(("current", "wanted", "expected"), MERGES)
def test_merging_keeps_what_the_owner_has(current: dict[str, Any], wanted: Wanted, expected: dict[str, Any]) -> None:
    settings = decide.settings(current, wanted, {})
    merged = decide.merged(current, settings)
    assert merged == expected
    assert decide.merged(merged, decide.settings(merged, wanted, {})) == merged


@pytest.mark.parametrize(("current", "wanted", "expected"), MERGES)
def test_absent_puts_back_what_was_there(current: dict[str, Any], wanted: Wanted, expected: dict[str, Any]) -> None:
    settings = decide.settings(current, wanted, {})
    notes = decide.before(current, settings)
    put_back = {**current, "data-root": wanted.data_root} if wanted.data_root else current
    owners = decide.restored(expected, notes)
    assert owners == put_back
    # A second run sees our own settings, and does not take them for the owner's.
    again = decide.settings(owners, wanted, {})
    assert decide.merged(owners, again) == expected
    assert decide.before(owners, again) == notes


def test_what_is_no_longer_wanted_goes() -> None:
    owner = {"insecure-registries": ["old.lan"], "proxies": {"http-proxy": "http://theirs:1"}}
    wanted = Wanted(proxies=PROXIES, insecure_registries=("a.lan",))
    first = decide.settings(owner, wanted, {})
    there = decide.merged(owner, first)
    assert there["insecure-registries"] == ["a.lan", "old.lan"]
    assert there["proxies"] == {"http-proxy": "http://theirs:1", "https-proxy": "http://p:1", "no-proxy": "localhost"}
    owners = decide.restored(there, decide.before(owner, first))
    assert decide.merged(owners, decide.settings(owners, Wanted(), {})) == {**owner, **OURS}


@pytest.mark.parametrize(
    ("version", "refused"), [("", False), ("20.10.24", True), ("23.0.1", False), ("28.2.2", False)]
)
def test_a_docker_that_takes_no_proxies_from_its_file(version: str, refused: bool) -> None:
    problems = Problems(prefix="jetson_ollama_")
    decide.check_proxies(Wanted(proxies=PROXIES), version, problems)
    decide.check_proxies(Wanted(), version, problems)
    assert [one.partition(":")[0] for one in problems.found] == ["jetson_ollama_proxy_environment"] * refused


def test_absent_leaves_what_was_changed_since() -> None:
    notes = decide.before({}, decide.settings({}, Wanted(), {}))
    assert decide.restored({**OURS, "live-restore": False}, notes) == {"live-restore": False}


NVIDIA_FLAG = {"runtimes": {"nvidia": {"path": "/usr/bin/nvidia-container-runtime"}}}


@pytest.mark.parametrize(
    ("flags", "current", "wanted", "left_out"),
    [
        (NVIDIA_FLAG, {}, Wanted(), {"runtimes.nvidia"}),
        # Runtimes of both are merged.
        (NVIDIA_FLAG, {"runtimes": {"kata": {"path": "/k"}}}, Wanted(), {"runtimes.nvidia"}),
        ({"runtimes": {"kata": {"path": "/k"}}}, {}, Wanted(), set()),
        ({"log-driver": "local"}, {}, Wanted(), {"log-driver"}),
        ({"log-driver": "journald"}, {}, Wanted(), {"log-driver", "log-opts.max-size", "log-opts.max-file"}),
        ({"log-opts": {"max-size": "50m"}}, {}, Wanted(), {"log-opts.max-size", "log-opts.max-file"}),
        ({"live-restore": True}, {}, Wanted(), {"live-restore"}),
        ({"live-restore": False}, {}, Wanted(live_restore=False), {"live-restore"}),
        ({"data-root": "/mnt/nvme/docker/"}, {}, Wanted(data_root="/mnt/nvme/docker"), {"data-root"}),
        ({"data-root": "/mnt/nvme/docker"}, {}, Wanted(), set()),
        ({"config-file": "/etc/docker/daemon.json"}, {}, Wanted(), set()),
        ({"proxies": {"http-proxy": "a"}}, {}, Wanted(proxies=PROXIES), {"proxies.https-proxy", "proxies.no-proxy"}),
        ({"insecure-registries": ["a"]}, {}, Wanted(insecure_registries=("a",)), {"insecure-registries"}),
    ],
)
def test_what_a_flag_sets_is_not_in_the_file_too(
    flags: dict[str, Any], current: dict[str, Any], wanted: Wanted, left_out: set[str]
) -> None:
    problems = Problems()
    decide.check_flags(current, wanted, flags, problems)
    assert problems.found == []
    assert set(decide.settings(current, wanted, {})) - set(decide.settings(current, wanted, flags)) == left_out


@pytest.mark.parametrize(
    ("flags", "current", "wanted", "message"),
    [
        ({"runtimes": {"nvidia": {"path": "/usr/bin/runc"}}}, {}, Wanted(), "nvidia=/usr/bin/runc, which is not"),
        ({"log-driver": "local"}, {"log-driver": "local"}, Wanted(), "take one of them out"),
        ({"log-opts": {"labels": "a"}}, {}, Wanted(), "jetson_ollama_docker_log_max_mib: "),
        ({"live-restore": False}, {}, Wanted(), "jetson_ollama_docker_live_restore: "),
        ({"insecure-registries": ["a"]}, {}, Wanted(insecure_registries=("b",)), "add --insecure-registry=b there"),
        ({"live-restore": True}, {}, Wanted(live_restore=False), "--live-restore=true: set this to that"),
        ({"data-root": "/a"}, {}, Wanted(data_root="/b"), "jetson_ollama_docker_data_root: "),
        ({"config-file": "/etc/dockerd.json"}, {}, Wanted(), "the file /etc/dockerd.json"),
    ],
)
def test_flags_that_leave_no_room_are_refused(
    flags: dict[str, Any], current: dict[str, Any], wanted: Wanted, message: str
) -> None:
    problems = Problems(prefix="jetson_ollama_")
    decide.check_flags(current, wanted, flags, problems)
    assert len(problems.found) == 1
    assert message in problems.found[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{\n  "dns": ["10.0.0.1"],\n}\n', "/etc/docker/daemon.json, line 3, column 1: this is not JSON"),
        ("live-restore: true\n", "line 1, column 1"),
        ("[]", "this is not a JSON object"),
        ('{"runtimes": []}', "runtimes is not a JSON object"),
    ],
)
def test_a_file_that_is_not_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="left as it is") as error:
        decide.parse_daemon(text)
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["", "\n"])
def test_an_empty_file_is_an_empty_object(text: str) -> None:
    assert decide.parse_daemon(text) == {}
    assert decide.text_of({}) == ""


INFO = {
    "Runtimes": {"runc": {}, "nvidia": {}},
    "DockerRootDir": "/var/lib/docker",
    "LiveRestoreEnabled": True,
    "LoggingDriver": "json-file",
}


@pytest.mark.parametrize(
    ("content", "info", "modified", "started", "reasons"),
    [
        (OURS, INFO, 10, 20, []),
        (OURS, {}, 10, 20, ["is not running"]),
        (OURS, {**INFO, "Runtimes": {"runc": {}}}, 10, 20, ["does not know the runtime nvidia"]),
        (OURS, {**INFO, "LiveRestoreEnabled": False}, 10, 20, ["runs without live-restore"]),
        ({**OURS, "data-root": "/x"}, INFO, 10, 20, ["keeps its data in /var/lib/docker, not in /x"]),
        ({**OURS, "log-driver": "journald"}, INFO, 10, 20, ["logs to json-file, not to journald"]),
        # log-opts are in no answer of the daemon: only the times show it.
        (OURS, INFO, 20, 10, ["runs since before /etc/docker/daemon.json changed"]),
        ({}, {**INFO, "LiveRestoreEnabled": False}, 0, 20, []),
    ],
)
def test_why_dockerd_is_restarted(
    content: dict[str, Any], info: dict[str, Any], modified: float, started: float, reasons: list[str]
) -> None:
    assert decide.restart_reasons(content, info, modified, started) == reasons


@pytest.mark.parametrize(
    ("current", "sentences"),
    [
        (OURS, []),
        ({**OURS, "live-restore": False}, ["live-restore is false, not true"]),
        (
            {**OURS, "log-opts": {"max-size": "1g", "max-file": "3"}},
            ['log-opts.max-size is "1g", not "10m"'],
        ),
        (
            {**OURS, "runtimes": {}},
            ['runtimes.nvidia is not set, not {"args": [], "path": "nvidia-container-runtime"}'],
        ),
    ],
)
def test_what_differs_in_the_file(current: dict[str, Any], sentences: list[str]) -> None:
    settings = decide.settings(current, Wanted(), {})
    assert decide.differences(current, decide.merged(current, settings), settings) == sentences


UP = LiveUnit(loaded=True, active=True, enabled=True, since=1.0)
MASKED = LiveUnit(loaded=False, active=True, enabled=False, since=1.0, masked=True)


@pytest.mark.parametrize(
    ("service", "socket", "sentences"),
    [
        (UP, UP, []),
        (None, None, []),
        (LiveUnit(loaded=False, active=False, enabled=False, since=0.0), None, []),
        (MASKED, UP, ["docker.service: is masked"]),
        (UP, MASKED, ["docker.socket: is masked"]),
        (LiveUnit(loaded=True, active=True, enabled=False, since=1.0), UP, ["docker.service: is not enabled"]),
    ],
)
def test_dockerd_comes_up_at_the_next_boot(
    service: LiveUnit | None, socket: LiveUnit | None, sentences: list[str]
) -> None:
    assert decide.unit_problems(service, socket) == sentences


def test_dockerd_learns_of_new_ca_certificates() -> None:
    assert decide.restart_reasons(OURS, INFO, 10, 20, trusted=15) == []
    assert decide.restart_reasons(OURS, INFO, 10, 20, trusted=25) == [
        "runs since before the host's CA certificates changed"
    ]


POLICY = """\
docker.io:
  Installed: (none)
  Candidate: 27.5.1-0ubuntu3~22.04.2
  Version table:
     27.5.1-0ubuntu3~22.04.2 500
docker-ce:
  Installed: (none)
  Candidate: (none)
  Version table:
nvidia-container-toolkit:
  Installed: (none)
  Candidate: 1.16.2-1
"""


@pytest.mark.parametrize(
    ("known", "docker", "toolkit"),
    [
        (["docker.io"], ["docker.io"], []),
        (["docker.io", "docker-cli", "docker-ce"], ["docker.io", "docker-cli"], []),
        (["docker-ce", "docker-ce-cli", "containerd.io"], ["docker-ce", "docker-ce-cli", "containerd.io"], []),
        (["nvidia-container", "nvidia-container-toolkit"], [], ["nvidia-container"]),
        (["nvidia-container-toolkit"], [], ["nvidia-container-toolkit"]),
        ([], [], []),
    ],
)
def test_what_is_installed_from(known: list[str], docker: list[str], toolkit: list[str]) -> None:
    candidates = dict.fromkeys(known, "1")
    assert decide.docker_packages(candidates) == docker
    assert decide.toolkit_packages(candidates) == toolkit


def test_what_apt_knows() -> None:
    assert decide.parse_candidates(POLICY) == {
        "docker.io": "27.5.1-0ubuntu3~22.04.2",
        "nvidia-container-toolkit": "1.16.2-1",
    }


@pytest.mark.parametrize(
    ("version", "good"),
    [("20.10.5", True), ("19.03.15", False), ("28.1.1", True), ("20.9", False), ("", False)],
)
def test_which_docker_is_new_enough(version: str, good: bool) -> None:
    assert decide.is_new_enough(version) is good


STATUS = """\
Package: docker.io
Status: install ok installed
Version: 1

Package: containerd
Status: hold ok installed

Package: docker-ce
Status: deinstall ok config-files

Package: vim
Status: install ok installed
"""


@pytest.mark.parametrize(
    ("hold", "coming", "names"),
    [
        (True, [], {"docker.io": "hold"}),
        (True, ["docker-cli", "python3-requests"], {"docker.io": "hold", "docker-cli": "hold"}),
        (False, ["docker-cli"], {"containerd": "install"}),
        (
            True,
            ["nvidia-container"],
            dict.fromkeys(
                (
                    "docker.io",
                    "nvidia-container-toolkit",
                    "nvidia-container-toolkit-base",
                    "libnvidia-container1",
                    "libnvidia-container-tools",
                ),
                "hold",
            ),
        ),
    ],
)
def test_holds(hold: bool, coming: list[str], names: dict[str, str]) -> None:
    found = decide.selections(parse_status(STATUS), coming, hold)
    assert {entry["name"]: entry["selection"] for entry in found} == names


@pytest.mark.parametrize(
    ("wanted", "foreign", "entries", "mounted", "message"),
    [
        ("", ["other"], [], False, ""),
        ("/var/lib/docker/", ["other"], ["image"], False, ""),
        ("/mnt/nvme/docker", [], [], False, ""),
        ("/mnt/nvme/docker", [], [decide.MOVED_MARKER, "image"], False, ""),
        ("/mnt/nvme/docker", ["web", "db"], [], False, "web, db. Stop them (`docker stop web db`)"),
        ("/mnt/nvme/docker", [], ["lost+found"], False, "is not empty (lost+found)"),
        ("/mnt/nvme", [], [], True, "such as /mnt/nvme/docker"),
        ("/var/lib/docker/new", [], [], False, "is inside /var/lib/docker"),
        ("docker", [], [], False, "give an absolute path"),
    ],
)
def test_moving_dockers_data(wanted: str, foreign: list[str], entries: list[str], mounted: bool, message: str) -> None:
    problem = decide.data_root_problem(wanted, "/var/lib/docker", foreign, entries, mounted)
    assert message in problem
    assert bool(message) == bool(problem)


@pytest.mark.parametrize(
    ("wanted", "info", "joined", "refused"),
    [
        (Wanted(), {"Swarm": {"LocalNodeState": "active"}}, False, True),
        (Wanted(), {"Swarm": {"LocalNodeState": "locked"}}, True, True),
        (Wanted(), {"Swarm": {"LocalNodeState": "inactive"}}, True, False),
        (Wanted(), {"Swarm": None}, False, False),
        (Wanted(), INFO, False, False),
        # dockerd does not answer: an earlier live-restore may be the reason.
        (Wanted(), {}, True, True),
        (Wanted(), {}, False, False),
        (Wanted(live_restore=False), {"Swarm": {"LocalNodeState": "active"}}, True, False),
    ],
)
def test_no_live_restore_in_a_swarm(wanted: Wanted, info: dict[str, Any], joined: bool, refused: bool) -> None:
    problems = Problems(prefix="jetson_ollama_")
    decide.check_swarm(wanted, info, joined, problems)
    assert [problem.partition(":")[0] for problem in problems.found] == ["jetson_ollama_docker_live_restore"] * refused


CONTAINERD = {"DockerRootDir": "/var/lib/docker", "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}


@pytest.mark.parametrize(
    ("data_root", "info", "directory", "refused"),
    [
        ("/ssd/docker", CONTAINERD, "/var/lib/containerd", True),
        ("", CONTAINERD, "/var/lib/containerd", False),
        ("/ssd/docker", {"DockerRootDir": "/d", "DriverStatus": [["Backing Filesystem", "extfs"]]}, "/d", False),
        ("/ssd/docker", {"DriverStatus": None}, "/var/lib/docker", False),
        ("/ssd/docker", {}, "/var/lib/docker", False),
    ],
)
def test_data_root_does_not_move_images_of_containerds_store(
    data_root: str, info: dict[str, Any], directory: str, refused: bool
) -> None:
    problems = Problems(prefix="jetson_ollama_")
    decide.check_image_store(Wanted(data_root=data_root), info, problems)
    assert [problem.partition(":")[0] for problem in problems.found] == ["jetson_ollama_docker_data_root"] * refused
    assert decide.images_directory(info) == directory


@pytest.mark.parametrize(
    ("content", "info", "refused"),
    [
        ({}, {"SecurityOptions": ["name=seccomp,profile=builtin", "name=userns"]}, True),
        ({}, {"SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"]}, False),
        ({}, {"SecurityOptions": None}, False),
        ({"userns-remap": "default"}, {}, True),
        ({"userns-remap": ""}, {}, False),
    ],
)
def test_users_of_containers_are_not_mapped(content: dict[str, Any], info: dict[str, Any], refused: bool) -> None:
    problems = Problems()
    decide.check_users(content, info, problems)
    assert len(problems.found) == refused
