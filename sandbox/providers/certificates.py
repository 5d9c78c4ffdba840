"""Test equipment: certificates and certificate requests of pulumi-tls.

As with the official provider, a change of any input but `earlyRenewalHours` makes a new certificate, and so does
time: from `earlyRenewalHours` before its end a certificate is ready for renewal, which a refresh records and every
preview shows as a replacement.
"""

import hashlib
import ipaddress
import secrets
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox.providers.errors import ProviderError
from sandbox.providers.keys import PrivateKey, PublicKey, algorithm_of, load_key, signature_hash
from sandbox.providers.resource import Failure, Input, Made, Resource

_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "cert_signing",
    "crl_signing",
    "encipher_only",
    "decipher_only",
)
# `cryptography` names two of them otherwise.
_KEY_USAGE_NAMES = {"cert_signing": "key_cert_sign", "crl_signing": "crl_sign"}
_EXTENDED_KEY_USAGES = {
    "any_extended": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server_auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client_auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code_signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email_protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp_signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "ipsec_end_system": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec_tunnel": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec_user": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "microsoft_server_gated_crypto": x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape_server_gated_crypto": x509.ObjectIdentifier("2.16.840.1.113730.4.1"),
    "microsoft_commercial_code_signing": x509.ObjectIdentifier("1.3.6.1.4.1.311.2.1.22"),
    "microsoft_kernel_code_signing": x509.ObjectIdentifier("1.3.6.1.4.1.311.61.1.1"),
}
_SUBJECT_OIDS = {
    "country": NameOID.COUNTRY_NAME,
    "organization": NameOID.ORGANIZATION_NAME,
    "organizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "province": NameOID.STATE_OR_PROVINCE_NAME,
    "streetAddresses": NameOID.STREET_ADDRESS,
    "postalCode": NameOID.POSTAL_CODE,
    "commonName": NameOID.COMMON_NAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "emailAddress": NameOID.EMAIL_ADDRESS,
}
_SUBJECT = Input(
    kind="object",
    fields={name: Input(kind="list" if name == "streetAddresses" else "string") for name in _SUBJECT_OIDS},
)
_NAMES = {
    "dnsNames": Input(kind="list"),
    "ipAddresses": Input(kind="list"),
    "uris": Input(kind="list"),
    "subject": _SUBJECT,
}
_CERTIFICATE = {
    "allowedUses": Input(kind="list", required=True, allowed=tuple(sorted((*_KEY_USAGES, *_EXTENDED_KEY_USAGES)))),
    "validityPeriodHours": Input(kind="number", required=True, minimum=0),
    "earlyRenewalHours": Input(kind="number", default=0, minimum=0, replaces=False),
    "isCaCertificate": Input(kind="bool", default=False),
    "maxPathLength": Input(kind="number", default=-1, minimum=-1),
    "setSubjectKeyId": Input(kind="bool", default=False),
}
_CERTIFICATE_OUTPUTS = ("certPem", "readyForRenewal", "validityStartTime", "validityEndTime")
# Serial numbers have 128 bits, as the official ones.
_SERIALS = 2**128 - 1

_Builder = TypeVar("_Builder", x509.CertificateBuilder, x509.CertificateSigningRequestBuilder)


def _parse(load: Callable[[bytes], Any], pem: str, what: str) -> Any:
    try:
        return load(pem.encode())
    except ValueError:
        raise ProviderError(f"Failed to parse {what} PEM") from None


def _subject(planned: Mapping[str, Any]) -> x509.Name:
    attributes: list[x509.NameAttribute[str]] = []
    for name, value in planned.get("subject", {}).items():
        for text in value if isinstance(value, list) else [value]:
            try:
                attributes.append(x509.NameAttribute(_SUBJECT_OIDS[name], text))
            except ValueError as error:
                raise ProviderError(f"Invalid Certificate Subject: {name}: {error}") from None
    order = list(_SUBJECT_OIDS.values())
    return x509.Name(sorted(attributes, key=lambda attribute: order.index(attribute.oid)))


