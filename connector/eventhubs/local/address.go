package local

import (
	"strings"
)

// nodeKind is what an address of a link names.
type nodeKind int

const (
	nodeUnknown nodeKind = iota
	nodeHub
	nodePartition // hub/Partitions/N
	nodePublisher // hub/Publishers/P
	nodeReceiver  // hub/ConsumerGroups/G/Partitions/N
	nodeCBS
	nodeManagement
)

// address is a link's address taken apart. Names are as the client wrote them.
type address struct {
	kind                             nodeKind
	hub, group, partition, publisher string
	// path is the address without scheme, host and outer slashes.
	path string
}

// parseAddress takes the address of a source or target apart. Keywords are the
// same in upper and lower case.
func parseAddress(s string) address {
	a := address{path: addressPath(s)}
	switch {
	case len(s) > maxName:
		a.path = strings.Clone(clip(a.path, 300))
		return a // nothing has such a name
	case strings.EqualFold(a.path, "$cbs"):
		a.kind = nodeCBS
		return a
	case strings.EqualFold(a.path, "$management"):
		a.kind = nodeManagement
		return a
	}
	parts := strings.Split(a.path, "/")
	a.hub = parts[0]
	word := func(i int, w string) bool { return strings.EqualFold(parts[i], w) }
	switch {
	case a.hub == "" || strings.HasPrefix(a.hub, "$"):
	case len(parts) == 1:
		a.kind = nodeHub
	case len(parts) == 2 && word(1, "$management"):
		a.kind = nodeManagement
	case len(parts) == 3 && word(1, "partitions"):
		a.kind, a.partition = nodePartition, parts[2]
	case len(parts) == 3 && word(1, "publishers"):
		a.kind, a.publisher = nodePublisher, parts[2]
	case len(parts) == 5 && word(1, "consumergroups") && word(3, "partitions"):
		a.kind, a.group, a.partition = nodeReceiver, parts[2], parts[4]
	}
	return a
}

// addressPath strips "amqp://host:port/" and the like, and outer slashes: a
// client may write either form, and one endpoint has many names.
func addressPath(s string) string {
	if _, rest, ok := strings.Cut(s, "://"); ok {
		_, s, _ = strings.Cut(rest, "/")
	}
	return strings.Trim(s, "/")
}

// firstLabel returns what hostname begins with: "ns" of "ns.example.net:5671".
func firstLabel(hostname string) string {
	if _, rest, ok := strings.Cut(hostname, "://"); ok {
		hostname = rest
	}
	label, _, _ := strings.Cut(hostname, ".")
	label, _, _ = strings.Cut(label, ":")
	return label
}

// covers tells whether a claim for path granted is good for path wanted: it is
// for granted and everything below. The namespace ("") covers everything, and a
// hub's address any of its nodes.
func covers(granted, wanted string) bool {
	granted, wanted = strings.ToLower(granted), strings.ToLower(wanted)
	return granted == "" || granted == wanted || strings.HasPrefix(wanted, granted+"/")
}
