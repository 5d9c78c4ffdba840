"""The copy of a committed stack file that the sandbox deploys, with the few settings that a sandbox must change."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from sandbox.credentials import write_private
from sandbox.errors import SandboxError
from sandbox.paths import CHECKOUT

CONFIG_KEY = "matrix:stack"
# What is changed below `matrix:stack`, and why. Everything else is deployed as committed.
OPERATORS_WHY = "operators come as Helm charts from chart repositories; the sandbox has their CRDs and simulates them"


def committed(stack: str) -> Path:
    """The stack's file in the checkout."""
    path = CHECKOUT / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        known = sorted(p.name.split(".")[1] for p in CHECKOUT.glob("Pulumi.*.yaml"))
        raise SandboxError(f"there is no stack {stack!r}", hint=f"choose one of: {', '.join(known)} (STACK=…)")
    return path


def overrides() -> tuple[dict[str, Any], dict[str, str]]:
    """Settings to merge, and the reason for each key path."""
    from stack.settings import StackSettings

    operators = StackSettings.model_fields.get("operators")
    if operators is None:
        return {}, {}
    names = [
        name
        for name, field in getattr(operators.annotation, "model_fields", {}).items()
        if "install" in getattr(field.annotation, "model_fields", {})
    ]
    changed = {"operators": {name: {"install": False} for name in names}}
    return changed, {f"operators.{name}.install = false": OPERATORS_WHY for name in names}


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`changes` over `base`, mappings merged key by key; neither argument is touched."""
    result = deepcopy(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], value)
        else:
            result[key] = deepcopy(value)
    return result


def write_copy(source: Path, target: Path, salt: str, changes: dict[str, Any] | None = None) -> None:
    """Write the copy. `salt` is the sandbox stack's own encryption salt; `changes` go on top (tests)."""
    document = yaml.safe_load(source.read_text())
    if not isinstance(document, dict) or not isinstance(document.get("config", {}).get(CONFIG_KEY), dict):
        raise SandboxError(f"{source.name} has no `config:` with an object under `{CONFIG_KEY}`")
    if "encryptionsalt" in document and "secure:" in source.read_text():
        raise SandboxError(
            f"{source.name} holds values that only its own passphrase opens",
            hint="deploy a copy without the encrypted values in the sandbox",
        )
    settings = merge(document["config"][CONFIG_KEY], overrides()[0])
    document["config"][CONFIG_KEY] = merge(settings, changes or {})
    document["encryptionsalt"] = salt
    text = f"# Made by the sandbox from {source.name}; changes here are lost.\n" + yaml.safe_dump(
        document, sort_keys=False
    )
    write_private(target, text.encode())
