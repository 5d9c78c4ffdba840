"""What an operator may set about Redis."""

from pydantic import Field, model_validator

from kube.settings import ResourceSettings, Settings


class RedisInstanceSettings(Settings):
    """One Redis with its Sentinels."""

    replicas: int = Field(
        default=3, ge=3, le=7, description="Valkey + Sentinel pods. Odd: half of an even number is no majority."
    )
    resources: ResourceSettings = Field(
        default=ResourceSettings(cpu="100m", memory="384Mi", memory_limit="512Mi"),
        description="Size of one Valkey process. Its data may fill half of the memory limit; the rest is for clients.",
    )
    proxy_replicas: int = Field(default=2, ge=2, le=5, description="HAProxy pods that always lead to the primary.")

    @model_validator(mode="after")
    def _odd(self) -> "RedisInstanceSettings":
        if self.replicas % 2 == 0:
            raise ValueError(f"replicas must be odd, or a tie elects nobody (got {self.replicas})")
        return self


class RedisSettings(Settings):
    """Redis carries Synapse's replication stream and LiveKit's room registry. Neither is a store of record."""

    synapse: RedisInstanceSettings = Field(
        default_factory=RedisInstanceSettings, description="Replication and shared cache of Synapse."
    )
    livekit: RedisInstanceSettings = Field(
        default_factory=RedisInstanceSettings, description="Room registry and message bus of LiveKit."
    )
