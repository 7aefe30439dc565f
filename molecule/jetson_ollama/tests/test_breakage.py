"""What can break on a model's way to a Jetson, with a real Ollama and a real registry: a plain run repairs each."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from devices import FLEET, NETWORK, connect, managed, wait_for_boot
from jetson import HOST, NEW, converge, digests, playing, refused, wait_for_answer

BLOBS = "/var/lib/docker-registry/docker/registry/v2/blobs/sha256"
SETTINGS = "/etc/nginx/registry-stand-in.d"
MODELS = "/var/lib/ollama"
#: In bytes a second; Ollama fetches a model of this size by one connection.
SLOW = 2_000_000


@pytest.fixture(scope="module")
def builder() -> Any:
    return connect("builder-01")


@pytest.fixture(autouse=True)
def without_the_model(host: Any) -> None:
    """Each test begins with a server that has to pull."""
    host.run("ollama rm phi3:mini small")


def weights(builder: Any) -> tuple[str, int]:
    """Return digest and size of the largest file that the registry has for a model."""
    manifest = json.loads(
        builder.check_output(
            "curl --fail --silent --cacert /etc/edge-slm-registry/ca.pem "
            "--header 'Accept: application/vnd.docker.distribution.manifest.v2+json' "
            "https://registry:5000/v2/library/phi3/manifests/mini"
        )
    )
    largest = max(manifest["layers"], key=lambda layer: int(layer["size"]))
    return largest["digest"].removeprefix("sha256:"), largest["size"]


@contextmanager
def registry_with(builder: Any, where: str, settings: str) -> Iterator[None]:
    """Give the registry's nginx further settings for `registry` (manifests) or `blobs` for a while."""
    file = f"{SETTINGS}/{where}.conf"
    builder.check_output(f"mkdir -p {SETTINGS}")
    builder.check_output(f"echo '{settings}' > {file}")
    builder.check_output("systemctl reload nginx")
    try:
        yield
    finally:
        builder.check_output(f"rm {file}")
        # A reload would leave slow answers to end slowly.
        builder.check_output("systemctl restart nginx")


def slow_line(builder: Any) -> AbstractContextManager[None]:
    """Slow down the files of the registry."""
    return registry_with(builder, "blobs", f"limit_rate {SLOW};")


def arrived(host: Any, models: str) -> int:
    """Return how many bytes of a file that is being pulled are on the disk."""
    found = host.run(f"stat --format '%b' {models}/models/blobs/*-partial")
    return sum(int(blocks) * 512 for blocks in found.stdout.split())


def test_a_model_that_the_registry_does_not_have(host: Any) -> None:
    output = refused(
        "converge",
        jetson_ollama_models=[{"name": "nobodys:model", "digest": "sha256:" + "0" * 64, "registry": "registry:5000"}],
    )
    assert "the registry registry:5000 has no library/nobodys:model" in output
    wait_for_answer(host, 1)


def test_an_image_that_the_registry_does_not_have(host: Any) -> None:
    before = json.loads(host.check_output("docker inspect ollama"))[0]["Image"]
    image = "registry:5000/ollama/ollama@sha256:" + "0" * 64
    assert image in refused("converge", jetson_ollama_image=image)
    assert json.loads(host.check_output("docker inspect ollama"))[0]["Image"] == before
    wait_for_answer(host, 1)


def test_an_image_of_a_private_registry(host: Any, builder: Any) -> None:
    image = json.loads((FLEET.parent / f"ollama-{NETWORK}.json").read_text())["image"][NEW]
    receipt = "/run/test-receipt.json"
    host.run(f"docker image rm {image}")

    def pull(**changes: str) -> Any:
        arguments = {"image": image, "receipt": receipt, **changes}
        return managed(HOST).ansible("edge_slm.fleet.jetson_ollama_image", json.dumps(arguments), check=False)

    password = "only-for-this-test-0001"
    builder.check_output(f"printf 'fleet:%s\n' $(openssl passwd -apr1 {password}) > {SETTINGS}.htpasswd")
    login = f'auth_basic "registry"; auth_basic_user_file {SETTINGS}.htpasswd;'
    with registry_with(builder, "registry", login):
        without = pull()
        wrong = pull(username="fleet", password="not-the-password")
        right = pull(username="fleet", password=password)
    pull(state="absent")
    assert "login" in without["msg"]
    assert "login" in wrong["msg"]
    assert right["changed"]
    assert not host.file("/root/.docker/config.json").exists


def test_a_registry_that_is_away(host: Any, builder: Any) -> None:
    builder.check_output("systemctl stop nginx")
    try:
        output = refused("converge")
    finally:
        builder.check_output("systemctl start nginx")
    assert "the registry registry:5000 cannot be reached" in output
    assert "Connection refused" in output
    wait_for_answer(host, 1)
    converge()
    assert "phi3:mini" in digests(host)


def test_bytes_that_are_not_those_of_the_manifest(host: Any, builder: Any) -> None:
    """Ollama reports it inside an answer that began with 200."""
    digest, _size = weights(builder)
    file = f"{BLOBS}/{digest[:2]}/{digest}/data"
    builder.check_output(f"cp --preserve {file} /var/tmp/kept")
    try:
        builder.check_output(f"printf edge | dd of={file} bs=1 seek=1000000 conv=notrunc status=none")
        output = refused("converge")
    finally:
        builder.check_output(f"mv /var/tmp/kept {file}")
    assert "what came is not what the manifest names" in output
    assert "phi3:mini" not in digests(host)
    converge()
    assert "phi3:mini" in digests(host)


def test_power_lost_in_the_pull(host: Any, builder: Any) -> None:
    digest, size = weights(builder)
    with slow_line(builder), playing() as run:
        run.wait_until(lambda: arrived(host, MODELS) > size // 3, "a third of the model")
        subprocess.run(["docker", "restart", "--time", "0", f"{NETWORK}-{HOST}"], check=True, capture_output=True)
    wait_for_boot(host)
    converge()
    assert "phi3:mini" in digests(host)
    assert host.file(f"{MODELS}/models/blobs/sha256-{digest}").sha256sum == digest
    assert "changed=0" in converge()


def test_a_disk_that_fills_in_the_pull(host: Any, builder: Any) -> None:
    _digest, size = weights(builder)
    small = "/mnt/small"
    host.check_output(f"mkdir -p {small}")
    host.check_output(f"mount -t tmpfs -o size={size + 100_000_000} tmpfs {small}")
    try:
        with slow_line(builder), playing(jetson_ollama_models_dir=small) as run:
            run.wait_until(lambda: arrived(host, small) > 1_000_000, "the first megabyte")
            assert "No space left" in host.run(f"dd if=/dev/zero of={small}/full bs=1M").stderr
            output = " ".join(run.end().split())
            assert run.process.returncode != 0
        assert "the disk is full" in output
        assert f"{small}/models has 0.0 MiB free" in output
        host.check_output(f"rm {small}/full")
        converge(jetson_ollama_models_dir=small)
        assert "phi3:mini" in digests(host)
    finally:
        converge()
        host.check_output(f"umount {small}")
