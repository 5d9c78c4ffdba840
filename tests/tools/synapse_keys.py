"""Prints every top-level key of homeserver.yaml that the installed Synapse reads, one on a line.

Runs in a Python that has Synapse. Synapse's wheel has no schema of its configuration, so its own config code is
read: every text constant that is looked up in a variable called `config` (and in `config_dict`, `yaml_config`) of
`synapse.config`, and the option names that it hands to helpers which look them up.

    <python with synapse> tests/tools/synapse_keys.py > components/synapse/homeserver_keys.txt
"""

import ast
from pathlib import Path

import synapse.config

CONFIG_NAMES = {"config", "config_dict", "yaml_config", "specified_config"}
# Helpers of synapse.config.workers that get option names as arguments beside the configuration.
NAME_ARGUMENTS = {
    "_worker_names_performing_this_duty": ("legacy_option_name", "modern_instance_list_name"),
    "_should_this_worker_perform_duty": ("legacy_master_option_name", "new_option_name"),
}


def text(node: ast.AST | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def is_config(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in CONFIG_NAMES


def option_arguments(call: ast.Call, name: str) -> set[str]:
    wanted = NAME_ARGUMENTS[name]
    found = {text(k.value) for k in call.keywords if k.arg in wanted}
    # Positional form: (config, legacy option, legacy app, modern option).
    positional = [text(argument) for argument in call.args[1:]]
    return {t for t in (*found, *positional) if t and not t.startswith("synapse.app.")}


def keys_in(tree: ast.AST) -> set[str]:
    keys: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("get", "pop", "setdefault") and is_config(node.func.value) and node.args:
                keys.add(text(node.args[0]) or "")
            elif node.func.attr in NAME_ARGUMENTS:
                keys |= option_arguments(node, node.func.attr)
            elif node.func.attr == "parse" and len(node.args) >= 2 and is_config(node.args[0]):
                keys.add(
                    (text(node.args[1]) or "").split(".")[0]
                )  # RatelimitSettings.parse(config, "rc_login.address")
        elif isinstance(node, ast.Subscript) and is_config(node.value):
            keys.add(text(node.slice) or "")
        elif isinstance(node, ast.Compare) and any(is_config(c) for c in node.comparators):
            keys.add(text(node.left) or "")
    return keys - {""}


if __name__ == "__main__":
    root = Path(synapse.config.__file__).parent
    found: set[str] = set()
    for path in sorted(root.glob("*.py")):
        found |= keys_in(ast.parse(path.read_text()))
    print("\n".join(sorted(found)))
