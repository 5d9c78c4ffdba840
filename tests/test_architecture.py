"""The rules that keep the tree readable: who imports whom, how long a file is, what a component looks like."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import components
from tests.support.report import none_of

ROOT = Path(__file__).resolve().parent.parent
OURS = ("kube", "stack", "components", "sandbox", "policy", "tests", "apps")
# What of a system is pure: it decides and renders, and never touches the engine.
PURE = ("settings", "plan", "files", "alerts", "processes", "check")
# Modules outside of components that declare resources or talk to the engine's SDK.
IMPURE = {"kube.component", "kube.secret_values", "stack.build", "stack.guards", "stack.record", "stack.load"}
LONGEST = 400


def _tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [path for name in listed.stdout.splitlines() if (path := ROOT / name).is_file()]


def _modules(package: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        yield name, ast.parse(path.read_text())


def _imports(tree: ast.Module, *, at_run_time_only: bool = False) -> Iterator[str]:
    """Names of imported modules; `from a import b` counts as `a` and as `a.b`."""
    nodes = list(ast.walk(tree))
    if at_run_time_only:
        typed = [n for n in nodes if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
        hidden = {id(inner) for node in typed for inner in ast.walk(node)}
        # An import inside of a function is made when it is called; the module itself loads without.
        hidden |= {
            id(inner)
            for node in nodes
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            for inner in ast.walk(node)
        }
        nodes = [node for node in nodes if id(node) not in hidden]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _top(name: str) -> str:
    return name.split(".")[0]


def test_the_kernel_imports_nothing_of_ours() -> None:
    bad = [
        f"{module} imports {name}"
        for module, tree in _modules("kube")
        for name in _imports(tree)
        if _top(name) in OURS and _top(name) != "kube"
    ]
    none_of(bad, "kube is what everything else stands on")


def test_only_modules_that_declare_import_pulumi() -> None:
    bad = [
        f"{module} imports {name}"
        for package in ("kube", "components", "stack")
        for module, tree in _modules(package)
        for name in _imports(tree, at_run_time_only=True)
        if re.match(r"pulumi(_|\.|$)", name)
        and module not in IMPURE
        and not (module.startswith("components.") and module.split(".")[-1] not in PURE and _declares(tree))
    ]
    none_of(bad, "what decides and what renders must be testable, and quick to import, without an engine")


def _declares(tree: ast.Module) -> bool:
    """Whether a module is one that creates resources: it names the engine's SDK for Kubernetes or its options."""
    return any(name.startswith(("pulumi_kubernetes", "pulumi.ResourceOptions")) for name in _imports(tree))


def test_a_system_imports_another_only_through_its_plan() -> None:
    bad = []
    for module, tree in _modules("components"):
        parts = module.split(".")
        if len(parts) < 3:
            continue
        for name in _imports(tree):
            other = name.split(".")
            if other[0] != "components" or len(other) < 2 or other[1] == parts[1]:
                continue
            if not _is_public(other[1:], parts[1]):
                bad.append(f"{module} imports {name}")
    none_of(bad, "a system may know what another decided, not how it declares it")


# SynapseCluster is made of the router as well: it declares it as a child and sets its settings.
_PARTS = {"synapse": {"router"}}


def _is_public(other: list[str], importer: str) -> bool:
    return len(other) < 2 or other[1] == "plan" or other[0] in _PARTS.get(importer, ())


def test_programs_of_ours_do_not_import_tests() -> None:
    bad = [
        f"{module} imports {name}"
        for package in ("kube", "components", "stack", "policy", "sandbox")
        for module, tree in _modules(package)
        for name in _imports(tree)
        if _top(name) == "tests" or (_top(name) == "sandbox" and package != "sandbox")
    ]
    none_of(bad, "tests and the sandbox stand beside the platform, not below it")


def test_importing_the_pure_parts_loads_no_pulumi() -> None:
    """Run, not read: what the modules above import must not do it either."""
    names = [m for package in ("components", "stack") for m, _ in _modules(package) if m.split(".")[-1] in PURE]
    program = f"import {', '.join(names)}, components, sys; print([m for m in sys.modules if m.startswith('pulumi')])"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]", "`python -m stack validate` must answer at once"


