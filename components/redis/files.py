"""Config texts of Redis: plan -> files, no secrets (passwords are included from a Secret's own files)."""

from components.redis.plan import (
    CHECK_INTERVAL_MS,
    DOWN_AFTER_MS,
    FAILOVER_TIMEOUT_MS,
    PROXY_METRICS_PORT,
    REDIS_PORT,
    SENTINEL_PORT,
    RedisPlan,
)
from kube.files import ConfigFiles

CONFIG_DIR = "/etc/redis"
AUTH_DIR = "/run/secrets/redis"
DATA_DIR = "/data"


def server_conf(plan: RedisPlan) -> str:
    """valkey.conf. No persistence: pub/sub and caches are rebuilt faster than they are read from a disk."""
    return f"""\
port {REDIS_PORT}
dir {DATA_DIR}
save ""
appendonly no
maxmemory {plan.max_memory}
maxmemory-policy {plan.eviction}
# No min-replicas-to-write: a primary that has just been promoted alone must take writes at once. Nothing here is a
# record, and the proxy follows the Sentinels' majority, so a primary that was cut off gets no new client.
replica-serve-stale-data yes
repl-diskless-sync yes
repl-diskless-sync-delay 0
# One slow subscriber of Synapse's replication may lag this much before it is cut off (and then re-reads its streams).
client-output-buffer-limit pubsub 256mb 64mb 60
tcp-keepalive 60
include {AUTH_DIR}/server.conf
"""


def sentinel_conf(plan: RedisPlan) -> str:
    """Static part of sentinel.conf; the start script appends the primary and the passwords."""
    return f"""\
port {SENTINEL_PORT}
dir {DATA_DIR}
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
"""


def find_primary(plan: RedisPlan) -> str:
    """Shell function: prints the primary's host. The Sentinels' word counts; with none alive, the first pod."""
    hosts = " ".join(plan.hosts)
    return f"""\
set -eu
self="$(hostname).{plan.headless}.{plan.namespace}.svc.{plan.cluster_domain}"

# What most living Sentinels say; empty when none answers within a second each. A name resolves only when DNS has
# caught up with this pod, so the wait for our own name comes first.
find_primary() {{
  for host in {hosts}; do
    [ "$host" = "$self" ] && continue
    timeout 1 valkey-cli -h "$host" -p {SENTINEL_PORT} sentinel get-master-addr-by-name {plan.master_name} \\
      2>/dev/null | head -n 1 || true
  done | grep -v '^$' | sort | uniq -c | sort -rn | awk 'NR == 1 {{ print $2 }}'
}}

until getent hosts "$self" >/dev/null; do sleep 0.5; done
primary="$(find_primary)"
[ -n "$primary" ] || primary="{plan.hosts[0]}"
"""


def server_start(plan: RedisPlan) -> str:
    """Start script of Valkey: join as a replica of whoever is primary now, or be it."""
    return f"""\
#!/bin/sh
{find_primary(plan)}
set -- valkey-server {CONFIG_DIR}/server.conf --replica-announce-ip "$self"
if [ "$primary" != "$self" ]; then
  set -- "$@" --replicaof "$primary" {REDIS_PORT}
fi
echo "starting as $self, primary is $primary"
exec "$@"
"""


def sentinel_start(plan: RedisPlan) -> str:
    """Start script of Sentinel. It rewrites its own file, so the file is assembled in a private directory."""
    return f"""\
#!/bin/sh
{find_primary(plan)}
umask 077
conf={DATA_DIR}/sentinel.conf
{{
  cat {CONFIG_DIR}/sentinel.conf
  echo "sentinel announce-ip $self"
  echo "sentinel monitor {plan.master_name} $primary {REDIS_PORT} {plan.quorum}"
  echo "sentinel down-after-milliseconds {plan.master_name} {DOWN_AFTER_MS}"
  echo "sentinel failover-timeout {plan.master_name} {FAILOVER_TIMEOUT_MS}"
  echo "sentinel parallel-syncs {plan.master_name} 1"
  cat {AUTH_DIR}/sentinel.conf
}} > "$conf"
# The name of the primary must resolve before Sentinel starts, or it exits.
until getent hosts "$primary" >/dev/null; do sleep 0.5; done
echo "watching $primary"
exec valkey-sentinel "$conf"
"""


