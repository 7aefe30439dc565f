"""What the role llama_cpp leaves: a release that was built here, one that was received, one without UI."""

from __future__ import annotations

import json
import os
import re

import pytest
from devices import connect as host
from testinfra.host import Host

ROOT = "/opt/edge-slm/llama.cpp"
TOOLS = ["llama-server", "llama-quantize", "llama-bench", "llama-imatrix", "llama-perplexity", "llama-gguf-split"]


def description(device: Host) -> dict[str, object]:
    return dict(json.loads(device.file(f"{ROOT}/current/release.json").content_string))


@pytest.mark.parametrize("name", ["builder-01", "pi-01", "pi-02"])
def test_current_is_a_whole_release_named_by_its_key(name: str) -> None:
    device = host(name)
    key = description(device)["key"]
    assert device.file(f"{ROOT}/current").linked_to == f"{ROOT}/releases/{key}"
    for tool in TOOLS:
        assert device.file(f"{ROOT}/current/bin/{tool}").mode == 0o755
    assert "11434" in device.run(f"{ROOT}/current/bin/llama-server --version").stderr
    assert not device.run(f"ls -d {ROOT}/releases/*.part").stdout


def test_device_runs_the_very_bytes_that_the_builder_made() -> None:
    command = f"cd {ROOT}/current/bin && sha256sum *"
    digests = {name: host(name).check_output(command) for name in ("builder-01", "pi-01")}
    assert digests["builder-01"] == digests["pi-01"]
    described = description(host("pi-01"))["files"]
    assert isinstance(described, dict)
    listed = "".join(f"{described[f'bin/{tool}']['sha256']}  {tool}\n" for tool in sorted(TOOLS))
    assert digests["pi-01"].strip() == listed.strip()


def served_page(device: Host, release: str) -> tuple[str, str]:
    """Return status and text of what a release's llama-server answers to a browser."""
    script = (
        f"{release}/bin/llama-server --model {release}/selftest.gguf --host 127.0.0.1 --port 18080 "
        ">/dev/null 2>&1 & server=$!; "
        "curl --silent --retry 50 --retry-all-errors --retry-delay 1 --fail -o /dev/null "
        "http://127.0.0.1:18080/health; "
        "curl --silent --compressed -w '%{http_code}' http://127.0.0.1:18080/; kill $server"
    )
    answer = device.run(script).stdout
    return answer[-3:], answer[:-3]


def release_with(device: Host, ui: str) -> str:
    """Return the device's release whose web UI comes from npm, is prebuilt, or is not there."""
    described = device.check_output(f'grep --files-with-matches \'"ui": "{ui}"\' {ROOT}/releases/*/release.json')
    return os.path.dirname(described)


def test_web_page_is_there_when_it_was_built_in() -> None:
    pi, other = host("pi-01"), host("pi-02")
    status, page = served_page(pi, release_with(pi, "npm"))
    assert status == "200"
    assert "<script" in page
    # The same page, built without npm.
    assert served_page(other, release_with(other, "prebuilt")) == (status, page)


def test_web_page_is_not_there_when_it_was_not_wanted() -> None:
    device = host("pi-02")
    assert served_page(device, release_with(device, "none"))[0] == "404"


def test_devices_have_no_compiler_unless_they_build() -> None:
    assert not host("pi-01").package("cmake").is_installed
    assert host("pi-02").package("cmake").is_installed


def test_converter_runs_from_the_release() -> None:
    command = f"{ROOT}/venv/bin/python {ROOT}/current/converter/convert_hf_to_gguf.py --help"
    assert "--outtype" in host("builder-01").check_output(command)


def test_the_artifact_store_is_an_nginx_of_its_own_and_hardened() -> None:
    builder = host("builder-01")
    store = builder.service("edge-slm-artifacts")
    assert (store.is_running, store.is_enabled) == (True, True)
    report = builder.check_output("systemd-analyze security --no-pager edge-slm-artifacts")
    found = re.search(r"exposure level for \S+: ([\d.]+)", report)
    assert found
    assert float(found.group(1)) <= 1.2
    allowed = builder.check_output("systemctl show -p SystemCallFilter --value edge-slm-artifacts").split()
    assert ("accept4" in allowed, "connect" in allowed) == (True, False)
    pid = builder.check_output("systemctl show -p MainPID --value edge-slm-artifacts")
    assert builder.check_output(f"stat -c %U /proc/{pid}") == "edge-slm-artifacts"


def test_the_distributions_nginx_is_left_to_whoever_has_configured_it() -> None:
    """On the builder the registry's stand-in has; its own site is untouched, and ours is not in it."""
    builder = host("builder-01")
    assert builder.service("nginx").is_running
    assert "edge-slm-artifacts" not in builder.check_output("nginx -T 2>/dev/null")


def test_a_device_resumes_a_download_and_sees_nothing_else() -> None:
    device = host("pi-01")
    name = host("builder-01").check_output("cd /var/lib/edge-slm/artifacts/releases && ls *.tar.gz | head -1")
    url = "http://builder-01:8090"
    code = "curl --silent --output /dev/null --write-out '%{http_code}' "
    assert device.check_output(f"{code} --range 0-99 {url}/releases/{name}") == "206"
    for path in ("", "releases/", "models/", "releases/../../../../etc/passwd", "releases/%2e%2e/%2e%2e/x"):
        assert device.check_output(f"{code} --path-as-is {url}/{path}") in ("400", "403", "404"), path
