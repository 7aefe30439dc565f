# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of the role llama_cpp. What a release is and what is in one: llama_cpp/release.py and llama_cpp/content.py.

A device that receives from a builder is compared by the builder's inputs: which release it is to have follows from
them alone. Its tarball's address is needed only to fetch it.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import (
    Digest,
    DurableError,
    is_verified,
    names_in,
    read_json,
    require_space,
    sidecar,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import find_command
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.probe import read_access
from ansible_collections.edge_slm.fleet.plugins.module_utils.host.state import (
    Directory,
    access_difference,
    shared_above,
    shared_directories,
)
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import content, cross, cuda, linkage
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp import release as decide
from ansible_collections.edge_slm.fleet.plugins.module_utils.llama_cpp.release import Inputs, Release
from ansible_collections.edge_slm.fleet.plugins.module_utils.plans.base import FileSet, Host, Plan

#: How many paths of a release get a sentence of their own.
SHOWN_PATHS = 3
#: Names of this role in the directory of published releases: a tarball and what is noted about it.
TARBALL = re.compile(r"\.?(?P<key>.+-[0-9a-f]{10})\.tar\.gz(?:\.json|\.part|\.verified)?")
DIST_INFO = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)\.dist-info")


@dataclass
class Published:
    """A release's tarball as it is."""

    tarball: str
    descriptor: str
    whole: bool = False
    damaged: bool = False
    pending: list[str] = field(default_factory=list)


@dataclass
class Compared:
    """What differs of one part of the plan, and the packages that bringing it takes."""

    pending: list[str] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)


def read_published(inputs: Inputs, release: Release, directory: str, deep: bool) -> Published:
    """Compare a release's tarball and descriptor with the release in its directory."""
    found = Published(
        os.path.join(inputs.publish_path, f"{release.key}.tar.gz"),
        os.path.join(inputs.publish_path, f"{release.cpu_class}.json"),
    )
    noted = read_json(found.descriptor)
    wrong = [name for name, value in content.published_as(directory).items() if noted.get(name) != value]
    if not noted:
        found.pending.append(f"file {found.descriptor}: is missing")
    elif noted.get("key") != release.key:
        found.pending.append(f"file {found.descriptor}: names the release {noted.get('key')}, not {release.key}")
    elif wrong:
        found.pending.append(f"file {found.descriptor}: {', '.join(wrong)} is not as in the release")
    if not os.path.isfile(found.tarball):
        found.pending.append(f"file {found.tarball}: is missing")
    elif noted.get("key") == release.key and not wrong:
        wanted = Digest(str(noted.get("sha256")))
        found.whole = (
            wanted.of(found.tarball) == wanted
            if deep
            else os.path.getsize(found.tarball) == noted.get("size") and is_verified(found.tarball, wanted)
        )
        found.damaged = not found.whole
    if found.damaged:
        found.pending.append(f"file {found.tarball}: its sha256 is not the one in {found.descriptor}")
    return found


def compare_current(inputs: Inputs, release: Release) -> list[str]:
    """Return how `current` differs from a link to the release."""
    path = os.path.join(inputs.root, "current")
    if not os.path.lexists(path):
        return [f"link {path}: is missing"]
    points_to = os.readlink(path)
    wanted = f"releases/{release.key}"
    return [] if points_to == wanted else [f"link {path}: points to {points_to}, not {wanted}"]


def compare_converter(inputs: Inputs, installed: Collection[str]) -> Compared:
    """Compare the converter's environment with what is pinned."""
    wanted = [*decide.CONVERTER_PACKAGES, *([decide.TORCH_PACKAGE] if inputs.converter_torch == "apt" else [])]
    found = Compared(packages=[name for name in wanted if name not in installed])
    venv = os.path.join(inputs.root, "venv")
    python = os.path.realpath(os.path.join(venv, "bin/python"))
    if not os.path.isfile(python):
        found.pending.append(f"Python environment {venv}: is missing")
        return found
    version = re.search(r"python(3\.\d+)$", python)
    # That of a Python that an upgrade of the system has replaced does not count.
    there = {
        decide.package_name(match["name"]): match["version"]
        for path in glob.glob(f"{venv}/lib/python{version[1] if version else '3*'}/site-packages/*.dist-info")
        for match in [DIST_INFO.fullmatch(os.path.basename(path))]
        if match
    }
    for name, pinned in decide.pinned_packages(inputs).items():
        if name not in there:
            found.pending.append(f"Python package {name}: is not installed in {venv}")
        elif pinned and not decide.same_version(there[name], pinned):
            found.pending.append(f"Python package {name}: is {there[name]} in {venv}, not {pinned}")
    return found


