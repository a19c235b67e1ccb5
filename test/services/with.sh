#!/usr/bin/env bash
# Runs a command with Apache Kafka, PostgreSQL, Azurite and @vercel/cosmosdb-server up,
# and stops afterwards those that were not up before.
#
#   with.sh COMMAND ARGUMENT...
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

started=()
finish() {
	for s in ${started[@]+"${started[@]}"}; do
		"$here/$s.sh" stop || true
	done
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

for s in kafka postgres azurite cosmosdbserver; do
	if ! "$here/$s.sh" status >/dev/null 2>&1; then
		started+=("$s")
		"$here/$s.sh" start
	fi
done
"$@"
