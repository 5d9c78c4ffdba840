"""What an operator may set about the cluster's network."""

from pydantic import Field

from kube.settings import Network, Settings


class NetworkSettings(Settings):
    """What the network policies must know of the cluster around us."""

    api_server: tuple[Network, ...] = Field(
        default=("0.0.0.0/0",),
        min_length=1,
        description="Addresses of the Kubernetes API (the control plane's nodes and the Service `kubernetes`). The "
        "database's pods talk to it. 0.0.0.0/0: any address on ports 443 and 6443, so name them where you can; with "
        "Cilium only if its policy-cidr-match-mode has nodes, or nothing reaches the API.",
    )
