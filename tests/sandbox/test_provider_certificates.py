"""Keys and certificates of the stand-in for pulumi-tls: judged by `cryptography` and by a real TLS handshake."""

import base64
import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
    load_ssh_private_key,
    load_ssh_public_key,
)
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from tests.sandbox.plugins import UNKNOWN, Made, Plugin, bare, is_secret, secret

KEY = "tls:index/privateKey:PrivateKey"
REQUEST = "tls:index/certRequest:CertRequest"
SELF_SIGNED = "tls:index/selfSignedCert:SelfSignedCert"
SIGNED = "tls:index/locallySignedCert:LocallySignedCert"
NAMES = ["redis.matrix.svc.cluster.local", "*.redis.matrix.svc.cluster.local"]
SERVER = ["digital_signature", "key_encipherment", "server_auth"]
KINDS: list[dict[str, Any]] = [
    {"algorithm": "ECDSA", "ecdsaCurve": "P256"},
    {"algorithm": "ECDSA", "ecdsaCurve": "P384"},
    {"algorithm": "ECDSA", "ecdsaCurve": "P521"},
    {"algorithm": "ED25519"},
    {"algorithm": "RSA", "rsaBits": 2048},
]


def _key(tls: Plugin, **inputs: Any) -> Made:
    return Made(tls, KEY, inputs or KINDS[0]).create()


def _pem(key: Made) -> str:
    pem: str = bare(key.state["privateKeyPemPkcs8"])
    return pem


def _authority(tls: Plugin, key: Made, **inputs: Any) -> Made:
    wish: dict[str, Any] = {
        "privateKeyPem": _pem(key),
        "isCaCertificate": True,
        "setSubjectKeyId": True,
        "allowedUses": ["cert_signing", "crl_signing"],
        "validityPeriodHours": 10 * 8766,
        "subject": {"commonName": "platform internal"},
    }
    return Made(tls, SELF_SIGNED, wish | inputs).create()


def _request(tls: Plugin, key: Made, **inputs: Any) -> Made:
    wish = {"privateKeyPem": _pem(key), "dnsNames": NAMES, "subject": {"commonName": NAMES[0]}}
    return Made(tls, REQUEST, wish | inputs).create()


def _wish(tls: Plugin, kind: dict[str, Any] | None = None, **inputs: Any) -> tuple[Made, Made, dict[str, Any]]:
    """An authority, a server's key, and what to ask for to get the server's certificate."""
    authority_key, key = _key(tls, **(kind or {})), _key(tls, **(kind or {}))
    authority = _authority(tls, authority_key)
    return (
        authority,
        key,
        {
            "certRequestPem": _request(tls, key).state["certRequestPem"],
            "caCertPem": authority.state["certPem"],
            "caPrivateKeyPem": _pem(authority_key),
            "allowedUses": SERVER,
            "validityPeriodHours": 2 * 8766,
            **inputs,
        },
    )


def _load(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def _names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_all_formats_of_a_key_hold_the_same_key(tls: Plugin, kind: dict[str, Any]) -> None:
    state = (made := _key(tls, **kind)).state
    private = {name: state[name] for name in ("privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh")}
    assert all(map(is_secret, private.values())), "state would hold the key in plain text"
    loaded = [load_pem_private_key(bare(private[name]).encode(), None) for name in list(private)[:2]]
    loaded.append(load_ssh_private_key(bare(private["privateKeyOpenssh"]).encode(), None))
    public = [key.public_key() for key in loaded]
    public += [load_pem_public_key(state["publicKeyPem"].encode())]
    public += [load_ssh_public_key(state["publicKeyOpenssh"].strip().encode())]
    der = {key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for key in public}
    assert len(der) == 1, "the formats hold different keys"
    assert made.id == hashlib.sha1(der.pop()).hexdigest(), "the id says nothing of the private key"
    assert made.diff().changed == frozenset() and made.read() == state


def test_private_keys_come_under_the_headings_that_programs_look_for(tls: Plugin) -> None:
    headings = {"ECDSA": "EC PRIVATE KEY", "RSA": "RSA PRIVATE KEY", "ED25519": "PRIVATE KEY"}
    for algorithm, heading in headings.items():
        state = _key(tls, algorithm=algorithm).state
        assert bare(state["privateKeyPem"]).startswith(f"-----BEGIN {heading}-----\n")
        assert bare(state["privateKeyPemPkcs8"]).startswith("-----BEGIN PRIVATE KEY-----\n")


def test_the_last_32_bytes_of_an_ed25519_key_are_its_seed(tls: Plugin) -> None:
    """Synapse's signing key can be taken from there: it is a secret, and the resource's id says nothing of it."""
    pem = _pem(_key(tls, algorithm="ED25519"))
    key = load_pem_private_key(pem.encode(), None)
    assert isinstance(key, Ed25519PrivateKey)
    assert base64.b64decode("".join(pem.splitlines()[1:-1]))[-32:] == key.private_bytes_raw()


def test_the_default_curve_has_no_openssh_format(tls: Plugin) -> None:
    state = _key(tls, algorithm="ECDSA").state
    assert state["ecdsaCurve"] == "P224" and bare(state["privateKeyOpenssh"]) == "" == state["publicKeyOpenssh"]


@pytest.mark.parametrize(
    "change", [{"algorithm": "RSA"}, {"ecdsaCurve": "P384"}, {"rsaBits": 4096}], ids=lambda change: next(iter(change))
)
def test_any_change_makes_another_key(tls: Plugin, change: dict[str, Any]) -> None:
    assert _key(tls, algorithm="ECDSA", ecdsaCurve="P256").diff(**change).replacing == set(change)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_a_signed_certificate_verifies_up_to_its_authority(tls: Plugin, kind: dict[str, Any]) -> None:
    authority, key, wish = _wish(tls, kind)
    made = Made(tls, SIGNED, wish).create()
    certificate, root = _load(made.state["certPem"]), _load(authority.state["certPem"])
    verifier = PolicyBuilder().store(Store([root])).build_server_verifier(x509.DNSName(NAMES[0]))
    if kind.get("ecdsaCurve") != "P521" and kind["algorithm"] != "ED25519":  # its policy is the public web's
        assert verifier.verify(certificate, []) == [certificate, root]
    certificate.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)
    assert certificate.public_key() == load_pem_private_key(_pem(key).encode(), None).public_key()
    assert _names(certificate).get_values_for_type(x509.DNSName) == NAMES
    assert made.id == str(certificate.serial_number)
    assert made.state["caKeyAlgorithm"] == kind["algorithm"] == authority.state["keyAlgorithm"]
    assert is_secret(made.state["caPrivateKeyPem"]) and is_secret(made.inputs["caPrivateKeyPem"])


