#!/usr/bin/env bash
# A one-node Apache Kafka (KRaft) on loopback for tests.
#
#   kafka.sh start     start it and wait until it answers; harmless if it runs
#   kafka.sh stop      stop it in good order
#   kafka.sh kill      stop it with SIGKILL, as a crash would
#   kafka.sh restart   stop, then start on the same ports and data
#   kafka.sh status    say whether it runs (exit code 0) or not (1)
#   kafka.sh clean     stop it and delete its data; the jars stay
#
# Everything lives in .services/kafka; the addresses for tests are written to
# .services/kafka.env as KEY=value lines. Ports are chosen once and kept;
# KAFKA_TEST_PORT, KAFKA_TEST_SASL_PORT and KAFKA_TEST_TLS_PORT choose them by
# hand. What is missing (a JDK, Maven) is installed on Debian when root.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
services=${MILLRACE_SERVICES_DIR:-$(cd "$here/../.." && pwd)/.services}
home=$services/kafka
envfile=$services/kafka.env
user=millrace

die() { echo "kafka: $*" >&2; exit 1; }

need() { # need COMMAND PACKAGE
	command -v "$1" >/dev/null && return
	local install="apt-get install -y $2"
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "kafka: installing $2" >&2
		{ apt-get update -q && DEBIAN_FRONTEND=noninteractive $install; } >>"$home/install.log" 2>&1 ||
			die "cannot install $2, see $home/install.log"
		command -v "$1" >/dev/null && return
	fi
	die "$1 is missing: run  sudo $install"
}

running() {
	local pid
	pid=$(cat "$home/pid" 2>/dev/null) || return 1
	[ -n "$pid" ] && kill -0 "$pid" 2>/dev/null &&
		tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q "$home/server.properties"
}

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
	local p
	for _ in $(seq 200); do
		p=$((20000 + RANDOM % 12000))
		taken "$p" || { echo "$p"; return; }
	done
	die "no free port between 20000 and 32000"
}

jars() {
	local stamp=$home/jars/.complete
	[ -f "$stamp" ] && [ "$stamp" -nt "$here/pom.xml" ] && return
	need mvn maven
	echo "kafka: fetching Kafka's jars" >&2
	rm -rf "$home/jars"
	mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
		-DoutputDirectory="$home/jars" >"$home/maven.log" 2>&1 ||
		die "Maven cannot fetch Kafka's jars, see $home/maven.log"
	touch "$stamp"
}

certificate() {
	[ -f "$home/ca.pem" ] && return
	keytool -genkeypair -alias kafka -keyalg RSA -keysize 2048 -validity 3650 \
		-dname CN=localhost -ext san=dns:localhost,ip:127.0.0.1 \
		-storetype PKCS12 -keystore "$home/keystore.p12" -storepass "$secret" 2>/dev/null
	keytool -exportcert -rfc -alias kafka -keystore "$home/keystore.p12" \
		-storepass "$secret" >"$home/ca.pem" 2>/dev/null
}

configure() {
	if [ ! -f "$home/ports" ]; then
		echo "plain=${KAFKA_TEST_PORT:-$(free_port)} sasl=${KAFKA_TEST_SASL_PORT:-$(free_port)}" \
			"tls=${KAFKA_TEST_TLS_PORT:-$(free_port)} controller=$(free_port)" >"$home/ports"
	fi
	if [ ! -f "$home/secret" ]; then
		(umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$home/secret")
	fi
	secret=$(cat "$home/secret")
	local plain sasl tls controller
	eval "$(cat "$home/ports")"
	certificate
	cat >"$home/server.properties" <<-END
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$controller
		controller.listener.names=CONTROLLER
		inter.broker.listener.name=PLAINTEXT
		listeners=PLAINTEXT://127.0.0.1:$plain,SASL_PLAINTEXT://127.0.0.1:$sasl,SSL://127.0.0.1:$tls,CONTROLLER://127.0.0.1:$controller
		advertised.listeners=PLAINTEXT://127.0.0.1:$plain,SASL_PLAINTEXT://127.0.0.1:$sasl,SSL://127.0.0.1:$tls
		listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT
		sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
		listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_$user="$secret";
		listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
		listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
		ssl.keystore.type=PKCS12
		ssl.keystore.location=$home/keystore.p12
		ssl.keystore.password=$secret
		log.dirs=$home/data
		num.partitions=4
		offsets.topic.num.partitions=4
		offsets.topic.replication.factor=1
		transaction.state.log.num.partitions=4
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		share.coordinator.state.topic.replication.factor=1
		share.coordinator.state.topic.min.isr=1
		group.initial.rebalance.delay.ms=0
		log.segment.bytes=67108864
	END
	if [ ! -f "$home/data/meta.properties" ]; then
		mkdir -p "$home/data"
		java -cp "$home/jars/*" kafka.tools.StorageTool format -t "$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n' | cut -c1-22)" \
			-c "$home/server.properties" \
			--add-scram "SCRAM-SHA-256=[name=$user,password=$secret]" \
			--add-scram "SCRAM-SHA-512=[name=$user,password=$secret]" \
			>"$home/format.log" 2>&1 || die "cannot format $home/data, see $home/format.log"
	fi
	(umask 077 && cat >"$envfile") <<-END
		MILLRACE_TEST_KAFKA=127.0.0.1:$plain
		MILLRACE_TEST_KAFKA_SASL=127.0.0.1:$sasl
		MILLRACE_TEST_KAFKA_USERNAME=$user
		MILLRACE_TEST_KAFKA_PASSWORD=$secret
		MILLRACE_TEST_KAFKA_TLS=127.0.0.1:$tls
		MILLRACE_TEST_KAFKA_CA=$home/ca.pem
		MILLRACE_TEST_KAFKA_CP=$home/jars/*
	END
}

address() { sed -n 's/^MILLRACE_TEST_KAFKA=//p' "$envfile"; }

start() {
	if running; then
		echo "kafka: running at $(address)"
		return
	fi
	need java openjdk-17-jre-headless
	jars
	configure
	: >"$home/server.log"
	setsid nohup java -Xmx512m -Xms256m -XX:+ExitOnOutOfMemoryError -cp "$home/jars/*" \
		-Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
		-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info \
		-Dorg.slf4j.simpleLogger.showDateTime=true \
		kafka.Kafka "$home/server.properties" >>"$home/server.log" 2>&1 9>&- </dev/null &
	echo $! >"$home/pid"
	for _ in $(seq 1800); do
		if grep -q "Kafka Server started" "$home/server.log"; then
			echo "kafka: started at $(address)"
			return
		fi
		running || die "it ended while starting, see $home/server.log"
		sleep 0.1
	done
	die "not ready after three minutes, see $home/server.log"
}

stop() { # stop SIGNAL
	if running; then
		local pid
		pid=$(cat "$home/pid")
		kill "-$1" "$pid"
		for _ in $(seq 1200); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -0 "$pid" 2>/dev/null && die "process $pid does not end"
	fi
	rm -f "$home/pid"
	echo "kafka: stopped"
}

mkdir -p "$home"
exec 9>"$services/kafka.lock"
flock 9
case ${1:-} in
start) start ;;
stop) stop TERM ;;
kill) stop KILL ;;
restart) stop TERM >/dev/null && start ;;
status) if running; then echo "kafka: running at $(address)"; else echo "kafka: not running"; exit 1; fi ;;
clean) stop TERM && rm -rf "$home/data" "$home/ports" "$envfile" ;;
*) die "usage: kafka.sh start|stop|kill|restart|status|clean" ;;
esac
