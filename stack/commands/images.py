"""`images`: everything that a site without internet must mirror."""

import json
from dataclasses import asdict, dataclass

from components.operators.plan import PulledChart
from components.operators.settings import OperatorsSettings
from kube.images import Image, Images
from stack.charts import charts
from stack.commands.stacks import find
from stack.images import read_lock


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """One thing to mirror. `source`: where it is published; `reference`: where this stack pulls it."""

    kind: str
    name: str
    source: str
    reference: str
    version: str
    digest: str
    used_by: str

    def line(self) -> str:
        """Kind, source, reference: three words, so that a shell reads it with `while read kind from to`."""
        return f"{self.kind} {self.source} {self.reference}"


def _image(name: str, image: Image, stack: Images) -> Artefact:
    return Artefact(
        kind="image",
        name=name,
        source=Images(locked={name: image}, overrides={}).ref(name),
        reference=stack.ref(name),
        version=image.tag,
        digest=image.digest,
        used_by=image.used_by,
    )


def _chart(pulled: PulledChart) -> Artefact:
    return Artefact(
        kind="chart",
        name=pulled.chart.name,
        source=pulled.source,
        reference=pulled.reference,
        version=pulled.chart.version,
        digest="",
        used_by=f"operator, version {pulled.chart.app}",
    )


def artefacts(stack: str | None) -> list[Artefact]:
    """All images and charts of the locks, as `stack` pulls them; as published when no stack is named."""
    locked = read_lock()
    plan = find(stack).plan() if stack else None
    images = plan.platform.images if plan else Images(locked=locked, overrides={})
    operators = plan.settings.operators if plan else OperatorsSettings()
    return [
        *(_image(name, image, images) for name, image in sorted(locked.items())),
        *(_chart(pulled) for pulled in charts(operators)),
    ]


def images(stack: str | None, *, as_json: bool) -> int:
    """Print the list."""
    found = artefacts(stack)
    if as_json:
        print(json.dumps([asdict(a) for a in found], indent=2))
    else:
        print("\n".join(a.line() for a in found))
    return 0
