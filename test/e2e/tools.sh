#!/usr/bin/env bash
# Installs the Debian programs that tests drive and that are not there yet:
# chromium, curl, promtool (prometheus) and amtool (prometheus-alertmanager). Only the
# programs are wanted: their services are not started.
set -euo pipefail

need=()
command -v chromium >/dev/null || need+=(chromium)
command -v promtool >/dev/null || need+=(prometheus)
command -v curl >/dev/null || need+=(curl)
command -v amtool >/dev/null || need+=(prometheus-alertmanager)
[ ${#need[@]} -gt 0 ] || exit 0

sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -qq
$sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${need[@]}"
