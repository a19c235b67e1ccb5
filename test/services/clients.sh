#!/usr/bin/env bash
# The official clients in other languages, which tests drive: packages for Node,
# a virtual environment for Python and jars for Java, in the versions that
# test/clients pins.
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

install_js() {
	js_complete && return
	need nodejs node --version
	need npm npm --version
	install_node
	echo "clients: fetching the packages for Node" >&2
	rm -rf "$js"
	mkdir -p "$js"
	cp "$clients/js/package.json" "$clients/js/package-lock.json" "$clients/js/.npmrc" "$js"
	(cd "$js" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --no-update-notifier) >"$home/npm.log" 2>&1 ||
		die "npm cannot fetch the packages, see $home/npm.log"
	touch "$js/.complete"
}

python=$home/python
python_complete() {
	[ -f "$python/.complete" ] && cmp -s "$clients/python/requirements.txt" "$python/.complete" &&
		"$python/bin/python" -c '' 2>/dev/null
}

install_python() {
	python_complete && return
	need python3 python3 --version
	# Debian has the module venv without what it needs in a package of its own.
	need python3-venv python3 -c 'import ensurepip, venv'
	echo "clients: fetching the packages for Python" >&2
	rm -rf "$python"
	python3 -m venv "$python" >"$home/venv.log" 2>&1 || die "cannot make a virtual environment, see $home/venv.log"
	"$python/bin/python" -m pip install --disable-pip-version-check --quiet -r "$clients/python/requirements.txt" >"$home/pip.log" 2>&1 ||
		die "pip cannot fetch the packages, see $home/pip.log"
	cp "$clients/python/requirements.txt" "$python/.complete"
}

java=$home/java
java_complete() { [ -f "$java/.complete" ] && cmp -s "$clients/java/pom.xml" "$java/.complete"; }

install_java() {
	java_complete && return
	need openjdk-17-jre-headless java -version
	need maven mvn --version
	echo "clients: fetching the packages for Java" >&2
	rm -rf "$java"
	mvn -q -B -f "$clients/java/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
		-DoutputDirectory="$java" >"$home/maven.log" 2>&1 ||
		die "Maven cannot fetch the packages, see $home/maven.log"
	cp "$clients/java/pom.xml" "$java/.complete"
}

install() {
	install_js
	install_python
	install_java
	cat >"$envfile" <<-END
		MILLRACE_TEST_NODE=$(node_path)
		MILLRACE_TEST_NODE_MODULES=$js/node_modules
		MILLRACE_TEST_PYTHON=$python/bin/python
		MILLRACE_TEST_JAVA_CP=$java/*
	END
	echo "clients: installed"
}

mkdir -p "$home"
exec 9>"$services/clients.lock"
flock 9
case ${1:-} in
install) install ;;
status) if js_complete && python_complete && java_complete && [ -f "$envfile" ]; then echo "clients: installed"; else echo "clients: not installed"; exit 1; fi ;;
clean) rm -rf "$home" "$envfile" && echo "clients: deleted" ;;
*) die "usage: clients.sh install|status|clean" ;;
esac
