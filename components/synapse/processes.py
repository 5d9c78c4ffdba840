"""How many processes of each type, how large, with how many database connections: decided."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from components.synapse.process_types import TYPES, ProcessType, Traits, band
from components.synapse.settings import ProcessSettings, SynapseSettings
from kube.context import Platform
from kube.errors import Problem
from kube.flows import Pods
from kube.names import check_name
from kube.pod import Resources, Workload

COMPONENT = "synapse"
"""Component label of every Synapse process: what selects all of them at once."""

UID = 991
"""User and group of the official image."""

MAINTENANCE_CONNECTIONS = 10
"""Connections of the same role that are no process: the wait for an empty house, the clean-up of media, starting
pods that ask for the schema's version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscale:
    """A HorizontalPodAutoscaler: from the process' `replicas` to `maximum`, at `cpu_percent` of the request."""

    maximum: int
    cpu_percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """All processes of one type."""

    type: ProcessType
    replicas: int
    resources: Resources
    cp_max: int
    autoscale: Autoscale | None = None
    extra_env: tuple[tuple[str, str], ...] = ()
    limited: bool = False
    """Whether the band asks for more than the type's maximum allows."""

    @property
    def traits(self) -> Traits:
        return TYPES[self.type]

    @property
    def is_main(self) -> bool:
        return self.type is ProcessType.MAIN

    @property
    def name(self) -> str:
        """StatefulSet, headless Service, and ConfigMap of this type."""
        return check_name(f"synapse-{self.type.value}", reserve=9)

    @property
    def maximum(self) -> int:
        """The most there can be: the autoscaler's maximum, or the count."""
        return self.autoscale.maximum if self.autoscale else self.replicas

    @property
    def pod_names(self) -> tuple[str, ...]:
        """Names of the pods, which are the worker names. Only for types that are named in a configuration."""
        if self.traits.scales:
            raise ValueError(f"{self.name} scales: its pods may not be named in any configuration")
        return tuple(f"{self.name}-{ordinal}" for ordinal in range(self.replicas))

    @property
    def connections(self) -> int:
        return self.maximum * self.cp_max


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """Every Synapse process of a stack, in the fixed order of the types."""

    namespace: str
    band: int
    all: tuple[Process, ...]

    def __iter__(self) -> Iterator[Process]:
        return iter(self.all)

    def __getitem__(self, process_type: ProcessType) -> Process:
        for process in self.all:
            if process.type is process_type:
                return process
        raise KeyError(f"there is no process of type {process_type.value} in this stack")

    def has(self, process_type: ProcessType) -> bool:
        return any(process.type is process_type for process in self.all)

    @property
    def connections(self) -> int:
        """PostgreSQL connections that all of them may hold at once, autoscalers at their maximum."""
        return sum(process.connections for process in self.all) + MAINTENANCE_CONNECTIONS

    def workload(self, process: Process, sidecars: tuple[Resources, ...] = ()) -> Workload:
        return Workload(
            name=process.name,
            namespace=self.namespace,
            component=COMPONENT,
            pool="application",
            replicas=process.replicas,
            max_replicas=process.maximum,
            resources=process.resources,
            sidecars=sidecars,
            uid=UID,
        )

    def pods(self, process: Process) -> Pods:
        """The pods of one type."""
        return Pods.of(process.name, self.namespace, self.workload(process).selector)

    @property
    def every_pod(self) -> Pods:
        """The pods of all types."""
        return Pods.of("synapse", self.namespace, {"app.kubernetes.io/component": COMPONENT})


def _replicas(traits: Traits, settings: ProcessSettings, column: int) -> tuple[int, bool]:
    wanted = settings.replicas or traits.counts[column]
    if traits.maximum is not None and wanted > traits.maximum:
        return traits.maximum, settings.replicas is None
    return wanted, False


def _autoscale(traits: Traits, settings: ProcessSettings, column: int, replicas: int) -> Autoscale | None:
    given = settings.autoscale
    if not traits.scales or (given is None and traits.cpu_percent is None) or (given and not given.enabled):
        return None
    maximum = (given and given.max) or max(traits.peaks[column], replicas)
    percent = (given and given.cpu_percent) or traits.cpu_percent or 70
    return Autoscale(maximum=max(maximum, replicas), cpu_percent=percent)


def plan_processes(settings: SynapseSettings, platform: Platform) -> Processes:
    """Decide counts, sizes and connections. Made before all else: PostgreSQL needs the sum of connections."""
    column = band(platform.concurrent_users)
    processes = []
    for process_type, traits in TYPES.items():
        if traits.federation and not platform.federation:
            continue
        given: ProcessSettings = getattr(settings.workers, process_type.key)
        replicas, limited = _replicas(traits, given, column)
        processes.append(
            Process(
                type=process_type,
                replicas=replicas,
                limited=limited,
                resources=given.resources.resolved() if given.resources else traits.sizes[column],
                cp_max=given.cp_max or traits.cp_max,
                autoscale=_autoscale(traits, given, column, replicas),
                extra_env=tuple(sorted(given.extra_env.items())),
            )
        )
    return Processes(namespace=platform.namespace, band=column, all=tuple(processes))


_SECRET_WORDS = ("PASSWORD", "SECRET", "TOKEN", "PRIVATE", "ACCESS_KEY")


def _check_type(process_type: ProcessType, given: ProcessSettings, federation: bool) -> Iterator[Problem]:
    traits = TYPES[process_type]
    path = f"synapse.workers.{process_type.key}"
    if traits.federation and not federation and given != ProcessSettings():
        yield Problem(
            path=path, rule="has no meaning while federation.enabled is false; remove it or enable federation"
        )
    if traits.maximum is not None and given.replicas is not None and given.replicas > traits.maximum:
        bound = "exactly 1" if traits.maximum == 1 else f"at most {traits.maximum}"
        yield Problem(path=f"{path}.replicas", rule=f"must be {bound}: {traits.why_maximum}", value=given.replicas)
    if given.autoscale and given.autoscale.enabled and not traits.scales:
        why = "its processes are named in the configuration of others" if traits.stream else "the count is fixed"
        yield Problem(path=f"{path}.autoscale", rule=f"cannot be autoscaled: {why}; set replicas")
    elif given.autoscale and given.autoscale.max and given.replicas and given.autoscale.max < given.replicas:
        yield Problem(
            path=f"{path}.autoscale.max",
            rule=f"must be at least replicas ({given.replicas}), which is the autoscaler's minimum",
            value=given.autoscale.max,
        )
    for name in given.extra_env:
        if any(word in name.upper() for word in _SECRET_WORDS):
            yield Problem(
                path=f"{path}.extra_env.{name}", rule="looks like a secret, and extra_env stands in clear in the pod"
            )


def check_processes(settings: SynapseSettings, *, federation: bool) -> list[Problem]:
    """What is wrong with the counts, each with the reason that Synapse has for it."""
    workers: Mapping[ProcessType, ProcessSettings] = {t: getattr(settings.workers, t.key) for t in ProcessType}
    return [problem for t, given in workers.items() for problem in _check_type(t, given, federation)]
