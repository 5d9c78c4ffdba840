"""Edge plans for tests, from what a person would write in the stack file."""

from typing import Any

from components.edge.plan import EdgePlan, HostRoute, make_plan
from components.edge.settings import EdgeSettings
from components.operators import plan as operators
from components.operators.plan import OperatorsPlan
from components.operators.settings import OperatorsSettings
from kube.context import Platform, Safety, StorageClasses
from kube.flows import Pods
from kube.images import Images
from stack import charts, images

SERVER_NAME = "chat.z3r0d3v.com"
RANGES = {"address_ranges": ["198.51.100.10-198.51.100.20"]}
ACME = {"source": "acme", "acme": {"email": "certificates@z3r0d3v.com"}}


def platform(*, users: int = 1_000, federation: bool = False, registry: str = "") -> Platform:
    return Platform(
        stack="test",
        server_name=SERVER_NAME,
        concurrent_users=users,
        federation=federation,
        namespace="matrix",
        cluster_domain="cluster.local",
        images=Images(locked=images.read_lock(), registry=registry, overrides={}),
        storage=StorageClasses(general="a", database="b", object="c"),
        safety=Safety(protect=False),
    )


def settings(**edge: Any) -> EdgeSettings:
    return EdgeSettings.model_validate({"metallb": RANGES, **edge})


def operators_plan(frame: Platform, **given: Any) -> OperatorsPlan:
    return operators.make_plan(
        OperatorsSettings.model_validate(given), frame, charts.read_lock(), needed=[o.key for o in operators.OPERATORS]
    )


def route(name: Any = "homeserver", *, namespace: str = "matrix", federation: bool = False) -> HostRoute:
    service = "synapse-router" if name == "homeserver" else f"{name}-web"
    return HostRoute(
        name=name,
        service=service,
        namespace=namespace,
        port=8008,
        federation_port=8448 if federation else None,
        pods=Pods.of(service, namespace, {"app.kubernetes.io/name": service}),
        why="test",
    )


def plan(*, users: int = 1_000, federation: bool = False, routes: tuple[HostRoute, ...] = (), **edge: Any) -> EdgePlan:
    frame = platform(users=users, federation=federation)
    wanted = routes or (route(federation=federation),)
    return make_plan(settings(**edge), frame, operators_plan(frame), wanted)
