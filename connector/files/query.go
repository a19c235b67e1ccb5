package files

import (
	"context"
	"fmt"
	"strings"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/internal/duckread"
	"millrace/connector/internal/filequery"
)

// Query implements connector.Store. The text is one statement in DuckDB's SQL
// that reads; the files that are there when the query begins are the view
// events.
//
// Files of a storage account are copied to the data folder first, and are kept
// there for the next query, cacheSize of them at most.
func (s *Store) Query(ctx context.Context, text string) (connector.Rows, error) {
	all, err := s.objects(ctx)
	if err != nil {
		return nil, err
	}
	paths := map[string][]string{}
	for _, suffix := range []string{suffixParquet, suffixJSONL, suffixGzip} {
		if paths[suffix], err = s.local(ctx, all, suffix); err != nil {
			return nil, fmt.Errorf("asking %s: %w", s.Describe(), err)
		}
	}
	limits := duckread.Limits{Memory: s.cfg.MemoryLimit, Threads: s.cfg.Threads, Folder: s.env.DataDir}
	return filequery.Ask(ctx, filequery.Options{Limits: limits, Explain: advice.Explain}, view(paths[suffixParquet], append(paths[suffixJSONL], paths[suffixGzip]...)), text)
}

// local are the files of one kind as files of this machine.
func (s *Store) local(ctx context.Context, all []object, suffix string) (paths []string, err error) {
	var far []filequery.Wanted
	for _, o := range all {
		if o.suffix != suffix {
			continue
		}
		if path, ok := blob.LocalPath(s.bucket, o.name); ok {
			paths = append(paths, path)
		} else {
			far = append(far, filequery.Wanted{Name: o.name, Size: o.size})
		}
	}
	if len(far) == 0 {
		return paths, nil
	}
	c := &filequery.Cache{Bucket: s.bucket, Dir: filequery.DirIn(s.env.DataDir, "files-cache"), Suffix: suffix, Limit: int64(s.cfg.CacheSize),
		Hint: "raise serve.cacheSize, or ask the files where they are, with an engine near their storage"}
	return c.Fetch(ctx, far)
}

// column is a column of the view events.
type column struct{ name, typ string }

// complexMembers is how many members of complexData have columns.
const complexMembers = 23

var columns = []column{{"eventId", "VARCHAR"}, {"deviceId", "VARCHAR"}, {"deviceSequenceNumber", "BIGINT"}, {"type", "VARCHAR"},
	{"value", "DOUBLE"}, {colComplexData, complexType("STRUCT(", "moreData%d DOUBLE", ")")}, {"createdAt", "TIMESTAMPTZ"},
	{"enqueuedAt", "TIMESTAMPTZ"}, {"processedAt", "TIMESTAMPTZ"}, {"storedAt", "TIMESTAMPTZ"}, {"partitionId", "INTEGER"},
	{"logOffset", "BIGINT"}, {colExtra, "VARCHAR"}}

const (
	colComplexData = "complexData"
	// colExtra is only in Parquet files: lines have all members by name.
	colExtra = "extra"
)

func complexType(opening, member, closing string) string {
	members := make([]string, complexMembers)
	for i := range members {
		members[i] = fmt.Sprintf(member, i)
	}
	return opening + strings.Join(members, ", ") + closing
}

// view is the statement that makes files the view events. Its columns are the
// same whatever files there are. What a line has of another type is null.
func view(parquet, lines []string) string {
	var empty, members, values []string
	for _, c := range columns {
		empty = append(empty, fmt.Sprintf("CAST(NULL AS %s) AS %s", c.typ, c.name))
		switch c.name {
		case colExtra:
		case colComplexData:
			members = append(members, c.name+": 'JSON'")
			values = append(values, fmt.Sprintf("json_transform(%s, '%s') AS %[1]s", c.name, complexType("{", `"moreData%d":"DOUBLE"`, "}")))
		default:
			members = append(members, c.name+": 'VARCHAR'")
			values = append(values, fmt.Sprintf("TRY_CAST(%s AS %s) AS %[1]s", c.name, c.typ))
		}
	}
	text := "CREATE TEMP VIEW events AS SELECT " + strings.Join(empty, ", ") + " WHERE false"
	if len(parquet) > 0 {
		text += "\nUNION ALL BY NAME SELECT * FROM read_parquet(" + filequery.Paths(parquet) + ", union_by_name = true, hive_partitioning = false)"
	}
	if len(lines) > 0 {
		text += "\nUNION ALL BY NAME SELECT " + strings.Join(values, ", ") + " FROM read_json(" + filequery.Paths(lines) +
			", format = 'newline_delimited', hive_partitioning = false, columns = {" + strings.Join(members, ", ") + "})"
	}
	return text
}

// advice is what to do about queries that fail.
var advice = duckread.Advice{Doing: "asking the files",
	Memory: "raise serve.memoryLimit, choose fewer columns, or add LIMIT",
	Disk:   "free some space in the data folder",
	Names:  "the files are the view events; DESCRIBE events shows its columns"}
