"""Base of all settings models: frozen, nothing unknown accepted, every field explained."""

import re
from ipaddress import ip_network
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema

from kube.pod import Resources
from kube.quantity import Cpu, Size, parse_bytes, parse_cpu


class Settings(BaseModel):
    """A section of the stack file. An unknown key is an error: Synapse and Kubernetes would silently ignore typos."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class ResourceSettings(Settings):
    """Size of one pod. Unset CPU limit means none."""

    cpu: Cpu = Field(description="CPU requested by one pod, for example 500m or 2. The scheduler reserves it.")
    memory: Size = Field(description="Memory requested by one pod, for example 1Gi. The scheduler reserves it.")
    memory_limit: Size | None = Field(
        default=None, description="Memory at which the pod is killed; the request when unset. Cache sizes follow it."
    )
    cpu_limit: Cpu | None = Field(
        default=None, description="CPU at which the pod is throttled; none when unset (throttling costs latency)."
    )

    def resolved(self) -> Resources:
        """The same in integers."""
        return Resources(
            cpu=parse_cpu(self.cpu),
            memory=parse_bytes(self.memory),
            memory_limit=parse_bytes(self.memory_limit or self.memory),
            cpu_limit=parse_cpu(self.cpu_limit) if self.cpu_limit else None,
        )


PROVIDED = "(provided)"
"""What a secret leaf holds after loading: its value has been taken out and is a Pulumi Output."""


def _secret_leaf(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, dict) and set(value) == {"secure"}:
        return PROVIDED
    # The engine hands us the decrypted text; stack.load says so, and takes the text out right after.
    if value == PROVIDED or (isinstance(value, str) and (info.context or {}).get("decrypted")):
        return PROVIDED
    raise ValueError(
        "must not stand here in clear: set it with `pulumi config set --secret --path 'matrix:stack.<key path>'`"
    )


_SECRET_SCHEMA = {
    "type": "object",
    "required": ["secure"],
    "properties": {"secure": {"type": "string", "description": "Ciphertext, written by `pulumi config set --secret`."}},
    "additionalProperties": False,
}

SecretLeaf = Annotated[str, BeforeValidator(_secret_leaf), WithJsonSchema(_SECRET_SCHEMA, mode="validation")]
"""A field whose value is a secret. In the file it is `secure: v1:…`; in the model it is only known to be there."""


_HOST = re.compile(r"^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$")


def _check_host(value: str) -> str:
    if not _HOST.match(value):
        raise ValueError("must be a fully qualified host name in lower case, such as chat.example.org")
    return value


Host = Annotated[str, AfterValidator(_check_host)]
"""A field that holds a fully qualified host name."""


def _check_network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError as error:
        raise ValueError(f"must be an address range such as 10.0.0.0/8 or fd00::/8: {error}") from None


Network = Annotated[str, AfterValidator(_check_network)]
"""A field that holds an address range in CIDR notation; host bits are an error."""
