"""The sandbox: the real Pulumi engine against a real Kubernetes control plane with simulated nodes, on one machine.

Everything is built from package registries (Go modules, PyPI). Nothing here is part of a deployed platform.
"""
