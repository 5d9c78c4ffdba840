"""Which operators are installed, from which chart, with which values.

Decided here: Helm releases and not rendered manifests, because these charts bring hooks (certificate jobs, checks of
the API) and are what their makers support. Every image is named by us through the chart's values, out of
apps/images.lock, so that one registry setting moves them all. Sizes are set by us: no chart sets memory limits.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from components.network.plan import NamespacePlan, PodSecurity
from components.operators import values
from components.operators.settings import OperatorSettings, OperatorsSettings
from kube.context import Platform
from kube.errors import Problem
from kube.pod import Workload

HOST_NETWORK = "MetalLB's speakers answer ARP for the platform's addresses: host network and raw sockets"


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One locked chart. `source` as it is pulled upstream, `app` the version of the program in it."""

    name: str
    source: str
    version: str
    app: str


@dataclass(frozen=True, kw_only=True)
class Release:
    """One Helm release. `key` is the operator's name in the settings; `after` lists keys that must be ready before."""

    key: str
    name: str
    chart: str
    version: str | None
    namespace: str
    values: Mapping[str, Any]
    after: tuple[str, ...]
    timeout_seconds: int
    workloads: tuple[Workload, ...]
    protect: bool


@dataclass(frozen=True, kw_only=True)
class OperatorsPlan:
    """All operators: where each runs, and the releases of those that we install, in dependency order."""

    releases: tuple[Release, ...]
    places: Mapping[str, str]
    namespaces: tuple[NamespacePlan, ...]

    def namespace(self, key: str) -> str:
        """Namespace of the operator `key`, whoever installed it."""
        return self.places[key]

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Pods of the installed operators, for capacity."""
        return tuple(w for release in self.releases for w in release.workloads)


@dataclass(frozen=True, kw_only=True)
class _Operator:
    key: str
    chart: str
    namespace: str
    after: tuple[str, ...] = ()
    level: PodSecurity = PodSecurity.RESTRICTED
    reason: str = ""


# In dependency order. cert-manager reads the Gateway API's definitions when it starts, and Envoy Gateway brings them.
OPERATORS = (
    _Operator(
        key="metallb", chart="metallb", namespace="metallb-system", level=PodSecurity.PRIVILEGED, reason=HOST_NETWORK
    ),
    _Operator(key="envoy_gateway", chart="envoy-gateway", namespace="envoy-gateway-system"),
    _Operator(key="cert_manager", chart="cert-manager", namespace="cert-manager", after=("envoy_gateway",)),
    _Operator(key="cloudnative_pg", chart="cloudnative-pg", namespace="cnpg-system"),
    _Operator(
        key="barman_cloud_plugin",
        chart="plugin-barman-cloud",
        namespace="cnpg-system",
        after=("cert_manager", "cloudnative_pg"),
    ),
)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`, mappings merged key by key, everything else replaced."""
    result = dict(base)
    for key, value in over.items():
        mine = result.get(key)
        result[key] = merge(mine, value) if isinstance(mine, Mapping) and isinstance(value, Mapping) else value
    return result


def chart_reference(chart: Chart, settings: OperatorSettings, mirror: str) -> tuple[str, str | None]:
    """Reference and version as Helm wants them: a file has no version to choose."""
    version = settings.version or chart.version
    if settings.chart:
        return settings.chart, version if settings.chart.startswith("oci://") else None
    name = PurePosixPath(chart.source).name
    if not mirror:
        return chart.source, version
    if mirror.startswith("oci://"):
        return f"{mirror}/{name}", version
    return f"{mirror}/{name}-{version}.tgz", None


def _places(settings: OperatorsSettings) -> dict[str, str]:
    places = {o.key: getattr(settings, o.key).namespace or o.namespace for o in OPERATORS}
    # The plugin talks to the operator inside its namespace; upstream supports no other place.
    return {**places, "barman_cloud_plugin": places["cloudnative_pg"]}


def make_plan(
    settings: OperatorsSettings, platform: Platform, charts: Mapping[str, Chart], *, needed: Iterable[str]
) -> OperatorsPlan:
    """Decide the releases. `needed`: keys of the operators whose custom resources this stack has."""
    wanted = [o for o in OPERATORS if o.key in set(needed) and getattr(settings, o.key).install]
    keys = {o.key for o in wanted}
    places = _places(settings)
    releases = []
    for operator in wanted:
        mine: OperatorSettings = getattr(settings, operator.key)
        reference, version = chart_reference(charts[operator.chart], mine, settings.chart_mirror)
        made = values.MAKERS[operator.key](platform, places[operator.key])
        releases.append(
            Release(
                key=operator.key,
                name=operator.chart,
                chart=reference,
                version=version,
                namespace=places[operator.key],
                values=merge(made.values, mine.values),
                after=tuple(key for key in operator.after if key in keys),
                timeout_seconds=settings.timeout_seconds,
                workloads=made.workloads,
                # Whoever uninstalls this operator takes failover and backups from every database.
                protect=platform.safety.protect and operator.key == "cloudnative_pg",
            )
        )
    namespaces = {
        places[o.key]: NamespacePlan(name=places[o.key], level=o.level, reason=o.reason) for o in reversed(wanted)
    }
    return OperatorsPlan(
        releases=tuple(releases),
        places=places,
        namespaces=tuple(namespaces[name] for name in sorted(namespaces)),
    )


def check(settings: OperatorsSettings, platform: Platform) -> list[Problem]:
    """Rules beyond one field."""
    problems = []
    if settings.barman_cloud_plugin.namespace is not None:
        problems.append(
            Problem(
                path="operators.barman_cloud_plugin.namespace",
                rule="cannot be chosen: the plugin runs in operators.cloudnative_pg.namespace; remove it",
                value=settings.barman_cloud_plugin.namespace,
            )
        )
    users: dict[str, str] = {}
    for key, place in _places(settings).items():
        path = f"operators.{key}.namespace"
        if place == platform.namespace:
            rule = "must not be the platform's own namespace: operators need rights that it denies"
            problems.append(Problem(path=path, rule=rule, value=place))
        other = users.setdefault(place, key)
        if "metallb" in (key, other) and key != other:
            rule = f"is shared by {other} and {key}: MetalLB's namespace is privileged, so it must be its own"
            problems.append(Problem(path=path, rule=rule, value=place))
    return problems


@dataclass(frozen=True, kw_only=True)
class PulledChart:
    """A chart as a stack pulls it: `source` upstream and `reference` here, both with the version where there is one."""

    chart: Chart
    source: str
    reference: str


def charts(settings: OperatorsSettings, locked: Mapping[str, Chart]) -> list[PulledChart]:
    """Every chart that a stack with these settings may pull: what to mirror, and to where."""
    result = []
    for operator in OPERATORS:
        mine: OperatorSettings = getattr(settings, operator.key)
        if not mine.install:
            continue
        chart = locked[operator.chart]
        reference, version = chart_reference(chart, mine, settings.chart_mirror)
        result.append(
            PulledChart(
                chart=chart,
                source=f"{chart.source}:{mine.version or chart.version}",
                reference=f"{reference}:{version}" if version else reference,
            )
        )
    return result
