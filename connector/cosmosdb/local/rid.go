package local

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// Ids of resources (_rid) are base64 of 3 bytes for offers, 4 for databases, 8
// for containers and 16 below, with - for /.

// ridBytes decodes the _rid of a resource.
func ridBytes(rid string) ([]byte, bool) {
	b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(rid, "-", "/"))
	return b, err == nil
}

// looksLikeRID tells whether s has the form of an _rid.
func looksLikeRID(s string) bool {
	if len(s) < 4 || len(s) > 24 || len(s)%4 != 0 {
		return false
	}
	b, ok := ridBytes(s)
	return ok && (len(b) == 3 || len(b) == 4 || len(b) == 8 || len(b) == 16)
}

// rangeRID is the _rid of a container's physical range. The last byte tells
// ranges from other things below containers.
func rangeRID(containerRID string, rangeID int) string {
	b, ok := ridBytes(containerRID)
	if !ok || len(b) != 8 {
		return containerRID
	}
	id := make([]byte, 16)
	copy(id, b)
	binary.LittleEndian.PutUint64(id[8:], uint64(rangeID)+2)
	id[15] = 0x50
	return strings.ReplaceAll(base64.StdEncoding.EncodeToString(id), "/", "-")
}
