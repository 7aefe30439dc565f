#!/usr/bin/env bash
# Install what package-lock.json in STAGING names as RELEASE: install.sh STAGING RELEASE DATA
# npm checks every package by the lock's sha512. No package's scripts are run: none of them is needed.
set -euo pipefail

staging=$1 release=$2 data=$3

# The run that we have waited for may have installed it.
if [[ -e $release ]]; then
  exit 0
fi
cd "$staging"
# The distribution's Node where it is new enough for SillyTavern, else the one of the lock.
mkdir -p bin
if (( $(node --print 'process.versions.node.split(".")[0]') >= 20 )); then
  npm ci --ignore-scripts --no-audit --no-fund --omit=optional
  ln -sfn /usr/bin/node bin/node
else
  npm ci --ignore-scripts --no-audit --no-fund
  node=$(echo node_modules/node-linux-*/bin/node)
  ln -sfn "../$node" bin/node
fi
bin/node --version

# What SillyTavern would make in its own directory, which nobody may write to; what it compiles is data of a host.
cd node_modules/sillytavern
mkdir -p backups public/scripts/extensions/third-party
ln -sfn "$data" dist
cd "$staging"
# npm leaves files to the numbers that their authors' users had, who may be somebody else here.
chown -hR root:root .
chmod -R go=u-w .
sync -f .
mv -T "$staging" "$release"
