#!/bin/sh
# What a container runs: `primary` or `replica`, with options of limpid-server after it, or
# arguments of limpid-server alone.
#
# A role begins with its file from /etc/limpid, copied onto the volume. From then on the copy
# holds: CONFIG REWRITE writes to it, so a role that a failover gave survives a restart.
set -eu

case ${1-} in
    primary | replica)
        role=$1
        shift
        if [ ! -e /data/limpid.toml ]; then
            # Renamed, so that there is a whole file or none.
            cp "/etc/limpid/$role.toml" /data/limpid.toml.new
            mv /data/limpid.toml.new /data/limpid.toml
        fi
        set -- /data/limpid.toml "$@"
        ;;
esac
exec limpid-server "$@"
