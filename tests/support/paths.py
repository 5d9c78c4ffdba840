"""Files and directories that configs, arguments and variables name, against what is mounted."""

import re
from collections.abc import Iterable, Iterator, Mapping

from tests.support.cluster import Cluster, Container

# A path of a file system, not of a URL: it begins at one of these, or at a directory that something is mounted in.
_ROOTS = frozenset({"etc", "run", "var", "tmp", "srv", "mnt", "home", "config", "secrets", "conf", "certs"})
_PATH = re.compile(r"(?<![\w.:/<>${}*?\\^~@%\])+-])((?>/[A-Za-z0-9_][\w.+-]*(?:/[\w.+-]+)*))(?![${*])")

# A script that takes the files that are there.
_OPTIONAL = re.compile(r"""\[ -[ef] "?\$""")

# Paths that every image has, or that the system provides.
PROVIDED = (
    "/bin",
    "/dev",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/resolv.conf",
    "/etc/ssl/certs",
    "/lib",
    "/proc",
    "/sbin",
    "/sys",
    "/usr",
    "/var/run/secrets/kubernetes.io",
)

# Directories that a program writes to without being told, each with its reason.
KNOWN_WITHOUT_NAME: Mapping[str, str] = {
    "/tmp": "where programs put what they need for a moment; the root is read-only",
}


def _texts(cluster: Cluster, container: Container) -> Iterator[tuple[str, str]]:
    """(where, text) of everything that tells this container what to do."""
    body = container.body
    for field in ("command", "args"):
        yield field, "\n".join(map(str, body.get(field, ())))
    for name, variable in container.env.items():
        yield f"env {name}", str(variable.get("value", ""))
        ref = (variable.get("valueFrom") or {}).get("secretKeyRef")
        if ref:
            yield f"env {name}", cluster.text("Secret", container.pod.namespace, ref["name"], ref["key"])
    for hook in ("startupProbe", "readinessProbe", "livenessProbe"):
        yield hook, "\n".join((body.get(hook) or {}).get("exec", {}).get("command", ()))
    stop = (body.get("lifecycle") or {}).get("preStop") or {}
    yield "preStop", "\n".join(stop.get("exec", {}).get("command", ()))
    yield from cluster.files(container).items()


def _paths(text: str, roots: frozenset[str]) -> Iterator[str]:
    for line in text.splitlines():
        if line.lstrip().startswith(("#!", "# ", "//", ";")):
            continue
        for path in _PATH.findall(line):
            if path.split("/")[1] in roots:
                yield path.rstrip(".")


def _below(path: str, roots: Iterable[str]) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in roots)


def _there(cluster: Cluster, container: Container, path: str) -> bool:
    mounts, files = container.mounts, cluster.files(container)
    if path in files or any(_below(place, (path,)) for place in (*mounts, *files)):
        return True
    # In a volume of files everything is known; a directory that can be written may hold anything.
    filled = {place for place in mounts if any(_below(file, (place,)) for file in files)}
    return _below(path, [place for place in mounts if place not in filled])


def missing(cluster: Cluster) -> Iterator[str]:
    """Named paths that are neither mounted nor everybody's.

    What a file names must be in one of the pod's containers that have this file: some are there to run before
    others, and read only a part of it. What a script asks the existence of may be missing.
    """
    for pod in cluster.pods:
        roots = _ROOTS | {path.split("/")[1] for container in pod.containers for path in container.mounts}
        for container in pod.containers:
            files = cluster.files(container)
            for where, text in _texts(cluster, container):
                readers = [c for c in pod.containers if where in cluster.files(c)] if where in files else [container]
                for path in _paths(text, roots):
                    provided = _below(path, PROVIDED) and not _below(path, container.mounts)
                    if provided or (_OPTIONAL.search(text) and where in files):
                        continue
                    if not any(_there(cluster, reader, path) for reader in readers):
                        yield f"{container}: {path} (named in {where})"


_VARIABLE = re.compile(r"\$(?:\{\w+\}|\w+)|\{\d+\.{2,3}\d+\}")


def _may_become(word: str, path: str) -> bool:
    """Whether a word of a script may name a path, or something in it: `$user` is any name, `{0...1}` any number."""
    parts, wanted = word.split("/"), path.split("/")
    return len(parts) >= len(wanted) and all(
        re.fullmatch("[^/]+".join(map(re.escape, _VARIABLE.split(part))), want)
        for part, want in zip(parts, wanted, strict=False)
    )


def unnamed(cluster: Cluster) -> Iterator[str]:
    """Mounts that nothing names, neither them nor anything in them."""
    for container in cluster.containers:
        texts = "\n".join(text for _, text in _texts(cluster, container))
        words = [word for word in re.findall(r"[^\s\"'=,;()]*/[^\s\"',;()]*", texts) if _VARIABLE.search(word)]
        tails = {word[slash.start() :] for word in words for slash in re.finditer("/", word)}
        for path in container.mounts:
            named = re.search(rf"(?<![\w.-]){re.escape(path)}(?![\w-])", texts)
            if path not in KNOWN_WITHOUT_NAME and not named and not any(_may_become(tail, path) for tail in tails):
                yield f"{container}: {path}"


def made_by_operators(cluster: Cluster, namespace: str) -> set[str]:
    """Secrets that an operator makes for a custom resource of ours."""
    found: set[str] = set()
    for resource in cluster.recording.objects:
        if resource.namespace != namespace:
            continue
        if resource.kind == "Certificate":
            found.add(resource.inputs["spec"]["secretName"])
        if resource.kind == "Cluster" and resource.type.startswith("kubernetes:postgresql.cnpg.io"):
            found |= {f"{resource.object_name}-{suffix}" for suffix in ("ca", "server", "replication", "app")}
    return found
