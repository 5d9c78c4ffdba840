"""Where a rendered configuration finds its files, ports and servers: in a pod, or on a test's loopback."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from components.router.plan import SYNAPSE_HEALTH_PORT, SYNAPSE_PORT, Server

CONFIG_DIR = "/usr/local/etc/haproxy"
ERRORS_DIR = "/usr/local/etc/haproxy-errors"


@dataclass(frozen=True, slots=True)
class Address:
    """Where one server answers requests, and where it answers health checks."""

    host: str
    port: int = SYNAPSE_PORT
    health_port: int = SYNAPSE_HEALTH_PORT


def pod_address(server: Server) -> Address:
    """In a cluster: the pod's DNS name and the platform's ports."""
    return Address(server.host)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The default is a pod. `ports` maps the router's own ports to others, `nameservers` (host:port) replace
    those of /etc/resolv.conf."""

    config_dir: str = CONFIG_DIR
    errors_dir: str = ERRORS_DIR
    address: Callable[[Server], Address] = pod_address
    listen: str = ""
    ports: Mapping[int, int] = field(default_factory=dict)
    nameservers: tuple[str, ...] = ()

    def bind(self, port: int) -> str:
        return f"{self.listen}:{self.ports.get(port, port)}"

    def map(self, name: str) -> str:
        return f"{self.config_dir}/{name}.map"
