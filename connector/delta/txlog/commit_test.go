package txlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/delta/schema"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	b, dir := folder(t)
	tb := open(t, b, "/deep/table/", Options{Engine: "Test/1"})
	s, err := tb.Create(t.Context(), Metadata{Name: "n", Schema: all(t), PartitionColumns: []string{"p"},
		Configuration: map[string]string{PropCheckpointInterval: "5"}}, "CREATE TABLE")
	if err != nil || s.Version != 0 || s.NumFiles() != 0 || s.Protocol.MinReader != 1 || s.Protocol.MinWriter != 2 || s.Metadata.ID == "" {
		t.Fatalf("%+v, %v", s, err)
	}
	body, err := os.ReadFile(filepath.Join(dir, "deep/table/_delta_log", commitFile(0)))
	if err != nil || !strings.HasPrefix(string(body), `{"commitInfo":`) || !strings.Contains(string(body), `"engineInfo":"Test/1"`) {
		t.Errorf("%s, %v", body, err)
	}
	again := newest(t, open(t, b, "deep/table", Options{}))
	if state(again) != state(s) || again.Metadata.CheckpointInterval() != 5 || again.Metadata.Name != "n" {
		t.Errorf("%s\nnot\n%s", state(again), state(s))
	}
	if _, err := open(t, b, "deep/table", Options{}).Create(t.Context(), *s.Metadata, "CREATE TABLE"); !errors.Is(err, ErrTableExists) {
		t.Errorf("a second time: %v", err)
	}
	if name, err := tb.Object("p=1/x.parquet"); err != nil || name != "deep/table/p=1/x.parquet" {
		t.Errorf("%s, %v", name, err)
	}
	for _, path := range []string{"s3://other/x", "/x", "../x", ""} {
		if name, err := tb.Object(path); err == nil {
			t.Errorf("%q is %s", path, name)
		}
	}
	for want, m := range map[string]Metadata{
		"needs a schema":         {},
		"a column at least":      {Schema: schema.New()},
		"no partition column q":  {Schema: idColumn, PartitionColumns: []string{"q"}},
		"no partition column ID": {Schema: all(t), PartitionColumns: []string{"ID"}},
		"named twice":            {Schema: all(t), PartitionColumns: []string{"p", "p"}},
		"all columns":            {Schema: idColumn, PartitionColumns: []string{"id"}},
		"no interval":            {Schema: idColumn, Configuration: map[string]string{PropFileRetention: "1 month"}},
		"change data feed":       {Schema: idColumn, Configuration: map[string]string{"delta.enableChangeDataFeed": "true"}},
	} {
		if _, err := open(t, b, "other", Options{}).Create(t.Context(), m, "CREATE TABLE"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
}

func all(t *testing.T) *schema.Struct {
	t.Helper()
	s, err := idColumn.With(schema.Column("p", schema.String))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Of several that create a table at once, one does.
func TestCreateRace(t *testing.T) {
	t.Parallel()
	b, _ := folder(t)
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		tb := open(t, b, "", Options{})
		wg.Go(func() { _, errs[i] = tb.Create(context.Background(), Metadata{Schema: idColumn}, "CREATE TABLE") })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, ErrTableExists) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d have created it", won)
	}
}

