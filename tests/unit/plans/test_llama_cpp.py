"""The plan of llama_cpp: which release a host is to have, and what differs of it, of its tarball and environment."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import sidecar
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.gpu import Gpu, Gpus
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.writing import remove_tree
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import content
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.release import (
    BASE_PACKAGES,
    BUILD_PACKAGES,
    CONVERTER_PACKAGES,
    TORCH_PACKAGE,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans import llama_cpp
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import Host, Plan

ROLE = Path(__file__).resolve().parents[3] / "roles" / "llama_cpp"
DEFAULTS = {
    name.removeprefix("llama_cpp_"): value
    for name, value in yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8")).items()
}
SHA256 = "0123456789abcdef" * 4
ARCHIVE = {"archive": "/srv/llama.cpp.tar.gz", "sha256": SHA256, "version": "b11434"}
DEVICE = {"cpu_class": "x86-64-v3", "architecture": "x86_64", "cores": 2, "memory_mib": 4096}
#: What a release needs, as its self-test has read it.
REQUIRES = {"architecture": "x86_64", "libraries": {"libc.so.6": ["GLIBC_2.34"]}}
FILES = {"bin/llama-server": b"server", "converter/gguf-py/gguf.py": b"code", "selftest.gguf": b"model"}


@pytest.fixture(autouse=True)
def own_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the tests' user for root."""
    me = pwd.getpwuid(os.getuid()).pw_name
    if me != "root":

        def chown(path: str, *_: object, **__: object) -> None:
            assert os.path.lexists(path)

        monkeypatch.setattr(os, "chown", chown)
        for module in (content, llama_cpp):
            real = module.access_difference
            monkeypatch.setattr(
                module, "access_difference", lambda *a, real=real: real(*a) if "mode" in real(*a) else ""
            )


