"""The endpoints of the converged test fleet, as its users reach them."""

from __future__ import annotations

from dataclasses import dataclass

import openai
from devices import ADDRESSES, FLEET, ROOT

ARTIFACTS = ROOT / ".artifacts"
KEY_FILE = FLEET / "api-key"
MODEL = "smollm2-135m-instruct"


@dataclass(frozen=True)
class Device:
    """One device of molecule/inventory/hosts.yml."""

    name: str
    address: str
    port: int = 8080
    model: str = MODEL

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    def client(self, key: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, timeout=120, max_retries=0)


PIS = (Device("pi-01", ADDRESSES["pi-01"]), Device("pi-02", ADDRESSES["pi-02"]))
#: The gateway, by which the models of all of them are reached.
DOOR = Device("builder-01", ADDRESSES["builder-01"], 4000)
JETSON = Device("jetson-01", ADDRESSES["jetson-01"], 11434, "phi3:mini")