def test_client_and_server_shake_hands_with_it(tls: Plugin, tmp_path: Path) -> None:
    authority, key, wish = _wish(tls)
    pem = tmp_path / "server.pem"
    pem.write_text(Made(tls, SIGNED, wish).create().state["certPem"] + _pem(key))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(pem)
    calling = ssl.create_default_context(cadata=authority.state["certPem"])

    def shake(host: str) -> None:
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        client, server = calling.wrap_bio(down, up, server_hostname=host), serving.wrap_bio(up, down, server_side=True)
        for _ in range(10):
            for side in (client, server):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        assert client.version() == "TLSv1.3"

    shake(NAMES[0])
    shake("node-1.redis.matrix.svc.cluster.local")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake("other.matrix.svc.cluster.local")


def test_uses_and_authority_are_those_asked_for(tls: Plugin) -> None:
    authority, _, wish = _wish(tls)
    made = _load(Made(tls, SIGNED, wish).create().state["certPem"])
    usage = made.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical and usage.value.digital_signature and usage.value.key_encipherment
    assert not usage.value.key_cert_sign, "a server's certificate must not sign others"
    extended = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [use.dotted_string for use in extended] == ["1.3.6.1.5.5.7.3.1"]
    constraints = made.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical and not constraints.value.ca
    root = _load(authority.state["certPem"]).extensions
    assert root.get_extension_for_class(x509.BasicConstraints).value.ca
    above = made.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert above.key_identifier == root.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


def test_a_request_carries_addresses_uris_and_the_whole_subject(tls: Plugin) -> None:
    subject = {"commonName": "a", "organization": "b", "country": "AT", "streetAddresses": ["c", "d"]}
    names = {"dnsNames": ["a.example"], "ipAddresses": ["192.0.2.1", "2001:db8::1"], "uris": ["spiffe://a/b"]}
    made = _request(tls, _key(tls), subject=subject, **names)
    request = x509.load_pem_x509_csr(made.state["certRequestPem"].encode())
    assert request.is_signature_valid and made.state["keyAlgorithm"] == "ECDSA"
    found = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(address) for address in found.get_values_for_type(x509.IPAddress)] == names["ipAddresses"]
    assert found.get_values_for_type(x509.UniformResourceIdentifier) == names["uris"]
    assert [a.value for a in request.subject.get_attributes_for_oid(NameOID.STREET_ADDRESS)] == ["c", "d"]
    assert is_secret(made.state["privateKeyPem"]), "sent without a mark, it is secret all the same"
    assert made.diff(dnsNames=["b.example"]).replacing == {"dnsNames"}
    assert made.diff(subject={**subject, "commonName": "z"}).replacing == {"subject"}


def test_validity_is_as_long_as_asked_and_recorded_as_in_the_certificate(tls: Plugin) -> None:
    made = _authority(tls, _key(tls), validityPeriodHours=48)
    certificate = _load(made.state["certPem"])
    start, end = (datetime.fromisoformat(made.state[f"validity{which}Time"]) for which in ("Start", "End"))
    assert end - start == timedelta(hours=48) and abs(datetime.now(UTC) - start) < timedelta(minutes=5)
    assert (certificate.not_valid_before_utc, certificate.not_valid_after_utc) == (start, end)


