"""Builds every program of the sandbox from the Go module registry, once, into the cache. Python's own library only.

Each program lies in a directory of its own, named by a hash of what decides its content: go.mod and go.sum of its
module below `sandbox/tools`, our own sources there, linker flags, the Go version. It is built aside and renamed into
place, so an interrupted build leaves nothing half. Go verifies every download against the committed go.sum.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path

from sandbox import packages
from sandbox.errors import SandboxError
from sandbox.locks import exclusive
from sandbox.paths import CHECKOUT, SANDBOX, cache

MODULES = SANDBOX / "tools"
KUBERNETES_PROVIDER = "github.com/pulumi/pulumi-kubernetes/provider/v4"
# Directory of the custom resource definitions in each module of tools/crds/go.mod.
CRD_DIRECTORIES = {
    "github.com/cert-manager/cert-manager": "deploy/crds",
    "github.com/cloudnative-pg/cloudnative-pg": "config/crd/bases",
    "github.com/cloudnative-pg/plugin-barman-cloud": "config/crd/bases",
    "github.com/envoyproxy/gateway": "charts/gateway-helm/charts/crds/crds/generated",
    "github.com/prometheus-operator/prometheus-operator": "example/prometheus-operator-crd",
    "go.universe.tf/metallb": "config/crd/bases",
    "sigs.k8s.io/gateway-api": "config/crd/standard",
}


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One program: `package` of the pinned module directory `module`, or what `make(workdir, out)` produces.

    `on_demand`: not part of every sandbox, built when a command asks for it by name.
    """

    name: str
    module: str
    package: str = ""
    ldflags: str = ""
    tags: str = ""
    make: Callable[["Tool", Path, Path], None] | None = None
    on_demand: bool = False


# ---- pins ------------------------------------------------------------------------------------------------------------


def pinned(module: str, path: str) -> str:
    """Version of the Go module `path` in tools/<module>/go.mod."""
    text = (MODULES / module / "go.mod").read_text()
    found = re.search(rf"^\s*(?:require )?{re.escape(path)} (v\S+)", text, re.MULTILINE)
    if not found:
        raise SandboxError(f"sandbox/tools/{module}/go.mod does not pin {path}")
    return found.group(1)


@once
def sdk_version(package: str) -> str:
    """Version of a Python package in requirements.lock; the provider built here must equal its SDK."""
    found = re.search(
        rf"^{re.escape(package)}==([^\s\\;]+)", (CHECKOUT / "requirements.lock").read_text(), re.MULTILINE
    )
    if not found:
        raise SandboxError(f"requirements.lock does not pin {package}")
    return found.group(1)


