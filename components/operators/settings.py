"""What an operator may set about the operators: programs that carry out custom resources."""

from typing import Any

from pydantic import Field, field_validator

from kube.settings import Settings

_NAME = r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"


class OperatorSettings(Settings):
    """One operator."""

    install: bool = Field(
        default=True,
        description="Install it by its Helm chart. False where the cluster already has it: its custom resources are "
        "used all the same. What the stack does not need is not installed either way.",
    )
    namespace: str | None = Field(
        default=None,
        pattern=_NAME,
        description="Namespace that it runs in; upstream's own name when unset. With install false: where yours is.",
    )
    version: str | None = Field(
        default=None,
        min_length=1,
        description="Version of the chart; that of apps/charts.lock when unset. Other versions are untested with it.",
    )
    chart: str | None = Field(
        default=None,
        min_length=1,
        description="Full reference of the chart (oci://… or path of a .tgz or directory); wins over chart_mirror.",
    )
    values: dict[str, Any] = Field(
        default_factory=dict, description="Values of the chart that win over ours, merged key by key. Never a secret."
    )


class OperatorsSettings(Settings):
    """Operators of others that the platform stands on."""

    chart_mirror: str = Field(
        default="",
        description="Where all charts come from in an air gap: oci://registry/path with the charts below it under "
        "their own names, or a directory with <name>-<version>.tgz as `helm pull` writes them. Empty: upstream.",
    )
    timeout_seconds: int = Field(
        default=600,
        ge=60,
        le=3600,
        description="How long one chart may take until it is ready; then it is rolled back and the run fails.",
    )
    cert_manager: OperatorSettings = Field(
        default_factory=OperatorSettings, description="Certificates. Also needed by barman_cloud_plugin."
    )
    cloudnative_pg: OperatorSettings = Field(default_factory=OperatorSettings, description="PostgreSQL clusters.")
    barman_cloud_plugin: OperatorSettings = Field(
        default_factory=OperatorSettings,
        description="Backups of PostgreSQL to object storage. Always in CloudNativePG's namespace.",
    )
    metallb: OperatorSettings = Field(
        default_factory=OperatorSettings, description="Addresses of the edge on bare metal. See edge.metallb."
    )
    envoy_gateway: OperatorSettings = Field(
        default_factory=OperatorSettings, description="The edge's proxies. Not with edge.kind: ingress."
    )

    @field_validator("chart_mirror")
    @classmethod
    def _no_slash(cls, value: str) -> str:
        return value.rstrip("/")
