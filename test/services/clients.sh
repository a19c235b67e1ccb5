#!/usr/bin/env bash
# The official clients in other languages, which tests drive: packages for Node,
# a virtual environment for Python and jars for Java; and readers of tables (Apache
# Spark, delta-rs) in a virtual environment of their own, as they are large. All in
# the versions that test/clients pins.
#
#   clients.sh install   install what is missing or has another version; harmless
#                        if all is there
#   clients.sh status    say whether all is there (exit code 0) or not (1)
#   clients.sh clean     delete what was installed
#
# Everything lives in .services/clients; where it is, is written for tests to
# .services/clients.env as KEY=value lines. What is missing of the languages
# themselves (Node, npm, Python with venv, Java, Maven) is installed on Debian when root.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
clients=$here/../clients
services=${MILLRACE_SERVICES_DIR:-$(cd "$here/../.." && pwd)/.services}
home=$services/clients
envfile=$services/clients.env
least_node=20 # what the packages ask for
newer_node=20.20.2

die() { echo "clients: $*" >&2; exit 1; }

need() { # need PACKAGE COMMAND...: installs PACKAGE unless COMMAND succeeds
	local package=$1
	shift
	"$@" >/dev/null 2>&1 && return
	local install="apt-get install -y --no-install-recommends $package"
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "clients: installing $package" >&2
		{ apt-get update -q && DEBIAN_FRONTEND=noninteractive $install; } >>"$home/install.log" 2>&1 ||
			die "cannot install $package, see $home/install.log"
		"$@" >/dev/null 2>&1 && return
	fi
	die "$1 is missing: run  sudo $install"
}

js=$home/js
js_complete() {
	[ -f "$js/.complete" ] && cmp -s "$clients/js/package-lock.json" "$js/package-lock.json" &&
		cmp -s "$clients/js/package.json" "$js/package.json"
}

# The node to use: the system's, or one of ours where that is too old (Debian
# 12 has 18). It comes as a package like the others.
node_path() { if [ -x "$home/node/bin/node" ]; then echo "$home/node/bin/node"; else command -v node; fi; }

install_node() {
	local major
	major=$("$(node_path)" -p 'process.versions.node.split(".")[0]')
	[ "$major" -lt "$least_node" ] || return 0
	local cpu
	case $(uname -sm) in
	'Linux x86_64') cpu=x64 ;;
	'Linux aarch64') cpu=arm64 ;;
	*) die "Node $major is too old, the clients ask for $least_node or newer" ;;
	esac
	echo "clients: fetching Node $newer_node, as $major is too old for the clients" >&2
	mkdir -p "$home/node"
	(cd "$home/node" && npm install --no-save --ignore-scripts --no-audit --no-fund --no-update-notifier "node-linux-$cpu@$newer_node" &&
		mkdir -p bin && ln -sf "../node_modules/node-linux-$cpu/bin/node" bin/node) >"$home/node.log" 2>&1 ||
		die "npm cannot fetch Node $newer_node, see $home/node.log"
}

need_js() {
	need nodejs node --version
	need npm npm --version
}

install_js() {
	install_node
	echo "clients: fetching the packages for Node" >&2
	rm -rf "$js"
	mkdir -p "$js"
	cp "$clients/js/package.json" "$clients/js/package-lock.json" "$clients/js/.npmrc" "$js"
	(cd "$js" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --no-update-notifier) >"$home/npm.log" 2>&1 ||
		die "npm cannot fetch the packages, see $home/npm.log"
	touch "$js/.complete"
}

need_python() {
	need python3 python3 --version
	# Debian has the module venv without what it needs in a package of its own.
	need python3-venv python3 -c 'import ensurepip, venv'
}

# environment NAME FILE: makes a virtual environment with what FILE names.
environment() {
	echo "clients: fetching the packages for Python ($1)" >&2
	rm -rf "${home:?}/$1"
	python3 -m venv "$home/$1" >"$home/$1-venv.log" 2>&1 || die "cannot make a virtual environment, see $home/$1-venv.log"
	"$home/$1/bin/python" -m pip install --disable-pip-version-check --quiet -r "$2" >"$home/$1-pip.log" 2>&1 ||
		die "pip cannot fetch the packages, see $home/$1-pip.log"
	cp "$2" "$home/$1/.complete"
}

environment_complete() {
	[ -f "$home/$1/.complete" ] && cmp -s "$2" "$home/$1/.complete" && "$home/$1/bin/python" -c '' 2>/dev/null
}

python_complete() { environment_complete python "$clients/python/requirements.txt"; }
install_python() { environment python "$clients/python/requirements.txt"; }

lake_complete() { environment_complete lake "$clients/lake/requirements.txt"; }
install_lake() { environment lake "$clients/lake/requirements.txt"; }

need_java() {
	need openjdk-17-jre-headless java -version
	need maven mvn --version
}

# jars NAME FILE: copies the jars that the project FILE depends on.
jars() {
	echo "clients: fetching the packages for Java ($1)" >&2
	rm -rf "${home:?}/$1"
	mvn -q -B -f "$2" dependency:copy-dependencies -DincludeScope=runtime \
		-DoutputDirectory="$home/$1" >"$home/$1-maven.log" 2>&1 ||
		die "Maven cannot fetch the packages, see $home/$1-maven.log"
	cp "$2" "$home/$1/.complete"
}

jars_complete() { [ -f "$home/$1/.complete" ] && cmp -s "$2" "$home/$1/.complete"; }

java_complete() { jars_complete java "$clients/java/pom.xml" && jars_complete lake-jars "$clients/lake/pom.xml"; }
# One after the other: Maven does not share its folder of downloads.
install_java() {
	jars_complete java "$clients/java/pom.xml" || jars java "$clients/java/pom.xml"
	jars_complete lake-jars "$clients/lake/pom.xml" || jars lake-jars "$clients/lake/pom.xml"
}

install() {
	local parts=() jobs=() job
	js_complete || parts+=(js)
	python_complete || parts+=(python)
	lake_complete || parts+=(lake)
	java_complete || parts+=(java)
	# The system's packages one by one, the rest at the same time: it is waiting for
	# downloads, most of it.
	for part in "${parts[@]}"; do
		case $part in
		js) need_js ;;
		java) need_java ;;
		*) need_python ;;
		esac
	done
	for part in "${parts[@]}"; do
		"install_$part" &
		jobs+=($!)
	done
	local failed=
	for job in "${jobs[@]}"; do wait "$job" || failed=yes; done
	[ -z "$failed" ] || exit 1
	cat >"$envfile" <<-END
		MILLRACE_TEST_NODE=$(node_path)
		MILLRACE_TEST_NODE_MODULES=$js/node_modules
		MILLRACE_TEST_PYTHON=$home/python/bin/python
		MILLRACE_TEST_JAVA_CP=$home/java/*
		MILLRACE_TEST_LAKE_PYTHON=$home/lake/bin/python
		MILLRACE_TEST_LAKE_CP=$home/lake-jars/*
	END
	echo "clients: installed"
}

mkdir -p "$home"
exec 9>"$services/clients.lock"
flock 9
case ${1:-} in
install) install ;;
status) if js_complete && python_complete && lake_complete && java_complete && [ -f "$envfile" ]; then echo "clients: installed"; else echo "clients: not installed"; exit 1; fi ;;
clean) rm -rf "$home" "$envfile" && echo "clients: deleted" ;;
*) die "usage: clients.sh install|status|clean" ;;
esac