@once
def go_version() -> str:
    """What the `go` on PATH calls itself; SandboxError when there is none or it is too old for the pins."""
    if not shutil.which("go"):
        raise SandboxError(
            "the Go toolchain is not installed (no `go` on PATH)",
            hint="install Go from https://go.dev/dl or your distribution; the version is in sandbox/tools/kwok/go.mod",
        )
    # Asked inside the module with the highest demand, so that Go itself compares versions (or fetches a newer one).
    result = subprocess.run(
        ["go", "env", "GOVERSION"], cwd=MODULES / "kwok", capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise SandboxError(
            "the Go toolchain on PATH cannot build the pinned programs",
            detail=result.stderr.strip(),
            hint="install a newer Go (https://go.dev/dl), or allow it to fetch one: GOTOOLCHAIN=auto",
        )
    return result.stdout.strip()


def _kubernetes_flags(version: str) -> str:
    major, minor, _ = version.removeprefix("v").split(".")
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return " ".join(f"-X {package}.{key}={value}" for package in packages for key, value in values.items())


@once
def tools() -> dict[str, Tool]:
    """All programs by name, in the order in which they are built."""
    engine = pinned("engine", "github.com/pulumi/pulumi/pkg/v3")
    kubernetes = _kubernetes_flags(pinned("kubernetes", "k8s.io/kubernetes"))
    pulumi = f"-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={engine}"
    found = [
        Tool(name="pulumi", module="engine", package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", ldflags=pulumi),
        Tool(name="pulumi-language-python-exec", module="engine", make=_language_exec),
        Tool(
            name="pulumi-language-python",
            module="language-host",
            package="github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python",
            ldflags=pulumi,
        ),
        Tool(
            name="pulumi-resource-kubernetes",
            module="kubernetes-provider",
            ldflags=f"-X main.version={sdk_version('pulumi-kubernetes')}",
            make=_kubernetes_provider,
        ),
        Tool(name="etcd", module="etcd", package="go.etcd.io/etcd/server/v3"),
        *(
            Tool(name=name, module="kubernetes", package=f"k8s.io/kubernetes/cmd/{name}", ldflags=kubernetes)
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
        ),
        Tool(name="kwok", module="kwok", package="sigs.k8s.io/kwok/cmd/kwok"),
        Tool(name="crds", module="crds", make=_crds),
        *_node_tools(kubernetes),
    ]
    return {tool.name: tool for tool in found}


def _node_tools(kubernetes: str) -> list[Tool]:
    """Programs of a real node, and those that only exist as Go modules among the ones its images hold."""
    plugins = "github.com/containernetworking/plugins/plugins"
    containerd = "github.com/containerd/containerd/v2/cmd"
    packages = {
        "containerd": ("node/containerd", f"{containerd}/containerd"),
        "containerd-shim-runc-v2": ("node/containerd", f"{containerd}/containerd-shim-runc-v2"),
        "ctr": ("node/containerd", f"{containerd}/ctr"),
        "ptp": ("node/cni", f"{plugins}/main/ptp"),
        "loopback": ("node/cni", f"{plugins}/main/loopback"),
        "host-local": ("node/cni", f"{plugins}/ipam/host-local"),
        "portmap": ("node/cni", f"{plugins}/meta/portmap"),
        "coredns": ("node/coredns", "github.com/coredns/coredns"),
        "cloudnative-pg": ("node/cnpg", "github.com/cloudnative-pg/cloudnative-pg/cmd/manager"),
        "minio": ("node/minio", "github.com/minio/minio"),
        "mc": ("node/mc", "github.com/minio/mc"),
    }
    return [
        Tool(name="runc", module="node/runc", tags="seccomp", make=_runc, on_demand=True),
        *(
            Tool(
                name=name,
                module="node/kubelet",
                package=f"k8s.io/kubernetes/cmd/{name}",
                ldflags=kubernetes,
                on_demand=True,
            )
            for name in ("kubelet", "kube-proxy")
        ),
        *(
            Tool(name=name, module=module, package=package, on_demand=True)
            for name, (module, package) in packages.items()
        ),
    ]


NODE = (
    *("containerd", "containerd-shim-runc-v2", "ctr", "runc", "kubelet", "kube-proxy", "coredns"),
    *("ptp", "loopback", "host-local", "portmap"),
)
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok", "crds")


def directory(name: str) -> Path:
    """Where the program lies, or will lie."""
    tool = tools()[name]
    flags = f"{tool.ldflags}|{tool.tags}" if tool.tags else tool.ldflags
    digest = hashlib.sha256(f"{go_version()}|{tool.package}|{flags}".encode())
    for path in sorted((MODULES / tool.module).iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return cache() / "tools" / f"{name}-{digest.hexdigest()[:12]}"


def binary(name: str) -> Path:
    return directory(name) / name


# ---- building --------------------------------------------------------------------------------------------------------


def ensure(names: list[str] | None = None) -> float:
    """Build what is missing of `names` (default: what every sandbox has), with progress; seconds that it took."""
    start = time.monotonic()
    wanted = [tool.name for tool in tools().values() if not tool.on_demand] if names is None else names
    if not any(not directory(name).is_dir() for name in wanted):
        return time.monotonic() - start
    with exclusive(cache() / "tools.lock", "another process that builds the tools"):
        missing = [name for name in wanted if not directory(name).is_dir()]
        if missing:
            print(f"building {len(missing)} of {len(wanted)} programs with {go_version()}, once:", flush=True)
        for number, name in enumerate(missing, 1):
            print(f"[{number}/{len(missing)}] {name} … ", end="", flush=True)
            began = time.monotonic()
            _build(tools()[name])
            print(f"{time.monotonic() - began:.0f} s", flush=True)
    return time.monotonic() - start


def _build(tool: Tool) -> None:
    target = directory(tool.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{tool.name}.", dir=target.parent) as temporary:
        # The module is copied so that nothing that Go does can change the committed files.
        work, out = Path(temporary) / "module", Path(temporary) / "out"
        shutil.copytree(MODULES / tool.module, work)
        out.mkdir()
        if tool.make:
            tool.make(tool, work, out)
        else:
            _go_build(tool, work, tool.package, out / tool.name)
        out.replace(target)


def _go(tool: Tool, work: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
    """Run `go` in a module copy; its output, or a SandboxError that names the step and the likely cause."""
    log = cache() / "logs" / f"{tool.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    # Without C no compiler is needed, and binaries need no libraries.
    environment = os.environ | {"CGO_ENABLED": "0"} | dict(variables or {})
    with log.open("w") as errors:
        result = subprocess.run(
            ["go", *arguments], cwd=work, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, check=False
        )
    if result.returncode == 0:
        return result.stdout
    print("failed", flush=True)
    text = log.read_text(errors="replace") + result.stdout
    raise SandboxError(
        f"building {tool.name} failed (`go {arguments[0]}` ended with {result.returncode})",
        detail="\n".join(line for line in text.splitlines() if not line.startswith("go: downloading"))[-2000:],
        hint=f"{_advice(text)}; the whole log is in {log}",
    )


def _advice(text: str) -> str:
    if "checksum mismatch" in text or "SECURITY ERROR" in text:
        return "a download is not what go.sum pins: do not use this module mirror before you know why"
    if re.search(r"no such host|connection refused|i/o timeout|dial tcp|proxyconnect|TLS handshake", text):
        return "Go cannot reach its module registry; check the network and `go env GOPROXY`"
    if re.search(r"40[34] |410 |not found: |unrecognized import path", text):
        return "the module registry (`go env GOPROXY`) does not serve a pinned module; try another registry"
    if "requires go >=" in text:
        return "the installed Go is too old; install a newer one or set GOTOOLCHAIN=auto"
    if "no space left" in text:
        return "the disk is full; about 8 GB are needed while building"
    return "the last lines above say why"


def _go_build(tool: Tool, work: Path, package: str, out: Path) -> None:
    flags = ["-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", f"-s -w {tool.ldflags}".strip()]
    _go(tool, work, "build", *flags, "-o", str(out), package)


def _runc(tool: Tool, work: Path, out: Path) -> None:
    """runc with seccomp: the one program in C, linked with libseccomp for good, so that it needs no library to run."""
    for program in ("gcc", "pkg-config"):
        if not shutil.which(program):
            raise SandboxError(
                f"{program} is missing, which runc is built with",
                hint="install Debian's packages gcc, libc6-dev and pkg-config",
            )
    # The oldest suite with a new enough libseccomp: what is linked with it works with every newer C library.
    tree = packages.debian_tree(["libseccomp-dev"], "bookworm").root
    configuration = next(tree.glob("usr/lib/*/pkgconfig/libseccomp.pc")).parent
    variables = {
        "CGO_ENABLED": "1",
        "PKG_CONFIG_LIBDIR": str(configuration),
        "PKG_CONFIG_SYSROOT_DIR": str(tree),
    }
    tags = f"{tool.tags},netgo,osusergo"
    flags = ["-trimpath", "-buildvcs=false", "-mod=readonly", "-tags", tags, "-ldflags", "-s -w -extldflags -static"]
    _go(tool, work, "build", *flags, "-o", str(out / "runc"), "github.com/opencontainers/runc", variables=variables)


def _module_directory(tool: Tool, work: Path, path: str) -> Path:
    """Unpacked source of a module that the copy in `work` pins, verified against its go.sum."""
    query = f"{path}@{pinned(tool.module, path)}"
    described: dict[str, str] = json.loads(_go(tool, work, "mod", "download", "-json", query))
    return Path(described["Dir"])


def _language_exec(tool: Tool, work: Path, out: Path) -> None:
    """The script by which the language host runs a program. It is source, not built."""
    source = _module_directory(tool, work, "github.com/pulumi/pulumi/sdk/v3") / "python" / "cmd" / tool.name
    target = out / tool.name
    target.write_bytes(source.read_bytes())
    target.chmod(0o755)


def _kubernetes_provider(tool: Tool, work: Path, out: Path) -> None:
    """The official provider: its module, our ten-line main, its own schema with the version that the SDK asks for."""
    source = _module_directory(tool, work, KUBERNETES_PROVIDER) / "cmd" / tool.name
    schema = json.loads((source / "schema.json").read_text())
    schema["version"] = sdk_version("pulumi-kubernetes")
    (work / "schema.json").write_text(json.dumps(schema, separators=(",", ":")))
    (work / "terraform-mapping.json").write_bytes((source / "terraform-mapping.json").read_bytes())
    _go_build(tool, work, ".", out / tool.name)


def _crds(tool: Tool, work: Path, out: Path) -> None:
    """Custom resource definitions, one directory for each module; nothing is built."""
    pins = (work / "go.sum").read_text()
    for path, subdirectory in CRD_DIRECTORIES.items():
        version = pinned("crds", path)
        source = _module_directory(tool, work, path) / subdirectory
        target = out / f"{path.rsplit('/', 1)[-1]}@{version}"
        target.mkdir()
        for file in sorted(source.glob("*.yaml")):
            if re.search(r"^kind: CustomResourceDefinition$", file.read_text(), re.MULTILINE):
                (target / file.name).write_bytes(file.read_bytes())
        if not any(target.iterdir()):
            raise SandboxError(f"{path} {version} has no custom resource definitions in {subdirectory}")
    if (work / "go.sum").read_text() != pins:
        raise SandboxError("sandbox/tools/crds/go.sum does not pin every module", hint="add the published sums")
