"""What an operator may set about the edge."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from components.edge.addresses import parse
from kube.settings import Host, Network, ResourceSettings, SecretLeaf, Settings

HostName = Literal["homeserver", "chat", "admin", "li", "li-chat", "li-admin", "turn", "rtc", "grafana"]
"""Public hosts of the platform by purpose. `homeserver` is the server name itself."""

_NAME = r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$"
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8")


def _check_range(value: str) -> str:
    parse(value)
    return value


AddressRange = Annotated[str, AfterValidator(_check_range)]


def _check_url(value: str) -> str:
    if not value.startswith("https://") or " " in value or len(value) < len("https://a.b"):
        raise ValueError("must be an https URL such as https://acme-v02.api.letsencrypt.org/directory")
    return value


class ExternalAccount(Settings):
    """Account at an ACME service that does not let everybody in (external account binding)."""

    key_id: str = Field(min_length=1, description="Identifier of the key, as the service gave it.")
    hmac_key: SecretLeaf = Field(description="The key itself, base64url: `pulumi config set --secret --path …`.")


class AcmeSettings(Settings):
    """Public certificates by ACME, proved over HTTP: port 80 must be reachable for the service under every host."""

    email: str = Field(
        pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
        description="Where the service writes when a certificate is about to end.",
    )
    server: Annotated[str, AfterValidator(_check_url)] = Field(
        default="https://acme-v02.api.letsencrypt.org/directory", description="Directory URL of the ACME service."
    )
    ca: str | None = Field(
        default=None, description="Certificate (PEM) of the authority behind `server`, if it is a private one."
    )
    external_account: ExternalAccount | None = Field(
        default=None, description="For services that want to know who asks before they issue."
    )

    @field_validator("ca")
    @classmethod
    def _pem(cls, value: str | None) -> str | None:
        if value is not None and "-----BEGIN CERTIFICATE-----" not in value:
            raise ValueError("must be a certificate in PEM (-----BEGIN CERTIFICATE-----)")
        return value


class ExistingIssuer(Settings):
    """An issuer of cert-manager that the cluster has already."""

    name: str = Field(pattern=_NAME, description="Name of the issuer.")
    kind: Literal["ClusterIssuer", "Issuer"] = Field(
        default="ClusterIssuer", description="An Issuer must be in the platform's main namespace."
    )
    group: str = Field(default="cert-manager.io", description="API group; another for external issuers.")


class TlsSettings(Settings):
    """Where certificates of the public hosts come from."""

    source: Literal["private_ca", "acme", "issuer", "secret"] = Field(
        default="private_ca",
        description="private_ca: an authority of our own, works without internet, every client must be told to trust "
        "it. acme: public certificates, see `acme`. issuer: an issuer of the cluster. secret: a certificate of yours.",
    )
    acme: AcmeSettings | None = Field(default=None, description="For source acme.")
    issuer: ExistingIssuer | None = Field(default=None, description="For source issuer.")
    secret: str | None = Field(
        default=None,
        pattern=_NAME,
        description="For source secret: a TLS Secret in the main namespace whose certificate is valid for all hosts.",
    )

    @model_validator(mode="after")
    def _exactly_the_chosen(self) -> "TlsSettings":
        for name in ("acme", "issuer", "secret"):
            given = getattr(self, name) is not None
            if given and self.source != name:
                raise ValueError(f"`{name}` is given, but source is {self.source}: set source: {name}, or remove it")
            if not given and self.source == name:
                raise ValueError(f"source is {name}, but `{name}` is missing")
        return self


class MetalLbSettings(Settings):
    """Public addresses on bare metal."""

    enabled: bool = Field(
        default=True,
        description="Give the edge its address by MetalLB, layer 2. False where a cloud or another controller does.",
    )
    address_ranges: tuple[AddressRange, ...] = Field(
        default=(),
        description="Free addresses of the nodes' own network, as first-last or in CIDR notation. The lowest one "
        "becomes the public address. Nothing else may use or hand out any of them.",
    )
    interfaces: tuple[str, ...] = Field(
        default=(), description="Network interfaces of the nodes to answer on; all when empty."
    )


class EdgeSettings(Settings):
    """The way in."""

    kind: Literal["gateway", "ingress"] = Field(
        default="gateway",
        description="gateway: Gateway API v1. ingress: plain Ingress objects for a controller that the cluster has; "
        "federation then uses port 443 alone.",
    )
    controller: Literal["envoy", "other"] = Field(
        default="envoy",
        description="With kind gateway. envoy: Envoy Gateway, with all that Matrix wants of it set. other: standard "
        "objects only; timeouts, connection limits and client addresses are then the business of that controller.",
    )
    gateway_class_name: str | None = Field(
        default=None, pattern=_NAME, description="An existing GatewayClass; unset: one of ours for Envoy Gateway."
    )
    ingress_class_name: str | None = Field(
        default=None, pattern=_NAME, description="IngressClass to use; unset: the cluster's default."
    )
    proxy_namespace: str | None = Field(
        default=None,
        pattern=_NAME,
        description="Namespace of the pods that carry the traffic: only they may connect to the router. Unset: Envoy "
        "Gateway's. Must be given with kind ingress or controller other.",
    )
    replicas: int = Field(
        default=2, ge=2, le=20, description="Proxy pods of Envoy Gateway, on different nodes; each can carry all load."
    )
    resources: ResourceSettings | None = Field(
        default=None, description="Size of one such pod; derived from the number of users when unset."
    )
    metallb: MetalLbSettings = Field(default_factory=MetalLbSettings, description="Public addresses on bare metal.")
    tls: TlsSettings = Field(default_factory=TlsSettings, description="Certificates of the public hosts.")
    hosts: dict[HostName, Host] = Field(
        default_factory=dict,
        description="Public host names by purpose, where <purpose>.<server_name> is not wanted. The homeserver's own "
        "is always server_name.",
    )
    trusted_proxies: tuple[Network, ...] = Field(
        default=(),
        description="Addresses of proxies in front of the edge. Only their X-Forwarded-For is believed. Each more of "
        "them that a request passes needs one more in synapse.router.trusted_hops.",
    )
    administrators: tuple[Network, ...] = Field(
        default=PRIVATE,
        min_length=1,
        description="Client addresses that may open hosts of administration (admin, li, li-chat, li-admin, grafana).",
    )
    allow_lists: dict[HostName, tuple[Network, ...]] = Field(
        default_factory=dict,
        description="Client addresses that may open a host, by purpose; wins over administrators. Unset: everybody.",
    )

    @field_validator("hosts")
    @classmethod
    def _server_name_is_fixed(cls, value: dict[HostName, str]) -> dict[HostName, str]:
        if "homeserver" in value:
            raise ValueError("homeserver cannot be renamed here: its host is server_name")
        return value