// Every pair of what a winner does and what a loser has read.
func TestConflicts(t *testing.T) {
	t.Parallel()
	grown := func(s *Snapshot) *Metadata {
		m := s.Metadata.Clone()
		m.Configuration["delta.x"] = "y"
		return m
	}
	old := func(s *Snapshot, path string, dataChange bool) []*Remove {
		a, ok := s.File(path)
		if !ok {
			t.Fatal("no", path)
		}
		return []*Remove{a.Remove(time.Now(), dataChange)}
	}
	moved := func(name string) []*Add {
		out := files(name)
		out[0].DataChange = false
		return out
	}
	type do = func(s *Snapshot) Change
	appends := func(s *Snapshot) Change { return Change{Add: files("w")} }
	deletes := func(s *Snapshot) Change { return Change{Remove: old(s, "a", true)} }
	compacts := func(s *Snapshot) Change {
		return Change{Operation: "OPTIMIZE", Remove: old(s, "a", false), Add: moved("w")}
	}
	rewrites := func(s *Snapshot) Change { return Change{ReadsAll: true, Remove: old(s, "b", true), Add: files("w")} }
	streams := func(s *Snapshot) Change { return Change{Add: files("w"), Txns: []Txn{{AppID: "app", Version: 2}}} }
	others := func(s *Snapshot) Change { return Change{Add: files("w"), Txns: []Txn{{AppID: "other", Version: 2}}} }
	alters := func(s *Snapshot) Change { return Change{Metadata: grown(s)} }
	upgrades := func(s *Snapshot) Change {
		return Change{Protocol: &Protocol{MinReader: 1, MinWriter: 7, WriterFeatures: []string{"appendOnly"}}}
	}

	blind := func(s *Snapshot) Change { return Change{Add: files("m")} }
	readA := func(s *Snapshot) Change { return Change{Add: files("m"), ReadsFiles: []string{"a"}} }
	readAll := func(s *Snapshot) Change { return Change{Add: files("m"), ReadsAll: true} }
	removeA := func(s *Snapshot) Change { return Change{Remove: old(s, "a", true)} }
	compactA := func(s *Snapshot) Change { return Change{Remove: old(s, "a", false), Add: moved("m")} }
	compactAll := func(s *Snapshot) Change {
		return Change{Remove: append(old(s, "a", false), old(s, "b", false)...), Add: moved("m"), ReadsAll: true}
	}
	stream := func(s *Snapshot) Change { return Change{Add: files("m"), Txns: []Txn{{AppID: "app", Version: 3}}} }
	readTxn := func(s *Snapshot) Change { return Change{Add: files("m"), ReadsTxns: []string{"app"}} }
	same := func(s *Snapshot) Change { return Change{Add: files("w")} }
	alter := func(s *Snapshot) Change { return Change{Metadata: grown(s)} }

	for _, level := range []string{"WriteSerializable", "Serializable"} {
		strict := ConflictKind("")
		if level == "Serializable" {
			strict = ConflictRead
		}
		for i, tt := range []struct {
			winner, me do
			want       ConflictKind // "": both succeed
		}{
			{appends, blind, ""}, {appends, readA, ""}, {appends, readAll, strict}, {appends, removeA, ""}, {appends, compactA, ""},
			{appends, compactAll, ""}, {appends, stream, ""}, {appends, readTxn, ""}, {appends, same, ConflictBoth}, {appends, alter, ""},
			{deletes, blind, ""}, {deletes, readA, ConflictRemoved}, {deletes, readAll, ConflictRemoved}, {deletes, removeA, ConflictBoth},
			{deletes, compactA, ConflictBoth}, {deletes, stream, ""}, {deletes, alter, ""},
			{compacts, blind, ""}, {compacts, readA, ConflictRemoved}, {compacts, readAll, ""}, {compacts, removeA, ConflictBoth},
			{compacts, compactA, ConflictBoth}, {compacts, compactAll, ConflictBoth}, {compacts, stream, ""},
			{rewrites, blind, ""}, {rewrites, readA, ""}, {rewrites, readAll, ConflictRemoved}, {rewrites, removeA, ""}, {rewrites, compactAll, ConflictBoth},
			{streams, blind, ""}, {streams, stream, ConflictTxn}, {streams, readTxn, ConflictTxn}, {streams, removeA, ""},
			{others, stream, ""}, {others, readTxn, ""},
			{alters, blind, ConflictMetadata}, {alters, stream, ConflictMetadata}, {alters, compactA, ConflictMetadata}, {alters, alter, ConflictMetadata},
			{upgrades, blind, ConflictProtocol}, {upgrades, alter, ConflictProtocol},
		} {
			t.Run(fmt.Sprint(level, i), func(t *testing.T) {
				t.Parallel()
				b, _ := folder(t)
				winner, me := open(t, b, "", Options{NoCheckpoints: true}), open(t, b, "", Options{NoCheckpoints: true})
				s := commitTo(t, winner, created(t, winner, PropIsolationLevel, level), Change{Add: files("a", "b")})
				base := newest(t, me)
				ch := tt.me(base)
				ch.Operation = "ME"
				won := tt.winner(s)
				if won.Operation == "" {
					won.Operation = "WINNER"
				}
				s = commitTo(t, winner, s, won)
				got, err := me.Commit(t.Context(), base, ch)
				if tt.want == "" {
					if err != nil || got.Version != 3 {
						t.Fatalf("%v, %v", got, err)
					}
					if again := newest(t, open(t, b, "", Options{})); state(again) != state(got) {
						t.Errorf("%s\nnot\n%s", state(again), state(got))
					}
					return
				}
				conflict, ok := errors.AsType[*ConflictError](err)
				if !ok || conflict.Kind != tt.want || conflict.Winner != s.Version || conflict.Info.Operation != won.Operation {
					t.Fatalf("%v; want %s", err, tt.want)
				}
				if again := newest(t, me); state(again) != state(s) {
					t.Error("the loser has changed something")
				}
				// The same if the winner is known before the attempt.
				if _, err := me.Commit(t.Context(), base, ch); !errors.As(err, &conflict) || conflict.Kind != tt.want {
					t.Errorf("%v; want %s", err, tt.want)
				}
			})
		}
	}
}

func TestChangesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	b, _ := folder(t)
	tb := open(t, b, "", Options{})
	s, err := tb.Create(t.Context(), Metadata{Schema: all(t), PartitionColumns: []string{"p"}, Configuration: map[string]string{PropAppendOnly: "true"}}, "CREATE TABLE")
	if err != nil {
		t.Fatal(err)
	}
	in := func(path, p string) *Add {
		a := file(path)
		a.PartitionValues = map[string]string{"p": p}
		return a
	}
	s = commitTo(t, tb, s, Change{Add: []*Add{in("a", "1"), in("b", "")}})
	a, _ := s.File("a")
	other := s.Metadata.Clone()
	other.ID = "other"
	parted := s.Metadata.Clone()
	parted.PartitionColumns = nil
	feed := s.Metadata.Clone()
	feed.Configuration["delta.enableChangeDataFeed"] = "true"
	for want, ch := range map[string]Change{
		"named twice":          {Add: []*Add{in("x", "1"), in("x", "2")}},
		"no name":              {Add: []*Add{in("", "1")}},
		"is a part of":         {Add: []*Add{in("a", "1")}},
		"outside of it":        {Add: []*Add{in("s3://b/x", "1")}},
		"0 partition":          {Add: files("x")},
		"partition column p":   {Add: []*Add{{Path: "x", PartitionValues: map[string]string{"q": "1"}}}},
		"no part of":           {Remove: []*Remove{in("x", "1").Remove(time.Now(), false)}},
		"append-only":          {Remove: []*Remove{a.Remove(time.Now(), true)}},
		`"app" is named twice`: {Txns: []Txn{{AppID: "app"}, {AppID: "app"}}},
		`"" is named`:          {Txns: []Txn{{}}},
		"do not change":        {Metadata: other},
		"change data feed":     {Metadata: feed},
		"not go back":          {Protocol: &Protocol{MinReader: 1, MinWriter: 1}},
		"feature x":            {Protocol: &Protocol{MinReader: 1, MinWriter: 7, WriterFeatures: []string{"x"}}},
	} {
		if _, err := tb.Commit(t.Context(), s, ch); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
	if _, err := tb.Commit(t.Context(), s, Change{Metadata: parted}); err == nil || !strings.Contains(err.Error(), "do not change") {
		t.Errorf("%v", err)
	}
	// Moving rows is no change of them.
	s = commitTo(t, tb, s, Change{Operation: "OPTIMIZE", Remove: []*Remove{a.Remove(time.Now(), false)}})
	if got := names(newest(t, tb)); s.Version != 2 || !slices.Equal(got, []string{"b"}) {
		t.Errorf("%v", got)
	}
}

var errLost = errors.New("the answer was lost")

