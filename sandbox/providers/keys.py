"""Test equipment: private keys of pulumi-tls, and what certificates need of keys. Never logs or quotes a key."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from sandbox.providers.errors import ProviderError
from sandbox.providers.resource import Input, Made, Resource

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
Algorithm = Literal["RSA", "ECDSA", "ED25519"]

_CURVES: Mapping[str, type[ec.EllipticCurve]] = {
    "P224": ec.SECP224R1,
    "P256": ec.SECP256R1,
    "P384": ec.SECP384R1,
    "P521": ec.SECP521R1,
}
_RSA_EXPONENT = 65537
_RSA_MINIMUM = 1024  # bits; the library refuses less


def algorithm_of(key: PrivateKey) -> Algorithm:
    """The name that the official provider gives to a key's algorithm."""
    if isinstance(key, rsa.RSAPrivateKey):
        return "RSA"
    return "ECDSA" if isinstance(key, ec.EllipticCurvePrivateKey) else "ED25519"


def load_key(pem: str, what: str) -> PrivateKey:
    """A private key from PEM (PKCS#1, SEC 1 or PKCS#8, unencrypted)."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The cause may quote the text, which may be a key with a typing error.
        raise ProviderError(f"Failed to parse {what} PEM: it is no unencrypted private key in PEM") from None
    if not isinstance(key, PrivateKey):
        raise ProviderError(f"Failed to parse {what} PEM: its algorithm is not RSA, ECDSA or ED25519")
    return key


def signature_hash(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """Hash of a signature by this key: as strong as the curve. ED25519 has its own."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    bits = key.key_size if isinstance(key, ec.EllipticCurvePrivateKey) else 0
    return hashes.SHA256() if bits <= 256 else hashes.SHA384() if bits <= 384 else hashes.SHA512()


def _generate(planned: Mapping[str, Any]) -> PrivateKey:
    match planned["algorithm"]:
        case "RSA":
            return rsa.generate_private_key(_RSA_EXPONENT, planned["rsaBits"])
        case "ECDSA":
            return ec.generate_private_key(_CURVES[planned["ecdsaCurve"]]())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


class PrivateKeyResource(Resource):
    """A private key in the formats that programs want, and its public half."""

    token = "tls:index/privateKey:PrivateKey"
    inputs: ClassVar = {
        "algorithm": Input(kind="string", required=True, allowed=("RSA", "ECDSA", "ED25519")),
        "ecdsaCurve": Input(kind="string", default="P224", allowed=tuple(_CURVES)),
        "rsaBits": Input(kind="number", default=2048, minimum=_RSA_MINIMUM),
    }
    secret_outputs = frozenset({"privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh"})
    outputs = (
        *sorted(secret_outputs),
        "publicKeyPem",
        "publicKeyOpenssh",
        "publicKeyFingerprintMd5",
        "publicKeyFingerprintSha256",
    )

    def make(self, planned: Mapping[str, Any]) -> Made:
        key = _generate(planned)
        public = key.public_key()
        traditional = isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        openssh_can = planned["algorithm"] != "ECDSA" or planned["ecdsaCurve"] != "P224"

        def private(form: PrivateFormat) -> str:
            return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()

        outputs = {
            "privateKeyPem": private(PrivateFormat.TraditionalOpenSSL if traditional else PrivateFormat.PKCS8),
            "privateKeyPemPkcs8": private(PrivateFormat.PKCS8),
            "privateKeyOpenssh": private(PrivateFormat.OpenSSH) if openssh_can else "",
            "publicKeyPem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
            "publicKeyOpenssh": "",
            "publicKeyFingerprintMd5": "",
            "publicKeyFingerprintSha256": "",
        }
        if openssh_can:
            line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
            blob = base64.b64decode(line.split(" ")[1])
            sha256 = base64.b64encode(hashlib.sha256(blob).digest()).rstrip(b"=").decode()
            outputs["publicKeyOpenssh"] = f"{line}\n"
            outputs["publicKeyFingerprintMd5"] = hashlib.md5(blob, usedforsecurity=False).digest().hex(":")
            outputs["publicKeyFingerprintSha256"] = f"SHA256:{sha256}"
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return Made(hashlib.sha1(der, usedforsecurity=False).hexdigest(), outputs)