def build_packages(inputs: Inputs, ui_dist: str) -> list[str]:
    """Return the packages that a build takes; npm may have come from elsewhere than the distribution."""
    npm = inputs.ui == "npm" and not os.path.isdir(ui_dist) and not find_command("npm")
    return [*decide.BUILD_PACKAGES, *(decide.NPM_PACKAGES if npm else ())]


def lacks(inputs: Inputs, release: Release, architecture: str, coming: Collection[str]) -> list[str]:
    """Return what this host lacks of what a builder's release needs, before the release is fetched."""
    requires = inputs.source.get("requires") or {}
    if not requires:
        return []
    has = linkage.provided(requires.get("libraries", {}), architecture)
    return [
        f"release {release.key}: it {sentence}; upgrade this host's system, or take a release that was built on an "
        "older one (docs/operators/builder.md)."
        for sentence in linkage.unmet(requires, architecture, has, coming)
    ]


def controller_files(inputs: Inputs, source_tree: str, ui_dist: str) -> list[dict[str, str]]:
    """Return the files of the controller that a build takes, as far as what is in them is not on the host yet."""
    files = []
    archive = str(inputs.source.get("archive") or "")
    if archive.startswith("/") and not os.path.isfile(os.path.join(source_tree, "CMakeLists.txt")):
        files.append({"variable": "llama_cpp_source.archive", "path": archive, "sha256": str(inputs.source["sha256"])})
    if inputs.ui == "prebuilt" and inputs.ui_archive.startswith("/") and not os.path.isdir(ui_dist):
        files.append({"variable": "llama_cpp_ui_archive", "path": inputs.ui_archive, "sha256": inputs.ui_sha256})
    return files


def disk_problems(inputs: Inputs, release: Release, work: int) -> list[str]:
    """Return what does not fit on this host's disks; `work` is what the build is going to write (bytes)."""
    needed = {"root": (inputs.root, decide.CUDA_RELEASE_BYTES if inputs.cuda else decide.RELEASE_BYTES)}
    if work:
        needed["cache"] = (inputs.cache, work)
    found = []
    for name, (path, size) in needed.items():
        try:
            require_space(os.path.join(path, "x"), size, release.key)
        except DurableError as error:
            found.append(f"llama_cpp_{name}: {error}.")
    return found


def compare_access(
    inputs: Inputs, directory: str, whole: bool, published: Published | None
) -> list[tuple[Directory, str]]:
    """Return our directories and files whose mode or owner has changed, and how."""
    wanted = [
        *shared_directories(inputs.root),
        Directory(inputs.root),
        Directory(os.path.join(inputs.root, "releases")),
    ]
    if published:
        wanted += shared_directories(inputs.publish_path)
        wanted.append(Directory(inputs.publish_path))
        wanted += [Directory(path, "0644") for path in (published.tarball, published.descriptor)]
    there = [one for one in wanted if os.path.exists(one.path)]
    found = [(one, access_difference(one, read_access(one.path))) for one in there]
    found = [(one, difference) for one, difference in found if difference]
    return found + (content.access_differences(directory) if whole else [])


def access_sentences(found: list[tuple[Directory, str]]) -> list[str]:
    """Return what is pending by changed modes and owners; of many paths the first ones."""
    sentences = [
        f"{'directory' if os.path.isdir(one.path) else 'file'} {one.path}: {difference}" for one, difference in found
    ]
    more = len(sentences) - SHOWN_PATHS
    return sentences if more <= 1 else [*sentences[:SHOWN_PATHS], f"{more} more files: mode or owner is not as wanted"]


def descriptors(inputs: Inputs) -> dict[str, dict[str, Any]]:
    """Return what describes the published releases, by path."""
    found = {path: read_json(path) for path in sorted(glob.glob(os.path.join(inputs.publish_path, "*.json")))}
    return {path: one for path, one in found.items() if one.keys() >= {"key", "cpu_class", "file"}}


