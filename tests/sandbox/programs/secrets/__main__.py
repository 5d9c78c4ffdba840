"""What the platform asks of pulumi-random and pulumi-tls, in the order in which it asks: one of each."""

import pulumi
import pulumi_random as random
import pulumi_tls as tls
from pulumi import ResourceOptions

config = pulumi.Config()
parent = pulumi.ComponentResource("matrix:kube:SecretValues", "secrets")
child = ResourceOptions(parent=parent)

password = random.RandomPassword(
    "password", length=48, special=False, keepers={"rotation": config.get("rotation") or "1"}, opts=child
)
guard = random.RandomId(
    "server_name must not change unless safety.confirm lists it",
    byte_length=8,
    keepers={"server_name": config.get("server_name") or "chat.example.org"},
    opts=ResourceOptions(parent=parent, protect=not config.get_bool("confirmed")),
)
signing_key = tls.PrivateKey("signing-key", algorithm="ED25519", opts=child)
authority_key = tls.PrivateKey("authority-key", algorithm="ECDSA", ecdsa_curve="P256", opts=child)
authority = tls.SelfSignedCert(
    "authority",
    private_key_pem=authority_key.private_key_pem_pkcs8,
    is_ca_certificate=True,
    set_subject_key_id=True,
    allowed_uses=["cert_signing", "crl_signing"],
    validity_period_hours=87660,
    subject={"common_name": "platform internal"},
    opts=child,
)
server_key = tls.PrivateKey("server-key", algorithm="ECDSA", ecdsa_curve="P256", opts=child)
request = tls.CertRequest(
    "server",
    private_key_pem=server_key.private_key_pem_pkcs8,
    dns_names=["redis.matrix.svc.cluster.local"],
    subject={"common_name": "redis.matrix.svc.cluster.local"},
    opts=child,
)
server = tls.LocallySignedCert(
    "server",
    cert_request_pem=request.cert_request_pem,
    ca_cert_pem=authority.cert_pem,
    ca_private_key_pem=authority_key.private_key_pem_pkcs8,
    allowed_uses=["digital_signature", "key_encipherment", "server_auth"],
    validity_period_hours=17532,
    early_renewal_hours=config.get_int("renew_hours") or 4320,
    opts=child,
)

pulumi.export("password", password.result)
pulumi.export("hash", password.bcrypt_hash)
for name, key in (("signing", signing_key), ("authority", authority_key), ("server", server_key)):
    pulumi.export(f"{name}_pem", key.private_key_pem)
    pulumi.export(f"{name}_pkcs8", key.private_key_pem_pkcs8)
    pulumi.export(f"{name}_openssh", key.private_key_openssh)
pulumi.export("certificate", server.cert_pem)
pulumi.export("issuer", authority.cert_pem)
