"""Tables for what llama-server is started with."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import serving
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.serving import (
    ApiKey,
    Board,
    Instance,
    Model,
    Paths,
    Rope,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.models.publish import ManifestError, artifact

KEY = "0123456789abcdef"
ANY = "0.0.0.0"  # noqa: S104
SERVICE = Instance("a", "smollm2")
MODEL = Model("smollm2", "/models/smollm2/a.gguf", 98362432, "a" * 64, context_length=8192, kv_bytes_per_token=23040)
VISION = Model("llava", "/models/llava/a.gguf", 10, "b" * 64, "/models/llava/p.gguf", 10, "c" * 64)
BOARD = Board(memory_mib=8062, cores=4)

PLAIN = Paths()
TLS = Paths(tls_certificate="/etc/edge-slm/tls/certificate.pem", tls_key="/etc/edge-slm/tls/key.pem")


def problems_of(instances: Any) -> str:
    problems = Problems()
    serving.parse_instances(instances, problems)
    return "\n".join(problems.found)


def plan(instance: Instance = SERVICE, model: Model = MODEL, paths: Paths = PLAIN, **changes: str) -> serving.Service:
    given = {"listen": ANY, "release": "r1", "unit": "[Unit]", "keys": f"{KEY}\n", **changes}
    return serving.plan_service(instance, model, BOARD, paths, **given)


def arguments(instance: Instance, model: Model = MODEL, paths: Paths = PLAIN) -> tuple[str, ...]:
    return serving.server_arguments(instance, model, paths=paths, listen=ANY, cores=4)


def test_server_flags_are_exactly_those_that_can_be_emitted() -> None:
    every = (
        arguments(Instance("a", "m", ui=False, embeddings=True, rope=Rope("yarn", 4, 2048))),
        arguments(Instance("b", "llava"), VISION, TLS),
    )
    emitted = {word for words in every for word in words if word.startswith("--")}
    assert emitted == set(serving.SERVER_FLAGS)
    assert list(serving.SERVER_FLAGS) == sorted(serving.SERVER_FLAGS)


@pytest.mark.parametrize(
    ("instance", "expected"),
    [
        (Instance("a", "m"), {"--ctx-size": "4096", "--parallel": "1", "--threads": "4", "--cache-ram": "0"}),
        (Instance("a", "m", context=2048, parallel=3), {"--ctx-size": "6144", "--parallel": "3"}),
        (Instance("a", "m", threads=2, gpu_layers=99), {"--threads": "2", "--gpu-layers": "99"}),
        (Instance("a", "m"), {"--batch-size": "2048", "--ubatch-size": "512", "--cors-origins": "localhost"}),
        (Instance("a", "m", embeddings=True, context=512), {"--batch-size": "512", "--ubatch-size": "512"}),
        (Instance("a", "m"), {"--cache-type-k": "f16", "--cache-type-v": "f16"}),
        (Instance("a", "m", kv_cache_type="q8_0"), {"--cache-type-k": "q8_0", "--cache-type-v": "q8_0"}),
        (Instance("a", "m", rope=Rope("linear", 2.5)), {"--rope-scaling": "linear", "--rope-scale": "2.5"}),
        (
            Instance("a", "m", rope=Rope("yarn", 4.0, 32768)),
            {"--rope-scaling": "yarn", "--rope-scale": "4", "--yarn-orig-ctx": "32768"},
        ),
        (Instance("a", "m", port=9000), {"--port": "9000", "--host": ANY, "--alias": "smollm2"}),
    ],
)
def test_arguments(instance: Instance, expected: dict[str, str]) -> None:
    words = arguments(instance)
    assert {flag: words[words.index(flag) + 1] for flag in expected} == expected


@pytest.mark.parametrize(
    ("instance", "tokens"),
    [
        (Instance("a", "llava"), "1024"),
        (Instance("a", "llava", context=1024), "512"),
        (Instance("a", "llava", context=1024, image_max_tokens=900), "900"),
        (Instance("a", "llava", context=32768), "1024"),
    ],
)
def test_an_image_is_limited_where_a_model_sees(instance: Instance, tokens: str) -> None:
    words = arguments(instance, VISION)
    assert words[words.index("--image-max-tokens") + 1] == tokens
    assert "--image-max-tokens" not in arguments(Instance("a", "m"))


@pytest.mark.parametrize(
    ("instance", "model", "part"),
    [
        (Instance("a", "m", context=2048, image_max_tokens=2047), VISION, ""),
        (Instance("a", "m", context=2048, image_max_tokens=2048), VISION, "a conversation has 2048 tokens in all"),
        (Instance("a", "m", image_max_tokens=64), MODEL, "has no projector and sees no image"),
        (Instance("a", "m"), MODEL, ""),
    ],
)
def test_a_limit_for_images_that_cannot_be(instance: Instance, model: Model, part: str) -> None:
    problems = Problems()
    serving.check_models([instance], {"m": model}, problems)
    assert bool(problems.found) == bool(part)
    assert part in "".join(problems.found)


def test_arguments_hide_slots_and_keep_the_server_offline() -> None:
    words = arguments(Instance("a", "m"))
    assert {"--no-slots", "--metrics", "--offline", "--no-kv-unified", "--no-cors-credentials"} <= set(words)
    assert "--no-ui" not in words
    assert "--embeddings" not in words
    assert "--api-key" not in words


def test_extra_arguments_come_last() -> None:
    assert arguments(Instance("a", "m", extra_args=("--prio", "1")))[-2:] == ("--prio", "1")


def test_default_context_is_never_more_than_the_models() -> None:
    small = Model("m", "/m", 1, "a", context_length=512)
    unknown = Model("m", "/m", 1, "a")
    assert serving.context_of(Instance("a", "m"), small) == 512
    assert serving.context_of(Instance("a", "m"), unknown) == 4096
    assert serving.context_of(Instance("a", "m", context=256), small) == 256


def test_parse_instances_casts_and_defaults() -> None:
    problems = Problems()
    raw = [{"model": "m"}, {"model": "m", "name": "b", "port": "8081", "ui": "no", "context": "2048"}]
    first, second = serving.parse_instances(raw, problems)
    assert problems.found == []
    assert (first.name, first.port, first.context, first.ui) == ("m", 8080, None, True)
    assert (second.name, second.port, second.context, second.ui) == ("b", 8081, 2048, False)


@pytest.mark.parametrize(
    ("raw", "parts"),
    [
        ("m", ["llama_service_instances", "not a list"]),
        (["m"], ["llama_service_instances[0]", "not a dictionary"]),
        ([{}], ["llama_service_instances[0].model", "missing"]),
        ([{"model": "a b"}], [".model", "is not a name"]),
        ([{"model": "m", "name": "../x"}], [".name", "is not a name"]),
        ([{"model": "m", "prot": 1}], [".prot", "is not known", "port"]),
        ([{"model": "m", "port": 80}], [".port", "1024 to 65535"]),
        ([{"model": "m", "port": "x"}], [".port", "must be a whole number from 1024 to 65535"]),
        ([{"model": "m", "port": True}], [".port", "must be a whole number from 1024 to 65535"]),
        ([{"model": "m", "context": 1}], [".context", "must be a whole number from 64"]),
        ([{"model": "m", "parallel": 0}], [".parallel", "1 to 64"]),
        ([{"model": "m", "ui": "maybe"}], [".ui", "not a boolean"]),
        ([{"model": "m", "cors_origins": "a, b"}], [".cors_origins", "is not an origin"]),
        ([{"model": "m", "extra_args": "--prio 1"}], [".extra_args", "not a list"]),
        ([{"model": "m", "extra_args": ["--api-key", "x"]}], ["--api-key belongs to the role"]),
        *(
            ([{"model": "m", "extra_args": [flag, "x"]}], [f"{flag} belongs to the role"])
            for flag in ("-ctk", "--cache-type-v", "--rope-scaling", "--rope-scale", "--yarn-orig-ctx")
        ),
        ([{"model": "m", "kv_cache_type": "q8"}], [".kv_cache_type: 'q8' is not known", "q8_0"]),
        ([{"model": "m", "rope": "yarn"}], [".rope: is not a dictionary"]),
        ([{"model": "m", "rope": {"factor": 0.5}}], [".rope.factor: 0.5 must be from 1"]),
        ([{"model": "m", "rope": {"scaling": "yarn"}}], [".rope.factor: must be a number"]),
        ([{"model": "m", "rope": {"factor": 2, "scaling": "ntk"}}], [".rope.scaling: 'ntk'", "linear or yarn"]),
        ([{"model": "m", "rope": {"factor": 2, "original": 1}}], [".rope.original", "did you mean original_context?"]),
        ([{"model": "m", "rope": {"factor": 2, "original_context": 1}}], [".rope.original_context: must be"]),
        (
            [{"model": "m", "rope": {"factor": 2, "scaling": "linear", "original_context": 4096}}],
            [".rope.original_context: belongs to the scaling yarn"],
        ),
        ([{"model": "m", "extra_args": ["--port=1"]}], ["--port belongs to the role"]),
        *(
            ([{"model": "m", "extra_args": [word]}], [f"{word!r} is not one argument", items])
            for word, items in {
                "--temp 0.7": '["--temp", "0.7"]',
                "--temp=0.7": '["--temp", "0.7"]',
                " --temp": '["--temp"]',
                "--temp ": '["--temp"]',
                "-s\t7": '["-s", "7"]',
                "--control-vector-layer-range 1 2": '["--control-vector-layer-range", "1 2"]',
            }.items()
        ),
        *(
            ([{"model": "m", "extra_args": [word]}], [f"{flag} belongs to the role"])
            for word, flag in {
                "--port 1": "--port",
                "--api-prefix": "--api-prefix",
                "--help": "--help",
                "-hft": "-hft",
                "--docker-repo": "--docker-repo",
                "--ui-mcp-proxy": "--ui-mcp-proxy",
                "--fim-qwen-7b-spec": "--fim-qwen-7b-spec",
                "--gpt-oss-20b-default": "--gpt-oss-20b-default",
            }.items()
        ),
        ([{"model": "m", "extra_args": ["a\nb"]}], ["line break"]),
        ([{"model": "m"}, {"model": "m", "port": 8081}], ["2 services are named m"]),
        ([{"model": "m"}, {"model": "n"}], ["2 services have port 8080 (m, n)"]),
    ],
)
def test_bad_instances(raw: Any, parts: list[str]) -> None:
    text = problems_of(raw)
    assert "llama_service_instances" in text
    for part in parts:
        assert part in text


@pytest.mark.parametrize(
    "words",
    [
        ["--temp", "0.7"],
        ["--seed", "-1"],
        ["--chat-template-kwargs", '{"enable_thinking": false}'],
        ["--spec-default"],
        ["--reverse-prompt", "a = b"],
    ],
)
def test_good_extra_arguments(words: list[str]) -> None:
    assert problems_of([{"model": "m", "extra_args": words}]) == ""


def test_arguments_are_grouped_by_their_flags() -> None:
    assert serving.grouped(["--a", "1", "-2", "--b", "-c", "x y"]) == [
        ("--a", ("1", "-2")),
        ("--b", ()),
        ("-c", ("x y",)),
    ]


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (("--temp", "0.7", "--chat-template-file", "/srv/x"), []),
        (("--lora", "/srv/a.gguf"), ["/srv/a.gguf"]),
        (("--lora-scaled", "/srv/a.gguf:0.5,/srv/b.gguf:1"), ["/srv/a.gguf", "/srv/b.gguf"]),
        (("-md", "/srv/draft.gguf", "--seed", "1"), ["/srv/draft.gguf"]),
        (("--control-vector", "/srv/v.gguf", "--control-vector-layer-range", "1", "2"), ["/srv/v.gguf"]),
    ],
)
def test_files_of_adapters(words: tuple[str, ...], files: list[str]) -> None:
    assert serving.adapter_files(Instance("a", "m", extra_args=words)) == files


@pytest.mark.parametrize(
    ("words", "known", "part"),
    [
        (("--temp", "1"), {"--temp"}, ""),
        (("--tmep", "1"), {"--temp"}, "the release r1 does not know --tmep; did you mean --temp?"),
        (("--nonsense",), {"--temp"}, "does not know --nonsense; `llama-server --help` lists"),
        # A release that could not be asked.
        (("--nonsense",), set(), ""),
    ],
)
def test_flags_that_the_release_does_not_know(words: tuple[str, ...], known: set[str], part: str) -> None:
    found = serving.flag_problems(Instance("a", "m", extra_args=words), "r1", known)
    assert len(found) == bool(part)
    assert part in "".join(found)


def test_a_trial_differs_from_the_service_in_what_depends_on_the_model() -> None:
    instance = Instance(
        "a", "m", context=8192, parallel=2, cache_ram_mib=900, kv_cache_type="q8_0", rope=Rope("yarn", 4),
        extra_args=("--temp", "0.7", "--lora", "/srv/a.gguf", "--seed", "1"),
    )  # fmt: skip
    words = serving.trial_arguments(instance, "/opt/llama.cpp", TLS)
    assert "--port" not in words
    assert words[-4:] == ("--temp", "0.7", "--seed", "1")
    by_flag = dict(serving.grouped(words))
    expected = {
        "--model": "/opt/llama.cpp/current/selftest.gguf",
        "--host": "127.0.0.1",
        "--ctx-size": "512",
        "--cache-ram": "0",
        "--cache-type-k": "f16",
        "--ssl-cert-file": TLS.tls_certificate,
        "--api-key-file": TLS.key_file,
    }
    assert {flag: by_flag[flag] for flag in expected} == {flag: (value,) for flag, value in expected.items()}
    assert "--rope-scaling" not in by_flag
    assert "--mmproj" not in by_flag


def test_no_service_can_have_the_name_of_the_trial() -> None:
    assert not serving.NAME.fullmatch(serving.TRIAL)
    assert serving.stale_instances(["a"], [f"{serving.TRIAL}.env"], []) == [serving.TRIAL]


def test_all_problems_are_found_at_once() -> None:
    text = problems_of([{"model": "m", "port": 80, "context": 1, "ui": 3}, {}])
    assert len(text.splitlines()) == 4


@pytest.mark.parametrize(
    ("raw", "part"),
    [
        ("x", "not a list"),
        ([], "is empty"),
        (["x"], "not a dictionary"),
        ([{"name": "a"}], "has no `key`"),
        ([{"key": KEY}], "[0].name: is missing"),
        ([{"name": "a b", "key": KEY}], "cannot name a key"),
        ([{"name": "a", "key": "short"}], "has 5 characters"),
        ([{"name": "a", "key": "sixteen chars it is"}], "without spaces"),
        ([{"name": "a", "key": f"#{KEY}"}], "must not start with #"),
        ([{"name": "a", "key": f"{KEY},b"}], "commas"),
        ([{"name": "a", "key": KEY, "scope": "root"}], "use infer or admin"),
        ([{"name": "a", "key": KEY, "kez": 1}], "is not known"),
        ([{"name": "a", "key": KEY}, {"name": "b", "key": KEY}], "share one key ([0], [1])"),
        ([{"name": "a", "key": KEY}, {"name": "a", "key": KEY + "0"}], "share one name"),
    ],
)
def test_bad_keys(raw: Any, part: str) -> None:
    problems = Problems()
    serving.parse_keys(raw, problems)
    text = "\n".join(problems.found)
    assert "llama_service_api_keys" in text
    assert part in text
    assert KEY not in text


def test_keys_are_named_by_what_the_operator_calls_them() -> None:
    problems = Problems()
    serving.parse_keys([{"name": "a", "key": "secret!"}], problems, "endpoint_proxy_api_keys")
    assert [text.split("[")[0] for text in problems.found] == ["endpoint_proxy_api_keys"]
    assert "secret!" not in problems.found[0]


def test_the_line_end_of_a_file_belongs_to_no_key() -> None:
    problems = Problems()
    assert [key.key for key in serving.parse_keys([{"name": "a", "key": f"{KEY}\n"}], problems)] == [KEY]
    assert problems.found == []


def test_inference_keys_come_first() -> None:
    raw = [{"name": "a", "key": "A" * 16, "scope": "admin"}, {"name": "b", "key": "B" * 16}]
    keys = serving.parse_keys(raw, Problems())
    assert keys == [ApiKey("b", "B" * 16), ApiKey("a", "A" * 16, "admin")]
    assert serving.key_file_text(keys) == f"{'B' * 16}\n{'A' * 16}\n"


@pytest.mark.parametrize(
    ("listen", "cidrs", "part"),
    [
        (ANY, ["10.0.0.0/8", "fe80::/10"], ""),
        ("pi.local", ["10.0.0.0/8"], "llama_service_listen"),
        ("::", [], "llama_service_allowed_cidrs"),
        ("::", ["10.0.0.1/8"], "write 10.0.0.0/8"),
        ("::", "10.0.0.0/8", "not a list"),
    ],
)
def test_addresses(listen: str, cidrs: Any, part: str) -> None:
    problems = Problems()
    serving.check_addresses(listen, cidrs, problems)
    assert bool(problems.found) == bool(part)
    assert part in "".join(problems.found)


def test_parse_model() -> None:
    files = [artifact("model", "a" * 64, 7).as_dict(), artifact("projector", "b" * 64, 3).as_dict()]
    model = serving.parse_model({"name": "m", "files": files, "context_length": None}, "/models/m")
    assert (model.path, model.projector_path) == ("/models/m/aaaaaaaaaaaa.gguf", "/models/m/mmproj-bbbbbbbbbbbb.gguf")
    assert (model.size, model.projector_size, model.context_length) == (7, 3, 0)
    with pytest.raises(ManifestError, match="lists no files"):
        serving.parse_model({"files": []}, "/models/m")


def test_memory_is_refused_with_the_numbers() -> None:
    big = Model("big", "/big", 7000 * (1 << 20), "a", kv_bytes_per_token=131072)
    instances = [Instance("one", "big"), Instance("two", "smollm2", port=8081)]
    problems = Problems()
    serving.check_memory(instances, {"big": big, "smollm2": MODEL}, BOARD, problems)
    text = "".join(problems.found)
    for part in (
        "8062 MiB",
        "512 MiB are kept",
        "7550 MiB are left",
        "one 7768",
        "weights 7000",
        "KV cache 512",
    ):
        assert part in text


def test_memory_that_fits_is_not_refused() -> None:
    problems = Problems()
    serving.check_memory([Instance("a", "smollm2")], {"smollm2": MODEL}, BOARD, problems)
    assert problems.found == []


def test_memory_counts_every_slot_and_the_prompt_cache() -> None:
    one = serving.memory_needed(Instance("a", "smollm2"), MODEL, BOARD).total
    four = serving.memory_needed(Instance("a", "smollm2", parallel=4, cache_ram_mib=100), MODEL, BOARD).total
    assert one == 94 + 90 + 256
    assert four == 94 + 360 + 256 + 100


@pytest.mark.parametrize(
    ("raw", "gpu", "layers", "problem"),
    [
        ({}, False, 0, ""),
        ({"gpu_layers": None}, False, 0, ""),
        ({"gpu_layers": 20}, False, 20, ""),
        ({"gpu_layers": 1000}, False, 0, "must be a whole number from 0 to 999"),
        ({}, True, 999, ""),
        ({"gpu_layers": None}, True, 999, ""),
        ({"gpu_layers": 20}, True, 999, "llama_service_instances[0].gpu_layers: is not taken with llama_service_gpu"),
    ],
)
def test_layers_on_a_gpu(raw: dict[str, Any], gpu: bool, layers: int, problem: str) -> None:
    problems = Problems()
    (instance,) = serving.parse_instances([{"model": "m", **raw}], problems, gpu)
    assert instance.gpu_layers == layers
    assert len(problems.found) == bool(problem)
    assert problem in "".join(problems.found)


def test_what_the_book_starts_on_colab() -> None:
    """Its port, and a quiet log; upstream's flag is not one of ours."""
    problems = Problems()
    raw = [{"model": "m", "port": 1337, "extra_args": ["--log-disable"]}]
    (instance,) = serving.parse_instances(raw, problems, gpu=True)
    words = arguments(instance)
    assert problems.found == []
    assert words[words.index("--port") + 1] == "1337"
    assert words[words.index("--gpu-layers") + 1] == "999"
    assert words[-1] == "--log-disable"


