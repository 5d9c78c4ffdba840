"""What is in the cluster, in words: pods by pool, what does not run and why, endpoints."""

from collections import defaultdict
from typing import Any

from sandbox.api import Api, Json, core, group
from sandbox.display import table

_POOL = "synapse-platform/pool"
# Custom resources that somebody waits for: (group/version, plural, how readiness shows).
_CUSTOM = (
    ("postgresql.cnpg.io/v1", "clusters", "Ready"),
    ("postgresql.cnpg.io/v1", "databases", "applied"),
    ("postgresql.cnpg.io/v1", "publications", "applied"),
    ("postgresql.cnpg.io/v1", "subscriptions", "applied"),
    ("cert-manager.io/v1", "certificates", "Ready"),
    ("cert-manager.io/v1", "issuers", "Ready"),
    ("cert-manager.io/v1", "clusterissuers", "Ready"),
    ("gateway.networking.k8s.io/v1", "gateways", "Programmed"),
)
_EVENTS = 12


def pod_problem(pod: Json) -> str:
    """Why the pod does not run; empty when it runs ready, or has completed."""
    status = pod["status"]
    if status.get("phase") == "Succeeded":
        return ""
    conditions = {c["type"]: c for c in status.get("conditions", [])}
    if conditions.get("Ready", {}).get("status") == "True" and "deletionTimestamp" not in pod["metadata"]:
        return ""
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return f"not scheduled: {scheduled.get('message', scheduled.get('reason', ''))}"
    return "stopping" if "deletionTimestamp" in pod["metadata"] else str(status.get("phase", "unknown"))


def pods_by_pool(api: Api) -> tuple[str, int]:
    """A table of node pools, and how many pods do not run."""
    nodes = {n["metadata"]["name"]: n["metadata"]["labels"].get(_POOL, "other") for n in api.list(core("nodes"))}
    machines: dict[str, int] = defaultdict(int)
    for pool in nodes.values():
        machines[pool] += 1
    total: dict[str, int] = defaultdict(int)
    running: dict[str, int] = defaultdict(int)
    completed: dict[str, int] = defaultdict(int)
    broken = 0
    for pod in api.list(core("pods")):
        pool = nodes.get(pod["spec"].get("nodeName", ""), "") or pod["spec"].get("nodeSelector", {}).get(
            _POOL, "(none)"
        )
        if pod["status"].get("phase") == "Succeeded":
            completed[pool] += 1
            continue
        total[pool] += 1
        problem = pod_problem(pod)
        running[pool] += not problem
        broken += bool(problem)
    rows: list[tuple[str, ...]] = [("node pool", "nodes", "pods running", "jobs done")]
    for pool in sorted(set(machines) | set(total)):
        rows.append((pool, str(machines[pool]), f"{running[pool]} of {total[pool]}", str(completed[pool])))
    everything = f"{sum(running.values())} of {sum(total.values())}"
    rows.append(("all", str(sum(machines.values())), everything, str(sum(completed.values()))))
    return table(rows), broken


def not_running(api: Api) -> list[str]:
    """One line for each pod that does not run, with the scheduler's reason."""
    lines = []
    for pod in api.list(core("pods")):
        problem = pod_problem(pod)
        if problem:
            lines.append(f"pod {pod['metadata']['namespace']}/{pod['metadata']['name']}: {problem}")
    return lines


def custom_not_ready(api: Api) -> list[str]:
    lines = []
    for version, plural, sign in _CUSTOM:
        for item in api.list(group(version, plural)):
            status = item.get("status", {})
            conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
            if not (status.get("applied") if sign == "applied" else conditions.get(sign) == "True"):
                where = "/".join(filter(None, (item["metadata"].get("namespace"), item["metadata"]["name"])))
                lines.append(
                    f"{item['kind']} {where}: not {sign} ({status.get('phase') or status.get('message') or '?'})"
                )
    return lines


def recent_warnings(api: Api) -> list[str]:
    """The cluster's latest warning events, newest last, each told once.

    Autoscalers complain without end that nobody measures simulated pods; that is no news.
    """
    events = [
        event
        for event in api.list(core("events"))
        if event.get("type") == "Warning" and event["involvedObject"].get("kind") != "HorizontalPodAutoscaler"
    ]
    events.sort(key=lambda e: e.get("lastTimestamp") or e.get("eventTime") or e["metadata"]["creationTimestamp"])
    lines = [
        f"{e['involvedObject']['kind']} {e['involvedObject']['name']}: {e['reason']}: {e.get('message', '')}"
        for e in events
    ]
    return list(dict.fromkeys(lines))[-_EVENTS:]


