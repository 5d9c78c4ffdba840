"""The image that we build, the one that is pulled, and the Synapse that the tests run: one version."""

import re

import yaml

from sandbox.paths import CHECKOUT


def pins(text: str) -> dict[str, list[str]]:
    """Package==version -> its hashes, from a lock file."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if match := re.match(r"^([a-z0-9._-]+==[^ ;]+)", line):
            hashes = found.setdefault(match[1], [])
        elif match := re.match(r"^\s+--hash=(\S+)", line):
            hashes.append(match[1])
    return found


def test_the_image_adds_exactly_what_the_tests_run() -> None:
    tested = pins((CHECKOUT / "requirements-synapse.lock").read_text())
    added = pins((CHECKOUT / "apps/synapse/requirements.lock").read_text())
    assert any(name.startswith("synapse-s3-storage-provider==") for name in added)
    for name, hashes in added.items():
        assert tested.get(name) == hashes, f"{name} in the image is not what the tests run"


def test_base_image_tag_and_tests_have_the_same_synapse() -> None:
    (version,) = re.findall(r"^matrix-synapse==(\S+)", (CHECKOUT / "requirements-synapse.lock").read_text(), re.M)
    (base,) = re.findall(r"^FROM \S+:v(\S+)$", (CHECKOUT / "apps/synapse/Containerfile").read_text(), re.M)
    locked = yaml.safe_load((CHECKOUT / "apps/images.lock").read_text())["synapse"]
    assert base == version, "what the tests parse and boot is not what the image is built from"
    assert locked["tag"].rpartition("-")[0] == version, "the tag says which Synapse is inside"
    containerfile = (CHECKOUT / "apps/synapse/Containerfile").read_text()
    assert f"{locked['repository'].partition('/')[2]}:{locked['tag']}" in containerfile, "the tag that is told to build"