@pytest.mark.parametrize("nothing", [None, "", {}])
def test_rope_and_kv_cache_type_that_are_empty_are_not_given(nothing: object) -> None:
    problems = Problems()
    (instance,) = serving.parse_instances([{"model": "m", "rope": nothing, "kv_cache_type": nothing}], problems)
    assert (problems.found, instance.rope, instance.kv_cache_type) == ([], None, "f16")


@pytest.mark.parametrize(
    ("context", "rope", "parts"),
    [
        (8192, None, []),
        (9000, None, ["9000 tokens", "made for 8192", "`rope`"]),
        (32768, Rope("yarn", 4), []),
        (32768, Rope("linear", 4), []),
        (32769, Rope("yarn", 4), ["32769 tokens", "stretched to 32768"]),
        (131072, Rope("yarn", 4, 32768), []),
        (131072, Rope("yarn", 2, 32768), ["stretched to 65536"]),
    ],
)
def test_a_context_beyond_the_model_is_refused(context: int, rope: Rope | None, parts: list[str]) -> None:
    problems = Problems()
    serving.check_models([Instance("a", "smollm2", context=context, rope=rope)], {"smollm2": MODEL}, problems)
    assert len(problems.found) == bool(parts)
    assert [part for part in parts if part not in problems.found[0]] == []