def _alternative_names(planned: Mapping[str, Any]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in planned.get("dnsNames", ())]
    for text in planned.get("ipAddresses", ()):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(text)))
        except ValueError:
            raise ProviderError(f'Invalid IP address: Failed to parse "{text}"') from None
    return [*names, *(x509.UniformResourceIdentifier(uri) for uri in planned.get("uris", ()))]


def _with_names(builder: _Builder, names: x509.SubjectAlternativeName | None, subject: x509.Name) -> _Builder:
    """Alternative names are critical when the subject is empty (RFC 5280, 4.2.1.6)."""
    if names is None:
        return builder
    return builder.add_extension(names, critical=not list(subject))


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


class CertRequest(Resource):
    """A certificate signing request: subject and alternative names, signed by the key that they are for."""

    token = "tls:index/certRequest:CertRequest"
    inputs: ClassVar = {"privateKeyPem": Input(kind="string", required=True, secret=True), **_NAMES}
    outputs = ("certRequestPem", "keyAlgorithm")

    def make(self, planned: Mapping[str, Any]) -> Made:
        key = load_key(planned["privateKeyPem"], "private key")
        subject, names = _subject(planned), _alternative_names(planned)
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        builder = _with_names(builder, x509.SubjectAlternativeName(names) if names else None, subject)
        request = builder.sign(key, signature_hash(key))
        digest = hashlib.sha1(request.public_bytes(Encoding.DER), usedforsecurity=False)
        pem = request.public_bytes(Encoding.PEM).decode()
        return Made(digest.hexdigest(), {"certRequestPem": pem, "keyAlgorithm": algorithm_of(key)})


class _Certificate(Resource):
    """What self-signed and signed certificates share: uses, validity, renewal."""

    def planned_outputs(self) -> Mapping[str, Any]:
        return {"readyForRenewal": False}

    def refreshed(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"readyForRenewal": True} if _is_due(state, state.get("earlyRenewalHours", 0)) else {}

    def stale(self, state: Mapping[str, Any], planned: Mapping[str, Any]) -> str | None:
        return "readyForRenewal" if _is_due(state, planned["earlyRenewalHours"]) else None

    def rules(self, planned: Mapping[str, Any]) -> Iterator[Failure]:
        if planned["isCaCertificate"] is True and "subject" in self.inputs and not planned.get("subject"):
            text = "Must contain at least one Distinguished Name when creating Certificate Authority (CA)"
            yield Failure("subject", text)


def _is_due(state: Mapping[str, Any], early_hours: Any) -> bool:
    end = state.get("validityEndTime")
    if not isinstance(end, str) or not isinstance(early_hours, int):
        return False
    return datetime.fromisoformat(end) - timedelta(hours=early_hours) <= datetime.now(UTC)


def _certificate(
    planned: Mapping[str, Any],
    *,
    subject: x509.Name,
    names: x509.SubjectAlternativeName | None,
    public_key: PublicKey,
    signer: PrivateKey,
    issuer: x509.Certificate | None,
) -> Made:
    """Sign a certificate. `issuer` None: by itself."""
    start = datetime.now(UTC).replace(microsecond=0)
    try:
        end = start + timedelta(hours=planned["validityPeriodHours"])
    except OverflowError:
        raise ProviderError("validityPeriodHours reaches beyond the year 9999") from None
    serial = 1 + secrets.randbelow(_SERIALS)
    authority = planned["isCaCertificate"]
    depth = planned["maxPathLength"] if authority and planned["maxPathLength"] >= 0 else None
    builder = (
        x509.CertificateBuilder()
        .serial_number(serial)
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .not_valid_before(start)
        .not_valid_after(end)
        .public_key(public_key)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=depth), critical=True)
    )
    builder = _with_uses(_with_names(builder, names, subject), planned["allowedUses"])
    own = x509.SubjectKeyIdentifier.from_public_key(public_key)
    if authority or planned["setSubjectKeyId"]:
        builder = builder.add_extension(own, critical=False)
    above = _authority_key_id(planned, own, issuer, subject)
    if above:
        builder = builder.add_extension(above, critical=False)
    certificate = builder.sign(signer, signature_hash(signer))
    outputs = {
        "certPem": certificate.public_bytes(Encoding.PEM).decode(),
        "readyForRenewal": False,
        "validityStartTime": _time(start),
        "validityEndTime": _time(end),
    }
    return Made(str(serial), outputs)


