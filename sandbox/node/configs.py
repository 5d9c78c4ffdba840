"""The configuration files of a node's programs, as text. Pure: the same arguments give the same text."""

import json
from pathlib import Path
from typing import Any

from sandbox.node.layout import CONTAINERD_SOCKET, DOMAIN, HOME, PAUSE_IMAGE, PODS, Node


def containerd(runc: Path) -> str:
    """containerd's configuration, of which everything lies below HOME or in the node's own /run."""
    runtime = "plugins.'io.containerd.cri.v1.runtime'"
    return f"""version = 3
root = '{HOME}/containerd'
state = '/run/containerd'

[grpc]
  address = '{CONTAINERD_SOCKET}'

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '{PAUSE_IMAGE}'

[{runtime}]
  # Machines without CAP_SYS_RESOURCE may not lower a score; without this no pod starts there.
  restrict_oom_score_adj = true

[{runtime}.cni]
  bin_dirs = ['{HOME}/bin']
  conf_dir = '{HOME}/cni'

[{runtime}.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'

[{runtime}.containerd.runtimes.runc.options]
  BinaryName = '{runc}'
  SystemdCgroup = false
"""


def cni(node: Node) -> str:
    """Every pod on a cable of its own to the node, which routes: works without br_netfilter."""
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": node.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": "/run/cni",  # in memory: after a restart no old pod holds an address
    }
    plugins: list[dict[str, Any]] = [
        {"type": "ptp", "ipMasq": False, "ipam": ipam},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return json.dumps({"cniVersion": "1.0.0", "name": "sandbox", "plugins": plugins}, indent=1)


def kubelet(node: Node, cgroup: str, reserved_memory: str) -> str:
    """`reserved_memory`: what control plane and tests take of the same machine, kept from pods."""
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "address": node.address,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": False},
                "x509": {"clientCAFile": f"{HOME}/credentials/ca.crt"},
            },
            "authorization": {"mode": "AlwaysAllow"},  # for holders of a certificate of this cluster only
            "tlsCertFile": f"{HOME}/credentials/kubelet.crt",
            "tlsPrivateKeyFile": f"{HOME}/credentials/kubelet.key",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{cgroup}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "clusterDNS": [node.address],
            "clusterDomain": DOMAIN,
            "resolvConf": f"{HOME}/resolv.conf",
            "volumePluginDir": f"{HOME}/kubelet/volume-plugins",
            # Images cannot be pulled again here, and a full disk is the machine's, not a pod's.
            "evictionHard": {},
            "imageGCHighThresholdPercent": 100,
            "systemReserved": {"cpu": "300m", "memory": reserved_memory},
            "readOnlyPort": 0,
            "registerNode": True,
            "registerWithTaints": list(node.taints),
            "shutdownGracePeriod": "0s",
        },
        indent=1,
    )


def kube_proxy(node: Node) -> str:
    """Services by iptables, in the node's own network namespace."""
    return json.dumps(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clientConnection": {"kubeconfig": f"{HOME}/credentials/kube-proxy"},
            "clusterCIDR": str(PODS),
            "hostnameOverride": node.name,
            "detectLocalMode": "ClusterCIDR",
            # Settings of the whole machine's connection tracking: not ours to change.
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
            "iptables": {"localhostNodePorts": False, "minSyncPeriod": "0s"},
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
        },
        indent=1,
    )


def coredns(node: Node) -> str:
    """The cluster's names; every other name does not exist, at once instead of after a timeout."""
    # Two blocks, because within one block `template` would answer before `kubernetes` is asked.
    return f"""{DOMAIN}:53 in-addr.arpa:53 {{
    bind {node.address}
    errors
    kubernetes {{
        kubeconfig {HOME}/credentials/coredns
        ttl 5
    }}
}}
.:53 {{
    bind {node.address}
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""
