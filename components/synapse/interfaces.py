"""What Synapse needs of its database, as `components.postgres.plan.PostgresPlan` offers it."""

from typing import Protocol

from kube.flows import Flow, Pods
from kube.secrets import SecretObject


class Database(Protocol):
    """A PostgreSQL cluster with a database and an owner for us."""

    @property
    def host(self) -> str:
        """Where writes go, always the primary."""

    @property
    def port(self) -> int: ...
    @property
    def database(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def credentials(self) -> SecretObject:
        """Secret with the keys username and password."""

    @property
    def ca_secret(self) -> str:
        """Name of the Secret whose ca.crt signs the server's certificate."""

    def client(self, source: Pods, why: str) -> Flow: ...