def test_a_certificate_is_replaced_once_its_renewal_is_due(tls: Plugin) -> None:
    made = _authority(tls, _key(tls), validityPeriodHours=48, earlyRenewalHours=24)
    assert made.state["readyForRenewal"] is False and made.diff().changed == frozenset()
    assert made.read() == made.state
    later = made.diff(earlyRenewalHours=12)
    assert later.changed == {"earlyRenewalHours"} and not later.replacing, "a new date is no new certificate"
    before = made.state["certPem"]
    made.update(earlyRenewalHours=49)
    assert made.state["certPem"] == before and made.state["earlyRenewalHours"] == 49
    due = made.diff()
    assert due.replacing == {"readyForRenewal"} and due.kinds == {"readyForRenewal": "UPDATE_REPLACE"}
    made.state = made.read()
    assert made.state["readyForRenewal"] is True, "a refresh records it"
    assert made.diff().replacing == {"readyForRenewal"}
    recalled = made.diff(earlyRenewalHours=24)
    assert recalled.changed == {"earlyRenewalHours", "readyForRenewal"} and not recalled.replacing
    made.update(earlyRenewalHours=24)
    assert made.state["readyForRenewal"] is False and made.diff().changed == frozenset()


def test_state_of_the_official_provider_is_understood(tls: Plugin) -> None:
    made = _authority(tls, _key(tls), validityPeriodHours=48)
    made.state["validityEndTime"] = "2020-01-02T03:04:05.123456789+02:00"  # Go's notation of a time
    assert made.diff().replacing == {"readyForRenewal"}


@pytest.mark.parametrize(
    "change",
    [
        {"allowedUses": ["server_auth"]},
        {"validityPeriodHours": 24},
        {"isCaCertificate": True},
        {"setSubjectKeyId": True},
        {"maxPathLength": 1},
        {"certRequestPem": "another"},
        {"caCertPem": "another"},
        {"caPrivateKeyPem": "another"},
        {"caCertPem": UNKNOWN},
        {"caPrivateKeyPem": secret(UNKNOWN)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_other_change_makes_another_certificate(tls: Plugin, change: dict[str, Any]) -> None:
    assert Made(tls, SIGNED, _wish(tls)[2]).create().diff(**change).replacing == set(change)


def test_a_preview_before_anything_exists_knows_what_it_can(tls: Plugin) -> None:
    wish = _wish(tls, earlyRenewalHours=24)[2] | {"certRequestPem": UNKNOWN, "caPrivateKeyPem": secret(UNKNOWN)}
    identity, state = Made(tls, SIGNED, wish).preview()
    assert identity == "" and state["certPem"] == UNKNOWN and state["certRequestPem"] == UNKNOWN
    assert state["caPrivateKeyPem"] == secret(UNKNOWN) and state["readyForRenewal"] is False


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"allowedUses": ["serving"]}, "Attribute allowedUses value must be one of: ["),
        ({"subject": {}}, "Must contain at least one Distinguished Name"),
        ({"subject": {"commonname": "a"}}, "Invalid or unknown key. Examine values at 'it.subject.commonname'."),
        ({"privateKeyPem": None}, "Missing required property 'privateKeyPem'"),
        ({"validityPeriodHours": -1}, "must be at least 0"),
    ],
)
def test_what_is_wrong_with_inputs_is_said_in_words(tls: Plugin, inputs: dict[str, Any], words: str) -> None:
    made = _authority(tls, _key(tls))
    wish = {key: value for key, value in {**made.inputs, **inputs}.items() if value is not None}
    found = made.failures(wish)
    assert len(found) == 1 and words in found[0], found


def test_a_broken_key_is_refused_without_being_quoted(tls: Plugin) -> None:
    pem = _pem(_key(tls))
    broken = pem.replace("PRIVATE KEY", "PRIVATE KEI")
    for token, inputs in (
        (REQUEST, {"privateKeyPem": broken}),
        (SIGNED, _wish(tls)[2] | {"caPrivateKeyPem": broken}),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            Made(tls, token, inputs).create()
        words = refused.value.details()
        assert "private key PEM: it is no unencrypted private key" in words
        assert not any(line in words for line in pem.splitlines()[1:-1]), "the refusal quotes the key"


def test_a_key_of_another_authority_is_refused(tls: Plugin) -> None:
    wish = _wish(tls)[2] | {"caPrivateKeyPem": _pem(_key(tls))}
    with pytest.raises(grpc.RpcError, match="is not that of the CA certificate"):
        Made(tls, SIGNED, wish).create()


def test_an_unforeseen_failure_keeps_values_to_itself(tls: Plugin) -> None:
    made = _authority(tls, _key(tls))
    made.state["validityEndTime"] = "s3cret"
    with pytest.raises(grpc.RpcError) as refused:
        made.diff()
    assert "unforeseen ValueError in certificates.py" in refused.value.details()
    assert "s3cret" not in refused.value.details()