def _with_uses(builder: x509.CertificateBuilder, uses: list[str]) -> x509.CertificateBuilder:
    if any(use in _KEY_USAGES for use in uses):
        flags = {_KEY_USAGE_NAMES.get(use, use): use in uses for use in _KEY_USAGES}
        # The standard gives the last two a meaning only together with key agreement.
        if not flags["key_agreement"]:
            flags["encipher_only"] = flags["decipher_only"] = False
        builder = builder.add_extension(x509.KeyUsage(**flags), critical=True)
    extended = [_EXTENDED_KEY_USAGES[use] for use in uses if use in _EXTENDED_KEY_USAGES]
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    return builder


def _authority_key_id(
    planned: Mapping[str, Any], own: x509.SubjectKeyIdentifier, issuer: x509.Certificate | None, subject: x509.Name
) -> x509.AuthorityKeyIdentifier | None:
    """Self-signed: on request. Signed: whenever the authority has a key id, unless it has the same name."""
    if issuer is None:
        if not planned["setAuthorityKeyId"]:
            return None
        if not planned["isCaCertificate"] and not planned["setSubjectKeyId"]:
            raise ProviderError("Invalid Certificate Authority: Could not determine Authority Key Identifier")
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
    try:
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return None
    if issuer.subject == subject:
        return None
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


class SelfSignedCert(_Certificate):
    """A certificate that signs itself: the root of a private authority, or a server's own."""

    token = "tls:index/selfSignedCert:SelfSignedCert"
    inputs: ClassVar = {
        "privateKeyPem": Input(kind="string", required=True, secret=True),
        **_NAMES,
        **_CERTIFICATE,
        "setAuthorityKeyId": Input(kind="bool", default=False),
    }
    outputs = (*_CERTIFICATE_OUTPUTS, "keyAlgorithm")

    def make(self, planned: Mapping[str, Any]) -> Made:
        key = load_key(planned["privateKeyPem"], "private key")
        names = _alternative_names(planned)
        made = _certificate(
            planned,
            subject=_subject(planned),
            names=x509.SubjectAlternativeName(names) if names else None,
            public_key=key.public_key(),
            signer=key,
            issuer=None,
        )
        return Made(made.id, {**made.outputs, "keyAlgorithm": algorithm_of(key)})


class LocallySignedCert(_Certificate):
    """A certificate that a private authority signs: subject and names are those of the request."""

    token = "tls:index/locallySignedCert:LocallySignedCert"
    inputs: ClassVar = {
        "certRequestPem": Input(kind="string", required=True),
        "caCertPem": Input(kind="string", required=True),
        "caPrivateKeyPem": Input(kind="string", required=True, secret=True),
        **_CERTIFICATE,
    }
    outputs = (*_CERTIFICATE_OUTPUTS, "caKeyAlgorithm")

    def make(self, planned: Mapping[str, Any]) -> Made:
        request = _parse(x509.load_pem_x509_csr, planned["certRequestPem"], "certificate request")
        authority = _parse(x509.load_pem_x509_certificate, planned["caCertPem"], "CA certificate")
        signer = load_key(planned["caPrivateKeyPem"], "CA private key")
        if authority.public_key() != signer.public_key():
            raise ProviderError("Failed to create certificate: the CA's private key is not that of the CA certificate")
        if planned["isCaCertificate"] and not list(request.subject):
            raise ProviderError(
                "Invalid Certificate Subject: Must contain at least one Distinguished Name when creating "
                "Certificate Authority (CA)"
            )
        try:
            names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            names = None
        made = _certificate(
            planned,
            subject=request.subject,
            names=names,
            public_key=request.public_key(),
            signer=signer,
            issuer=authority,
        )
        return Made(made.id, {**made.outputs, "caKeyAlgorithm": algorithm_of(signer)})


RESOURCES = (CertRequest(), SelfSignedCert(), LocallySignedCert())
