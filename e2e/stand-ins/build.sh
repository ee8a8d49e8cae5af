#!/usr/bin/env bash
# build.sh FOLDER JARS [rust]
# Builds the stand-ins that the machine lacks. JARS is what `cargo xtask stack up` has fetched.
set -euo pipefail
mkdir -p "${1:?a folder}"
work=$(cd "$1" && pwd)
jars=${2:?the folder of the jars}
here=$(cd "$(dirname "$0")" && pwd)

has() { docker image inspect "$1" >/dev/null 2>&1; }

if ! has debian:bookworm-slim; then
    mirror=$(sed -n 's/^URIs: //p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)
    mmdebstrap --quiet --variant=minbase --include=ca-certificates --aptopt='Acquire::Check-Valid-Until "false"' \
        bookworm "$work/base.tar" ${mirror:+"$mirror"}
    docker import -c 'CMD ["bash"]' "$work/base.tar" debian:bookworm-slim >/dev/null
    rm "$work/base.tar"
fi

if [ "${3:-}" = rust ]; then
    IMAGE=$(sed -n 's/^FROM \(rust:[^ ]*\).*/\1/p' "$here/../../Dockerfile")
    CONTEXT=$work/rust
    export IMAGE CONTEXT
    rm -rf "$CONTEXT"
    cp -r "$here/rust" "$CONTEXT"
    toolchain=$(rustc --print sysroot)
    cp -r "$toolchain/bin" "$toolchain/lib" "$CONTEXT/"
    # Whoever speaks for crates.io on this machine is trusted here as well.
    cp /etc/ssl/certs/ca-certificates.crt "$CONTEXT/"
    docker compose --project-name stand-ins -f "$here/rust/image.yml" build
    rm -rf "$CONTEXT"
    exit
fi

export CONTEXTS=$work/contexts
rm -rf "$CONTEXTS"
mkdir -p "$CONTEXTS"
for image in distroless haproxy kafka connect mariadb postgres; do
    cp -r "$here/$image" "$CONTEXTS/"
done
cp -al "$jars/libs" "$CONTEXTS/kafka/"
cp -al "$jars/libs" "$jars/plugins" "$CONTEXTS/connect/"

missing=()
while read -r service image; do
    has "$image" || missing+=("$service")
done < <(sed -n 's/^  \([a-z]*\):$/\1/p; s/^    image: //p' "$here/images.yml" | paste -d' ' - -)
[ ${#missing[@]} = 0 ] || docker compose --project-name stand-ins -f "$here/images.yml" build --quiet "${missing[@]}"
