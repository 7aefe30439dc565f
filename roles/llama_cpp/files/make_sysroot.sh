#!/usr/bin/env bash
# Unpack packages of another architecture, and what they need, into SYSROOT; nothing in it is run:
# make_sysroot.sh SYSROOT ARCHITECTURE SUITE MIRROR PACKAGE...
set -euo pipefail

sysroot=$1 architecture=$2 suite=$3 mirror=$4
shift 4

# The run that we have waited for may have made it.
if [[ -e $sysroot ]]; then
  exit 0
fi
part=$sysroot.part
rm -rf "$part"
packages=$(IFS=,; echo "$*")
mmdebstrap --variant=extract --architectures="$architecture" --include="$packages" "$suite" "$part" "$mirror"
# Absolute links mean this host's own files: a linker that follows them takes the wrong library.
find "$part" -type l -lname '/*' -print0 | while IFS= read -r -d '' link; do
  ln --symbolic --relative --force --no-dereference "$part$(readlink "$link")" "$link"
done
cd "$part"
for file in usr/include/openssl/ssl.h usr/include/c++/*/string usr/lib/*/libstdc++.so.6 lib/*/libc.so.6 lib*/ld-linux-*; do
  if [[ ! -s $file ]]; then
    echo "The packages of $mirror lack $file." >&2
    exit 1
  fi
done
# The name must not reach the disk before the files do.
sync --file-system "$part"
mv "$part" "$sysroot"
