"""Ways to a registry, with a real Docker, Ollama and registry: a proxy, a CA of the registry's own, plain HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from devices import FLEET, NETWORK, connect
from jetson import converge, digests, refused

PROXY = "http://127.0.0.1:8888"
#: Ports of registries beside the stand-in's own, which serve the same: with a CA of its own, and without TLS.
OWN_CA, PLAIN = 5010, 5011
SERVER = """
server {{
    listen {port}{tls};
    location / {{
        proxy_pass http://127.0.0.1:5002;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-Proto {scheme};
    }}
}}
"""
#: Where the same files wait for a second registry; `blobs` answers all of them.
SITE = "/etc/nginx/conf.d/test-registries.conf"


def known() -> dict[str, Any]:
    """Return what the stand-in has."""
    return dict(json.loads((FLEET.parent / f"ollama-{NETWORK}.json").read_text()))


def image(registry: str) -> str:
    reference: str = known()["image"]["0.6.8"]
    return reference.replace("registry:5000", registry)


def model(registry: str) -> dict[str, str]:
    return {"name": "phi3:mini", "digest": known()["model"]["phi3:mini"]["digest"], "registry": registry}


def docker_asks(host: Any, registry: str) -> bool:
    """Return whether dockerd gets a manifest of a registry; the image's layers are there already."""
    return bool(host.run(f"docker pull --quiet {image(registry)}").rc == 0)


@pytest.fixture(autouse=True)
def without_the_model(host: Any) -> None:
    host.run("ollama rm phi3:mini small")


@pytest.fixture
def proxy(host: Any) -> Iterator[None]:
    """A proxy on the device, the only program that can reach the registry."""
    host.check_output("apt-get -qq update && apt-get -qq install --no-install-recommends tinyproxy-bin adduser")
    host.run("adduser --quiet --system --group test-proxy")
    settings = "Port 8888\nListen 127.0.0.1\nUser test-proxy\nGroup test-proxy\nLogLevel Connect\nTimeout 600\n"
    host.check_output(f"printf '{settings}' > /root/proxy.conf")
    host.check_output("systemd-run --quiet --unit=test-proxy tinyproxy -d -c /root/proxy.conf")
    host.check_output("nft add table inet test_ways_out")
    host.check_output("nft add chain inet test_ways_out output '{ type filter hook output priority 0; }'")
    host.check_output(
        "nft add rule inet test_ways_out output meta skuid != test-proxy tcp dport '{ 5000, 5001 }' reject"
    )
    try:
        yield
    finally:
        host.run("nft delete table inet test_ways_out")
        host.run("systemctl stop test-proxy")


@pytest.fixture
def registries(host: Any, tmp_path: Path) -> Iterator[Path]:
    """Two more registries on the builder; their CA is a file on the controller."""
    builder = connect("builder-01")
    builder.check_output(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=theirs "
        "-addext subjectAltName=DNS:registry -keyout /root/theirs.key -out /root/theirs.pem 2>&1"
    )
    tls = " ssl; ssl_certificate /root/theirs.pem; ssl_certificate_key /root/theirs.key"
    text = SERVER.format(port=OWN_CA, tls=tls, scheme="https") + SERVER.format(port=PLAIN, tls="", scheme="http")
    builder.check_output(f"cat > {SITE} <<'END'\n{text}\nEND")
    builder.check_output("systemctl restart nginx")
    # Where the builder has a firewall, it opens the stand-in's ports alone.
    builder.run(f"nft insert rule inet edge_slm input tcp dport '{{ {OWN_CA}, {PLAIN} }}' accept")
    ca = tmp_path / "theirs.pem"
    ca.write_text(builder.file("/root/theirs.pem").content_string)
    try:
        yield ca
    finally:
        builder.check_output(f"rm {SITE} && systemctl restart nginx")


def test_all_goes_through_the_proxy_and_the_proxy_goes_again(host: Any, proxy: None) -> None:
    assert "the registry registry:5000 cannot be reached" in refused("converge")
    assert not docker_asks(host, "registry:5000")
    converge(jetson_ollama_proxy_environment={"https_proxy": PROXY})
    assert "phi3:mini" in digests(host)
    assert docker_asks(host, "registry:5000")
    log = host.check_output("journalctl --unit test-proxy --output cat")
    for asked in ("registry:5000", "blobs:5001"):
        assert f"CONNECT {asked}" in log
    assert "changed=0" in converge(jetson_ollama_proxy_environment={"https_proxy": PROXY})

    host.check_output("nft delete table inet test_ways_out")
    converge()
    assert "proxies" not in json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert PROXY not in host.check_output("docker inspect ollama; docker info")


def test_registries_with_a_ca_of_their_own_and_without_tls(host: Any, registries: Path) -> None:
    own, plain = f"registry:{OWN_CA}", f"registry:{PLAIN}"
    assert "certificate" in refused("converge", jetson_ollama_models=[model(own)])
    both = [{"host": own, "ca": str(registries)}, {"host": plain, "insecure": True}]
    converge(jetson_ollama_models=[model(own)], jetson_ollama_registries=both)
    assert "phi3:mini" in digests(host)
    assert [docker_asks(host, one) for one in (own, plain)] == [True, True]

    host.check_output("ollama rm phi3:mini")
    converge(jetson_ollama_models=[model(plain)], jetson_ollama_registries=both)
    assert "phi3:mini" in digests(host)

    converge()
    assert [docker_asks(host, one) for one in (own, plain)] == [False, False]
    assert not host.file("/etc/edge-slm/ollama-registries").exists
