"""The processes of a cluster with real nodes, and every file that they read."""

import json
import shutil
import sys
from pathlib import Path

from sandbox import components, packages, toolchain
from sandbox.components import Component
from sandbox.credentials import Authority, write_kubeconfig, write_private
from sandbox.node import configs, layout
from sandbox.node.layout import Node

_RESERVED_MEMORY = "6Gi"  # control plane 1.5, engine and provider 1.5, tests and builds the rest
_COMMANDS = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")
_CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def prepare(state: Path) -> tuple[list[Component], Path]:
    """The control plane of the simulated cluster, reachable from pods, and the node beside it."""
    keys = state / "credentials"
    shared, kubeconfig = components.prepare(state, layout.MACHINE_ADDRESS, _api_server(state, keys))
    server = json.loads(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    nodes = layout.read_nodes(state)
    for node in nodes:
        _write_node(state, node, nodes, Authority(keys, "sandbox cluster"), server)
    python = (sys.executable, "-m")
    own = [
        Component("nodes", (*python, "sandbox.node.network", str(state))),
        Component("volumes", (*python, "sandbox.node.volumes", str(state), str(kubeconfig))),
    ]
    return [*(c for c in shared if c.name in _CONTROL_PLANE), *own], kubeconfig


def _api_server(state: Path, keys: Path) -> dict[str, object]:
    client = keys / "kubelet-client.crt"
    authority = Authority(keys, "sandbox cluster")
    if not client.is_file():
        certificate, key = authority.issue("kube-apiserver-kubelet-client", organization="system:masters")
        write_private(client.with_suffix(".key"), key)
        client.write_bytes(certificate)
    return {
        "endpoint-reconciler-type": "lease",
        "authorization-mode": "Node,RBAC",
        "kubelet-preferred-address-types": "InternalIP",
        "kubelet-certificate-authority": keys / "ca.crt",
        "kubelet-client-certificate": client,
        "kubelet-client-key": client.with_suffix(".key"),
    }


def _write_node(state: Path, node: Node, nodes: tuple[Node, ...], authority: Authority, server: str) -> None:
    home = node.directory(state)
    for name in ("bin", "cni", "credentials", "volumes"):
        (home / name).mkdir(parents=True, exist_ok=True)
    (home / "credentials").chmod(0o700)
    _write_credentials(home / "credentials", node, authority, server)
    _write_programs(home / "bin")
    description = {
        "name": node.name,
        "address": node.address,
        "cgroup": node.cgroup(state),
        "routes": {other.pods: other.address for other in nodes if other != node},
        "daemons": _daemons(node),
    }
    texts = {
        "containerd.toml": configs.containerd(toolchain.binary("runc")),
        "cni/sandbox.conflist": configs.cni(node),
        "kubelet.json": configs.kubelet(node, node.cgroup(state), _RESERVED_MEMORY),
        "kube-proxy.json": configs.kube_proxy(node),
        "Corefile": configs.coredns(node),
        "machine.json": json.dumps(description, indent=1),
    }
    for name, text in texts.items():
        (home / name).write_text(text)


def _daemons(node: Node) -> dict[str, list[str]]:
    """Command lines of a node's programs, with the paths that they have inside the node."""
    home = layout.HOME
    arguments = {
        "containerd": [f"--config={home}/containerd.toml"],
        "kubelet": [
            f"--config={home}/kubelet.json",
            f"--kubeconfig={home}/credentials/kubelet",
            f"--root-dir={home}/kubelet",
            f"--hostname-override={node.name}",
            f"--node-ip={node.address}",
            f"--node-labels={','.join(f'{key}={value}' for key, value in sorted(node.labels.items()))}",
        ],
        "kube-proxy": [f"--config={home}/kube-proxy.json"],
        "coredns": [f"-conf={home}/Corefile"],
    }
    return {name: [str(toolchain.binary(name)), *words] for name, words in arguments.items()}


def _write_credentials(keys: Path, node: Node, authority: Authority, server: str) -> None:
    shutil.copyfile(authority.certificate_path, keys / "ca.crt")
    write_kubeconfig(keys / "kubelet", authority, server, f"system:node:{node.name}", "system:nodes")
    write_kubeconfig(keys / "kube-proxy", authority, server, "system:kube-proxy", "")
    write_kubeconfig(keys / "coredns", authority, server, "sandbox-dns")
    if not (keys / "kubelet.crt").is_file():
        certificate, key = authority.issue(node.name, names=(node.name, node.address))
        write_private(keys / "kubelet.key", key)
        (keys / "kubelet.crt").write_bytes(certificate)


def _write_programs(directory: Path) -> None:
    """What the daemons look for on PATH: their helpers, and iptables out of unpacked Debian packages."""
    for name in ("ptp", "loopback", "host-local", "portmap", "runc", "containerd-shim-runc-v2"):
        link = directory / name
        link.unlink(missing_ok=True)
        link.symlink_to(toolchain.binary(name))
    tree = packages.debian_tree(["iptables"], "trixie")
    loader, *words = tree.command("usr/sbin/xtables-nft-multi")
    extensions = next(tree.root.glob("usr/lib/*/xtables"))
    for name in _COMMANDS:
        script = directory / name
        command = " ".join(f"'{word}'" for word in (loader, "--argv0", name, *words))
        script.write_text(f"#!/bin/sh\nXTABLES_LIBDIR='{extensions}' exec {command} \"$@\"\n")
        script.chmod(0o755)
