"""The skeleton of every component of ours."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
from pulumi import ResourceOptions

from kube.files import ConfigFiles
from kube.names import labels

SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
"""On Services: their workloads are awaited already, and the provider spends ten seconds on each otherwise."""


class Component(pulumi.ComponentResource):
    """Base of all components: children get a parent and nothing else of the caller's options.

    A caller's `depends_on` and aliases must not leak into children: Pulumi applies them by itself where they apply.
    """

    def child(
        self,
        *,
        depends_on: Sequence[pulumi.Resource] = (),
        protect: bool | None = None,
        ignore_changes: Sequence[str] = (),
        delete_before_replace: bool | None = None,
        replace_on_changes: Sequence[str] = (),
        replace_with: Sequence[pulumi.Resource] = (),
    ) -> ResourceOptions:
        """Options for a child. `protect=True` also retains the object when the stack is destroyed."""
        return ResourceOptions(
            parent=self,
            depends_on=list(depends_on) or None,
            protect=protect,
            retain_on_delete=protect,
            ignore_changes=list(ignore_changes) or None,
            delete_before_replace=delete_before_replace,
            replace_on_changes=list(replace_on_changes) or None,
            replace_with=list(replace_with) or None,
        )

    def config_map(self, files: ConfigFiles, **options: Any) -> k8s.core.v1.ConfigMap:
        """Declare an immutable ConfigMap. The logical name is stable, the object's name carries the hash."""
        return k8s.core.v1.ConfigMap(
            files.base,
            metadata={"name": files.name, "namespace": files.namespace, "labels": labels(files.base, "config")},
            data=dict(files.data),
            immutable=True,
            opts=self.child(**options),
        )


def metadata(
    name: str,
    namespace: str | None,
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
) -> Any:
    """`metadata` of a declared object. (Typed Any: Pulumi wants its own TypedDicts, and checks them at run time.)"""
    result: dict[str, Any] = {"name": name, "labels": dict(labels)}
    if namespace:
        result["namespace"] = namespace
    if annotations:
        result["annotations"] = dict(annotations)
    return result


def spec(**fields: Any) -> Any:
    """`spec` of a declared object, in the API's own camelCase. Fields that are None are left out."""
    return {key: value for key, value in fields.items() if value is not None}


def service_spec(
    selector: Mapping[str, str],
    ports: Mapping[str, int],
    *,
    headless: bool = False,
    publish_not_ready: bool = False,
    **more: Any,
) -> Any:
    """`spec` of a Service whose ports carry the names of the pods' ports (`targetPort` is the name)."""
    return spec(
        selector=dict(selector),
        ports=[{"name": name, "port": port, "targetPort": name} for name, port in ports.items()],
        clusterIP="None" if headless else None,
        publishNotReadyAddresses=True if publish_not_ready else None,
        **more,
    )
