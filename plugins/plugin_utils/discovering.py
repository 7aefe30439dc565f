# Copyright (c) 2026 edge_slm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at the networks around the controller: neighbours, SSH banners, names and host keys. Everything has a limit."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from typing import Any

from ansible_collections.edge_slm.fleet.plugins.module_utils.core.problems import Problems
from ansible_collections.edge_slm.fleet.plugins.module_utils.core.process import output_of
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery import boards, host_keys
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery.boards import Sighting
from ansible_collections.edge_slm.fleet.plugins.module_utils.discovery.networks import (
    Attached,
    addresses_in,
    attached,
)

#: Connections that a scan begins in a second, and seconds that each may take. An address that nobody has costs no more
#: than the controller's own questions for its MAC address.
RATE, PATIENCE = 100, 2.0
#: Addresses after which the neighbour table is read; the kernel keeps 512 neighbours and more for a few seconds only.
PART = 256
#: Seconds that the kernel takes to find out that a host it knows is gone: it waits for five and then asks three times.
GONE = 9.0
#: What runs SSH may announce itself as one of these by mDNS. Most boards announce nothing, but say their names when
#: they are asked for the name of their address.
SERVICES = ("_ssh._tcp", "_sftp-ssh._tcp", "_workstation._tcp", "_udisks-ssh._tcp")
#: Names that are asked for as well: two of boards that nobody has named yet.
NAMES = ("raspberrypi", "tegra-ubuntu")


def own_addresses() -> tuple[Attached, ...]:
    """Return the controller's addresses, and the networks that they are in."""
    return attached(_json_of("ip", "-json", "address"))


def seconds_problem(seconds: float, variable: str, problems: Problems) -> None:
    """Add a problem where answers by mDNS cannot be waited for so long."""
    if not 0 < seconds <= 60:
        problems.add(variable, f"must be more than 0 and at most 60; it is {seconds}.")


def discover(
    networks: Sequence[IPv4Network], own: Sequence[Attached], seconds: float, notes: list[str]
) -> list[Sighting]:
    """Return what is around, host by host.

    Args:
        networks: Those to scan; without any nothing is sent to hosts that do not look like boards.
        own: The controller's addresses.
        seconds: How long answers by mDNS are waited for.
        notes: Where sentences are added about what could not be asked.
    """
    seen: dict[str, Sighting] = {}

    def at(address: str) -> Sighting:
        return seen.setdefault(address, Sighting(address))

    def note_neighbours(asked: Iterable[str] = ()) -> None:
        for address, neighbour in _neighbours(set(asked)).items():
            if neighbour.mac:
                at(address).mac = neighbour.mac
                at(address).here |= neighbour.silent <= time.monotonic() - begun

    begun = time.monotonic()
    addresses = addresses_in(networks, own)
    # Part after part: a neighbour table that gets full forgets those who have answered, too.
    for part in [addresses[start : start + PART] for start in range(0, len(addresses), PART)] or [[]]:
        for address, banner in asyncio.run(banners(part)).items():
            at(address).here, at(address).banner = True, banner
        note_neighbours(part)
    mine = {item.address for item in own}
    for address, name in mdns_names(sorted(seen), own, seconds, notes).items():
        if address not in mine and boards.usable(address):
            at(address).mdns, at(address).here = boards.plain_name(name), True
    for address, name in _side_by_side(reverse_name, sorted(seen)).items():
        at(address).dns = boards.plain_name(name)
    candidates = [item for item in seen.values() if boards.is_candidate(item)]
    for address, banner in asyncio.run(banners([item.address for item in candidates if not item.banner])).items():
        at(address).here, at(address).banner = True, banner
    # Those found by name have been spoken to only now.
    note_neighbours()
    for address, keys in keys_of([item.address for item in candidates if item.banner]).items():
        at(address).keys = keys
    return list(seen.values())


