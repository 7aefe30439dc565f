"""What the role jetson_ollama guarantees, seen on a Jetson: what it left, what it refuses, what it repairs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from devices import wait_until
from jetson import CONVERGE, NEW, SCENARIO, URL, converge, digests, refused, wait_for_answer
from plays import kill_at_work, kill_before, play, task
from seeing import BROKEN, PICTURES, data_url, listing


def inspect(host: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.check_output("docker inspect ollama"))[0]
    return found


def test_the_container_is_confined(host: Any) -> None:
    found = inspect(host)
    limits = found["HostConfig"]
    assert limits["Runtime"] == "nvidia"
    assert limits["NetworkMode"] == "host"
    assert limits["ReadonlyRootfs"]
    assert limits["CapDrop"] == ["ALL"]
    assert limits["SecurityOpt"] == ["no-new-privileges:true"]
    assert limits["RestartPolicy"]["Name"] == "unless-stopped"
    assert "@sha256:" in found["Config"]["Image"]
    assert found["Config"]["Labels"]["edge-slm.fleet.role"] == "jetson_ollama"
    assert "JETSON_JETPACK=6" in found["Config"]["Env"]


def test_only_the_device_itself_reaches_it(host: Any) -> None:
    listening = host.check_output("ss --listening --tcp --numeric --no-header")
    assert [line.split()[3] for line in listening.splitlines() if ":11435" in line] == ["127.0.0.1:11435"]


def test_the_device_nodes_are_inside(host: Any) -> None:
    pid = inspect(host)["State"]["Pid"]
    assert host.file(f"/proc/{pid}/root/dev/nvhost-ctrl-gpu").exists
    assert host.file("/etc/nvidia-container-runtime/config.toml").contains('^mode = "csv"')


def test_docker_keeps_its_owners_settings(host: Any) -> None:
    settings = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert settings["dns-search"] == ["owner.example"]
    assert settings["log-opts"] == {"labels": "owner", "max-size": "10m", "max-file": "3"}
    assert settings["runtimes"]["nvidia"]["path"] == "nvidia-container-runtime"
    assert settings["live-restore"] is True


def test_the_command_on_the_host(host: Any) -> None:
    assert "phi3:mini" in host.check_output("ollama ls")
    assert "small:latest" in host.check_output("ollama ls")
    assert "phi3:mini" in host.check_output("ollama ps")
    as_user = host.run("su - pi -c 'ollama ls'")
    assert as_user.rc == 1
    assert "sudo ollama" in as_user.stderr


def test_it_comes_back_after_a_crash(host: Any) -> None:
    before = inspect(host)["State"]["Pid"]
    host.check_output(f"kill -9 {before}")
    wait_until(lambda: inspect(host)["State"]["Pid"] not in (before, 0), "Docker starts it again")
    wait_for_answer(host)


def test_an_answer_goes_on_through_a_restart_of_docker(host: Any) -> None:
    before = inspect(host)["State"]["Pid"]
    request = json.dumps({"model": "phi3:mini", "prompt": "Count to a thousand.", "options": {"num_predict": 200}})
    last = host.check_output(
        f"curl --fail --silent --no-buffer --max-time 120 {URL}/api/generate --data '{request}' > /root/answer & "
        "until [ -s /root/answer ]; do sleep 0.1; done; systemctl restart docker; wait; tail --lines 1 /root/answer"
    )
    assert json.loads(last)["done"]
    assert inspect(host)["State"]["Pid"] == before


@contextmanager
def changed_file(host: Any, path: str, text: str) -> Iterator[None]:
    """Replace the content of a file for a while, with its times kept."""
    host.check_output(f"cp --preserve {path} /root/kept")
    try:
        host.run_expect([0], f"printf %s '{text}' > {path}")
        yield
        assert host.file(path).content_string == text
    finally:
        host.check_output(f"cp --preserve /root/kept {path}")


R35 = (
    "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64, DATE: Tue Aug  1 19:57:35 UTC 2023"
)


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("/etc/nv_tegra_release", R35, "Jetson Linux R35.4.1 is not supported"),
        (
            "/etc/docker/daemon.json",
            '{\n  "dns": [,]\n}',
            "/etc/docker/daemon.json, line 2, column 11: this is not JSON",
        ),
        ("/etc/docker/daemon.json", '{"userns-remap": "default"}', "take userns-remap out"),
    ],
)
def test_a_device_that_cannot_serve_is_refused(host: Any, path: str, text: str, message: str) -> None:
    with changed_file(host, path, text):
        assert message in refused("validate")


def test_flags_that_dockerd_gets_beside_its_file(host: Any) -> None:
    """dockerd does not start where both have a setting; it is the file that gives way, for the file is the role's."""
    dropin = "/etc/systemd/system/docker.service.d/owner.conf"
    flags = "--live-restore --log-driver json-file --add-runtime nvidia=nvidia-container-runtime"
    command = host.check_output("sed -n s/^ExecStart=//p /lib/systemd/system/docker.service")
    host.check_output(f"mkdir -p $(dirname {dropin})")
    host.check_output(f"printf '[Service]\\nExecStart=\\nExecStart=%s {flags}\\n' '{command}' > {dropin}")
    host.check_output("systemctl daemon-reload")
    assert host.run("systemctl restart docker").rc != 0
    try:
        converge()
        settings = json.loads(host.file("/etc/docker/daemon.json").content_string)
        assert not {"live-restore", "log-driver", "runtimes"} & set(settings)
        assert "changed=0" in converge()
    finally:
        host.check_output(f"rm {dropin}")
        host.check_output("systemctl daemon-reload")
    converge()
    assert json.loads(host.file("/etc/docker/daemon.json").content_string)["live-restore"] is True