def is_outdated(inputs: Inputs, descriptor: Mapping[str, Any]) -> bool:
    """Return whether no device takes what a descriptor names: its tarball is gone, or was made of another source."""
    if not os.path.isfile(os.path.join(inputs.publish_path, str(descriptor["file"]))):
        return True
    made_of = content.described(os.path.join(inputs.root, "releases", str(descriptor["key"]))).get("source") or {}
    return bool(made_of) and decide.pinned(made_of) != decide.pinned(inputs.source)


def no_longer_wanted(inputs: Inputs, release: Release) -> list[str]:
    """Return what nothing needs any more of this release's CPU class; on a builder other classes are other plans'.

    The release that was current before this one always stays: a rollback returns to it, and it may still be running.
    """
    releases, own = os.path.join(inputs.root, "releases"), release.cpu_class
    links = [os.path.join(inputs.root, name) for name in ("current", "previous")]
    published = descriptors(inputs)
    in_use = {release.key, *(str(one["key"]) for one in published.values())}
    in_use |= {os.path.basename(os.readlink(link)) for link in links if os.path.islink(link)}
    there = names_in(releases)
    ages = {name: os.stat(os.path.join(releases, name)).st_mtime for name in there if decide.class_of(name) == own}
    gone = decide.beyond_keep(ages, in_use, inputs.keep)
    half_made = [name for name in there if name.endswith(".part") and decide.class_of(_whole(name)) == own]
    found = [os.path.join(releases, name) for name in (*gone, *half_made)]
    found += [sidecar(path) for path in found]
    if inputs.publish:
        kept = in_use | ages.keys() - {*gone}
        tarballs = [match for match in map(TARBALL.fullmatch, names_in(inputs.publish_path)) if match]
        found += [
            os.path.join(inputs.publish_path, match[0])
            for match in tarballs
            if decide.class_of(match["key"]) == own and match["key"] not in kept
        ]
        found += [path for path, one in published.items() if one["cpu_class"] != own and is_outdated(inputs, one)]
    return [path for path in found if os.path.lexists(path)]


def _whole(name: str) -> str:
    """Return the key of a release that is half made (KEY.part), or that its successor takes aside (KEY.old.part)."""
    return name.removesuffix(".part").removesuffix(".old")


def left_over(inputs: Inputs) -> list[str]:
    """Return what this role has left on the host: only names that it gives. A mount point is somebody else's."""
    releases = os.path.join(inputs.root, "releases")
    found = [os.path.join(inputs.root, name) for name in ("current", "previous", "venv", "venv.lock")]
    for name in names_in(releases):
        path = os.path.join(releases, name)
        ours = (content.DESCRIPTION, "bin/llama-server")
        if name.endswith((".part", ".verified")) or any(os.path.exists(os.path.join(path, one)) for one in ours):
            found.append(path)
    found += [os.path.join(inputs.cache, name) for name in ("llama.cpp", "downloads", "ccache")]
    for name in names_in(inputs.publish_path):
        path = os.path.join(inputs.publish_path, name)
        if TARBALL.fullmatch(name) or (name.endswith(".json") and {"key", "cpu_class"} <= read_json(path).keys()):
            found.append(path)
    return [path for path in found if os.path.lexists(path) and not os.path.ismount(path)]


def plan_absent(inputs: Inputs) -> Plan:
    """Return what is left of the role."""
    chosen = [inputs.root, inputs.cache, inputs.publish_path]
    prune = [os.path.join(inputs.root, "releases"), *chosen, *shared_above(*chosen)]
    files = FileSet(remove=left_over(inputs), prune=prune)
    return Plan(pending=files.sentences(), files={"uninstall": files})


def plan(inputs: Mapping[str, Any], host: Host) -> Plan:
    """Compare the host with the inputs."""
    problems = Problems(prefix="llama_cpp_")
    cast = Inputs.of(inputs, problems)
    if problems.found:
        return Plan(refusals=problems.found)
    if cast.state == "absent":
        return plan_absent(cast)
    target = None
    if cast.cuda:
        target = cuda.Target(cast.cuda_architectures, host.gpus, cuda.read_compiler(cast.cuda_compiler))
    unfit = decide.unfit(cast, host.device, target)
    current = os.path.join(cast.root, "current")
    if cast.activate and os.path.lexists(current) and not os.path.islink(current):
        unfit.append(
            f"llama_cpp_root: {current} is not a link of this role; move it away, or choose another directory."
        )
    if unfit:
        return Plan(unfit=unfit)
    return compare(cast, decide.wanted_release(cast, host.device, target), host)