// Answers get lost, before and after what they answer to has happened.
func TestUnclearOutcomes(t *testing.T) {
	t.Parallel()
	lost := func() (blob.Info, error) { return blob.Info{}, connector.Retryable(errLost, 0) }
	for name, tt := range map[string]struct {
		answer func(n int, next func() (blob.Info, error)) (blob.Info, error)
		// unclear is whether Commit cannot tell, there whether it happened.
		unclear, there bool
	}{
		"written, answer lost": {func(_ int, next func() (blob.Info, error)) (blob.Info, error) { _, _ = next(); return lost() }, false, true},
		"not written once": {func(n int, next func() (blob.Info, error)) (blob.Info, error) {
			if n == 0 {
				return lost()
			}
			return next()
		}, false, true},
		"written, exists": {func(_ int, next func() (blob.Info, error)) (blob.Info, error) {
			_, _ = next()
			return blob.Info{}, blob.ErrExists
		}, false, true},
		"down": {func(int, func() (blob.Info, error)) (blob.Info, error) { return lost() }, true, false},
		"late": {func(n int, next func() (blob.Info, error)) (blob.Info, error) {
			if n == putAttempts-1 {
				_, _ = next()
			}
			return lost()
		}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := folder(t)
			h := &hooked{Bucket: b}
			tb := open(t, h, "", Options{})
			s := created(t, tb)
			n := 0
			h.putNew = func(_ string, next func() (blob.Info, error)) (blob.Info, error) {
				n++
				return tt.answer(n-1, next)
			}
			got, err := tb.Commit(t.Context(), s, Change{Operation: "WRITE", Add: files("a")})
			if tt.unclear {
				u, ok := errors.AsType[*UnclearError](err)
				if !ok || u.Version != 1 || u.TxnID == "" || connector.ActionOf(err) != connector.Retry || !errors.Is(err, errLost) {
					t.Fatalf("%v, %v", got, err)
				}
			} else if err != nil || got.Version != 1 || got.NumFiles() != 1 {
				t.Fatalf("%v, %v", got, err)
			}
			h.mu.Lock()
			h.putNew = nil
			h.mu.Unlock()
			if again := newest(t, tb); (again.NumFiles() == 1) != tt.there {
				t.Errorf("%v", again)
			}
			if again := commitTo(t, tb, newest(t, tb), Change{Add: files("b")}); tt.there != (again.Version == 2) {
				t.Errorf("%v", again)
			}
		})
	}
}