@pytest.mark.parametrize(
    ("kv_cache_type", "lengths", "refused"),
    [
        ("q8_0", (64, 64), False),
        ("q8_0", (0, 0), False),
        ("q8_0", (80, 64), True),
        ("q4_0", (64, 80), True),
        ("f16", (80, 80), False),
        ("bf16", (80, 80), False),
    ],
)
def test_a_kv_cache_must_fit_the_heads(kv_cache_type: str, lengths: tuple[int, int], refused: bool) -> None:
    problems = Problems()
    models = {"m": Model("m", "/m", 1, "a", head_lengths=lengths)}
    serving.check_models([Instance("a", "m", kv_cache_type=kv_cache_type)], models, problems)
    assert ["set `kv_cache_type: f16`" in problem for problem in problems.found] == [True] * refused


@pytest.mark.parametrize(
    ("architecture", "embeddings", "refused"),
    [
        ("bert", False, True),
        ("nomic-bert", False, True),
        ("bert", True, False),
        ("llama", False, False),
        ("llama", True, False),
        ("", False, False),
    ],
)
def test_a_model_of_embeddings_is_not_asked_for_text(architecture: str, embeddings: bool, refused: bool) -> None:
    problems = Problems()
    model = Model("m", "/m", 1, "a", architecture=architecture)
    serving.check_models([Instance("a", "m", embeddings=embeddings)], {"m": model}, problems)
    assert ["set `embeddings: true`" in problem for problem in problems.found] == [True] * refused


