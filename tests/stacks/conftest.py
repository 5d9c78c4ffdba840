"""The recorded variants, as a cluster would see them."""

import pytest

from stack.resources import Recording
from tests.support.cluster import Cluster


@pytest.fixture(scope="session")
def cluster(recording: Recording) -> Cluster:
    return Cluster(recording)