// What is refused is neither repeated nor called unclear.
func TestRefusedCommits(t *testing.T) {
	t.Parallel()
	b, _ := folder(t)
	h := &hooked{Bucket: b}
	tb := open(t, h, "", Options{})
	s := created(t, tb)
	denied := &connector.Hinted{Hint: "ask for the right", Err: errors.New("no right")}
	n := 0
	h.putNew = func(string, func() (blob.Info, error)) (blob.Info, error) { n++; return blob.Info{}, denied }
	if _, err := tb.Commit(t.Context(), s, Change{Add: files("a")}); !errors.Is(err, denied) || n != 1 || connector.ActionOf(err) != connector.Fail {
		t.Errorf("%v after %d attempts", err, n)
	}
	// A context that ends: unclear, and says why.
	ctx, cancel := context.WithCancel(t.Context())
	h.putNew = func(string, func() (blob.Info, error)) (blob.Info, error) { cancel(); return blob.Info{}, ctx.Err() }
	if _, err := tb.Commit(ctx, s, Change{Add: files("a")}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	// Another writer's torn object in our way is not passed over.
	h.putNew = func(_ string, next func() (blob.Info, error)) (blob.Info, error) { return next() }
	if _, err := b.Put(t.Context(), "_delta_log/"+commitFile(1), strings.NewReader(`{"add":`)); err != nil {
		t.Fatal(err)
	}
	_, err := tb.Commit(t.Context(), s, Change{Add: files("a")})
	if broken, ok := errors.AsType[*CorruptError](err); !ok || filepath.Base(broken.Object) != commitFile(1) {
		t.Errorf("%v", err)
	}
}

// Deletion vectors that others put on files while a commit is on its way are not
// taken for files without.
func TestVectorsAppear(t *testing.T) {
	t.Parallel()
	b, dir := folder(t)
	tb, other := open(t, b, "", Options{}), open(t, b, "", Options{})
	s := commitTo(t, tb, created(t, tb), Change{Add: files("a")})
	newest(t, other)
	put(t, dir, commitFile(2), `{"commitInfo":{}}`+"\n"+`{"remove":{"path":"a","dataChange":true}}`+"\n"+
		`{"add":{"path":"a","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true,"deletionVector":{"storageType":"u","pathOrInlineDv":"x","offset":1,"sizeInBytes":3,"cardinality":1}}}`)
	for range 2 {
		if got, err := tb.Commit(t.Context(), s, Change{Add: files("b")}); err == nil || !strings.Contains(err.Error(), "deletion vectors") {
			t.Errorf("%v, %v", got, err)
		}
	}
	_, err := other.Snapshot(t.Context())
	if _, ok := errors.AsType[*UnsupportedError](err); !ok {
		t.Errorf("%v", err)
	}
	if _, err := other.Commit(t.Context(), s, Change{Add: files("b")}); err == nil {
		t.Error("a commit after a vector")
	}
	// Once the rows are written anew, all is well.
	put(t, dir, commitFile(3), `{"remove":{"path":"a","dataChange":false,"deletionVector":{"storageType":"u","pathOrInlineDv":"x","offset":1}}}`+"\n"+
		strings.Replace(someAdd, `"a"`, `"c"`, 1))
	if s := newest(t, other); !slices.Equal(names(s), []string{"c"}) {
		t.Errorf("%v", names(s))
	}
}

// A checkpoint that fails is made up for by the next, and readers do without.
func TestCheckpointsOfCommits(t *testing.T) {
	t.Parallel()
	b, dir := folder(t)
	h := &hooked{Bucket: b}
	failed := false
	h.putNew = func(name string, next func() (blob.Info, error)) (blob.Info, error) {
		if filepath.Base(name) == checkpointFile(5) {
			failed = true
			return blob.Info{}, connector.Retryable(errLost, 0)
		}
		return next()
	}
	tb := Open(h, "", Options{})
	s := created(t, tb, PropCheckpointInterval, "5")
	for i := range 12 {
		s = commitTo(t, tb, s, Change{Add: files(fmt.Sprint("f", i))})
		tb.background.Wait()
	}
	if err := tb.Close(t.Context()); err != nil || !failed {
		t.Fatal(err, failed)
	}
	found, err := filepath.Glob(filepath.Join(dir, "_delta_log", "*.checkpoint.parquet"))
	if err != nil || len(found) != 1 || filepath.Base(found[0]) != checkpointFile(10) {
		t.Errorf("%v, %v", found, err)
	}
	body, err := os.ReadFile(filepath.Join(dir, "_delta_log", "_last_checkpoint"))
	if err != nil || !strings.HasPrefix(string(body), `{"version":10,"size":12,"sizeInBytes":`) || !strings.HasSuffix(string(body), `,"numOfAddFiles":10}`) {
		t.Errorf("%s, %v", body, err)
	}
	h2 := &hooked{Bucket: b}
	again := newest(t, open(t, h2, "", Options{}))
	if state(again) != state(s) || h2.count("Get 0000000000000000000") != 0 || again.checkpoint != 10 {
		t.Errorf("%v from %v", again, h2.calls)
	}
	// After Close nothing is started any more.
	for i := range 4 {
		s = commitTo(t, tb, s, Change{Add: files(fmt.Sprint("g", i))})
	}
	if _, err := os.Stat(filepath.Join(dir, "_delta_log", checkpointFile(15))); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
}

// Close does not wait longer than its context.
func TestCloseGivesUp(t *testing.T) {
	t.Parallel()
	b, _ := folder(t)
	h := &hooked{Bucket: b}
	begun := make(chan struct{})
	tb := Open(&slow{hooked: h, begun: begun}, "", Options{})
	s := created(t, tb, PropCheckpointInterval, "1")
	commitTo(t, tb, s, Change{Add: files("a")})
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tb.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// slow never ends writing a checkpoint, unless its context ends.
type slow struct {
	*hooked
	begun chan struct{}
}

func (s *slow) PutNew(ctx context.Context, name string, body io.Reader) (blob.Info, error) {
	if strings.HasSuffix(name, ".parquet") {
		close(s.begun)
		<-ctx.Done()
		return blob.Info{}, ctx.Err()
	}
	return s.hooked.PutNew(ctx, name, body)
}

func TestProtocols(t *testing.T) {
	t.Parallel()
	with := func(config ...string) *Metadata {
		m := &Metadata{Schema: idColumn, Configuration: map[string]string{}}
		for i := 0; i < len(config); i += 2 {
			m.Configuration[config[i]] = config[i+1]
		}
		return m
	}
	column := func(key string) *Metadata {
		return &Metadata{Schema: schema.New(schema.Column("c", schema.New(schema.Column("x", schema.Long).WithMetadata(key, "v"))))}
	}
	features := func(names ...string) Protocol {
		return Protocol{MinReader: 3, MinWriter: 7, ReaderFeatures: names, WriterFeatures: names}
	}
	writes := func(names ...string) Protocol { return Protocol{MinReader: 1, MinWriter: 7, WriterFeatures: names} }
	for _, tt := range []struct {
		p           Protocol
		m           *Metadata
		read, write string
	}{
		{Protocol{MinReader: 1, MinWriter: 1}, with(), "", ""},
		{Protocol{MinReader: 1, MinWriter: 2}, with(PropAppendOnly, "true"), "", ""},
		{Protocol{MinReader: 1, MinWriter: 6}, with(), "", ""},
		{Protocol{MinReader: 2, MinWriter: 5}, with("delta.columnMapping.mode", "none"), "", ""},
		{Protocol{MinReader: 2, MinWriter: 5}, with("delta.columnMapping.mode", "id"), "mapped", "mapped"},
		{Protocol{MinReader: 4, MinWriter: 7}, with(), "version 4", ""},
		{Protocol{MinReader: 1, MinWriter: 8}, with(), "", "version 8"},
		{Protocol{MinReader: 1, MinWriter: 3}, with("delta.constraints.c", "x > 0"), "", "CHECK constraint (c)"},
		{Protocol{MinReader: 1, MinWriter: 4}, with("delta.enableChangeDataFeed", "true"), "", "change data feed"},
		{Protocol{MinReader: 1, MinWriter: 2}, with("delta.enableChangeDataFeed", "true"), "", "change data feed"},
		{Protocol{MinReader: 1, MinWriter: 2}, column("delta.invariants"), "", "column c.x has an invariant"},
		{Protocol{MinReader: 1, MinWriter: 4}, column("delta.generationExpression"), "", "column c.x is generated"},
		{Protocol{MinReader: 1, MinWriter: 6}, column("delta.identity.start"), "", "column c.x is an identity"},
		{writes("appendOnly", "invariants"), with(), "", ""},
		{writes("appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns", "identityColumns", "columnMapping"), with(), "", ""},
		{writes("invariants"), column("delta.invariants"), "", "invariant"},
		{writes("domainMetadata", "allowColumnDefaults"), column("CURRENT_DEFAULT"), "", "default value"},
		{writes("rowTracking"), with(), "", "rowTracking"},
		{writes("clustering"), with(), "", "clustering"},
		{writes("icebergCompatV1"), with(), "", "icebergCompatV1"},
		{writes("inCommitTimestamp"), with("delta.enableInCommitTimestamps", "true"), "", "their own times"},
		{features("deletionVectors", "vacuumProtocolCheck", "variantType"), with("delta.enableDeletionVectors", "true"), "", ""},
		{features("v2Checkpoint"), with(), "v2Checkpoint", "v2Checkpoint"},
		{features("catalogManaged"), with(), "catalogManaged", "catalogManaged"},
		{features("timestampNtz"), with(), "", ""},
		{features("timestampNtz"), &Metadata{Schema: schema.New(schema.Column("a", &schema.Array{Element: schema.TimestampNTZ}))}, "without a zone", ""},
		{features("typeWidening"), column("delta.typeChanges"), "changed its type", "changed its type"},
	} {
		read, write := cannotRead(tt.p, tt.m), cannotWrite(tt.p, tt.m)
		if (read == "") != (tt.read == "") || !strings.Contains(read, tt.read) {
			t.Errorf("%+v %v: read %q, want %q", tt.p, tt.m.Configuration, read, tt.read)
		}
		if (write == "") != (tt.write == "") || !strings.Contains(write, tt.write) {
			t.Errorf("%+v %v: write %q, want %q", tt.p, tt.m.Configuration, write, tt.write)
		}
	}
	p := features("deletionVectors")
	if !p.Has("deletionVectors") || p.Has("rowTracking") || !(Protocol{MinReader: 1, MinWriter: 2}).Has("appendOnly") {
		t.Error("Has")
	}
}