def volumes_not_bound(api: Api) -> list[str]:
    return [
        f"claim {claim['metadata']['namespace']}/{claim['metadata']['name']}: {claim['status'].get('phase')}"
        for claim in api.list(core("persistentvolumeclaims"))
        if claim["status"].get("phase") != "Bound"
    ]


def dangling_references(api: Api) -> list[str]:
    """ConfigMaps, Secrets (with keys) and claims that pods name and that do not exist: a real kubelet would wait."""
    existing = {
        plural: {
            (item["metadata"]["namespace"], item["metadata"]["name"]): {
                *item.get("data", {}),
                *item.get("binaryData", {}),
            }
            for item in api.list(core(plural))
        }
        for plural in ("configmaps", "secrets", "persistentvolumeclaims")
    }
    missing: dict[str, list[str]] = defaultdict(list)
    for pod in api.list(core("pods")):
        namespace = pod["metadata"]["namespace"]
        for plural, name, key in sorted(_references(pod["spec"])):
            keys = existing[plural].get((namespace, name))
            if keys is None or (key and key not in keys):
                missing[f"{plural} {namespace}/{name}" + (f", key {key}" if key else "")].append(
                    pod["metadata"]["name"]
                )
    return [
        f"{what} does not exist, but is named by pod {pods[0]}" + (f" and {len(pods) - 1} more" if pods[1:] else "")
        for what, pods in missing.items()
    ]


def _references(spec: Json) -> set[tuple[str, str, str]]:
    """(plural kind, name, key) of what a pod needs to start; the key is empty where the whole object is meant."""
    found: set[tuple[str, str, str]] = set()

    def add(plural: str, source: Any, name: str = "name") -> None:
        if source and not source.get("optional") and source.get(name):
            keys = [source["key"]] if "key" in source else [item["key"] for item in source.get("items", [])]
            found.update((plural, source[name], key) for key in keys or [""])

    for volume in spec.get("volumes", []):
        add("configmaps", volume.get("configMap"))
        add("secrets", volume.get("secret"), "secretName")
        add("persistentvolumeclaims", volume.get("persistentVolumeClaim"), "claimName")
        for source in volume.get("projected", {}).get("sources", []):
            add("configmaps", source.get("configMap"))
            add("secrets", source.get("secret"))
    for container in (*spec.get("initContainers", []), *spec["containers"]):
        for variable in container.get("env", []):
            add("configmaps", variable.get("valueFrom", {}).get("configMapKeyRef"))
            add("secrets", variable.get("valueFrom", {}).get("secretKeyRef"))
        for source in container.get("envFrom", []):
            add("configmaps", source.get("configMapRef"))
            add("secrets", source.get("secretRef"))
    return found


def diagnosis(api: Api) -> str:
    """Everything that is not as it should be, for a failed `up`."""
    parts = []
    for title, lines in (
        ("pods that do not run", not_running(api)),
        ("custom resources that are not ready", custom_not_ready(api)),
        ("volume claims that are not bound", volumes_not_bound(api)),
        ("references to nothing", dangling_references(api)),
        ("latest warnings of the cluster", recent_warnings(api)),
    ):
        if lines:
            parts.append(title + ":\n" + "\n".join(f"  {line}" for line in lines[:30]))
            if len(lines) > 30:
                parts[-1] += f"\n  … and {len(lines) - 30} more"
    return "\n".join(parts)


def addresses(api: Api) -> list[tuple[str, str]]:
    """(what, address) of everything that is reachable from outside the cluster."""
    found = []
    for service in api.list(core("services")):
        for entry in service.get("status", {}).get("loadBalancer", {}).get("ingress", []):
            ports = ",".join(str(port["port"]) for port in service["spec"]["ports"])
            found.append((f"Service {service['metadata']['name']}:{ports}", entry["ip"]))
    for gateway in api.list(group("gateway.networking.k8s.io/v1", "gateways")):
        for entry in gateway.get("status", {}).get("addresses", []):
            found.append((f"Gateway {gateway['metadata']['name']}", entry["value"]))
    return found
