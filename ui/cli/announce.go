package cli

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// usualKafkaPort is where Kafka clients look for the endpoint if the connection
// string is the emulator's and says nothing else.
const usualKafkaPort = "9092"

// announceHubs says how clients reach Event Hubs. Lines fit 80 columns, except
// connection strings: they stand on a line of their own, to be copied whole.
func (a *app) announceHubs(l Local, o LocalOptions, all []Endpoint) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is ready, data in %s; Ctrl-C stops it\n", l.Name, o.DataDir)
	for i, e := range all {
		fmt.Fprintln(&b)
		if len(all) > 1 {
			fmt.Fprintf(&b, "Namespace %s\n", e.Namespace)
		}
		fmt.Fprintf(&b, "  AMQP       %s\n", hostOf(e.Connection))
		if e.Kafka != "" {
			fmt.Fprintf(&b, "  Kafka      %s\n", e.Kafka)
		}
		if e.HTTP != "" && i == 0 {
			fmt.Fprintf(&b, "  Explorer   %s\n", e.HTTP)
			fmt.Fprintf(&b, "  Health     %shealth\n", e.HTTP)
		}
		name := l.Address
		if i > 0 {
			name += "_" + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(e.Namespace))
		}
		fmt.Fprintf(&b, "\nexport %s='%s'\n", name, e.Connection)
		if _, port, err := net.SplitHostPort(e.Kafka); err == nil && port != usualKafkaPort {
			fmt.Fprintf(&b, "(for solutions with Kafka clients add ;KafkaEndpoint=%s)\n", e.Kafka)
		}
	}
	if strings.Contains(all[0].Connection, "SharedAccessKey=***") {
		fmt.Fprintln(&b, "(with the key in place of ***)")
	}
	if all[0].Kafka != "" {
		fmt.Fprintf(&b, "\nKafka clients: security.protocol=SASL_PLAINTEXT, sasl.mechanism=PLAIN,\n"+
			"  user $ConnectionString, password the connection string\n")
	}
	_, err := fmt.Fprint(a.Stdout, b.String())
	return err
}

// announceExplored says how clients and people reach a service with a page.
func (a *app) announceExplored(l Local, o LocalOptions, s Explored) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is ready, data in %s; Ctrl-C stops it\n\n", l.Name, o.DataDir)
	fmt.Fprintf(&b, "  Endpoint   %s\n  Explorer   %s\n", s.Endpoint(), s.Explorer())
	fmt.Fprintf(&b, "\nexport %s='%s'\n", l.Address, s.Connection())
	if strings.Contains(s.Connection(), "Key=***") {
		fmt.Fprintln(&b, "(with the key in place of ***)")
	}
	_, err := fmt.Fprint(a.Stdout, b.String())
	return err
}

// hostOf is the host and port of a connection string.
func hostOf(connection string) string {
	for part := range strings.SplitSeq(connection, ";") {
		if value, ok := strings.CutPrefix(part, "Endpoint="); ok {
			if u, err := url.Parse(value); err == nil {
				return u.Host
			}
		}
	}
	return ""
}