def test_live_restore_on_a_node_of_a_swarm_is_refused(host: Any) -> None:
    converge(jetson_ollama_docker_live_restore=False)
    host.check_output("docker swarm init --advertise-addr 127.0.0.1")
    try:
        output = refused("converge")
        assert "changed=0" in converge(jetson_ollama_docker_live_restore=False)
    finally:
        host.check_output("docker swarm leave --force")
    assert "jetson_ollama_docker_live_restore: this host is a node of a Docker swarm" in output
    converge()


def test_without_the_nvidia_runtime_it_is_refused(host: Any) -> None:
    host.check_output("mv /usr/bin/nvidia-container-runtime /root/")
    try:
        output = refused("validate")
    finally:
        host.check_output("mv /root/nvidia-container-runtime /usr/bin/")
    assert "NVIDIA's container runtime (nvidia-container-runtime) is not there" in output


def test_all_wrong_inputs_are_refused_at_once() -> None:
    output = refused(
        "validate",
        jetson_ollama_image="ollama/ollama:latest",
        jetson_ollama_port=22222,
        jetson_ollama_other_ports={"llama-server": 22222},
        jetson_ollama_keep_alive="soon",
        jetson_ollama_models=[{"name": "phi3:mini"}],
    )
    for part in (
        "jetson_ollama_image: 'ollama/ollama:latest' has no digest",
        "jetson_ollama_port: 22222 is the port of llama-server, too",
        "jetson_ollama_keep_alive: 'soon' is not a duration",
        "jetson_ollama_models[0].digest: must be",
    ):
        assert part in output


def test_a_port_that_is_taken_is_refused_with_the_taker(host: Any) -> None:
    image = inspect(host)["Config"]["Image"]
    own = play(SCENARIO / "validate.yml", jetson_ollama_port=11435, jetson_ollama_image=image)
    assert own.returncode == 0, "its own port is not taken"
    host.check_output("systemd-run --unit=taker python3 -m http.server 11499")
    try:
        output = refused("validate", jetson_ollama_port=11499)
    finally:
        host.check_output("systemctl stop taker")
    assert "jetson_ollama_port: 11499 is taken on this device by python3 (process" in output


def test_a_container_of_that_name_that_is_not_ours_is_left_alone(host: Any) -> None:
    image = inspect(host)["Config"]["Image"]
    host.check_output("docker rename ollama ours")
    try:
        host.check_output(f"docker create --name ollama {image}")
        assert "There is a container named ollama that this role did not make" in refused("converge")
        assert host.run("docker rm ollama").rc == 0, "it is gone"
    finally:
        host.run("docker rm -f ollama")
        host.check_output("docker rename ours ollama")


