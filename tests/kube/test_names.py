"""Names, hashes, DNS."""

import pytest

from kube.files import ConfigFiles
from kube.names import (
    MAX_NAME,
    NameTooLongError,
    check_name,
    content_hash,
    labels,
    pod_host,
    selector,
    service_host,
    sha8,
)


def test_a_name_that_does_not_fit_is_refused_and_never_clipped() -> None:
    assert check_name("a" * MAX_NAME) == "a" * MAX_NAME
    with pytest.raises(NameTooLongError, match="64 characters; 63 fit"):
        check_name("a" * 64)
    with pytest.raises(NameTooLongError, match="53 fit"):
        check_name("a" * 54, reserve=10)


def test_the_hash_depends_on_names_and_contents_and_not_on_their_order() -> None:
    one = content_hash({"a": "1", "b": "2"})
    assert one == content_hash({"b": "2", "a": "1"})
    assert one != content_hash({"a": "2", "b": "1"}) != content_hash({"a": "1", "c": "2"})
    assert len(sha8("x")) == 8 and sha8("x") == sha8(b"x")


def test_a_config_s_name_changes_exactly_with_its_content() -> None:
    def files(text: str) -> ConfigFiles:
        return ConfigFiles(base="app", namespace="n", data={"f": text})

    assert files("a").name == files("a").name != files("b").name
    assert files("a").volume("v") == {"name": "v", "configMap": {"name": files("a").name, "defaultMode": 0o444}}


def test_selectors_never_hold_what_changes() -> None:
    assert selector("app", "part").items() <= labels("app", "part", version="2").items()
    assert "app.kubernetes.io/version" not in selector("app", "part")
    assert "app.kubernetes.io/version" not in labels("app", "part")


def test_hosts_are_fully_qualified_without_a_trailing_dot() -> None:
    assert service_host("s", "n", "cluster.local") == "s.n.svc.cluster.local"
    assert pod_host("set", 2, "nodes", "n", "k8s.intern") == "set-2.nodes.n.svc.k8s.intern"