@pytest.mark.parametrize(("size_mib", "seconds"), [(0, 60), (94, 69), (4170, 477)])
def test_start_timeout_grows_with_the_model(size_mib: int, seconds: int) -> None:
    model = Model("m", "/m", size_mib * (1 << 20), "a")
    assert serving.start_timeout_seconds(model, BOARD) == seconds


def test_start_limit_outlasts_the_longest_crash() -> None:
    service = plan()
    assert "TimeoutStartSec=69" in service.dropin
    assert f"StartLimitIntervalSec={5 * (69 + 5) + 60}" in service.dropin
    assert service.memory_needed_mib < service.memory_high_mib < service.memory_max_mib
    assert "PrivateDevices" not in service.dropin
    gpu = plan(Instance("a", "smollm2", gpu_layers=1)).dropin.splitlines()
    assert {"PrivateDevices=no", "SupplementaryGroups=video", "ExecStartPre=-+/usr/bin/nvidia-modprobe -u -c=0"} <= {
        *gpu
    }


@pytest.mark.parametrize(
    "other",
    [
        plan(release="r2"),
        plan(unit="[Unit]\n#"),
        plan(keys="other\n"),
        plan(listen="127.0.0.1"),
        plan(Instance("a", "smollm2", parallel=2)),
        plan(model=Model(**{**MODEL.__dict__, "sha256": "d" * 64})),
    ],
)
def test_everything_that_must_lead_to_a_restart_is_in_the_digest(other: serving.Service) -> None:
    assert plan().digest == plan().digest
    assert other.digest != plan().digest


