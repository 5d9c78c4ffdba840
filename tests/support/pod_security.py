"""Pod Security Standards, level `restricted`, as Kubernetes documents them (v1.35). What a pod may not do."""

from collections.abc import Iterator

from tests.support.cluster import Body, Container, Pod

_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
    }
)


def violations(pod: Pod) -> Iterator[str]:
    """Everything for which the admission controller would refuse this pod in a namespace labelled `restricted`."""
    spec = pod.spec
    security: Body = spec.get("securityContext") or {}
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield f"{pod.name}: {key}"
    for name, volume in pod.volumes.items():
        kinds = set(volume) - {"name"}
        if not kinds <= _VOLUMES:
            yield f"{pod.name}: volume {name} of type {', '.join(kinds)}"
    for sysctl in security.get("sysctls", ()):
        if sysctl["name"] not in _SYSCTLS:
            yield f"{pod.name}: sysctl {sysctl['name']}"
    for container in pod.containers:
        yield from _container(container, security)


def _container(container: Container, pod: Body) -> Iterator[str]:
    own: Body = container.body.get("securityContext") or {}
    effective = {**pod, **own}
    capabilities: Body = own.get("capabilities") or {}
    if own.get("privileged"):
        yield f"{container}: privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield f"{container}: allowPrivilegeEscalation is not false"
    if effective.get("runAsNonRoot") is not True:
        yield f"{container}: runAsNonRoot is not true"
    if effective.get("runAsUser") == 0:
        yield f"{container}: runs as user 0"
    if (effective.get("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield f"{container}: no seccomp profile"
    if "ALL" not in capabilities.get("drop", ()):
        yield f"{container}: keeps capabilities"
    if set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield f"{container}: adds capabilities {capabilities['add']}"
    if effective.get("procMount", "Default") != "Default":
        yield f"{container}: procMount {effective['procMount']}"
    for port in container.body.get("ports", ()):
        if port.get("hostPort"):
            yield f"{container}: host port {port['hostPort']}"
