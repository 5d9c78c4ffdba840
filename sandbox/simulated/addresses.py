"""Simulated MetalLB and Gateway controller: addresses for Services of type LoadBalancer, Ingresses and Gateways.

Where the stack declares IPAddressPools, addresses come out of these and run out as they would; without any pool they
come from the top of the sandbox's own pod range.
"""

import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime

from sandbox.api import Api, Json, core, group

DEFAULT_POOL = "198.18.255.0/24"
_REQUEST_ANNOTATIONS = ("metallb.io/loadBalancerIPs", "metallb.universe.tf/loadBalancerIPs")
_POOL_ANNOTATIONS = ("metallb.io/address-pool", "metallb.universe.tf/address-pool")
_GATEWAYS = "gateway.networking.k8s.io/v1"


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def addresses_of(ranges: list[str]) -> Iterator[str]:
    """Every address of MetalLB's notations: a network or first-last."""
    for text in ranges:
        if "-" in text:
            first, last = (ipaddress.ip_address(part.strip()) for part in text.split("-", 1))
            for value in range(int(first), int(last) + 1):
                yield str(type(first)(value))
        else:
            yield from (str(address) for address in ipaddress.ip_network(text, strict=False))


class Addresses:
    """Looks for what waits for an address and gives it one; takes nothing back while the object exists."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def look(self) -> None:
        services = [s for s in self._api.list(core("services", "")) if s["spec"].get("type") == "LoadBalancer"]
        gateways = self._api.list(group(_GATEWAYS, "gateways"))
        ingresses = self._api.list(group("networking.k8s.io/v1", "ingresses"))
        used = {a for item in (*services, *gateways, *ingresses) for a in _given(item)}
        for service in services:
            if not _given(service):
                self._give_service(service, used)
        for gateway in gateways:
            self._program_gateway(gateway, used)
        shared = next((a for ingress in ingresses for a in _given(ingress)), "")
        for ingress in ingresses:  # an ingress controller answers for all of them on one address
            if not _given(ingress):
                shared = shared or self._choose({}, "", used) or ""
                if shared:
                    body = {"status": {"loadBalancer": {"ingress": [{"ip": shared}]}}}
                    self._patch_status(group("networking.k8s.io/v1", "ingresses", *_where(ingress)), body)

    def _give_service(self, service: Json, used: set[str]) -> None:
        annotations = service["metadata"].get("annotations", {})
        asked = next((annotations[key] for key in _REQUEST_ANNOTATIONS if key in annotations), "")
        wanted = asked.split(",")[0].strip() or service["spec"].get("loadBalancerIP", "")
        address = self._choose(annotations, wanted, used)
        if address:
            body = {"status": {"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}}}
            self._patch_status(core("services", *_where(service)), body)

    def _program_gateway(self, gateway: Json, used: set[str]) -> None:
        generation = gateway["metadata"]["generation"]
        conditions = {c["type"]: c for c in gateway.get("status", {}).get("conditions", [])}
        programmed = conditions.get("Programmed", {})
        if programmed.get("status") == "True" and programmed.get("observedGeneration") == generation:
            return
        annotations = gateway["metadata"].get("annotations", {}) | gateway["spec"].get("infrastructure", {}).get(
            "annotations", {}
        )
        asked = [a["value"] for a in gateway["spec"].get("addresses", []) if a.get("value")]
        asked += [annotations[key].split(",")[0] for key in _REQUEST_ANNOTATIONS if key in annotations]
        address = next(iter(_given(gateway)), None) or self._choose(annotations, asked[0] if asked else "", used)
        if not address:
            return

        def condition(kind: str) -> Json:
            return {
                "type": kind,
                "status": "True",
                "reason": kind,
                "message": "simulated",
                "observedGeneration": generation,
                "lastTransitionTime": now(),
            }

        listeners = [
            {
                "name": listener["name"],
                "attachedRoutes": 0,
                "supportedKinds": [],
                "conditions": [condition(kind) for kind in ("Accepted", "Programmed", "ResolvedRefs")],
            }
            for listener in gateway["spec"]["listeners"]
        ]
        status = {
            "addresses": [{"type": "IPAddress", "value": address}],
            "conditions": [condition("Accepted"), condition("Programmed")],
            "listeners": listeners,
        }
        self._patch_status(group(_GATEWAYS, "gateways", *_where(gateway)), {"status": status})

    def _choose(self, annotations: dict[str, str], wanted: str, used: set[str]) -> str | None:
        """A free address, remembered in `used`; None when the pools have none."""
        pools = self._api.list(group("metallb.io/v1beta1", "ipaddresspools"))
        named = next((annotations[key] for key in _POOL_ANNOTATIONS if key in annotations), "")
        eligible = [
            pool
            for pool in pools
            if (pool["metadata"]["name"] == named if named else wanted or pool["spec"].get("autoAssign", True))
        ]
        ranges = [text for pool in eligible for text in pool["spec"]["addresses"]] if pools else [DEFAULT_POOL]
        for address in addresses_of(ranges):
            last = address.rpartition(".")[2]
            if address == wanted or (not wanted and address not in used and last not in ("0", "255")):
                used.add(address)
                return address
        return None

    def _patch_status(self, path: str, body: Json) -> None:
        self._api.merge(f"{path}/status", body)


def _where(item: Json) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


def _given(item: Json) -> list[str]:
    """Addresses that the object has already."""
    status = item.get("status", {})
    balanced = [entry["ip"] for entry in status.get("loadBalancer", {}).get("ingress", []) if "ip" in entry]
    return balanced + [entry["value"] for entry in status.get("addresses", [])]
