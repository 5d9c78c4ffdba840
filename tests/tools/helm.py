"""Helm, and the charts that can be had as Go modules, to see what an operator's chart makes of our values.

Helm is built once from its module into the tools' cache, pinned and verified by sandbox/tools/helm. The charts of
CloudNativePG are published in no Go module: they are not rendered here.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache as once
from pathlib import Path
from typing import Any

import yaml

from sandbox.locks import exclusive
from sandbox.paths import cache
from sandbox.toolchain import MODULES, go_version, pinned

PACKAGE = "helm.sh/helm/v3/cmd/helm"
CHARTS = {
    "cert-manager": ("github.com/cert-manager/cert-manager", "deploy/charts/cert-manager"),
    "metallb": ("go.universe.tf/metallb", "charts/metallb"),
    "envoy-gateway": ("github.com/envoyproxy/gateway", "charts/gateway-helm"),
}
"""Chart of apps/charts.lock -> Go module (pinned in sandbox/tools/crds) and the chart's directory in it."""


def _go(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["go", *arguments],
        cwd=directory,
        env=os.environ | {"CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"`go {' '.join(arguments)}` failed:\n{done.stderr[-3000:]}"
    return done.stdout


@once
def helm() -> Path:
    """The program. About a minute of two cores the first time."""
    module = MODULES / "helm"
    digest = hashlib.sha256(go_version().encode())
    for path in sorted(module.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    target = cache() / "tools" / f"helm-{digest.hexdigest()[:12]}"
    with exclusive(cache() / "tools.lock", "another process that builds the tools"):
        if not target.is_dir():
            with tempfile.TemporaryDirectory(prefix=".helm.", dir=target.parent) as temporary:
                work, out = Path(temporary) / "module", Path(temporary) / "out"
                shutil.copytree(module, work)
                out.mkdir()
                flags = ["-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", "-s -w"]
                _go(work, "build", *flags, "-o", str(out / "helm"), PACKAGE)
                out.replace(target)
    return target / "helm"


def _chart(name: str, directory: Path) -> Path:
    """A private copy of the chart: two of them lack files that their makers write at release."""
    module, subdirectory = CHARTS[name]
    work = directory / "module"
    shutil.copytree(MODULES / "crds", work)
    described = json.loads(_go(work, "mod", "download", "-json", f"{module}@{pinned('crds', module)}"))
    target = directory / name
    shutil.copytree(Path(described["Dir"]) / subdirectory, target)
    for path in (target, *target.rglob("*")):  # the module cache is read-only
        path.chmod(path.stat().st_mode | 0o200)
    template = target / "values.tmpl.yaml"
    if template.exists():
        text = template.read_text().replace("${GatewayImage}", "docker.io/not-told/gateway:0")
        (target / "values.yaml").write_text(re.sub(r"\$\{\w+\}", "IfNotPresent", text))
    return target


def rendered(name: str, release: str, namespace: str, values: Mapping[str, Any], kubernetes: str) -> list[Any]:
    """Every object that the chart `name` makes of `values`."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        given = directory / "values.json"
        given.write_text(json.dumps(values))
        command = [str(helm()), "template", release, str(_chart(name, directory)), "--namespace", namespace]
        done = subprocess.run(
            [*command, "--values", str(given), "--kube-version", kubernetes],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"chart {name} refuses our values: {done.stderr[-3000:]}"
        return [document for document in yaml.load_all(done.stdout, yaml.CSafeLoader) if document]
