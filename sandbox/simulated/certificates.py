"""Simulated cert-manager: a Certificate gets its Secret, with a real certificate of the sandbox's own authority."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sandbox.api import Api, Json, core, group
from sandbox.credentials import Authority
from sandbox.simulated.addresses import now

_GROUP = "cert-manager.io/v1"
_DAYS = 90


class Certificates:
    """Issues what is missing or changed. `keys`: directory of the sandbox's credentials."""

    def __init__(self, api: Api, keys: Path) -> None:
        self._api = api
        self._authority = Authority(keys / "certificates", "sandbox certificates")

    def look(self) -> None:
        certificates = self._api.list(group(_GROUP, "certificates"))
        if not certificates:
            return
        issuers = {
            (item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"])
            for plural, kind in (("issuers", "Issuer"), ("clusterissuers", "ClusterIssuer"))
            for item in ({"kind": kind, **found} for found in self._api.list(group(_GROUP, plural)))
            if any(c["type"] == "Ready" and c["status"] == "True" for c in item.get("status", {}).get("conditions", []))
        }
        for certificate in certificates:
            if "deletionTimestamp" in certificate["metadata"] or _is_ready(certificate):
                continue
            reference = certificate["spec"]["issuerRef"]
            kind = reference.get("kind", "Issuer")
            namespace = certificate["metadata"]["namespace"] if kind == "Issuer" else ""
            if (kind, namespace, reference["name"]) in issuers:  # without its issuer a certificate is never ready
                self._issue(certificate)

    def _issue(self, certificate: Json) -> None:
        metadata, spec = certificate["metadata"], certificate["spec"]
        names = tuple(spec.get("dnsNames", [])) + tuple(spec.get("ipAddresses", []))
        common = spec.get("commonName") or (names[0] if names else metadata["name"])
        chain, key = self._authority.issue(common[:64], names=names, days=_DAYS)
        data = {"tls.crt": chain, "tls.key": key, "ca.crt": self._authority.certificate_path.read_bytes()}
        template = spec.get("secretTemplate", {})
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {
                "name": spec["secretName"],
                "labels": template.get("labels", {}) | {"controller.cert-manager.io/fao": "true"},
                "annotations": template.get("annotations", {}) | {"cert-manager.io/certificate-name": metadata["name"]},
            },
            "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
        }
        self._api.apply(core("secrets", metadata["namespace"], spec["secretName"]), secret)
        condition = {
            "type": "Ready",
            "status": "True",
            "reason": "Ready",
            "message": "simulated",
            "observedGeneration": metadata["generation"],
            "lastTransitionTime": now(),
        }
        end = (datetime.now(UTC) + timedelta(days=_DAYS)).strftime("%Y-%m-%dT%H:%M:%SZ")
        status = {"conditions": [condition], "notAfter": end, "revision": 1}
        path = group(_GROUP, "certificates", metadata["namespace"], metadata["name"])
        self._api.merge(f"{path}/status", {"status": status})


def _is_ready(certificate: Json) -> bool:
    return any(
        condition["type"] == "Ready"
        and condition["status"] == "True"
        and condition.get("observedGeneration") == certificate["metadata"]["generation"]
        for condition in certificate.get("status", {}).get("conditions", [])
    )