class Fleet:
    """A host's directories, and questions about them."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.root, self.cache, self.published = top / "root", top / "cache", top / "published"
        self.packages = [*BASE_PACKAGES]
        self.inputs: dict[str, Any] = {"source": ARCHIVE, "ui": "none"}
        self.deep = False
        self.device = DEVICE
        self.gpus = Gpus(problem="no NVIDIA GPU was found")

    def ask(self, **changes: Any) -> Plan:
        host = Host(self.deep)
        host.packages = dict.fromkeys(self.packages, "1")
        host.device = self.device
        host.gpus = self.gpus
        paths = {"root": str(self.root), "cache": str(self.cache), "publish_path": str(self.published)}
        return llama_cpp.plan({**DEFAULTS, **paths, **self.inputs, **changes}, host)

    @property
    def key(self) -> str:
        return str(self.ask().needs["key"])

    @property
    def release(self) -> Path:
        return self.root / "releases" / self.key

    def build(self, key: str = "", description: bool = True) -> Path:
        """Write the files of a release and admit it."""
        release = self.root / "releases" / (key or self.key)
        staged = release.with_name(f"{release.name}.part")
        for name, text in FILES.items():
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            (staged / name).write_bytes(text)
        (staged / "bin/llama-server").chmod(0o700)
        self.root.chmod(0o755)
        descriptor = {"key": release.name, "ui": "npm", "cpu_class": "x86-64-v3", "requires": REQUIRES}
        if not description:
            (staged / "release.json").write_text(json.dumps({**descriptor, "files": content.describe(str(staged))}))
        assert content.admit(str(staged), str(release), descriptor if description else None) == ""
        return release

    def switch(self, key: str = "") -> None:
        current = self.root / "current"
        current.unlink(missing_ok=True)
        current.symlink_to(f"releases/{key or self.key}")

    def publish(self) -> Path:
        self.published.mkdir(exist_ok=True)
        tarball = self.published / f"{self.key}.tar.gz"
        tarball.write_bytes(b"tarball")
        descriptor = {"key": self.key, "cpu_class": "x86-64-v3", "file": tarball.name, "size": 7, "requires": REQUIRES}
        descriptor["sha256"] = hashlib.sha256(b"tarball").hexdigest()
        (self.published / "x86-64-v3.json").write_text(json.dumps(descriptor))
        self.inputs["publish"] = True
        return tarball


@pytest.fixture
def bare(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


@pytest.fixture
def fleet(bare: Fleet) -> Fleet:
    """A host that is as wanted."""
    bare.build()
    bare.switch()
    bare.publish()
    assert bare.ask().pending == []
    return bare


def test_a_bare_host_builds(bare: Fleet) -> None:
    bare.packages = ["aria2", "git"]
    plan = bare.ask()
    missing = ["ca-certificates", "libgomp1", "openssl", *(name for name in BUILD_PACKAGES if name != "git")]
    assert plan.pending == [
        *(f"package {name}: is not installed" for name in missing),
        f"release {bare.key}: is not on this host",
        f"link {bare.root}/current: is missing",
    ]
    assert plan.needs["packages"] == missing
    assert (plan.needs["mode"], plan.needs["due"]) == ("build", True)
    assert plan.needs["controller_files"] == [
        {"variable": "llama_cpp_source.archive", "path": "/srv/llama.cpp.tar.gz", "sha256": SHA256}
    ]


def test_a_device_that_receives_needs_no_compiler_and_no_archive(bare: Fleet) -> None:
    plan = bare.ask(received=True)
    assert plan.pending == [f"release {bare.key}: is not on this host", f"link {bare.root}/current: is missing"]
    assert (plan.needs["packages"], plan.needs["controller_files"]) == ([], [])


def test_what_is_in_the_cache_is_not_taken_from_the_controller(bare: Fleet) -> None:
    prebuilt = {"ui": "prebuilt", "ui_archive": "/srv/ui.tar.gz", "ui_sha256": SHA256}
    plan = bare.ask(**prebuilt)
    assert [file["variable"] for file in plan.needs["controller_files"]] == [
        "llama_cpp_source.archive",
        "llama_cpp_ui_archive",
    ]
    tree, dist = Path(plan.needs["paths"]["source_tree"]), Path(plan.needs["paths"]["ui_dist"])
    tree.mkdir(parents=True)
    (tree / "CMakeLists.txt").touch()
    dist.mkdir()
    assert bare.ask(**prebuilt).needs["controller_files"] == []
    # One that a device of another kind has is not this one.
    assert bare.ask(source={**ARCHIVE, "sha256": SHA256[::-1]}).needs["controller_files"] != []


def test_npm_is_installed_where_the_page_is_built(bare: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_cpp, "find_command", lambda name: "")
    assert "npm" in bare.ask(ui="npm").needs["packages"]
    assert "npm" not in bare.ask().needs["packages"]
    monkeypatch.setattr(llama_cpp, "find_command", lambda name: "/usr/local/bin/npm")
    assert "npm" not in bare.ask(ui="npm").needs["packages"]


def replace(path: Path) -> None:
    """Put another file of the same size and times in a file's place."""
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes()[::-1])
    other.chmod(stat.S_IMODE(before.st_mode))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(path)


SERVER = "bin/llama-server"


@pytest.mark.parametrize(
    ("drift", "sentence"),
    [
        (lambda release: replace(release / SERVER), f"its file {SERVER} is not the one that was admitted"),
        (lambda release: (release / SERVER).unlink(), f"its file {SERVER} is missing"),
        (lambda release: (release / "selftest.gguf").write_bytes(b"x"), "its file selftest.gguf has 1 bytes, not 5"),
        (lambda release: (release / "release.json").unlink(), "its release.json does not list its files"),
        (lambda release: release.rename(release.with_name("x")), "is not on this host"),
    ],
)
def test_a_damaged_release(fleet: Fleet, drift: Callable[[Path], object], sentence: str) -> None:
    drift(fleet.release)
    plan = fleet.ask()
    (pending,) = plan.pending
    assert pending.startswith(f"release {fleet.key}: {sentence}")
    # The builder has the very files in its tarball.
    assert (plan.needs["mode"], plan.needs["packages"]) == ("restore", [])
    alone = fleet.ask(publish=False)
    assert (alone.needs["mode"], alone.needs["packages"]) == ("build", [*BUILD_PACKAGES])
    fleet.build()
    assert fleet.ask().pending == []


