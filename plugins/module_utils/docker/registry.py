# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of images, and what a registry reports about an image, or a model of Ollama's, before it is pulled."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.files import mib
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.http import trusting

HUB_HOST = "registry-1.docker.io"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
#: One component of a repository's name, as registries take it.
COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
REPOSITORY = re.compile(rf"{COMPONENT}(?:/{COMPONENT})*")
INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
#: What registries call architectures that the kernel calls otherwise.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
#: A manifest is a few kilobytes; more is not a manifest.
LARGEST_MANIFEST = 4 << 20


class RegistryError(Exception):
    """A registry did not answer what it was asked; the message names it."""


@dataclass(frozen=True)
class Image:
    """An image by its digest.

    Args:
        name: As it was written, without tag and digest: `ollama/ollama`, `registry:5000/ollama/ollama`.
        host: The registry, with its port; Docker Hub where none was written.
        repository: Its name there.
        digest: `sha256:` and 64 hex digits.
    """

    name: str
    host: str
    repository: str
    digest: str

    @property
    def reference(self) -> str:
        """Return what Docker calls it."""
        return f"{self.name}@{self.digest}"


@dataclass(frozen=True)
class Credentials:
    """A login at a registry; user '' is none."""

    user: str = ""
    password: str = ""

    def basic(self) -> str:
        """Return the value of an Authorization header."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def for_engine(self, host: str) -> str:
        """Return the value of X-Registry-Auth; '' without a login."""
        if not self.user:
            return ""
        content = {"username": self.user, "password": self.password, "serveraddress": host}
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


def parse_image(text: str) -> Image:
    """Read an image's name.

    Raises:
        ValueError: It has no digest, or is not a name; the message is the second half of a sentence.
    """
    name, _unused, digest = text.strip().partition("@")
    if not digest:
        raise ValueError(
            f"{text!r} has no digest, and tags move: write name@sha256:<64 hex digits> "
            f"(`docker buildx imagetools inspect {text or 'ollama/ollama:<version>'}` shows it)"
        )
    if not DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is not a digest: it is `sha256:` and 64 hexadecimal digits")
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        host, repository = first, rest
    else:
        host, repository = "docker.io", name
    base, _unused, tag = repository.rpartition(":")
    if base and "/" not in tag:
        repository, name = base, name[: -len(tag) - 1]
    if host in ("docker.io", "index.docker.io"):
        host, repository = HUB_HOST, repository if "/" in repository else f"library/{repository}"
    if not REPOSITORY.fullmatch(repository):
        raise ValueError(f"{name!r} is not an image name: lower-case letters, digits and . _ - / only")
    return Image(name, host, repository, digest)


def is_loopback(host: str) -> bool:
    """Return whether a registry is this machine; Docker speaks plain HTTP with those, too."""
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    return name == "localhost" or name.startswith("127.") or name == "[::1]"


def proxies_for(host: str, environment: Mapping[str, object]) -> dict[str, str]:
    """Return the proxies by scheme through which a program with this environment asks a host; none for NO_PROXY."""
    given = {name.lower(): str(value) for name, value in environment.items() if value}
    bypass = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed leaves it out
    if bypass(host, {"no": given.get("no_proxy", "")}):
        return {}
    return {scheme: given[f"{scheme}_proxy"] for scheme in ("http", "https") if f"{scheme}_proxy" in given}


def parse_challenge(header: str) -> tuple[str, dict[str, str]]:
    """Read a WWW-Authenticate header: the scheme in lower case, and its parameters."""
    scheme, _unused, rest = header.partition(" ")
    return scheme.lower(), dict(re.findall(r'(\w+)="([^"]*)"', rest))


def layer_sizes(manifest: Mapping[str, Any]) -> dict[str, int]:
    """Return the compressed sizes of what a manifest names, in bytes, by digest."""
    parts = [manifest.get("config") or {}, *(manifest.get("layers") or [])]
    return {str(part["digest"]): int(part["size"]) for part in parts if "digest" in part and "size" in part}


def pick_platform(index: Mapping[str, Any], architecture: str) -> str:
    """Return the digest of the manifest for an architecture.

    Raises:
        RegistryError: There is none.
    """
    wanted = ARCHITECTURES.get(architecture, architecture)
    platforms = []
    for entry in index.get("manifests") or []:
        platform = entry.get("platform") or {}
        if platform.get("os") == "linux" and platform.get("architecture") == wanted:
            return str(entry["digest"])
        platforms.append(f"{platform.get('os')}/{platform.get('architecture')}")
    raise RegistryError(f"the image is not made for linux/{wanted}; it is for {', '.join(platforms) or 'nothing'}")


class Registry:
    """One registry, asked over HTTPS with the certificates that Docker would take.

    Args:
        host: With its port.
        credentials: A login.
        certificates: Of a CA of its own, in PEM; '' for what this machine trusts alone.
        proxies: By scheme, as Docker has them.
        timeout: Seconds without a sign of life.
        deadline: Seconds that one answer may take.
        insecure: Ask by plain HTTP.
    """

    def __init__(
        self,
        host: str,
        credentials: Credentials | None = None,
        certificates: str = "",
        proxies: Mapping[str, str] | None = None,
        timeout: float = 20,
        deadline: float = 60,
        insecure: bool = False,
    ) -> None:
        self.host = host
        self._credentials = credentials or Credentials()
        self._timeout, self._deadline = timeout, deadline
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler(dict(proxies or {})),
            urllib.request.HTTPSHandler(context=trusting(certificates)),
        )
        self._authorization = self._credentials.basic() if self._credentials.user else ""
        self._schemes = ("http",) if insecure else ("https", "http") if is_loopback(host) else ("https",)

    def _get(self, url: str, headers: Mapping[str, str]) -> bytes:
        """Return a body."""
        request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 (http only on loopback)
        ends = time.monotonic() + self._deadline
        body = b""
        with self._opener.open(request, timeout=self._timeout) as answer:
            while block := answer.read1(65536):
                body += block
                if len(body) > LARGEST_MANIFEST:
                    raise OSError(f"more than {mib(LARGEST_MANIFEST)} came, which is not a manifest")
                if time.monotonic() > ends:
                    raise OSError(f"only {len(body)} bytes came within {self._deadline:.0f} s")
            length = answer.headers.get("Content-Length")
        if length and len(body) < int(length):
            raise OSError(f"its answer broke off after {len(body)} of {length} bytes")
        return body

    def _token(self, challenge: str, repository: str) -> str:
        """Return the Authorization that a challenge asks for, or '' where there is no way."""
        scheme, given = parse_challenge(challenge)
        if scheme != "bearer" or "realm" not in given:
            return ""
        query = f"service={given.get('service', '')}&scope={given.get('scope') or f'repository:{repository}:pull'}"
        headers = {"Authorization": self._credentials.basic()} if self._credentials.user else {}
        found = json.loads(self._get(f"{given['realm']}?{query}", headers))
        return f"Bearer {found.get('token') or found.get('access_token')}"

    def manifest(self, repository: str, reference: str) -> bytes:
        """Return a manifest as it is.

        Raises:
            RegistryError: The registry cannot be reached, refuses, or does not have it.
        """
        target = f"/v2/{repository}/manifests/{reference}"
        accept = ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))
        problem = ""
        for scheme in self._schemes:
            for _attempt in range(2):
                headers = {"Accept": accept}
                if self._authorization:
                    headers["Authorization"] = self._authorization
                try:
                    return self._get(f"{scheme}://{self.host}{target}", headers)
                except urllib.error.HTTPError as error:
                    challenge = error.headers.get("WWW-Authenticate", "")
                    token = ""
                    if error.code == 401:
                        try:
                            token = self._token(challenge, repository)
                        except (OSError, ValueError, http.client.HTTPException) as reason:
                            raise RegistryError(f"the login at {self.host} was refused: {reason}") from reason
                    if not token or token == self._authorization:
                        raise RegistryError(self._refusal(error.code, repository, reference)) from error
                    self._authorization = token
                except (OSError, http.client.HTTPException) as error:
                    problem = str(getattr(error, "reason", "") or error)
                    break
        raise RegistryError(f"the registry {self.host} cannot be reached: {problem or 'it refuses every login'}")

    def _refusal(self, code: int, repository: str, reference: str) -> str:
        """Return what an HTTP status means here."""
        named = f"{repository}{'@' if DIGEST.fullmatch(reference) else ':'}{reference}"
        if code == 404:
            return f"the registry {self.host} has no {named}"
        if code in (401, 403):
            who = f"{self._credentials.user!r}" if self._credentials.user else "anyone without a login"
            return f"the registry {self.host} does not give {repository} to {who} (HTTP {code})"
        return f"the registry {self.host} answers HTTP {code} for {named}"

    def sizes(self, image: Image, architecture: str) -> dict[str, int]:
        """Return what of an image must come over the wire: compressed sizes in bytes by digest.

        Raises:
            RegistryError: The registry does not answer, or its answer is not what the digest names.
        """
        digest = image.digest
        for _depth in range(2):
            body = self.manifest(image.repository, digest)
            found = f"sha256:{hashlib.sha256(body).hexdigest()}"
            if found != digest:
                raise RegistryError(f"the registry {self.host} gave {found} where {digest} was asked for")
            try:
                content = json.loads(body)
            except ValueError as error:
                raise RegistryError(f"the registry {self.host} gave no manifest: {error}") from error
            if "manifests" not in content:
                return layer_sizes(content)
            digest = pick_platform(content, architecture)
        raise RegistryError(f"{image.reference} is an index of indexes, which Docker does not pull either")


@dataclass(frozen=True)
class Access:
    """How this host reaches registries: what is asked before a pull goes the way that the pull then goes.

    Args:
        proxies: Variables such as https_proxy.
        certificates: Those of CAs of their own, in PEM, by host of the registry.
        insecure: Hosts of registries that speak plain HTTP.
    """

    proxies: Mapping[str, object] = field(default_factory=dict)
    certificates: Mapping[str, str] = field(default_factory=dict)
    insecure: Collection[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as a module's argument."""
        return {
            "proxies": dict(self.proxies),
            "certificates": dict(self.certificates),
            "insecure": list(self.insecure),
        }

    def registry(self, host: str, timeout: float = 20, deadline: float = 60) -> Registry:
        """Return a registry's client; its limits are those of `Registry`."""
        return Registry(
            host,
            certificates=self.certificates.get(host, ""),
            proxies=proxies_for(host, self.proxies),
            insecure=host in self.insecure,
            timeout=timeout,
            deadline=deadline,
        )
