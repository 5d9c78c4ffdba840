"""Turns secret rules into values: the only place where a secret comes to be."""

import base64
from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random
import pulumi_tls as tls
from pulumi import Output, ResourceOptions

from kube.component import Component
from kube.secrets import FromConfig, Join, Random, Rule, SecretObject, SigningKey, TlsCa, TlsCert, TlsKey

HOURS_PER_YEAR = 8766


class SecretValues(Component):
    """All generated secrets of a stack, each made once and kept in the stack's encrypted state.

    Pulumi type:  matrix:kube:SecretValues
    Creates:      RandomPassword, PrivateKey, certificates; no Kubernetes object
    Survives:     everything that the state survives; a lost state means new secrets, so back it up
    """

    def __init__(
        self,
        name: str,
        given: Mapping[str, Output[str]] | None = None,
        *,
        protect: bool = True,
        opts: ResourceOptions | None = None,
    ) -> None:
        super().__init__("matrix:kube:SecretValues", name, None, opts)
        self._given = dict(given or {})
        self._protect = protect
        self._values: dict[Rule, Output[str]] = {}
        self._keys: dict[str, tls.PrivateKey] = {}
        self.register_outputs({})

    def value(self, rule: Rule | str) -> Output[str]:
        """The value of a rule, as a secret Output. The same rule gives the same value."""
        if isinstance(rule, str):
            return Output.from_input(rule)
        if rule not in self._values:
            self._values[rule] = Output.secret(self._make(rule))
        return self._values[rule]

    def secret(
        self, parent: pulumi.Resource, spec: SecretObject, labels: Mapping[str, str] | None = None
    ) -> k8s.core.v1.Secret:
        """Declare the Kubernetes Secret of `spec` below `parent`."""
        return k8s.core.v1.Secret(
            f"{spec.namespace}-{spec.name}",
            metadata={
                "name": spec.name,
                "namespace": spec.namespace,
                "labels": {"app.kubernetes.io/managed-by": "pulumi", **(labels or {}), **spec.labels},
            },
            type=spec.type,
            string_data={key: self.value(rule) for key, rule in spec.entries.items()},
            opts=ResourceOptions(parent=parent),
        )

    def _make(self, rule: Rule) -> Output[str]:
        match rule:
            case Random():
                keepers = {"rotation": rule.rotation} if rule.rotation else None
                made = random.RandomPassword(
                    rule.id, length=rule.length, special=False, keepers=keepers, opts=self.child()
                )
                return made.result
            case SigningKey():
                # Not RandomBytes: its id is the value, and Pulumi never encrypts ids. A key's id tells nothing.
                key = tls.PrivateKey(rule.id, algorithm="ED25519", opts=self.child(protect=self._protect))
                return key.private_key_pem_pkcs8.apply(lambda pem: f"ed25519 {rule.version} {_seed(pem)}\n")
            case TlsKey():
                return self._key(rule.of.id).private_key_pem_pkcs8
            case TlsCa():
                return tls.SelfSignedCert(
                    rule.id,
                    private_key_pem=self._key(rule.id).private_key_pem_pkcs8,
                    is_ca_certificate=True,
                    set_subject_key_id=True,
                    allowed_uses=["cert_signing", "crl_signing"],
                    validity_period_hours=rule.years * HOURS_PER_YEAR,
                    subject={"common_name": rule.common_name},
                    opts=self.child(),
                ).cert_pem
            case TlsCert():
                request = tls.CertRequest(
                    rule.id,
                    private_key_pem=self._key(rule.id).private_key_pem_pkcs8,
                    dns_names=list(rule.dns_names),
                    subject={"common_name": rule.dns_names[0][:64]},
                    opts=self.child(),
                )
                return tls.LocallySignedCert(
                    rule.id,
                    cert_request_pem=request.cert_request_pem,
                    ca_cert_pem=self.value(rule.ca),
                    ca_private_key_pem=self.value(TlsKey(of=rule.ca)),
                    allowed_uses=["digital_signature", "key_encipherment", "server_auth"],
                    validity_period_hours=rule.years * HOURS_PER_YEAR,
                    early_renewal_hours=rule.renew_days * 24,
                    opts=self.child(),
                ).cert_pem
            case FromConfig():
                if rule.path not in self._given:
                    raise KeyError(f"the stack file gives no secret at matrix:stack.{rule.path}")
                return self._given[rule.path]
            case Join():
                return Output.concat(*[self.value(part) for part in rule.parts])

    def _key(self, identity: str) -> tls.PrivateKey:
        if identity not in self._keys:
            self._keys[identity] = tls.PrivateKey(
                f"{identity}-key", algorithm="ECDSA", ecdsa_curve="P256", opts=self.child()
            )
        return self._keys[identity]


def _seed(pem: str) -> str:
    """The seed of an ed25519 key in PKCS#8 (RFC 8410: its last 32 bytes), unpadded base64 as in Synapse's key files."""
    der = base64.b64decode("".join(pem.splitlines()[1:-1]))
    return base64.b64encode(der[-32:]).decode().rstrip("=")