def test_only_a_deep_look_reads_what_has_not_changed(fleet: Fleet) -> None:
    server = fleet.release / SERVER
    server.write_bytes(server.read_bytes()[::-1])
    # Somebody who can set all of a file's times back, or a disk that forgets.
    noted = json.loads(Path(sidecar(str(fleet.release))).read_text())
    noted[SERVER] = {**content.identity(str(server)), "sha256": hashlib.sha256(b"server").hexdigest()}
    Path(sidecar(str(fleet.release))).write_text(json.dumps(noted))
    assert fleet.ask().pending == []
    fleet.deep = True
    assert "is not the one that was admitted" in fleet.ask().pending[0]


def test_what_was_read_is_not_read_again(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    (fleet.release / SERVER).touch()
    assert fleet.ask().pending == []

    def no(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(content.Digest, "of", no)
    assert fleet.ask().pending == []


def test_python_may_compile_the_converter(fleet: Fleet) -> None:
    (fleet.release / "converter/gguf-py/__pycache__").mkdir()
    assert fleet.ask().pending == []


@pytest.mark.parametrize(
    ("paths", "sentences"),
    [
        (["{release}/bin/llama-server"], ["file {release}/bin/llama-server: its mode is 0777, not 0755"]),
        (["{release}/selftest.gguf"], ["file {release}/selftest.gguf: its mode is 0777, not 0644"]),
        (["{release}"], ["directory {release}: its mode is 0777, not 0755"]),
        (["{root}"], ["directory {root}: its mode is 0777, not 0755"]),
        (["{published}"], ["directory {published}: its mode is 0777, not 0755"]),
        (["{published}/{key}.tar.gz"], ["file {published}/{key}.tar.gz: its mode is 0777, not 0644"]),
        (
            ["{release}", "{release}/bin", "{release}/bin/llama-server", "{release}/converter", "{root}"],
            [
                "directory {root}: its mode is 0777, not 0755",
                "directory {release}: its mode is 0777, not 0755",
                "directory {release}/bin: its mode is 0777, not 0755",
                "2 more files: mode or owner is not as wanted",
            ],
        ),
    ],
)
def test_modes(fleet: Fleet, paths: list[str], sentences: list[str]) -> None:
    names = {"root": fleet.root, "release": fleet.release, "published": fleet.published, "key": fleet.key}
    for path in paths:
        Path(path.format(**names)).chmod(0o777)
    plan = fleet.ask()
    assert plan.pending == [sentence.format(**names) for sentence in sentences]
    assert not plan.needs["due"]
    for mode, changed in plan.needs["access"].items():
        for path in changed:
            os.chmod(path, int(mode, 8))
    assert fleet.ask().pending == []


def test_current(fleet: Fleet) -> None:
    fleet.switch("other")
    assert fleet.ask().pending == [f"link {fleet.root}/current: points to releases/other, not releases/{fleet.key}"]
    assert fleet.ask(activate=False).pending == []
    (fleet.root / "current").unlink()
    assert fleet.ask().pending == [f"link {fleet.root}/current: is missing"]
    (fleet.root / "current").mkdir()
    assert fleet.ask().unfit == [
        f"llama_cpp_root: {fleet.root}/current is not a link of this role; move it away, or choose another directory."
    ]


def damage(tarball: Path) -> None:
    tarball.write_bytes(b"Tarball")


def edit(tarball: Path, **changes: Any) -> None:
    descriptor = tarball.parent / "x86-64-v3.json"
    descriptor.write_text(json.dumps({**json.loads(descriptor.read_text()), **changes}))


@pytest.mark.parametrize(
    ("drift", "sentences", "damaged"),
    [
        (Path.unlink, ["file {tarball}: is missing"], False),
        (damage, ["file {tarball}: its sha256 is not the one in {descriptor}"], True),
        (lambda tarball: (tarball.parent / "x86-64-v3.json").unlink(), ["file {descriptor}: is missing"], False),
        (
            lambda tarball: (tarball.parent / "x86-64-v3.json").write_text('{"key": "k"}'),
            ["file {descriptor}: names the release k, not {key}"],
            False,
        ),
        (
            lambda tarball: edit(tarball, requires={"architecture": "aarch64"}, cpu_class="native"),
            ["file {descriptor}: cpu_class, requires is not as in the release"],
            False,
        ),
    ],
)
def test_published(fleet: Fleet, drift: Callable[[Path], object], sentences: list[str], damaged: bool) -> None:
    tarball = fleet.published / f"{fleet.key}.tar.gz"
    names = {"tarball": tarball, "descriptor": fleet.published / "x86-64-v3.json", "key": fleet.key}
    drift(tarball)
    plan = fleet.ask()
    assert plan.pending == [sentence.format(**names) for sentence in sentences]
    assert plan.needs["publish"]
    assert plan.needs["damaged_tarball"] == (str(tarball) if damaged else "")
    # What cannot be trusted is not taken back.
    (fleet.release / SERVER).unlink()
    assert fleet.ask().needs["mode"] == "build"
    fleet.publish()
    fleet.build()
    assert fleet.ask().pending == []
    assert fleet.ask(publish=False).needs["damaged_tarball"] == ""


def environment(fleet: Fleet, **packages: str) -> None:
    """Make an environment with these packages."""
    venv = fleet.root / "venv"
    python = fleet.top / "python3.13"
    python.touch()
    (venv / "bin").mkdir(parents=True, exist_ok=True)
    if not (venv / "bin/python").is_symlink():
        (venv / "bin/python").symlink_to(python)
    for name, version in packages.items():
        (venv / f"lib/python3.13/site-packages/{name}-{version}.dist-info").mkdir(parents=True, exist_ok=True)


WANTED = {"converter": True, "converter_requirements": ["huggingface_hub==2.4.0", "Transformers==5.23.0"]}


@pytest.mark.parametrize(
    ("packages", "changes", "sentences"),
    [
        ({"huggingface_hub": "2.4.0", "transformers": "5.23.0"}, {}, []),
        ({"huggingface_hub": "2.4.0", "transformers": "4.57.6"}, {}, ["transformers: is 4.57.6 in {venv}, not 5.23.0"]),
        ({"huggingface_hub": "2.4"}, {}, ["transformers: is not installed in {venv}"]),
        (
            {"huggingface_hub": "2.4.0", "transformers": "5.23.0"},
            {"converter_torch": "pip"},
            ["torch: is not installed in {venv}"],
        ),
        ({"huggingface_hub": "2.4.0", "transformers": "5.23.0", "torch": "2.9.0+cpu"}, {"converter_torch": "pip"}, []),
    ],
)
def test_the_converters_environment(
    fleet: Fleet, packages: dict[str, str], changes: dict[str, Any], sentences: list[str]
) -> None:
    fleet.packages += [*CONVERTER_PACKAGES, TORCH_PACKAGE]
    environment(fleet, **packages)
    plan = fleet.ask(**WANTED, **changes)
    assert plan.pending == [f"Python package {line.format(venv=fleet.root / 'venv')}" for line in sentences]
    assert plan.needs["converter"] is bool(sentences)
    assert fleet.ask().pending == [], "who does not convert needs none"


def test_an_environment_whose_python_is_gone(fleet: Fleet) -> None:
    missing = [*CONVERTER_PACKAGES, TORCH_PACKAGE]
    packages = [f"package {name}: is not installed" for name in missing]
    assert fleet.ask(**WANTED).pending == [*packages, f"Python environment {fleet.root}/venv: is missing"]
    fleet.packages += missing
    environment(fleet, huggingface_hub="2.4.0", transformers="5.23.0")
    (fleet.top / "python3.13").rename(fleet.top / "python3.14")
    assert fleet.ask(**WANTED).pending == [f"Python environment {fleet.root}/venv: is missing"]
    # An upgrade of the system has brought another one.
    (fleet.root / "venv/bin/python").unlink()
    (fleet.root / "venv/bin/python").symlink_to(fleet.top / "python3.14")
    assert len(fleet.ask(**WANTED).pending) == 2


def prune(fleet: Fleet, **changes: Any) -> list[str]:
    """Remove what is no longer wanted, as the role does; return the names."""
    remove = fleet.ask(**changes).files["prune"].remove
    for path in remove:
        remove_tree(path)
    return sorted(os.path.basename(path) for path in remove)


def test_each_class_keeps_its_own_releases(fleet: Fleet) -> None:
    """A builder of two classes: the plan of one leaves what is the other's alone, however few are kept."""
    native, avx = ([f"v{n}-{name}-{n:010x}" for n in range(3)] for name in ("native", "x86-64-v3"))
    for number, key in enumerate([*native, *avx]):
        os.utime(fleet.build(key), (number % 3, number % 3))
        (fleet.published / f"{key}.tar.gz").write_bytes(b"old")
        (fleet.published / f"{key}.tar.gz.json").write_text("{}")
    (fleet.root / "releases/somebodys").mkdir()
    (fleet.root / "previous").symlink_to(f"releases/{avx[0]}")
    plan = fleet.ask(keep=2)
    gone = [avx[2], avx[1]]
    assert plan.pending == [f"{path}: is no longer wanted" for path in plan.files["prune"].remove]
    notes = [name for key in gone for name in (f".{key}.verified", f"{key}.tar.gz", f"{key}.tar.gz.json")]
    assert prune(fleet, keep=2) == sorted([*gone, *notes])
    assert fleet.ask(keep=1).pending == [], "what served before stays, and what is another class's"
    other = {"cpu_class": "native", "activate": False, "keep": 2}
    fleet.build(fleet.ask(**other).needs["key"])
    assert {name.partition(".tar")[0].strip(".").partition(".verified")[0] for name in prune(fleet, **other)} == {
        native[0],
        native[1],
    }
    assert fleet.ask(keep=1).pending == []


def test_what_killed_runs_left_goes(fleet: Fleet) -> None:
    (fleet.root / f"releases/{fleet.key}.part").mkdir()
    (fleet.root / "releases/somebodys.part").mkdir()
    # Taken aside for its successor, by a run that was killed then; and what was noted about a half-made one.
    (fleet.root / f"releases/{fleet.key}.old.part").mkdir()
    Path(sidecar(str(fleet.root / f"releases/{fleet.key}.part"))).write_text("{}")
    assert set(prune(fleet)) == {f"{fleet.key}.part", f"{fleet.key}.old.part", f".{fleet.key}.part.verified"}


@pytest.mark.parametrize(("pinned", "gone"), [("other", ["native.json"]), (SHA256, [])])
def test_a_descriptor_of_another_source_goes(fleet: Fleet, pinned: str, gone: list[str]) -> None:
    key = "v1-native-0123456789"
    release = fleet.build(key)
    (release / "release.json").write_text(json.dumps({"key": key, "source": {**ARCHIVE, "sha256": pinned}}))
    (fleet.published / f"{key}.tar.gz").write_bytes(b"tarball")
    (fleet.published / "native.json").write_text(
        json.dumps({"key": key, "cpu_class": "native", "file": f"{key}.tar.gz"})
    )
    assert prune(fleet) == gone
    (fleet.published / f"{key}.tar.gz").unlink()
    assert prune(fleet) == ([] if gone else ["native.json"])


@pytest.mark.parametrize(
    ("changes", "device", "kind", "start"),
    [
        ({"source": {"git": "u", "commit": "main"}}, DEVICE, "refusals", "llama_cpp_source.commit: must be a full"),
        ({"cpu_class": "armv8-a"}, DEVICE, "unfit", "llama_cpp_cpu_class: this CPU is of class x86-64-v3 and"),
        ({}, {**DEVICE, "cpu_class": "", "architecture": "armhf"}, "unfit", "llama_cpp_cpu_class: no class is known"),
    ],
)
def test_refused(bare: Fleet, changes: dict[str, Any], device: dict[str, Any], kind: str, start: str) -> None:
    bare.device = device
    plan = bare.ask(**changes)
    (line,) = getattr(plan, kind)
    assert line.startswith(start)
    assert plan.pending == []


#: As a builder asks about the release for another CPU class than its own.
FOR_OTHERS = {"activate": False, "publish": True}


def test_a_release_for_another_architecture(bare: Fleet) -> None:
    plan = bare.ask(cpu_class="armv8.2-a+dotprod+fp16", **FOR_OTHERS)
    sysroot = plan.needs["cross"]["sysroot"]
    assert (plan.refusals, plan.unfit) == ([], [])
    assert sysroot.startswith(f"{bare.cache}/llama.cpp/sysroot-bookworm-arm64-")
    assert plan.needs["cross"]["triplet"] == "aarch64-linux-gnu"
    assert plan.needs["emulator"] == ["qemu-aarch64", "-cpu", "cortex-a76", "-L", sysroot]
    assert plan.needs["testable"]
    toolchain = f"-DCMAKE_TOOLCHAIN_FILE={bare.cache}/llama.cpp/toolchain-arm64.cmake"
    assert {toolchain, "-DGGML_OPENMP=OFF"} <= {*plan.needs["cmake_arguments"]}
    given = bare.ask(cpu_class="armv8-a", cmake_options={"GGML_OPENMP": "ON"}, **FOR_OTHERS).needs["cmake_arguments"]
    assert [word for word in given if "OPENMP" in word] == ["-DGGML_OPENMP=ON"], "the user's own options win"
    assert {*BUILD_PACKAGES, "clang", "lld", "mmdebstrap", "qemu-user"} <= {*plan.needs["packages"]}


@pytest.mark.parametrize(
    ("own", "other", "cpu"),
    [
        ("armv8-a", "armv8.2-a+dotprod+fp16", "cortex-a76"),
        # It would run here, and use what a Pi 4 does not have without anybody noticing.
        ("armv8.2-a+dotprod+fp16", "armv8-a", "cortex-a72"),
    ],
)
def test_a_release_for_another_cpu_of_this_architecture(bare: Fleet, own: str, other: str, cpu: str) -> None:
    bare.device = {**DEVICE, "architecture": "aarch64", "cpu_class": own}
    plan = bare.ask(cpu_class=other, **FOR_OTHERS)
    assert plan.needs["cross"] == {}
    assert plan.needs["emulator"] == ["qemu-aarch64", "-cpu", cpu]
    assert "qemu-user" in plan.needs["packages"]
    assert "clang" not in plan.needs["packages"]


@pytest.mark.parametrize("changes", [{}, {"publish": True}, {"cpu_class": "native"}])
def test_a_release_for_this_host_takes_no_emulator(bare: Fleet, changes: dict[str, Any]) -> None:
    plan = bare.ask(**changes)
    assert (plan.needs["cross"], plan.needs["emulator"], plan.needs["testable"]) == ({}, [], True)
    assert not {"clang", "qemu-user"} & {*plan.needs["packages"]}


def test_what_a_release_of_a_builder_needs_is_compared_before_it_is_fetched(
    bare: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    has = {"libc.so.6": frozenset({"GLIBC_2.17", "GLIBC_2.35"})}
    monkeypatch.setattr(llama_cpp.linkage, "provided", lambda names, architecture: has)
    requires = {"architecture": "x86_64", "libraries": {"libc.so.6": ["GLIBC_2.17", "GLIBC_2.38"]}}
    key = "b11434-x86-64-v3-0123456789"
    source = {"release": "http://builder/x.tar.gz", "sha256": SHA256, "key": key, "requires": requires}
    (sentence,) = bare.ask(source=source).unfit
    assert sentence.startswith(
        f"release {key}: it needs GLIBC_2.38 of libc.so.6, this host's goes up to GLIBC_2.35; upgrade this host's"
    )
    requires["libraries"] = {"libc.so.6": ["GLIBC_2.17"], "libgomp.so.1": ["GOMP_1.0"]}
    bare.packages.remove("libgomp1")
    assert bare.ask(source=source).unfit == [], "the role brings libgomp1"
    bare.packages.append("libgomp1")
    (sentence,) = bare.ask(source=source).unfit
    assert "needs the library libgomp.so.1, which this host does not have" in sentence
    bare.build(key)
    assert bare.ask(source=source).unfit == [], "what is there runs already"


def test_a_full_disk(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_cpp.decide, "RELEASE_BYTES", 1 << 60)
    monkeypatch.setattr(llama_cpp.decide, "BUILD_BYTES", 1 << 60)
    assert fleet.ask().unfit == [], "what is there needs no room"
    (fleet.release / SERVER).unlink()
    found = fleet.ask(publish=False).unfit
    assert [line.partition(": disk too small for ")[0] for line in found] == ["llama_cpp_root", "llama_cpp_cache"]
    assert len(fleet.ask(received=True, publish=False).unfit) == 1


def test_absent(fleet: Fleet) -> None:
    environment(fleet, transformers="1")
    (fleet.cache / "llama.cpp").mkdir(parents=True)
    (fleet.cache / "models").mkdir()
    (fleet.root / "releases/half.part").mkdir()
    (fleet.root / "releases/somebodys").mkdir()
    (fleet.published / "notes.json").write_text("{}")
    (fleet.root / "previous").symlink_to("releases/gone")
    release, key = fleet.release, fleet.key
    plan = fleet.ask(state="absent", source="whatever")
    assert sorted(plan.files["uninstall"].remove) == sorted(
        map(
            str,
            [
                fleet.root / "current",
                fleet.root / "previous",
                fleet.root / "venv",
                release,
                release.with_name(f".{key}.verified"),
                release.with_name("half.part"),
                fleet.cache / "llama.cpp",
                fleet.published / f"{key}.tar.gz",
                fleet.published / f".{key}.tar.gz.verified",
                fleet.published / "x86-64-v3.json",
            ],
        )
    )
    assert f"{release}: is no longer wanted" in plan.pending
    assert len(plan.pending) == 10


def test_nothing_is_left_of_what_never_was(bare: Fleet) -> None:
    assert bare.ask(state="absent").pending == []


def test_a_mount_point_is_somebody_elses(bare: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare.cache / "ccache").mkdir(parents=True)
    assert bare.ask(state="absent").pending == [f"{bare.cache}/ccache: is no longer wanted"]
    monkeypatch.setattr(os.path, "ismount", lambda path: path.endswith("/ccache"))
    assert bare.ask(state="absent").pending == []


def test_a_received_release_must_match_its_description(bare: Fleet) -> None:
    release = bare.build(description=False)
    assert content.damage(str(release)) == ""
    staged = release.with_name("other.part")
    release.rename(staged)
    assert (
        content.admit(str(staged), str(release.with_name("other")), None)
        == f"it is the release {release.name}, not other"
    )
    replace(staged / SERVER)
    assert "is not the one that was admitted" in content.admit(str(staged), str(release), None)
    assert not release.exists()


def test_an_admitted_release_has_one_mode_for_programs_and_one_for_the_rest(bare: Fleet) -> None:
    release = bare.build()
    modes = {name: stat.S_IMODE((release / name).stat().st_mode) for name in (*FILES, "bin")}
    assert modes == {SERVER: 0o755, "converter/gguf-py/gguf.py": 0o644, "selftest.gguf": 0o644, "bin": 0o755}


def test_a_release_for_gpus_is_refused_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = Fleet(tmp_path)
    nvcc = tmp_path / "cuda/bin/nvcc"
    changes = {"cuda": True, "cuda_compiler": str(nvcc)}
    assert fleet.ask(**changes).unfit[0].startswith("llama_cpp_cuda: no NVIDIA GPU was found; install")
    fleet.gpus = Gpus((Gpu("Tesla T4", 15360, "7.5"),))
    refused = fleet.ask(**changes)
    assert refused.unfit[0].startswith(f"llama_cpp_cuda_compiler: {nvcc} is not there")
    assert refused.pending == []
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 13.5, V13.5.37'\n")
    nvcc.chmod(0o755)
    built = fleet.ask(**changes)
    assert (built.unfit, built.needs["mode"]) == ([], "build")
    assert "-DCMAKE_CUDA_ARCHITECTURES=75" in built.needs["cmake_arguments"]
    # Where it is not asked for, nothing of it counts.
    assert not [word for word in fleet.ask().needs["cmake_arguments"] if "CUDA" in word]
    monkeypatch.setattr(llama_cpp.decide, "CUDA_RELEASE_BYTES", 1 << 60)
    assert fleet.ask(**changes).unfit[0].startswith("llama_cpp_root: disk too small")
    assert fleet.ask().unfit == []
