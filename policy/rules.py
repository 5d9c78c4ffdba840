"""The rules themselves, as pure functions over one declared object: the same code runs in previews and in tests."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One resource as the engine sees it: type token, Pulumi name, inputs, and whether it is protected."""

    type: str
    name: str
    props: Mapping[str, Any]
    protected: bool


Check = Callable[[Declared], Iterator[str]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A named rule. `check` yields one sentence for each violation."""

    name: str
    description: str
    check: Check


_POD_OWNERS = re.compile(r"^kubernetes:(apps|batch)/v1:(Deployment|StatefulSet|DaemonSet|Job|CronJob)$")

# Namespaces whose pods need the host, each with its reason.
HOST_NAMESPACES = {"matrix-calls": "media servers bind the node's own addresses"}

_SECRET_LOOKS = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"), "a private key"),
    (re.compile(r"^ed25519 \S+ [A-Za-z0-9+/]{43}$", re.M), "a Synapse signing key"),
    (
        re.compile(
            r"^\s*[\w-]*(password|shared_secret|secret_key|access_key)\s*[:=]\s*['\"]?[^\s'\"${]{8,}", re.M | re.I
        ),
        "a password",
    ),
)


def _pod_spec(declared: Declared) -> Mapping[str, Any] | None:
    if not _POD_OWNERS.match(declared.type):
        return None
    spec = declared.props.get("spec") or {}
    if declared.type.endswith(":CronJob"):
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    pod: Mapping[str, Any] = (spec.get("template") or {}).get("spec") or {}
    return pod


def _containers(declared: Declared) -> Iterator[Mapping[str, Any]]:
    pod = _pod_spec(declared) or {}
    yield from pod.get("initContainers") or ()
    yield from pod.get("containers") or ()


def _sizes(declared: Declared) -> Iterator[str]:
    for container in _containers(declared):
        resources = container.get("resources") or {}
        if "memory" not in (resources.get("limits") or {}):
            yield f"container {container.get('name')} has no memory limit: one leak takes its node along"
        missing = {"cpu", "memory"} - set(resources.get("requests") or {})
        if missing:
            yield f"container {container.get('name')} requests no {' and no '.join(sorted(missing))}"


def _images(declared: Declared) -> Iterator[str]:
    for container in _containers(declared):
        image = str(container.get("image") or "")
        tag = image.rsplit("/", 1)[-1]
        if "@sha256:" not in image and (":" not in tag or tag.endswith(":latest")):
            yield f"container {container.get('name')} pulls {image!r}: name a fixed version"


def _privileges(declared: Declared) -> Iterator[str]:
    for container in _containers(declared):
        security = container.get("securityContext") or {}
        name = container.get("name")
        if security.get("privileged"):
            yield f"container {name} is privileged"
        if security.get("allowPrivilegeEscalation") is not False:
            yield f"container {name} may escalate its privileges"
        if security.get("readOnlyRootFilesystem") is not True:
            yield f"container {name} can write to its root file system"
        if "ALL" not in ((security.get("capabilities") or {}).get("drop") or ()):
            yield f"container {name} keeps capabilities"


def _host(declared: Declared) -> Iterator[str]:
    pod = _pod_spec(declared)
    namespace = (declared.props.get("metadata") or {}).get("namespace")
    if pod is None or namespace in HOST_NAMESPACES:
        return
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            yield f"pods use {key}"
    for volume in pod.get("volumes") or ():
        if "hostPath" in volume:
            yield f"volume {volume.get('name')} is a path of the node"


def _secrets(declared: Declared) -> Iterator[str]:
    if declared.type != "kubernetes:core/v1:ConfigMap":
        return
    for key, text in (declared.props.get("data") or {}).items():
        for pattern, what in _SECRET_LOOKS:
            if isinstance(text, str) and pattern.search(text):
                yield f"key {key} looks as if it held {what}; it belongs into a Secret"


_DATA_KINDS = ("kubernetes:postgresql.cnpg.io/v1:Cluster", "kubernetes:core/v1:PersistentVolumeClaim")


def _data(declared: Declared) -> Iterator[str]:
    claims = declared.type.endswith(":StatefulSet") and (declared.props.get("spec") or {}).get("volumeClaimTemplates")
    if (declared.type in _DATA_KINDS or claims) and not declared.protected:
        yield "holds data and is not protected (safety.protect)"


def _tls(declared: Declared) -> Iterator[str]:
    spec = declared.props.get("spec") or {}
    if declared.type == "kubernetes:networking.k8s.io/v1:Ingress" and not spec.get("tls"):
        yield "is an Ingress without TLS"
    if declared.type.startswith("kubernetes:gateway.networking.k8s.io/") and declared.type.endswith(":Gateway"):
        for listener in spec.get("listeners") or ():
            if listener.get("port") != 80 and not listener.get("tls"):
                yield f"listener {listener.get('name')} on port {listener.get('port')} has no TLS"


def _services(declared: Declared) -> Iterator[str]:
    if declared.type != "kubernetes:core/v1:Service":
        return
    spec = declared.props.get("spec") or {}
    if spec.get("type") == "NodePort":
        yield "opens a port on every node; the edge is the only way in"
    if spec.get("type") == "LoadBalancer" and not spec.get("loadBalancerSourceRanges"):
        yield "is open to all sources; name loadBalancerSourceRanges or go through the edge"


RULES = (
    Rule(name="pods-have-sizes", description="Requests and memory limits on every container.", check=_sizes),
    Rule(name="images-are-fixed", description="No :latest, no missing tag.", check=_images),
    Rule(name="containers-are-confined", description="No privilege, read-only root, no capability.", check=_privileges),
    Rule(name="pods-keep-off-the-host", description="No host network, host path or host processes.", check=_host),
    Rule(
        name="secrets-stay-in-secrets", description="Nothing that looks like a secret in a ConfigMap.", check=_secrets
    ),
    Rule(name="data-is-protected", description="Data-bearing resources are protected.", check=_data),
    Rule(name="edge-has-tls", description="Nothing is published without TLS.", check=_tls),
    Rule(name="services-stay-inside", description="No NodePort, no Service open to all sources.", check=_services),
)


def violations(declared: Declared) -> list[tuple[str, str]]:
    """(rule, sentence) for everything that `declared` breaks."""
    return [(rule.name, sentence) for rule in RULES for sentence in rule.check(declared)]