def clean_rebuild(paths: Mapping[str, str], published: Published | None) -> list[str]:
    """Return what goes before a release is built or received again: not its programs, which may be running."""
    found = [
        paths["source_tree"],
        paths["build"],
        paths["ui_dist"],
        os.path.join(paths["release"], content.DESCRIPTION),
    ]
    return found + ([published.tarball, published.descriptor] if published else [])


def compare(inputs: Inputs, release: Release, host: Host) -> Plan:
    """Compare the host with the release that it is to have."""
    directory = os.path.join(inputs.root, "releases", release.key)
    work = os.path.join(inputs.cache, "llama.cpp")
    ui = inputs.ui_sha256 if inputs.ui == "prebuilt" else release.source_id
    paths = {
        "release": directory,
        "staging": f"{directory}.part",
        "source_tree": os.path.join(work, f"source-{release.source_id}"),
        "build": os.path.join(work, f"build-{release.key}"),
        "ui_dist": os.path.join(work, f"ui-{ui}"),
    }
    published = read_published(inputs, release, directory, host.deep) if inputs.publish else None
    problem = content.damage(directory, host.deep)
    # What a builder has published it can take back: the very same files, and no compiler runs.
    restore = bool(problem and published and published.whole)
    build = bool(problem) and not restore and inputs.mode == "build"
    converter = compare_converter(inputs, host.packages) if inputs.converter else Compared()
    access = compare_access(inputs, directory, not problem, published)
    own = str(host.device["architecture"])
    elsewhere = cross.Cross()
    # A Pi 5 runs what is built for a Pi 4, and does not show what a Pi 4 cannot run.
    if inputs.mode == "build" and release.cpu_class not in ("native", host.device["cpu_class"]):
        elsewhere = cross.decide(own, release.architecture, release.cpu_class, work)

    missing = [name for name in decide.BASE_PACKAGES if name not in host.packages]
    if build:
        missing += [name for name in build_packages(inputs, paths["ui_dist"]) if name not in host.packages]
    if problem:
        missing += [name for name in elsewhere.packages(build) if name not in host.packages]
    missing += converter.packages
    pending = [f"package {name}: is not installed" for name in missing]
    if problem:
        pending.append(f"release {release.key}: {problem}")
    if inputs.activate:
        pending += compare_current(inputs, release)
    pending += published.pending if published else []
    prune = FileSet(remove=no_longer_wanted(inputs, release))
    pending += [*access_sentences(access), *converter.pending, *prune.sentences()]
    needs = {
        "key": release.key,
        "cpu_class": release.cpu_class,
        "mode": "restore" if restore else inputs.mode,
        "due": bool(problem),
        "architecture": release.architecture,
        "testable": release.runnable or bool(elsewhere.emulator),
        **elsewhere.needs(inputs.sysroot_mirror),
        "packages": missing,
        "access": {
            mode: [one.path for one, _difference in access if one.mode == mode]
            for mode in sorted({one.mode for one, _difference in access})
        },
        "cmake_arguments": decide.cmake_arguments(
            {**(elsewhere.target.cmake_options if elsewhere.target else {}), **release.cmake_options}
        ),
        "targets": list(decide.TARGETS),
        "jobs": release.jobs,
        "paths": paths,
        "publish": bool(published and published.pending),
        "damaged_tarball": published.tarball if published and published.damaged else "",
        "converter": bool(converter.pending),
        "discard": clean_rebuild(paths, published),
        "controller_files": [],
    }
    if build:
        needs["controller_files"] = controller_files(inputs, paths["source_tree"], paths["ui_dist"])
    unfit = []
    if problem:
        work_space = decide.BUILD_BYTES if build and not os.path.isdir(paths["build"]) else 0
        unfit = lacks(inputs, release, own, missing)
        unfit += disk_problems(inputs, release, work_space + elsewhere.space)
    return Plan(unfit=unfit, pending=pending, needs=needs, files={"prune": prune})
