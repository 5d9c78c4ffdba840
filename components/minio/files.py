"""Files of the Job that makes buckets, policies and users: plan -> texts, no secrets."""

import json

from components.minio.plan import USERS, MinioPlan, TenantPlan, User
from kube.files import ConfigFiles
from kube.names import sha8

SETUP_DIR = "/etc/minio-setup"
SECRETS_DIR = "/run/secrets/minio"
CLIENT_DIR = "/tmp/client"


def policy(user: User, bucket: str) -> str:
    """IAM policy of one user: its bucket and no other. Readers cannot write, nobody can list buckets or make any."""
    objects = ["s3:GetObject"]
    on_bucket = ["s3:GetBucketLocation", "s3:ListBucket"]
    if user.writes:
        objects += ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        on_bucket += ["s3:ListBucketMultipartUploads"]
    statements = [
        {"Effect": "Allow", "Action": on_bucket, "Resource": [f"arn:aws:s3:::{bucket}"]},
        {"Effect": "Allow", "Action": objects, "Resource": [f"arn:aws:s3:::{bucket}/*"]},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2) + "\n"


def setup_script(plan: MinioPlan, tenant: TenantPlan) -> str:
    """Shell script, safe to run again: every step sets what should be.

    Keys are piped: arguments can be read by everyone on the node. The client prints no key without `--json`.
    """
    client = " ".join(tenant.client_command)
    buckets = "\n".join(
        f"{client} mb --ignore-existing store/{bucket}" for bucket in sorted(set(plan.buckets.values()))
    )
    users = "\n".join(f"add_user {user.name}" for user in USERS)
    return f"""\
#!/bin/sh
set -eu

# The client wants a directory of its own that it may write to.
export MC_CONFIG_DIR={CLIENT_DIR}
umask 077
mkdir -p "$MC_CONFIG_DIR/certs/CAs"
cp {SECRETS_DIR}/client/config.json "$MC_CONFIG_DIR/config.json"
cp {SECRETS_DIR}/ca/ca.crt "$MC_CONFIG_DIR/certs/CAs/internal.crt"

# Returns when the servers have their quorum, and says meanwhile why not. The Job's deadline ends it.
{client} ready store

add_user() {{
  {{
    cat "{SECRETS_DIR}/users/$1/access_key"
    echo
    cat "{SECRETS_DIR}/users/$1/secret_key"
    echo
  }} | {client} admin user add store >/dev/null
  {client} admin policy create store "$1" "{SETUP_DIR}/policy-$1.json"
  {client} admin policy attach store "$1" --user "$1"
}}

{buckets}
{users}
echo "buckets and users are as they should be"
"""


def setup_files(plan: MinioPlan, tenant: TenantPlan) -> ConfigFiles:
    """Script and policies. `generation` changes when a key is to be changed, so that the Job runs again."""
    data = {f"policy-{user.name}.json": policy(user, plan.bucket(user.name)) for user in USERS}
    keys = sorted(repr(sorted(secret.entries.items())) for secret in plan.secrets.values())
    return ConfigFiles(
        base=tenant.setup.name,
        namespace=plan.namespace,
        data={**data, "setup.sh": setup_script(plan, tenant), "generation": sha8("\n".join(keys)) + "\n"},
    )
