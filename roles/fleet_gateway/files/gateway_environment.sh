#!/usr/bin/env bash
# Create LiteLLM's Python environment, all of it pinned by hashes: gateway_environment.sh DIRECTORY LOCK
# It gets its final name when it is whole. Its programs are started as `python -m`: scripts would hold the other name.
set -euo pipefail

final=$1
lock=$2
part=$final.part

rm -rf "$part"
/usr/bin/python3 -m venv "$part"
"$part/bin/python" -m pip install --disable-pip-version-check --no-cache-dir --progress-bar off \
  --require-hashes --only-binary :all: -r "$lock"
"$part/bin/python" -I -m compileall -q "$part/lib"
sync -f "$part"
mv -T "$part" "$final"
