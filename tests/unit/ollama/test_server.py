"""How Ollama is to run on a Jetson: what works, what is refused, and with which message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama import server as decide
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.models import parse_models
from ansible_collections.edge_slm.fleet.plugins.module_utils.ollama.server import Inputs, Size

DEFAULTS = yaml.safe_load(
    (Path(__file__).resolve().parents[3] / "roles/jetson_ollama/defaults/main.yml").read_text(encoding="utf-8")
)
DIGEST = "sha256:" + "0123456789abcdef" * 4
IMAGE = f"ollama/ollama@{DIGEST}"
GIB = 1 << 30


def values(**changes: Any) -> dict[str, Any]:
    plain = {name.removeprefix("jetson_ollama_"): value for name, value in DEFAULTS.items()}
    return {**plain, "image": IMAGE, **changes}


def inputs(**changes: Any) -> Inputs:
    problems = Problems(prefix="jetson_ollama_")
    found = decide.parse_inputs(values(**changes), problems)
    assert problems.found == []
    return found


@pytest.mark.parametrize(
    ("entry", "refused"),
    [
        ({"digest": "sha256:1"}, False),
        ({"digest": "sha256:1", "context": None}, False),
        ({"digest": "sha256:1", "context": 4096}, False),
        ({"digest": "sha256:1", "context": "4096"}, False),
        ({"digest": "sha256:1", "context": 8192}, True),
        ({"published": "m", "context": 8192}, False),
        ({"path": "/m.gguf", "sha256": "1", "context": 8192}, False),
    ],
)
def test_a_context_that_a_registry_s_model_cannot_get(entry: dict[str, Any], refused: bool) -> None:
    found = Problems(prefix="jetson_ollama_")
    decide.check_contexts(inputs(context_length=4096, models=[{"name": "phi3:mini", **entry}]), found)
    assert [problem.startswith("jetson_ollama_models[0].context: 8192 is not") for problem in found.found] == (
        [True] if refused else []
    )


def problems(**changes: Any) -> str:
    problems = Problems(prefix="jetson_ollama_")
    decide.parse_inputs(values(**changes), problems)
    return "\n".join(problems.found)


def test_the_defaults_are_good() -> None:
    assert problems() == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"port": 80}, "jetson_ollama_port: must be a whole number from 1024 to 65535; it is 80."),
        ({"port": "eleven"}, "it is 'eleven'"),
        ({"keep_alive": "soon"}, "jetson_ollama_keep_alive: 'soon' is not a duration; write 5m"),
        ({"context_length": 0}, "jetson_ollama_context_length: must be a whole number from 64 to 16777216; it is 0"),
        ({"num_parallel": 0}, "jetson_ollama_num_parallel: must be a whole number from 1 to 64; it is 0"),
        ({"max_loaded_models": -1}, "jetson_ollama_max_loaded_models: must be a whole number from 1 to 64; it is -1"),
        ({"max_queue": 0}, "jetson_ollama_max_queue: must be a whole number from 1 to 65536; it is 0"),
        ({"kv_cache_type": "q5"}, "choose one of f16, q8_0, q4_0"),
        ({"kv_cache_type": "q8_0", "flash_attention": False}, "q8_0 needs jetson_ollama_flash_attention: true"),
        ({"environment": {"OLLAMA_HOST": "10.0.0.1"}}, "jetson_ollama_environment.OLLAMA_HOST: belongs to the role"),
        ({"environment": {"A B": "c"}}, "is not a variable name"),
        ({"environment": {"https_proxy": "http://p:1"}}, "give it in edge_slm_proxy_environment"),
        ({"proxy_environment": {"https_proxy": "p"}}, "jetson_ollama_proxy_environment.https_proxy: 'p' is not valid"),
        ({"registries": {"host": "a"}}, "jetson_ollama_registries: is not a list"),
        ({"registries": ["a"]}, "jetson_ollama_registries[0]: is not a dictionary"),
        ({"registries": [{"host": "https://a"}]}, "jetson_ollama_registries[0].host: 'https://a' is not a host"),
        ({"registries": [{"host": "a"}, {"host": "a"}]}, "jetson_ollama_registries[1].host: a has two entries"),
        ({"registries": [{"host": "a", "cert": "x"}]}, "jetson_ollama_registries[0].cert: is not known"),
        ({"registries": [{"host": "a", "insecure": "maybe"}]}, "jetson_ollama_registries[0].insecure: 'maybe' is not"),
        (
            {"registries": [{"host": "a", "insecure": True, "ca": "ca.pem"}]},
            "jetson_ollama_registries[0].ca: is for TLS, and insecure is plain HTTP",
        ),
        ({"gpu_share": 101}, "jetson_ollama_gpu_share: must be a whole number from 1 to 100; it is 101"),
        ({"client": "pip"}, "choose one of wrapper, release, none"),
        ({"client": "release"}, "jetson_ollama_client_sha256: must be the tarball's sha256"),
        ({"models_dir": "models"}, "jetson_ollama_models_dir: 'models' is not a directory of its own"),
        ({"docker_data_root": "/var"}, "jetson_ollama_docker_data_root: '/var' is not a directory of its own"),
        (
            {"other_ports": {"proxy": 0}},
            "jetson_ollama_other_ports.proxy: must be a whole number from 1 to",
        ),
        (
            {"other_ports": {"llama-server smollm2": 11435}},
            "jetson_ollama_port: 11435 is the port of llama-server smollm2, too",
        ),
        ({"other_ports": [11434]}, "jetson_ollama_other_ports: [11434] is not a dictionary."),
        ({"models": "phi3:mini"}, "jetson_ollama_models: 'phi3:mini' is not a list."),
        ({"models_dir": ""}, "jetson_ollama_models_dir: '' is not a directory of its own"),
        ({"published_dir": "models"}, "jetson_ollama_published_dir: 'models' is not a directory of its own"),
        ({"registry_username": "fleet"}, "jetson_ollama_registry_password: is empty, but there is"),
        ({"state": "gone"}, "jetson_ollama_state: 'gone' is not known; choose one of present, absent."),
        ({"require_gpu": "perhaps"}, "jetson_ollama_require_gpu: 'perhaps' is not a boolean"),
        ({"start_timeout": 0}, "jetson_ollama_start_timeout: must be a whole number from 1 to"),
        ({"image": "", "images": {}}, "jetson_ollama_images: is empty, and so is jetson_ollama_image"),
        ({"image": "ollama/ollama:0.17.4"}, "jetson_ollama_image: 'ollama/ollama:0.17.4' has no digest, and tags move"),
        ({"images": {"r36": "dustynv/ollama:r36.4.0"}}, "jetson_ollama_images.r36: 'dustynv"),
        ({"images": {"orin": IMAGE}}, "jetson_ollama_images.orin: is not known; known are r36, r39."),
    ],
)
def test_refused_inputs(changes: dict[str, Any], message: str) -> None:
    assert message in problems(**changes)


@pytest.mark.parametrize("good", ["5m", "24h", "0", "-1", "1h30m", "-1m", "1.5h", "300"])
def test_durations(good: str) -> None:
    assert inputs(keep_alive=good).keep_alive == good


@pytest.mark.parametrize(
    ("changes", "family", "reference"),
    [
        ({}, "r36", IMAGE),
        ({"image": "", "images": {"r36": IMAGE, "r39": f"x/y@{DIGEST}"}}, "r39", f"x/y@{DIGEST}"),
        ({"images": {"r36": f"x/y@{DIGEST}"}}, "r36", IMAGE),
    ],
)
def test_which_image_runs(changes: dict[str, Any], family: str, reference: str) -> None:
    image = decide.choose_image(inputs(**changes), family, Problems(prefix="jetson_ollama_"))
    assert image
    assert image.reference == reference


def test_a_device_without_an_image_is_refused() -> None:
    problems = Problems(prefix="jetson_ollama_")
    assert decide.choose_image(inputs(image="", images={"r39": IMAGE}), "r36", problems) is None
    assert problems.found[0].startswith(
        "jetson_ollama_images.r36: there is no image for this device; give ollama/ollama or dustynv"
    )


def container(family: str = "r36", certificates: str = "a", **changes: Any) -> dict[str, Any]:
    given = inputs(**changes)
    image = decide.choose_image(given, family, Problems(prefix="jetson_ollama_"))
    assert image
    return decide.container(given, image, family, 30000, certificates)


def test_the_container() -> None:
    found = container()
    assert found["image"] == IMAGE
    assert (found["entrypoint"], found["command"]) == (["ollama"], ["serve"])
    assert found["memory"] == "30000m"
    assert found["volumes"] == ["/var/lib/ollama:/ollama:rw", "/etc/ssl/certs:/etc/ssl/certs:ro"]
    assert found["labels"][decide.ROLE_LABEL] == "jetson_ollama"
    assert found["env"]["OLLAMA_HOST"] == "127.0.0.1:11435"
    assert found["env"]["OLLAMA_NOPRUNE"] == found["env"]["OLLAMA_NO_CLOUD"] == "1"
    assert all(isinstance(value, str) for value in found["env"].values())


def test_every_variable_that_the_role_sets_is_its_own() -> None:
    assert sorted(container()["env"]) == sorted(decide.OWN_VARIABLES)
    assert container(environment={"OLLAMA_DEBUG": "1"})["env"]["OLLAMA_DEBUG"] == "1"


def test_the_container_goes_out_as_the_host_does() -> None:
    found = container(
        proxy_environment={"https_proxy": "http://p:1", "no_proxy": "registry.lan"},
        registries=[{"host": "models.lan:5000", "ca": "ca.pem"}],
        registry_ca_texts=["PEM"],
    )
    assert {found["env"][name] for name in ("https_proxy", "HTTPS_PROXY")} == {"http://p:1"}
    assert found["env"]["NO_PROXY"] == "registry.lan,localhost,127.0.0.1,::1"
    assert "http_proxy" not in found["env"]
    # The system's certificates, and those of registries beside them.
    assert found["env"]["SSL_CERT_DIR"] == f"/etc/ssl/certs:{decide.REGISTRY_CA_DIRECTORY}"
    assert f"{decide.REGISTRY_CA_DIRECTORY}:{decide.REGISTRY_CA_DIRECTORY}:ro" in found["volumes"]


@pytest.mark.parametrize(("family", "jetpack"), [("r36", "6"), ("r39", None)])
def test_ollamas_own_image_is_given_the_jetpack(family: str, jetpack: str | None) -> None:
    assert container(family)["env"].get("JETSON_JETPACK") == jetpack


def test_what_makes_another_container() -> None:
    def label(**changes: Any) -> str:
        return str(container(**changes)["labels"][decide.INPUTS_LABEL])

    assert label() == label()
    others = [label(port=11500), label(certificates="b"), label(keep_alive="5m"), label(models_dir="/mnt/m")]
    assert len({label(), *others}) == 5
    # What the server does not see leads to no restart.
    assert label(client="none", docker_log_files=5) == label()


@pytest.mark.parametrize(
    ("images", "gone"),
    [([], []), (["b"], []), (["a", "b"], []), (["a", "b", "c"], ["a"]), (["x", "a", "b"], ["x"]), (["b", "a"], [])],
)
def test_which_images_may_go(images: list[str], gone: list[str]) -> None:
    assert decide.superseded(images, images[-1] if images else "a") == gone
    # Back to the one before: the one that is left takes its place.
    assert decide.superseded(["a", "b"], "a") == []


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, ""),
        ({"Config": {"Labels": {decide.ROLE_LABEL: "jetson_ollama"}}}, ""),
        (
            {"Config": {"Image": "dustynv/ollama:r36.4.0", "Labels": None}},
            "There is a container named ollama that this role did not make (image dustynv/ollama:r36.4.0)",
        ),
        ({"Config": {"Image": "x", "Labels": {decide.ROLE_LABEL: decide.PROBE}}}, "docker rename ollama ollama-before"),
        pytest.param(
            {
                "Config": {"Image": "x", "Env": ["PATH=/bin", "OLLAMA_MODELS=/models"]},
                "Mounts": [{"Type": "bind", "Source": "/home/pi/models", "Destination": "/models"}],
            },
            "to go on with its models, set jetson_ollama_models_dir to /home/pi/models; then run again",
            id="as the article starts it",
        ),
        pytest.param(
            {
                "Config": {"Image": "x", "Env": []},
                "Mounts": [{"Type": "bind", "Source": "/srv/ollama/", "Destination": "/root/.ollama"}],
            },
            "set jetson_ollama_models_dir to /srv/ollama/models; ",
            id="as Ollama's own page starts it, in a directory",
        ),
        pytest.param(
            {"Config": {"Image": "x"}, "Mounts": [{"Type": "volume", "Source": "/v", "Destination": "/root/.ollama"}]},
            "(`docker rm -f ollama`); then run again",
            id="in a volume of Docker's",
        ),
    ],
)
def test_whose_a_container_is(found: dict[str, Any] | None, message: str) -> None:
    problem = decide.ownership_problem(found)
    assert message in problem
    assert bool(message) == bool(problem)


@pytest.mark.parametrize(
    ("client", "text", "refused"),
    [
        ("wrapper", None, False),
        ("wrapper", f"#!/bin/sh\n# {decide.MARK}; changes are overwritten.\n", False),
        ("wrapper", "\x7fELF", True),
        ("release", "#!/bin/sh\n", True),
        ("none", "\x7fELF", False),
    ],
)
def test_whose_the_command_is(client: str, text: str | None, refused: bool) -> None:
    assert bool(decide.wrapper_problem(client, text)) is refused


@pytest.mark.parametrize(
    ("owner", "message"),
    [
        ("", ""),
        ("ollama (process 812)", "jetson_ollama_port: 11435 is taken on this device by ollama (process 812)"),
    ],
)
def test_a_port_that_is_taken(owner: str, message: str) -> None:
    problems = Problems(prefix="jetson_ollama_")
    decide.check_port(inputs(other_ports={"endpoint_proxy": 11434}), owner, problems)
    assert message in "".join(problems.found)
    assert bool(message) == bool(problems.found)


def test_what_counts_where_the_role_is_removed() -> None:
    problems = Problems(prefix="jetson_ollama_")
    given = values(port="many", image="x", remove_models="yes", models_dir="/mnt/models/")
    assert decide.absent_inputs(given, problems) == (True, "/mnt/models")
    assert problems.found == []


def test_when_a_model_must_answer_again() -> None:
    first = decide.proof("a" * 64, "inputs", True, 100)
    others = [
        decide.proof("b" * 64, "inputs", True, 100),
        decide.proof("a" * 64, "others", True, 100),
        decide.proof("a" * 64, "inputs", False, 100),
        decide.proof("a" * 64, "inputs", True, 90),
    ]
    assert len({first, *others}) == 5


@pytest.mark.parametrize(
    ("changes", "real", "refused"),
    [
        ({}, True, False),
        ({"require_gpu": False}, False, False),
        ({"require_gpu": False}, True, True),
        ({"require_gpu": False, "require_gpu_force": True}, True, False),
    ],
)
def test_no_proof_on_a_real_jetson_is_refused(changes: dict[str, Any], real: bool, refused: bool) -> None:
    problems = Problems(prefix="jetson_ollama_")
    decide.check_gpu(inputs(**changes), real, problems)
    assert bool(problems.found) is refused


PHI3, LLAMA, QWEN = (
    Size("phi3:mini", 2 * GIB, True),
    Size("llama3:8b", 5 * GIB, False),
    Size("qwen:72b", 41 * GIB, False),
)


@pytest.mark.parametrize(
    ("memory", "changes", "sizes", "message"),
    [
        (30697, {}, [PHI3, LLAMA], ""),
        (7620, {}, [PHI3], ""),
        (7620, {}, [], ""),
        (
            7620,
            {},
            [PHI3, LLAMA],
            "jetson_ollama_models: what is loaded at a time needs 6144 MiB, the board has 7620 MiB of memory of which "
            "1536 MiB are kept for the system: 6084 MiB are left. llama3:8b 6144 (weights 5120, overhead 1024).",
        ),
        (30697, {}, [QWEN], "needs 43008 MiB"),
        (16000, {"max_loaded_models": 2}, [PHI3, LLAMA], ""),
        (9000, {"max_loaded_models": 2}, [PHI3, LLAMA], "llama3:8b 6144 (weights 5120, overhead 1024); phi3:mini 3072"),
        (7620, {}, [Size("unknown:1", 0, False)], ""),
        (1800, {}, [], "jetson_ollama_memory_reserve_mib: 1536 MiB of the board's 1800 MiB leave 264 MiB"),
    ],
)
def test_memory(memory: int, changes: dict[str, Any], sizes: list[Size], message: str) -> None:
    problems = Problems(prefix="jetson_ollama_")
    decide.check_memory(inputs(**changes), sizes, memory, problems)
    assert message in "".join(problems.found)
    assert bool(message) == bool(problems.found)


@pytest.mark.parametrize(("free", "fits"), [(6000, True), (5100, False)])
def test_disk(free: int, fits: bool) -> None:
    problems = Problems(prefix="jetson_ollama_")
    decide.check_disk(inputs(), [PHI3, LLAMA], free, problems)
    assert problems.found == [] if fits else "5120 MiB are to come (llama3:8b 5120)" in problems.found[0]


def test_models_are_refused_under_the_inputs_name() -> None:
    problems = Problems(prefix="jetson_ollama_")
    assert parse_models(inputs(models=[{"name": "phi3:mini"}]).models, problems) == []
    assert problems.found[0].startswith("jetson_ollama_models[0].digest: must be the sha256 of the model's manifest")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("phi3:mini", "/m/models/manifests/registry.ollama.ai/library/phi3/mini"),
        ("phi3", "/m/models/manifests/registry.ollama.ai/library/phi3/latest"),
        ("user/x:1", "/m/models/manifests/registry.ollama.ai/user/x/1"),
    ],
)
def test_where_ollama_keeps_a_manifest(name: str, path: str) -> None:
    assert decide.manifest_path("/m", name) == path


@pytest.mark.parametrize(("pid", "ours"), [(100, True), (300, True), (7, False), (1, False)])
def test_a_process_of_our_container(pid: int, ours: bool) -> None:
    parents = {300: 200, 200: 100, 100: 50, 50: 1, 7: 1, 1: 0}
    assert decide.descends_from(pid, 100, parents) is ours


@pytest.mark.parametrize(
    ("controllers", "version_1", "limits"),
    [("cpuset cpu io memory pids\n", False, True), ("hugetlb\n", False, False), ("", True, True)],
)
def test_whether_the_kernel_limits_memory(controllers: str, version_1: bool, limits: bool) -> None:
    assert decide.has_memory_controller(controllers, version_1) is limits
