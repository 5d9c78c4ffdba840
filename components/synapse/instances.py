"""What the processes know of each other: `instance_map`, `stream_writers`, and who has which duty.

The lists are cut into the files of those who read them, so that an edit restarts no one else:

| list | who reads it | a changed count restarts |
|---|---|---|
| `stream_writers`, `instance_map` | every process | all, stopped together first (see `shards`) |
| `federation_sender_instances` | main, senders | main; senders stopped together first |
| `pusher_instances` | main, pushers | main and pushers |
| synchrotron, sliding sync, generic, federation inbound and reader | nobody | nothing |
"""

import json
from typing import Any

from components.synapse.process_types import ProcessType
from components.synapse.processes import Process, Processes
from kube.context import Platform
from kube.names import sha8

REPLICATION_PORT = 9093

MAIN_IN_INSTANCE_MAP = "main"
"""The main process' name in instance_map. Among stream writers Synapse calls it `master`."""


def writers(processes: Processes) -> list[Process]:
    """Processes that write a stream, and so are named in everybody's configuration."""
    return [process for process in processes if process.traits.stream]


def stream_writers(processes: Processes) -> dict[str, list[str]]:
    """Stream -> worker names. Streams without a process of their own stay with main (thread_subscriptions)."""
    return {str(process.traits.stream): list(process.pod_names) for process in writers(processes)}


def instance_map(processes: Processes, platform: Platform) -> dict[str, dict[str, Any]]:
    """Worker name -> where its replication listener is. Main is always there: no worker starts without it."""
    main = processes[ProcessType.MAIN]

    def location(process: Process, ordinal: int) -> dict[str, Any]:
        return {"host": platform.pod(process.name, ordinal, process.name), "port": REPLICATION_PORT}

    result = {MAIN_IN_INSTANCE_MAP: location(main, 0)}
    for process in writers(processes):
        for ordinal, name in enumerate(process.pod_names):
            result[name] = location(process, ordinal)
    return result


def instances(processes: Processes, platform: Platform) -> dict[str, Any]:
    """instances.yaml: mounted by every process."""
    return {
        "instance_map": instance_map(processes, platform),
        "stream_writers": stream_writers(processes),
    }


def duties(process: Process, processes: Processes) -> dict[str, Any]:
    """Options that say who has a duty: for main, which has each of them unless told, and for who has it."""

    def concerns(*types: ProcessType) -> bool:
        return process.type in (ProcessType.MAIN, *types)

    result: dict[str, Any] = {}
    if concerns(ProcessType.BACKGROUND):
        result["run_background_tasks_on"] = processes[ProcessType.BACKGROUND].pod_names[0]
    if concerns(ProcessType.APPSERVICE):
        result["notify_appservices_from_worker"] = processes[ProcessType.APPSERVICE].pod_names[0]
    if concerns(ProcessType.USER_DIRECTORY):
        result["update_user_directory_from_worker"] = processes[ProcessType.USER_DIRECTORY].pod_names[0]
    if concerns(ProcessType.PUSHER):
        result["pusher_instances"] = list(processes[ProcessType.PUSHER].pod_names)
    if process.type is ProcessType.MEDIA_REPOSITORY:
        result["media_instance_running_background_jobs"] = process.pod_names[0]
    return result


def senders(processes: Processes) -> list[str]:
    """federation_sender_instances. Empty without federation: main would be the sender if nobody were named."""
    if not processes.has(ProcessType.FEDERATION_SENDER):
        return []
    return list(processes[ProcessType.FEDERATION_SENDER].pod_names)


def writer_shards(processes: Processes) -> str:
    """Hash of every list by which Synapse divides a stream among writers.

    Two processes with different lists would send the same room to different persisters, or count a writer as gone
    that still writes. So when this hash changes, all processes stop before any starts. Receipts and device lists are
    in it for the same reason, although Synapse's documentation names events only.
    """
    lists = {process.type.value: process.pod_names for process in writers(processes)}
    return sha8(json.dumps(lists, sort_keys=True))


def sender_shards(processes: Processes) -> str | None:
    """Hash of the federation senders' list; None without federation. Two lists at once lose or double what is sent."""
    if not processes.has(ProcessType.FEDERATION_SENDER):
        return None
    return sha8(json.dumps(senders(processes)))
