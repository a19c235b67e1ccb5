package local

import (
	"net/url"
	"strings"
)

// kind is a kind of resource.
type kind uint8

const (
	kindAccount kind = iota
	kindDatabase
	kindContainer
	kindItem
	kindRange
	kindOffer
	kindAbsent // scripts, users, permissions, conflicts, ...: answered as not there
	kindCount
)

// path is a request's path taken apart. Names are percent-decoded; each may be
// the resource's id or its _rid.
type path struct {
	kind kind
	// feed: the path ends in a word such as "docs" and means all of them.
	feed bool
	// word is the last word of the path that names a kind ("docs", "sprocs"):
	// the resource type of signatures. "" for the account.
	word string
	// database, container and name (of an item, offer or other resource) as
	// far as the path goes.
	database, container, name string
	// link is the path without outer slashes, decoded: what signatures hold
	// for a resource. parent is the same for a feed: up to the last word.
	link, parent string
}

// maxPath bounds paths: three ids of 255, 255 and 1023 bytes, percent-encoded,
// fit in.
const maxPath = 8 << 10

// childKinds are the words below a container, and what they name.
var childKinds = map[string]kind{
	"docs": kindItem, "pkranges": kindRange, "sprocs": kindAbsent, "triggers": kindAbsent, "udfs": kindAbsent,
	"conflicts": kindAbsent, "schemas": kindAbsent, "partitionedsystemdocuments": kindAbsent, "clientencryptionkeys": kindAbsent,
}

// parsePath takes the escaped path of a URL apart; false: nothing has such a
// path.
func parsePath(escaped string) (p path, ok bool) {
	if len(escaped) > maxPath {
		return p, false
	}
	link := strings.Trim(escaped, "/")
	if link == "" {
		return p, true
	}
	var segments [8]string
	n := 0
	for rest := link; ; n++ {
		if n == len(segments) {
			return p, false
		}
		segment, after, more := strings.Cut(rest, "/")
		name, ok := unescape(segment)
		if !ok || name == "" {
			return p, false
		}
		segments[n], rest = name, after
		if !more {
			n++
			break
		}
	}
	if !p.fill(segments[:n]) {
		return p, false
	}
	if strings.IndexByte(link, '%') < 0 {
		p.link = link
	} else {
		p.link = strings.Join(segments[:n], "/")
	}
	if p.feed {
		p.parent = strings.TrimSuffix(p.link[:len(p.link)-len(segments[n-1])], "/")
	}
	return p, true
}

// unescape decodes percent escapes. A segment may hold a slash only escaped,
// which no id may have.
func unescape(segment string) (string, bool) {
	if strings.IndexByte(segment, '%') < 0 {
		return segment, true
	}
	s, err := url.PathUnescape(segment)
	return s, err == nil
}

func (p *path) fill(s []string) bool {
	n := len(s)
	p.feed = n%2 == 1
	last := func(i int) { p.word = strings.ToLower(s[i]) }
	at := func(i int) string {
		if i < n {
			return s[i]
		}
		return ""
	}
	last((n - 1) &^ 1)
	switch strings.ToLower(s[0]) {
	case "offers":
		p.kind, p.name = kindOffer, at(1)
		return n <= 2
	case "dbs":
	default:
		return false
	}
	p.database, p.kind = at(1), kindDatabase
	if n <= 2 {
		return true
	}
	switch word := strings.ToLower(s[2]); word {
	case "colls":
	case "users", "clientencryptionkeys", "udts":
		p.kind, p.name = kindAbsent, s[n-1]
		return n <= 4 || word == "users" && n <= 6 && strings.EqualFold(s[4], "permissions")
	default:
		return false
	}
	p.container, p.kind = at(3), kindContainer
	if n <= 4 {
		return true
	}
	k, known := childKinds[strings.ToLower(s[4])]
	p.kind, p.name = k, at(5)
	switch {
	case !known || k == kindRange && n > 5:
		return false
	case k == kindItem && n > 6: // attachments are no more
		p.kind = kindAbsent
		return strings.EqualFold(s[6], "attachments")
	}
	return n <= 6
}