def test_no_key_reaches_environment_or_arguments() -> None:
    assert KEY not in repr(plan())


WORDS = ["plain", "two words", 'quo"te', "back\\slash", "$HOME", "`id`", "%n", "it's", "", "--a=b"]


def test_arguments_survive_systemds_quoting() -> None:
    text = serving.environment_text({"LLAMA_ARGS": serving.join_arguments(WORDS), "B": "1"})
    found = serving.parse_environment(text)
    assert shlex.split(found["LLAMA_ARGS"]) == WORDS
    assert found["B"] == "1"


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        (ANY, "http://127.0.0.1:8080"),
        ("::", "http://127.0.0.1:8080"),
        ("192.168.1.5", "http://192.168.1.5:8080"),
        ("fd00::5", "http://[fd00::5]:8080"),
    ],
)
def test_base_url(listen: str, url: str) -> None:
    assert serving.base_url(listen, 8080) == url


def test_stale_instances() -> None:
    units = ["llama-server@.service", "llama-server@a.service.d", "llama-server@c.service", "ssh.service"]
    names = ["a.env", "a.answered", "b.env", "d.1.answered", "api-keys"]
    assert serving.stale_instances(["a"], names, units) == ["b", "c", "d.1"]


def test_unknown_model_names_those_on_the_device() -> None:
    assert "it has a, b" in serving.unknown_model(Instance("x", "y"), ["b", "a"])
    assert "it has none yet" in serving.unknown_model(Instance("x", "y"), [])


