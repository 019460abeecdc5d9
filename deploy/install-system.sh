#!/bin/sh
# Installs Debian's Python, with the packages given as arguments, and creates the user that every process runs as.
set -eu

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --yes --no-install-recommends python3 "$@" >/dev/null
apt-get clean
rm -rf /var/lib/apt/lists/*

groupadd --gid 10001 crm
useradd --uid 10001 --gid crm --home-dir /srv/crm/home --no-create-home --shell /usr/sbin/nologin crm
# A new volume takes the owner of the folder that it is mounted on.
install --directory --owner=crm --group=crm /srv/crm/home /srv/crm/lake
