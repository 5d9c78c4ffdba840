"""Edits that destroy a running platform stop in the preview, before anything is touched.

The engine itself is the guard: each guarded value is a keeper of a protected random id. A change of the value would
replace the id, the engine refuses to replace a protected resource, and the resource's name says in words what to
do. This needs no reading of the cluster, works in every preview, and cannot be forgotten. An operator who really
means it lists the guard under `safety.confirm`: the id is then unprotected and replaced in the same run.

Alternative that lost: comparing with the stack's own previous outputs. Outputs arrive asynchronously, when other
resources are being created already.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi_random as random
from pulumi import ResourceOptions

from kube.component import Component
from stack.plan import StackPlan


@dataclass(frozen=True, kw_only=True)
class Guard:
    """One value that must not change by an ordinary edit. `key` is what `safety.confirm` lists."""

    key: str
    value: str
    consequence: str

    @property
    def resource_name(self) -> str:
        """What a person reads in the engine's refusal. It is the resource's identity: never reword it."""
        return f"{self.key} must not change unless safety.confirm lists it"


def guards(plan: StackPlan) -> tuple[Guard, ...]:
    """All guards of a plan."""
    return (
        Guard(
            key="server_name",
            value=plan.platform.server_name,
            consequence="every user id, room and event belongs to the old name and is lost",
        ),
        Guard(
            key="federation",
            value="on" if plan.platform.federation else "off",
            consequence="opening or closing the server to others changes who may read what is said",
        ),
        Guard(
            key="database_name",
            value=f"{plan.postgres.name}/{plan.postgres.database}",
            consequence="Synapse would start on another, empty database",
        ),
        Guard(
            key="signing_key",
            value=plan.synapse.signing_key_version,
            consequence="other servers and clients know the old key and would distrust new events",
        ),
    )


class Guards(Component):
    """Protected ids, one for each guarded value.

    Pulumi type:  matrix:guard:Guards
    Creates:      one RandomId for each guard
    """

    def __init__(self, plan: StackPlan, opts: ResourceOptions | None = None) -> None:
        super().__init__("matrix:guard:Guards", "guards", None, opts)
        self.ids: Mapping[str, random.RandomId] = {
            guard.key: random.RandomId(
                guard.resource_name,
                byte_length=8,
                keepers={guard.key: guard.value},
                opts=ResourceOptions(
                    parent=self,
                    protect=plan.platform.safety.protect and guard.key not in plan.platform.safety.confirmed,
                ),
            )
            for guard in guards(plan)
        }
        self.register_outputs({})