def test_files_are_short() -> None:
    bad = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in _tracked("*.py")
        if (lines := len(path.read_text().splitlines())) > LONGEST
    ]
    none_of(bad, f"more than {LONGEST} lines are several things in one file")


# Assembled, so that this file does not name them itself.
_FORBIDDEN = [
    re.compile(pattern)
    for pattern in (
        r"(?<![\w.])/wo" + r"rk/",
        r"(?<![\w.])/ro" + r"ot/",
        r"(?<![\w.])/home/\w",
        r"\.\./shar" + r"ed",
        r"farm-\w+",
        r"artifactory|nexus\.|devpi|goproxy\.io|proxy\.golang\.org|pypi\.org|deb\.debian\.org",
        r"GONOSUMDB|GOFLAGS=-insecure|trusted-host|GONOSUMCHECK|GOINSECURE",
    )
]
_BINARY = {".png", ".gz", ".whl", ".svg"}


def test_no_path_of_a_machine_and_no_address_of_a_registry_is_in_the_repository() -> None:
    bad = []
    for path in _tracked():
        if path.suffix in _BINARY:
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            bad += [
                f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
                for pattern in _FORBIDDEN
                if pattern.search(line) and not (path.name == Path(__file__).name and 'r"' in line)
            ]
    none_of(bad, "a clone works on any machine, with the package clients as they are configured there")


def test_modules_say_what_they_are() -> None:
    bad = [
        module
        for package in ("kube", "components", "stack", "policy", "sandbox")
        for module, tree in _modules(package)
        if tree.body and not ast.get_docstring(tree)
    ]
    none_of(bad, "a reader begins with the first line")


COMPONENTS = sorted(name for name in dir(components) if not name.startswith("_"))


def test_every_component_is_exported_lazily_and_every_export_exists() -> None:
    bad = []
    declared: set[str] = set()
    for info in pkgutil.iter_modules(components.__path__):
        path = ROOT / "components" / info.name / "component.py"
        if path.is_file():
            classes = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.ClassDef)]
            declared |= {n.name for n in classes if any(ast.unparse(b) == "Component" for b in n.bases)}
    # The router is a part of SynapseCluster, which declares it.
    bad += [f"{name} is not exported by components/__init__.py" for name in declared - set(COMPONENTS) - {"Router"}]
    bad += [f"{name} is exported and is no component" for name in set(COMPONENTS) - declared]
    none_of(bad, "`from components import X` is how stack/build.py and people find them")


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_has_the_house_skeleton(name: str) -> None:
    from kube.component import Component

    component = getattr(components, name)
    assert issubclass(component, Component), "children get their options from the base class"
    tree = ast.parse(inspect.getsource(importlib.import_module(component.__module__)))
    node = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)
    init = next(n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__")

    document = inspect.getdoc(component) or ""
    for heading in ("Pulumi type:", "Creates:", "Survives:"):
        assert heading in document, f"the docstring tells {heading}"
    told = re.search(r"Pulumi type:\s*(\S+)", document)
    calls = [n for n in ast.walk(init) if isinstance(n, ast.Call)]
    base = next(c for c in calls if ast.unparse(c.func) == "super().__init__")
    token = base.args[0]
    assert isinstance(token, ast.Constant) and re.fullmatch(r"matrix:[a-z]+:" + name, str(token.value)), (
        "a type token is a literal: aliases and policies depend on it"
    )
    assert told and told.group(1) == token.value, "the docstring tells the type"
    assert ast.unparse(init.body[-1]).startswith("self.register_outputs("), "always, and last"
    for argument in init.args.args[1:]:
        assert argument.annotation is not None
    source = ast.unparse(node)
    leaked = re.search(r"\.merge\((opts|self\.opts)\b|opts=opts\b", source)
    assert not leaked, "a caller's options are for the component, not for its children"
    assert ".apply(" not in source or "k8s." not in source.split(".apply(", 1)[1][:200], "nothing is created in apply"
