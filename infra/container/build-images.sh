#!/usr/bin/env bash
# Builds the two images of the container rung from the pinned wheels, for a machine whose engine reaches no registry.
#
#   sudo infra/container/build-images.sh [--start-engine]
#
# Needs Linux x64, root, docker, debootstrap with a reachable Debian mirror, and the server programs: those kept in the
# cache folder by an earlier run of testkit, or other ones named by MONGOD and VALKEY_SERVER.
# Afterwards: STRATA_MONGO_IMAGE=strata-local/mongo STRATA_REDIS_IMAGE=strata-local/valkey STRATA_MONGO=container …
set -euo pipefail

suite=${DEBIAN_SUITE:-bookworm}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/strata/programs

fail() {
  echo "build-images: $1" >&2
  exit 1
}

newest() {
  local found
  found=$(ls -t "$cache"/$1/"$2" 2>/dev/null | head -n 1)
  [ -n "$found" ] || fail "no $2 kept in $cache; start the servers by the wheel rung once, or name a program by $3"
  echo "$found"
}

start_engine() {
  docker info >/dev/null 2>&1 && return
  command -v dockerd >/dev/null || fail 'no dockerd; install docker.io'
  nohup dockerd >"${TMPDIR:-/tmp}/strata-dockerd.log" 2>&1 </dev/null &
  for _ in $(seq 1 100); do
    docker info >/dev/null 2>&1 && return
    sleep 0.2
  done
  fail "dockerd did not come up; see ${TMPDIR:-/tmp}/strata-dockerd.log"
}

[ "$(uname -sm)" = 'Linux x86_64' ] || fail 'the wheels are for Linux x64'
if [ "${1:-}" = '--start-engine' ]; then start_engine; fi
docker info >/dev/null 2>&1 || fail 'no engine answers; start it, or pass --start-engine'
command -v debootstrap >/dev/null || fail 'no debootstrap; install it'
mongod=${MONGOD:-$(newest 'mongod-*' mongod MONGOD)}
valkey=${VALKEY_SERVER:-$(newest 'valkey-server-*' valkey-server VALKEY_SERVER)}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! docker image inspect strata-local/base >/dev/null 2>&1; then
  # libcurl4 is the one library beside the C library and OpenSSL that mongod asks for.
  debootstrap --variant=minbase --include=libcurl4,ca-certificates "$suite" "$work/root" "$mirror" >&2
  tar -C "$work/root" -c . | docker import - strata-local/base >/dev/null
fi

cp "$mongod" "$work/mongod"
cp "$valkey" "$work/valkey-server"
chmod 755 "$work/mongod" "$work/valkey-server"
# As in the official images, arguments alone go to the server, and its data have a folder that anybody may write.
build() {
  printf 'FROM strata-local/base\nCOPY %s /usr/local/bin/%s\nRUN install -d -m 1777 %s\nENTRYPOINT ["%s"]\n' \
    "$2" "$2" "$3" "$2" >"$work/Dockerfile.$1"
  docker build --quiet --network none -t "strata-local/$1" -f "$work/Dockerfile.$1" "$work" >&2
}
build mongo mongod /data/db
build valkey valkey-server /data
echo 'STRATA_MONGO_IMAGE=strata-local/mongo STRATA_REDIS_IMAGE=strata-local/valkey'
