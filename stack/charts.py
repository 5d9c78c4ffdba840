"""Reads apps/charts.lock, the one list of every Helm chart of the platform."""

from pathlib import Path

import yaml

from components.operators import plan as operators
from components.operators.plan import Chart, PulledChart
from components.operators.settings import OperatorsSettings

LOCK = Path(__file__).resolve().parent.parent / "apps" / "charts.lock"


def read_lock(path: Path = LOCK) -> dict[str, Chart]:
    """Name -> locked chart."""
    return {name: Chart(name=name, **entry) for name, entry in yaml.safe_load(path.read_text()).items()}


def charts(settings: OperatorsSettings) -> list[PulledChart]:
    """Every chart that a stack with these settings may pull: what to mirror, and to where."""
    return operators.charts(settings, read_lock())
