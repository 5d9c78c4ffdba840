"""Images as this stack pulls them; secrets as rules; settings that refuse what is wrong."""

import base64

import pytest
from pydantic import ValidationError

from kube.images import Image, Images, UnknownImageError
from kube.secret_values import SecretValues
from kube.secrets import FromConfig, Join, Random, Rule, SecretObject, SecretRef, SigningKey, TlsCa, TlsCert, TlsKey
from kube.settings import ResourceSettings, SecretLeaf, Settings
from stack.record import record_program

LOCKED = {"app": Image(repository="docker.io/library/app", tag="1.0")}


def test_a_registry_replaces_the_host_and_keeps_the_path() -> None:
    assert Images(locked=LOCKED).ref("app") == "docker.io/library/app:1.0"
    assert Images(locked=LOCKED, registry="r.intern:5000/m/").ref("app") == "r.intern:5000/m/library/app:1.0"


def test_a_digest_pins_and_an_override_wins() -> None:
    pinned = {"app": Image(repository="docker.io/library/app", tag="1.0", digest="sha256:ab")}
    assert Images(locked=pinned, registry="r").ref("app") == "r/library/app:1.0@sha256:ab"
    assert Images(locked=pinned, registry="r", overrides={"app": "x/y:z"}).ref("app") == "x/y:z"


def test_an_unknown_image_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownImageError, match=r"it has: app"):
        Images(locked=LOCKED).ref("ap")


CA = TlsCa(id="ca", common_name="test CA")
CERT = TlsCert(id="cert", ca=CA, dns_names=("a.example.org", "b.example.org"))


def _values(**entries: Rule | str) -> dict[str, str]:
    """What a Secret with these entries holds."""

    def program() -> None:
        SecretValues("secrets", {}).secret(None, SecretObject(name="s", namespace="n", entries=entries))  # type: ignore[arg-type]

    found = record_program(program)
    data: dict[str, str] = next(found.of_kind("Secret")).inputs["stringData"]
    return data


def test_the_same_rule_gives_the_same_value_and_another_id_another() -> None:
    one = _values(a=Random(id="x"), b=Random(id="x"), c=Random(id="y"))
    assert one["a"] == one["b"] != one["c"]


def test_rotation_changes_a_value() -> None:
    assert _values(a=Random(id="x")) != _values(a=Random(id="x", rotation="2026-11"))


def test_joined_texts_hold_the_parts() -> None:
    found = _values(plain="user", password=Random(id="x"), file=Join(parts=("pass=", Random(id="x"), "\n")))
    assert found["plain"] == "user" and found["file"] == f"pass={found['password']}\n"


def test_a_signing_key_is_in_synapse_s_format() -> None:
    kind, version, seed, end = (
        (_values(key=SigningKey(id="key", version="a_test"))["key"] + ".").replace("\n", " ").split(" ")
    )
    assert (kind, version, end) == ("ed25519", "a_test", ".")
    assert "=" not in seed and len(base64.b64decode(seed + "=")) == 32


def test_certificates_are_signed_with_the_authority_s_key_for_all_their_names() -> None:
    def program() -> None:
        secrets = SecretValues("secrets", {})
        entries: dict[str, Rule | str] = {"tls.crt": CERT, "tls.key": TlsKey(of=CERT), "ca.crt": CA}
        secrets.secret(None, SecretObject(name="s", namespace="n", entries=entries))  # type: ignore[arg-type]

    found = record_program(program)
    by_type = {r.type.rpartition(":")[2]: r for r in found.resources if r.name in ("cert", "ca")}
    assert by_type["CertRequest"].inputs["dnsNames"] == list(CERT.dns_names)
    assert by_type["SelfSignedCert"].inputs["isCaCertificate"] is True
    data = next(found.of_kind("Secret")).inputs["stringData"]
    assert data["ca.crt"] == by_type["LocallySignedCert"].inputs["caCertPem"]
    assert "PRIVATE KEY" in data["tls.key"] and "CERTIFICATE" in data["tls.crt"]


def test_a_secret_that_nobody_gave_is_told_by_its_path() -> None:
    with pytest.raises(KeyError, match=r"matrix:stack\.minio\.key"):
        _values(a=FromConfig(path="minio.key"))


def test_a_reference_to_a_key_that_is_not_there_is_refused() -> None:
    secret = SecretObject(name="s", namespace="n", entries={"a": "b"})
    assert secret.ref("a") == SecretRef("s", "a")
    assert secret.ref("a").env() == {"secretKeyRef": {"name": "s", "key": "a"}}
    with pytest.raises(KeyError, match="has no key 'c'"):
        secret.ref("c")


class _Model(Settings):
    secret: SecretLeaf


def test_a_secret_leaf_takes_ciphertext_only_and_forgets_it() -> None:
    assert _Model.model_validate({"secret": {"secure": "v1:abc"}}).secret == "(provided)"
    with pytest.raises(ValidationError, match="must not stand here in clear") as caught:
        _Model.model_validate({"secret": "open sesame"})
    assert caught.value.error_count() == 1
    decrypted = _Model.model_validate({"secret": "open sesame"}, context={"decrypted": True})
    assert "sesame" not in str(decrypted), "the engine hands over the text; it is taken out at once"


def test_a_pod_s_size_is_resolved_to_integers() -> None:
    resolved = ResourceSettings(cpu="500m", memory="1Gi").resolved()
    assert (resolved.cpu, resolved.memory, resolved.memory_limit, resolved.cpu_limit) == (500, 2**30, 2**30, None)
