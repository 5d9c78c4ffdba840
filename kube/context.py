"""What every system's plan needs to know of the platform around it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kube.flows import API_SERVER, API_SERVER_PORTS, Addresses, Flow, Pods
from kube.images import Images
from kube.names import pod_host, service_host


@dataclass(frozen=True, kw_only=True)
class StorageClasses:
    """Names of the cluster's storage classes, by purpose."""

    general: str
    database: str
    object: str


@dataclass(frozen=True, kw_only=True)
class Safety:
    """`protect`: data-bearing resources refuse to be deleted or replaced, and are kept when the stack goes.

    `confirmed`: dangerous edits that an operator has explicitly allowed for this run.
    """

    protect: bool
    confirmed: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Platform:
    """The frame of one stack: who we are, where we run, what images are called. Pure data, made by stack.plan."""

    stack: str
    server_name: str
    concurrent_users: int
    federation: bool
    namespace: str
    cluster_domain: str
    images: Images
    storage: StorageClasses
    safety: Safety
    pull_secrets: tuple[str, ...] = ()
    host_aliases: tuple[Mapping[str, Any], ...] = field(default=())
    api_server: Addresses = API_SERVER

    def service(self, name: str, namespace: str | None = None) -> str:
        """Fully qualified name of a Service (in our main namespace unless told)."""
        return service_host(name, namespace or self.namespace, self.cluster_domain)

    def pod(self, statefulset: str, ordinal: int, headless: str, namespace: str | None = None) -> str:
        """Fully qualified name of one StatefulSet pod."""
        return pod_host(statefulset, ordinal, headless, namespace or self.namespace, self.cluster_domain)

    def api_client(self, source: Pods, why: str) -> Flow:
        """The flow of pods that talk to the Kubernetes API (few do: ours carry no service-account token)."""
        return Flow(source=source, target=self.api_server, ports=API_SERVER_PORTS, why=why)

    @property
    def pod_defaults(self) -> dict[str, Any]:
        """Keyword arguments for `kube.pod.pod_template` that every pod of ours shares."""
        return {"host_aliases": [dict(a) for a in self.host_aliases], "pull_secrets": self.pull_secrets}
