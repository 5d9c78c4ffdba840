"""A real node: containerd, kubelet, kube-proxy and DNS in namespaces of their own, beside the sandbox's control plane.

Everything that a node leaves on a machine (processes, mounts, network, firewall rules) lives in namespaces that belong
to one process. When that process ends, however it ends, the kernel takes all of it away.
"""