def _votes(plan: RedisPlan, index: int, host: str) -> str:
    servers = "\n".join(
        f"    server sentinel-{i} {sentinel}:{SENTINEL_PORT} check port {SENTINEL_PORT}"
        for i, sentinel in enumerate(plan.hosts)
    )
    return f"""
# Counts the Sentinels that call {plan.servers.name}-{index} the primary. Nothing is ever sent here.
backend votes-{index}
    option tcp-check
    tcp-check connect
    tcp-check send "AUTH ${{REDIS_PASSWORD}}\\r\\n"
    tcp-check expect string +OK
    tcp-check send "SENTINEL get-master-addr-by-name {plan.master_name}\\r\\n"
    tcp-check expect string {host}
    tcp-check send "QUIT\\r\\n"
{servers}
"""


def _primary(plan: RedisPlan, index: int, host: str) -> str:
    return f"""
backend redis-{index}
    option tcp-check
    tcp-check connect
    tcp-check send "AUTH ${{REDIS_PASSWORD}}\\r\\n"
    tcp-check expect string +OK
    tcp-check send "INFO replication\\r\\n"
    tcp-check expect string role:master
    tcp-check send "QUIT\\r\\n"
    tcp-check expect string +OK
    server node {host}:{REDIS_PORT} check on-marked-down shutdown-sessions
"""


def proxy_conf(plan: RedisPlan) -> str:
    """haproxy.cfg: leads to the pod that says it is primary *and* that a majority of Sentinels calls so.

    While no majority of Sentinels answers (they restart together), the pod's own word is enough.
    """
    majority = plan.quorum
    by_vote = "\n".join(
        f"    use_backend redis-{i} if {{ nbsrv(votes-{i}) ge {majority} }} {{ nbsrv(redis-{i}) ge 1 }}"
        for i in range(len(plan.hosts))
    )
    by_role = "\n".join(f"    use_backend redis-{i} if {{ nbsrv(redis-{i}) ge 1 }}" for i in range(len(plan.hosts)))
    backends = "".join(_votes(plan, i, host) + _primary(plan, i, host) for i, host in enumerate(plan.hosts))
    return f"""\
global
    maxconn 4096
    log stdout format raw local0 notice

defaults
    mode tcp
    log global
    option dontlog-normal
    timeout connect 2s
    timeout check 2s
    # Replication connections are silent for up to 30 s between Synapse's pings.
    timeout client 3600s
    timeout server 3600s
    option clitcpka
    option srvtcpka
    default-server inter {CHECK_INTERVAL_MS}ms fall 1 rise 1 init-addr none resolvers cluster

resolvers cluster
    parse-resolv-conf
    accepted_payload_size 8192
    resolve_retries 3
    timeout resolve 1s
    timeout retry 1s
    hold valid 2s
    hold nx 2s
    # An outage of DNS must not empty the backends: addresses stay for ten minutes.
    hold timeout 600s
    hold refused 600s

frontend metrics
    mode http
    bind :{PROXY_METRICS_PORT}
    http-request use-service prometheus-exporter if {{ path /metrics }}
    monitor-uri /health

frontend redis
    bind :{REDIS_PORT}
{by_vote}
{by_role}
{backends}"""


def server_files(plan: RedisPlan) -> ConfigFiles:
    return ConfigFiles(
        base=plan.name,
        namespace=plan.namespace,
        data={
            "server.conf": server_conf(plan),
            "sentinel.conf": sentinel_conf(plan),
            "start-server.sh": server_start(plan),
            "start-sentinel.sh": sentinel_start(plan),
        },
    )


def proxy_files(plan: RedisPlan) -> ConfigFiles:
    return ConfigFiles(base=plan.proxy.name, namespace=plan.namespace, data={"haproxy.cfg": proxy_conf(plan)})
