package delta

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"millrace/record"
)

// part are the results of one partition of the table, which make a file.
type part struct {
	// indexes are those of the results, nil for all of them.
	indexes []int32
	// values are those of the partition columns, by column; "" is null.
	values map[string]string
	// folder is what the file's name begins with: "", or folders with a
	// slash at the end.
	folder string
}

// split sorts results by the partitions of the table that they belong to.
func split(results []record.Result, by []string) []part {
	if len(by) == 0 {
		return []part{{}}
	}
	var parts []part
	known := map[string]int{}
	var key []byte
	for i := range results {
		key = key[:0]
		for _, column := range by {
			before := len(key)
			key = appendPartitionValue(key, column, &results[i])
			// Any byte may be in a value: what ends one is its length.
			key = binary.BigEndian.AppendUint32(key, uint32(len(key)-before))
		}
		n, ok := known[string(key)]
		if !ok {
			n = len(parts)
			known[string(key)] = n
			parts = append(parts, newPart(by, &results[i]))
		}
		parts[n].indexes = append(parts[n].indexes, int32(i))
	}
	return parts
}

// newPart makes the part that a result belongs to, without its results.
func newPart(by []string, r *record.Result) part {
	p := part{values: make(map[string]string, len(by))}
	for _, column := range by {
		value := string(appendPartitionValue(nil, column, r))
		p.values[column] = value
		p.folder += column + "=" + folderValue(value) + "/"
	}
	return p
}

// appendPartitionValue appends the text of a partition column's value as the
// table's log has it.
func appendPartitionValue(dst []byte, column string, r *record.Result) []byte {
	switch column {
	case "type":
		return append(dst, r.Type...)
	case "partitionId":
		return strconv.AppendInt(dst, int64(r.Partition), 10)
	default: // createdDate
		return time.UnixMicro(r.CreatedAt).UTC().AppendFormat(dst, time.DateOnly)
	}
}

// maxFolder keeps names of folders within what file systems take.
const maxFolder = 120

// folderValue makes a part of a folder's name of a value, as Hive does. It is
// for people: what the value is, the log says. Long ones are cut, and told apart
// by a hash.
func folderValue(value string) string {
	if value == "" {
		return "__HIVE_DEFAULT_PARTITION__"
	}
	var b strings.Builder
	for i := range len(value) {
		c := value[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.' && i < len(value)-1:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() <= maxFolder {
		return b.String()
	}
	h := fnv.New64a()
	h.Write([]byte(value))
	return fmt.Sprintf("%.*s~%016x", maxFolder-20, b.String(), h.Sum64())
}
