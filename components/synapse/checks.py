"""Rules about Synapse that span several settings. Each Problem says why, so that nobody has to look it up."""

from collections.abc import Iterator

from components.synapse.media import cache_bytes, scratch_bytes
from components.synapse.process_types import ProcessType
from components.synapse.processes import check_processes
from components.synapse.settings import ProcessSettings, SynapseSettings
from kube.errors import Problem
from kube.quantity import MI, format_bytes, parse_bytes

SMALLEST_LIMIT = 256 * MI
"""An idle Synapse 1.163 worker with its caches empty holds some 130 MiB."""


def _memory(settings: SynapseSettings) -> Iterator[Problem]:
    for process_type in ProcessType:
        given: ProcessSettings = getattr(settings.workers, process_type.key)
        if given.resources is None:
            continue
        limit = given.resources.memory_limit or given.resources.memory
        if parse_bytes(limit) < SMALLEST_LIMIT:
            yield Problem(
                path=f"synapse.workers.{process_type.key}.resources",
                rule="must allow at least 256Mi of memory: an idle Synapse process holds half of that",
                value=limit,
            )


def check(settings: SynapseSettings, *, federation: bool, application_disk: int | None = None) -> list[Problem]:
    """`application_disk`: bytes of the smallest application node's disk, None where the stack file does not say."""
    problems = [*check_processes(settings, federation=federation), *_memory(settings)]
    if settings.trusted_key_servers and not federation:
        problems.append(
            Problem(
                path="synapse.trusted_key_servers",
                rule="has no meaning while federation.enabled is false: other servers' keys are never asked for",
                value=list(settings.trusted_key_servers),
            )
        )
    if settings.url_previews.enabled and not settings.internet:
        problems.append(
            Problem(
                path="synapse.url_previews.enabled",
                rule="needs synapse.internet: a preview is what the server fetches from the link",
                value=True,
            )
        )
    if settings.url_previews.ip_range_blacklist and not settings.url_previews.enabled:
        problems.append(
            Problem(
                path="synapse.url_previews.ip_range_blacklist",
                rule="has no meaning while url_previews.enabled is false",
                value=list(settings.url_previews.ip_range_blacklist),
            )
        )
    local = cache_bytes(settings.media) + scratch_bytes(settings)
    if cache_bytes(settings.media) < 4 * settings.max_upload_bytes:
        problems.append(
            Problem(
                path="synapse.media.cache",
                rule=f"must hold at least four uploads of the largest size ({settings.max_upload_size}): each is "
                "written there on its way to object storage",
                value=settings.media.cache,
            )
        )
    if application_disk is not None and local > application_disk // 2:
        problems.append(
            Problem(
                path="synapse.media.cache",
                rule=f"takes {format_bytes(local)} with scratch space, more than half of an application node's disk "
                f"({format_bytes(application_disk)}): the kubelet would evict pods",
                value=settings.media.cache,
            )
        )
    return problems
