"""Which processes stand behind which pool of the router."""

from components.router.plan import PoolSource, RouterPlan, WellKnown, make_plan
from components.router.pools import Pool
from components.synapse.process_types import ProcessType
from components.synapse.processes import Process, Processes
from components.synapse.settings import SynapseSettings
from kube.context import Platform

POOL_PROCESSES: dict[Pool, ProcessType] = {
    Pool.MAIN: ProcessType.MAIN,
    Pool.SYNCHROTRON: ProcessType.SYNCHROTRON,
    # The same processes, but few initial syncs at a time in each: see the router's pools.
    Pool.INITIAL_SYNCHROTRON: ProcessType.SYNCHROTRON,
    Pool.SLIDING_SYNC: ProcessType.SLIDING_SYNC,
    Pool.GENERIC: ProcessType.GENERIC,
    Pool.EVENT_CREATOR: ProcessType.GENERIC,
    Pool.PAGINATION: ProcessType.GENERIC,
    Pool.USER_DIRECTORY: ProcessType.USER_DIRECTORY,
    Pool.MEDIA_REPOSITORY: ProcessType.MEDIA_REPOSITORY,
    Pool.TYPING: ProcessType.TYPING,
    Pool.TO_DEVICE: ProcessType.TO_DEVICE,
    Pool.ACCOUNT_DATA: ProcessType.ACCOUNT_DATA,
    Pool.PRESENCE: ProcessType.PRESENCE,
    Pool.PUSH_RULES: ProcessType.PUSH_RULES,
    Pool.RECEIPTS: ProcessType.RECEIPTS,
    Pool.DEVICE_LISTS: ProcessType.DEVICE_LISTS,
    Pool.FEDERATION_INBOUND: ProcessType.FEDERATION_INBOUND,
    Pool.FEDERATION_READER: ProcessType.FEDERATION_READER,
}


def _source(process: Process, processes: Processes) -> PoolSource:
    return PoolSource(
        statefulset=process.name,
        headless=process.name,
        maximum=process.maximum,
        scales=process.traits.scales,
        pods=processes.pods(process),
    )


def well_known(platform: Platform) -> WellKnown:
    """What clients and servers learn from the server name alone."""
    return WellKnown(
        client={"m.homeserver": {"base_url": f"https://{platform.server_name}"}},
        server=f"{platform.server_name}:443",
    )


def router_plan(settings: SynapseSettings, platform: Platform, processes: Processes) -> RouterPlan:
    """The router over the processes that exist."""
    sources = {
        pool: _source(processes[process_type], processes)
        for pool, process_type in POOL_PROCESSES.items()
        if processes.has(process_type)
    }
    return make_plan(
        settings.router,
        platform,
        sources,
        max_upload_bytes=settings.max_upload_bytes,
        well_known=well_known(platform),
    )
