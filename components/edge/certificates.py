"""cert-manager's objects: issuers and certificates."""

import base64
from collections.abc import Iterator

from components.edge.manifest import CERT_MANAGER_API, READY, REDIRECT, Manifest, Spec
from components.edge.plan import CA, NAME, EdgePlan
from kube.names import POOL_LABEL
from kube.pod import pool_tolerations


def issuers(plan: EdgePlan) -> Iterator[Manifest]:
    """Who signs: an authority of ours in three steps, or an ACME account."""

    def issuer(name: str, spec: Spec, after: tuple[str, ...] = ()) -> Manifest:
        return Manifest(
            api=CERT_MANAGER_API,
            kind="Issuer",
            name=name,
            namespace=plan.namespace,
            spec=spec,
            wait=READY,
            after=after,
        )

    if plan.tls.source == "private_ca":
        yield issuer(f"{CA}-self", {"selfSigned": {}})
        yield Manifest(
            api=CERT_MANAGER_API,
            kind="Certificate",
            name=CA,
            namespace=plan.namespace,
            spec={
                "secretName": CA,
                "isCA": True,
                "commonName": f"{plan.hosts['homeserver']} CA"[:64],
                "duration": f"{10 * 8766}h",
                "renewBefore": "8766h",
                # A new key would be a new authority, and every client would have to be told again.
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Never"},
                "usages": ["cert sign", "crl sign"],
                "issuerRef": {"name": f"{CA}-self", "kind": "Issuer", "group": "cert-manager.io"},
            },
            wait=READY,
            timeout_seconds=300,
            after=(f"Issuer/{CA}-self",),
        )
        yield issuer(plan.issuer, {"ca": {"secretName": CA}}, after=(f"Certificate/{CA}",))
    elif plan.tls.source == "acme":
        yield issuer(plan.issuer, {"acme": _acme(plan)})


def _acme(plan: EdgePlan) -> Spec:
    acme = plan.tls.acme
    assert acme is not None  # the settings hold source and section together
    template = {"spec": {"nodeSelector": {POOL_LABEL: "application"}, "tolerations": pool_tolerations("application")}}
    if plan.kind == "ingress":
        solver: Spec = {"ingress": {"podTemplate": template, "serviceType": "ClusterIP"}}
        if plan.ingress_class:
            solver["ingress"]["ingressClassName"] = plan.ingress_class
    else:
        parent = {
            "group": "gateway.networking.k8s.io",
            "kind": "Gateway",
            "name": NAME,
            "sectionName": plan.redirect.name,
        }
        solver = {"gatewayHTTPRoute": {"parentRefs": [parent], "podTemplate": template, "serviceType": "ClusterIP"}}
    spec: Spec = {
        "email": acme.email,
        "server": acme.server,
        "privateKeySecretRef": {"name": "edge-acme-account"},
        "solvers": [{"http01": solver}],
    }
    if acme.ca:
        spec["caBundle"] = base64.b64encode(acme.ca.encode()).decode()
    if acme.external_account and plan.acme_account:
        spec["externalAccountBinding"] = {
            "keyID": acme.external_account.key_id,
            "keySecretRef": {"name": plan.acme_account.name, "key": "hmac"},
        }
    return spec


def certificates(plan: EdgePlan) -> Iterator[Manifest]:
    """One certificate for each public host: a new host asks for its own and leaves the others alone."""
    issuer = {"name": plan.issuer, "kind": "Issuer", "group": "cert-manager.io"}
    after: tuple[str, ...] = (f"Issuer/{plan.issuer}",)
    if plan.tls.issuer:
        issuer = plan.tls.issuer.model_dump()
        after = ()
    if plan.tls.source == "acme" and plan.kind == "gateway":
        after = (*after, f"HTTPRoute/{REDIRECT}")  # the proof is asked for through the Gateway
    for certificate in plan.certificates:
        yield Manifest(
            api=CERT_MANAGER_API,
            kind="Certificate",
            name=certificate.name,
            namespace=certificate.namespace,
            spec={
                "secretName": certificate.name,
                "dnsNames": [certificate.host],
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
                "usages": ["digital signature", "server auth"],
                "issuerRef": issuer,
            },
            wait=READY,
            timeout_seconds=600,
            after=after,
        )