async def banners(addresses: Iterable[str], port: int = 22) -> dict[str, str]:
    """Return the SSH banner of every address that answers; '' where it answers that nothing listens there."""
    found: dict[str, str] = {}

    async def ask(address: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_connection(address, port)
        except ConnectionRefusedError:
            found[address] = ""
            return
        except OSError:  # of which being too late is one
            return
        found[address] = ""
        with contextlib.suppress(OSError, ValueError):
            async with asyncio.timeout(PATIENCE):
                line = (await reader.readline()).decode("ascii", errors="replace").strip()
            found[address] = line[:255] if line.startswith("SSH-") and line.isprintable() else ""
        writer.close()

    tasks = []
    for address in addresses:
        tasks.append(asyncio.ensure_future(ask(address)))
        await asyncio.sleep(1 / RATE)
    await asyncio.gather(*tasks)
    return found


def _neighbours(asked: Container[str]) -> dict[str, boards.Neighbour]:
    """Return the neighbour table when it is known of each address that was asked whether somebody is there."""
    deadline = time.monotonic() + GONE
    while True:
        found = boards.neighbours(_json_of("ip", "-statistics", "-json", "neighbour"))
        open_ones = any(neighbour.asked for address, neighbour in found.items() if address in asked)
        if not open_ones or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def mdns_names(addresses: Sequence[str], own: Sequence[Attached], seconds: float, notes: list[str]) -> dict[str, str]:
    """Return names by address, as hosts tell them by mDNS, without `.local`.

    Args:
        addresses: Those whose names are asked for.
        own: Where to ask.
        seconds: How long to wait for answers.
        notes: Where a sentence is added when nothing can be asked.
    """
    if not own:
        notes.append("mDNS was not asked: this machine is in no network with neighbours, or has no `ip` (iproute2).")
        return {}
    try:
        import zeroconf
    except ImportError:
        notes.append("mDNS was not asked: the controller's Python has no zeroconf (python3 -m pip install zeroconf).")
        return {}
    pointer, internet = 12, 1
    questions = [zeroconf.DNSQuestion(f"{service}.local.", pointer, internet) for service in SERVICES]
    questions += [zeroconf.DNSQuestion(f"{name}.local.", 1, internet) for name in NAMES]
    questions += [
        zeroconf.DNSQuestion(f"{ipaddress.ip_address(address).reverse_pointer}.", pointer, internet)
        for address in addresses
    ]
    try:
        asking = zeroconf.Zeroconf(interfaces=[item.address for item in own], ip_version=zeroconf.IPVersion.V4Only)
    except OSError as error:
        notes.append(f"mDNS was not asked: {error}.")
        return {}
    try:
        # Asked twice: a packet to all may be lost, in Wi-Fi above all.
        for pause in (seconds / 3, seconds * 2 / 3):
            query = zeroconf.DNSOutgoing(0)
            for question in questions:
                query.add_question(question)
            asking.send(query)
            time.sleep(pause)
        records = [record for name in asking.cache.names() for record in asking.cache.entries_with_name(name)]
    finally:
        asking.close()
    found: dict[str, str] = {}
    for record in records:
        name, address = record.name, ""
        if isinstance(record, zeroconf.DNSAddress):
            address = str(ipaddress.ip_address(record.address))
        elif isinstance(record, zeroconf.DNSPointer) and record.name.endswith((".in-addr.arpa.", ".ip6.arpa.")):
            name, address = record.alias, _address_of(record.name)
        if address and name.endswith(".local."):
            found.setdefault(address, name.removesuffix(".local."))
    return found


def _address_of(pointer: str) -> str:
    """Return the address whose name a PTR record has."""
    labels = pointer.rstrip(".").split(".")[:-2][::-1]
    try:
        if pointer.endswith(".in-addr.arpa."):
            return str(ipaddress.IPv4Address(".".join(labels)))
        return str(ipaddress.IPv6Address(int("".join(labels), 16)))
    except ValueError:
        return ""


def reverse_name(address: str) -> str:
    """Return the name that the controller's resolver has for an address."""
    fields = output_of(["getent", "hosts", address], timeout=3).split()
    name = fields[1] if len(fields) > 1 else ""
    return "" if name == address else name


def keys_of(addresses: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return host keys by address and type."""
    if not addresses:
        return {}
    # With one address that does not answer it prints the others' and fails.
    return _side_by_side(
        lambda address: host_keys.scanned(
            output_of(["ssh-keyscan", "-T", "5", "-t", "ed25519,ecdsa,rsa", address], timeout=20)
        ).get(address, {}),
        addresses,
    )


def _side_by_side(ask: Callable[[str], Any], addresses: Iterable[str]) -> dict[str, Any]:
    """Return the answers by address that are any."""
    listed = list(addresses)
    with ThreadPoolExecutor(max_workers=16) as pool:
        answers = list(pool.map(ask, listed))
    return {address: answer for address, answer in zip(listed, answers, strict=True) if answer}


def _json_of(*argv: str) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(output_of(argv) or "[]")
    except ValueError:
        return []
    return found if isinstance(found, list) else []