def converged(host: Any) -> dict[str, Any]:
    """Return the inputs that the host was converged with, for the playbook that only validates."""
    return {
        "jetson_ollama_image": inspect(host)["Config"]["Image"],
        "jetson_ollama_other_ports": {"endpoint_proxy": 11434},
        "jetson_ollama_models": [
            {
                "name": "phi3:mini",
                "digest": f"sha256:{digests(host)['phi3:mini']}",
                "registry": "registry:5000",
                "aliases": ["small"],
            }
        ],
    }


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        ("docker pause ollama", "container ollama: is paused"),
        ("docker update --restart no ollama", "container ollama: its option restart_policy is no, not unless-stopped"),
        ("systemctl mask docker.socket", "unit docker.socket: is masked"),
        ("chmod 700 /var/lib/ollama", "directory /var/lib/ollama: its mode is 0700, not 0755"),
        ("sed -i s/docker/podman/ /usr/local/bin/ollama", "file /usr/local/bin/ollama: its text differs"),
        ("ollama rm small", "model phi3:mini: its alias small:latest is missing"),
        (
            "truncate -s 1000 $(ls -S /var/lib/ollama/models/blobs/* | head -1)",
            "has 1000 bytes, not",
        ),
    ],
)
def test_what_differs_is_one_sentence_and_is_fixed(host: Any, break_it: str, sentence: str) -> None:
    inputs = converged(host)
    host.check_output(break_it)
    assert sentence in " ".join(play(SCENARIO / "validate.yml", **inputs).stdout.split())
    converge()
    assert "changed=0" in converge()


def test_models_outside_the_catalogue_are_reported_and_left(host: Any) -> None:
    host.check_output("ollama cp phi3:mini somebodys:model")
    assert "does not list: somebodys:model" in " ".join(
        play(SCENARIO / "validate.yml", **converged(host)).stdout.split()
    )
    assert "somebodys:model" in digests(host)


def with_a_model_that_sees(host: Any) -> list[dict[str, Any]]:
    """Return inputs; of the scenario model_pipeline, with random weights: what it says depends on the image."""
    tiny = {"name": "tiny-llava", "published": "tiny-llava", "parameters": {"num_thread": 1}}
    return [*converged(host)["jetson_ollama_models"], tiny]


def test_an_ollama_that_is_too_old_for_a_projector_says_so(host: Any) -> None:
    output = refused("converge", jetson_ollama_models=with_a_model_that_sees(host))
    assert "Likely cause: Ollama before 0.7 does not read a projector" in output
    assert "runtime nvidia" not in output
    host.check_output("ollama rm tiny-llava")


def test_an_upgrade_keeps_the_models_and_stops_for_moments_only(host: Any) -> None:
    before = {name: digest for name, digest in digests(host).items() if name != "somebodys:model"}
    answers: list[bool] = []
    over = threading.Event()

    def watch() -> None:
        look = f"curl --fail --silent --max-time 1 --output /dev/null {URL}/api/version"
        seen = host.run(
            f"for i in $(seq 600); do {look} && echo y || echo n; [ -e /run/over ] && break; sleep 0.2; done"
        )
        answers.extend(line == "y" for line in seen.stdout.split())
        over.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    output = converge(ollama_version=NEW, jetson_ollama_remove_other_models=True)
    host.check_output("touch /run/over")
    over.wait(60)
    watcher.join()
    host.check_output("rm /run/over")
    assert "GPU not proven" in output
    assert NEW in host.check_output("ollama --version")
    assert digests(host) == before
    assert answers.count(False) < 25, "it was away for more than 5 s"
    # The image before stays, to go back to quickly.
    assert host.check_output("docker images --quiet | sort --unique | wc --lines").strip() != "1"


def ask_about(host: Any, picture: bytes) -> tuple[int, str]:
    """Return the status and the answer."""
    body = json.dumps({"model": "tiny-llava", **listing(data_url(picture)), "max_tokens": 20})
    ask = f"curl --silent --max-time 60 --header 'Content-Type: application/json' {URL}/v1/chat/completions"
    answer, _newline, status = host.check_output(f"{ask} --write-out '\n%%{{http_code}}' --data %s", body).rpartition(
        "\n"
    )
    return int(status), json.loads(answer).get("choices", [{"message": {"content": ""}}])[0]["message"]["content"]


