"""The only reader of stack files and of pulumi.Config. Secret leaves become Outputs here and nowhere else."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ValidationError

from kube.errors import Problem, StackError
from kube.settings import PROVIDED
from stack.errors import key_path, problems_of
from stack.settings import StackSettings

if TYPE_CHECKING:
    import pulumi

CONFIG_KEY = "matrix:stack"
ROOT = Path(__file__).resolve().parent.parent


def stack_file(name_or_path: str) -> Path:
    """`large` -> the committed Pulumi.large.yaml; anything that is a file stays what it is."""
    path = Path(name_or_path)
    return path if path.suffix in (".yaml", ".yml") else ROOT / f"Pulumi.{name_or_path}.yaml"


def parse(raw: Any, source: str, *, decrypted: bool = False) -> StackSettings:
    """Validate the object below `matrix:stack`; StackError with every problem at once."""
    try:
        return StackSettings.model_validate(raw, context={"decrypted": decrypted})
    except ValidationError as error:
        raise StackError(source, problems_of(error, StackSettings)) from None


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, as Pulumi does: PyYAML forgets the first one without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = key_node.value
            if key_node.tag != "tag:yaml.org,2002:merge" and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice in one place", key_node.start_mark
                )
            seen.add(key if isinstance(key, str) else id(key_node))
        return super().construct_mapping(node, deep=deep)


def read_stack_text(text: str, source: str) -> StackSettings:
    """Settings out of the text of a Pulumi.<stack>.yaml. `source` leads the error messages."""
    try:
        document = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise StackError(source, [Problem(path="", rule=f"is not YAML{line}: {what}")]) from None
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict) or CONFIG_KEY not in config:
        raise StackError(source, [Problem(path="", rule=f"has no `config:` with the key `{CONFIG_KEY}`")])
    return parse(config[CONFIG_KEY], source)


def read_stack_file(path: Path) -> StackSettings:
    """Settings out of a Pulumi.<stack>.yaml; StackError when it is missing, malformed or wrong."""
    try:
        text = path.read_text()
    except OSError as error:
        raise StackError(path.name, [Problem(path="", rule=f"cannot be read: {error.strerror}")]) from None
    return read_stack_text(text, path.name)


def _secret_paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if value == PROVIDED:
        yield path
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secret_paths(getattr(value, name), (*path, name))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _secret_paths(item, (*path, name))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _secret_paths(item, (*path, index))


def _dig(raw: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        raw = raw[part]
    return raw


def given_paths(settings: StackSettings) -> list[str]:
    """Key paths below `matrix:stack` at which the operator gave a secret."""
    return [key_path(path) for path in _secret_paths(settings)]


def load(config: "pulumi.Config", stack: str) -> tuple[StackSettings, dict[str, "pulumi.Output[str]"]]:
    """Settings of the running stack, and its given secrets as secret Outputs by key path.

    Pulumi hands nested secrets over in clear and without a mark, so they are taken out at once; the settings keep
    only the fact that they are there. A secret leaf in a file without any encrypted value is refused.
    """
    import pulumi
    from pulumi.runtime.config import is_config_secret

    raw = config.get_object("stack")
    source = f"Pulumi.{stack}.yaml"
    if raw is None:
        raise StackError(source, [Problem(path="", rule=f"has no `config:` with the key `{CONFIG_KEY}`")])
    settings = parse(raw, source, decrypted=is_config_secret(CONFIG_KEY))
    given = {key_path(path): pulumi.Output.secret(str(_dig(raw, path))) for path in _secret_paths(settings)}
    return settings, given
