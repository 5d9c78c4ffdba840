#!/bin/sh
# Starts one Synapse process: `start.sh main` or `start.sh worker`. A worker is called what its pod is called; the
# name is written down here, because it is the one thing that differs between pods of one StatefulSet.
set -eu
app=synapse.app.homeserver
if [ "$1" = worker ]; then
  app=synapse.app.generic_worker
  printf 'worker_name: %s\n' "$POD_NAME" >/run/synapse/name.yaml
fi
set --
for file in /etc/synapse/shared/homeserver.yaml /etc/synapse/instances/instances.yaml \
  /etc/synapse/senders/senders.yaml /etc/synapse/process/process.yaml /run/synapse/name.yaml; do
  if [ -e "$file" ]; then
    set -- "$@" -c "$file"
  fi
done
# Cache autotuning needs jemalloc's figures. Where the image has none, the loader says so and goes on without.
export LD_PRELOAD=libjemalloc.so.2
exec python3 -m "$app" "$@"