def test_a_model_with_a_projector_sees(host: Any) -> None:
    models = with_a_model_that_sees(host)
    converge(ollama_version=NEW, jetson_ollama_models=models)
    assert "changed=0" in converge(ollama_version=NEW, jetson_ollama_models=models)
    # Its template takes no system message, which is a part of the first question then, as on llama-server.
    shown = host.check_output(f"curl --fail --silent {URL}/api/show --data %s", json.dumps({"model": "tiny-llava"}))
    assert "[INST] {{ $system }}{{ $message.Content }} [/INST]" in json.loads(shown)["template"]
    answers = [ask_about(host, picture) for picture in PICTURES.values()]
    assert {status for status, _text in answers} == {200}
    assert len({text for _status, text in answers}) == len(PICTURES) == 3
    # Bytes that are no picture are an error, and it goes on answering.
    assert [status for status in (ask_about(host, broken)[0] for broken in BROKEN) if status < 400] == []
    assert ask_about(host, next(iter(PICTURES.values()))) == answers[0]
    host.check_output("ollama rm tiny-llava")


def forget_answers(host: Any) -> None:
    """Remove from the receipt that models have answered: else the role has nothing to do where they are present."""
    forget = (
        "import json; path = '/var/lib/edge-slm/receipts/jetson_ollama.json'; receipt = json.load(open(path)); "
        "receipt.pop('answered', None); json.dump(receipt, open(path, 'w'))"
    )
    host.check_output(f'python3 -c "{forget}"')


BRING, ANSWER = task("Pull or create the models"), task("Ask each model for an answer")
CONFIGURE = task("Configure dockerd, and restart it where it runs with other settings")
#: Tasks in the order of the run, and what is seen on the Jetson while each works; '' for one whose work is a moment.
STAGES = [
    (CONFIGURE, ""),
    (CONFIGURE, "test -e /etc/docker/daemon.json"),
    (task("Pull the image"), "ls $(docker info --format '{{.DockerRootDir}}')/tmp/GetImageBlob*"),
    (task("Start the container of Ollama"), "docker inspect ollama"),
    (BRING, ""),
    (ANSWER, "pgrep --full '[o]llama runner'"),
]


def test_a_play_killed_anywhere_is_completed_by_the_next(host: Any) -> None:
    before = digests(host)
    host.check_output("docker rm --force ollama")
    host.check_output("sh -c 'rm /etc/docker/daemon.json; docker image prune --all --force'")
    for name, sign in STAGES:
        if name in (BRING, ANSWER):
            # They are there still: nothing is to be brought, and without their answers the role is entered.
            forget_answers(host)
        if sign:
            kill_at_work(name, host, sign, CONVERGE, ollama_version=NEW)
        else:
            kill_before(name, CONVERGE, ollama_version=NEW)
    converge(ollama_version=NEW)
    assert digests(host) == before
    assert "changed=0" in converge(ollama_version=NEW)


def docker_root(host: Any) -> str:
    line: str = host.check_output("docker info 2>/dev/null | grep 'Docker Root Dir'")
    return line.rpartition(" ")[2]


def test_dockers_data_moves_only_when_nobody_else_needs_it(host: Any) -> None:
    image, before = inspect(host)["Config"]["Image"], digests(host)
    wanted = "/mnt/nvme/docker" if docker_root(host) != "/mnt/nvme/docker" else "/mnt/nvme/docker-2"
    host.check_output(f"docker run --detach --name somebodys --network host --entrypoint sleep {image} 600")
    try:
        output = refused("validate", jetson_ollama_docker_data_root=wanted)
        assert "while containers run that are not this role's: " in output
        assert "`docker stop somebodys`" in output
    finally:
        host.check_output("docker rm --force somebodys")
    converge(ollama_version=NEW, jetson_ollama_docker_data_root=wanted)
    assert docker_root(host) == wanted
    assert inspect(host)["Config"]["Image"] == image
    assert digests(host) == before


def test_absent_leaves_what_was_there_before(host: Any) -> None:
    converge(ollama_version=NEW, jetson_ollama_state="absent")
    assert host.run("docker inspect ollama").rc != 0
    assert not host.file("/usr/local/bin/ollama").exists
    assert not host.file("/var/lib/edge-slm/receipts/jetson_ollama.json").exists
    assert host.file("/var/lib/ollama/models/manifests").exists
    assert "changed=0" in converge(ollama_version=NEW, jetson_ollama_state="absent")
    converge(ollama_version=NEW)