def test_tls_is_asked_for_by_https_and_a_renewal_restarts() -> None:
    plain, first, renewed = plan(), plan(paths=TLS, pair="a"), plan(paths=TLS, pair="b")
    environment = serving.parse_environment(first.environment)
    assert environment["EDGE_SLM_HEALTH_URL"] == "https://127.0.0.1:8080/health"
    assert environment["EDGE_SLM_TLS_CERTIFICATE"] == TLS.tls_certificate
    assert ("--ssl-key-file", TLS.tls_key) in zip(first.arguments, first.arguments[1:], strict=False)
    assert "EDGE_SLM_TLS_CERTIFICATE" not in plain.environment
    assert len({plain.digest, first.digest, renewed.digest}) == 3
    assert plan(pair="a").digest == plain.digest


@pytest.mark.parametrize(
    ("certificate", "key", "parts"),
    [
        ("", "", []),
        (TLS.tls_certificate, TLS.tls_key, []),
        (TLS.tls_certificate, "", ["llama_service_tls_key: is missing"]),
        ("", TLS.tls_key, ["llama_service_tls_certificate: is missing"]),
        ("tls.pem", TLS.tls_key, ["llama_service_tls_certificate", "absolute"]),
        ("/root/tls.pem", TLS.tls_key, ["llama_service_tls_certificate", "cannot see /root/tls.pem"]),
    ],
)
def test_paths_of_certificate_and_key(certificate: str, key: str, parts: list[str]) -> None:
    problems = Problems()
    serving.check_tls(certificate, key, problems)
    assert bool(problems.found) == bool(parts)
    assert [part for part in parts if part not in "\n".join(problems.found)] == []


def test_a_key_in_the_place_of_its_name_is_not_shown() -> None:
    secret = "0123456789abcdef0123456789"
    problems = Problems()
    serving.parse_keys([{"name": secret, "key": "demo"}, {"name": f"{secret}/", "key": "demo"}], problems)
    assert len(problems.found) == 4
    assert [sentence for sentence in problems.found if secret in sentence] == []
