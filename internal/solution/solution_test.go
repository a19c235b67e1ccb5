package solution

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"millrace/internal/solution/settings"
)

func TestLayersOverrideInOrder(t *testing.T) {
	t.Parallel()
	l := testLoader(good)
	tests := map[string]struct {
		o          Options
		partitions int
		origin     string
	}{
		"file":   {Options{}, 4, "solution.yaml:11"},
		"scale":  {Options{Scale: 10}, 16, "-t 10"},
		"--set":  {Options{Scale: 10, Set: []Override{{"ingest.partitions", "7", "--set"}}}, 7, "--set"},
		"flag":   {Options{Set: []Override{{"ingest.partitions", "7", "--set"}}, Flags: []Override{{"ingest.partitions", "9", "--partitions"}}}, 9, "--partitions"},
		"last":   {Options{Set: []Override{{"ingest.partitions", "7", "--set"}, {"ingest.partitions", "8", "--set"}}}, 8, "--set"},
		"number": {Options{Set: []Override{{"ingest.partitions", "1e2", "--set"}}}, 100, "--set"},
	}
	for name, tt := range tests {
		s, err := l.Load("demo", tt.o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := s.Ingest.(*logConfig).Partitions; got != tt.partitions {
			t.Errorf("%s: partitions = %d, want %d", name, got, tt.partitions)
		}
		if got := s.Origin("ingest.partitions"); got != tt.origin {
			t.Errorf("%s: origin %q, want %q", name, got, tt.origin)
		}
	}
}

func TestEnvironmentStandsBetweenScaleAndSet(t *testing.T) {
	t.Parallel()
	l := testLoader(good)
	env := environ("KAFKA_BROKERS", "a:1, b:2", "DATABASE_URL", "postgres://u:pw@h/db")
	s, err := l.Load("demo", Options{Getenv: env})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Ingest.(*logConfig).Brokers; len(got) != 2 || got[1] != "b:2" {
		t.Errorf("brokers = %q", got)
	}
	if got := s.Origin("serve.url"); got != "environment DATABASE_URL" {
		t.Errorf("origin of serve.url = %q", got)
	}
	s, err = l.Load("demo", Options{Getenv: env, Set: []Override{{"serve.url", "duckdb:x", "--set"}, {"ingest.brokers", "[c:3]", "--set"}}})
	if err != nil {
		// A list from --set may be written with or without brackets.
		t.Fatal(err)
	}
	if got := s.Serve.(*storeConfig).URL; got != "duckdb:x" {
		t.Errorf("url = %q", got)
	}
	if got := s.Ingest.(*logConfig).Brokers; len(got) != 1 || got[0] != "c:3" {
		t.Errorf("brokers = %q", got)
	}
}

func TestEverythingOfTheFileArrives(t *testing.T) {
	t.Parallel()
	s, err := testLoader(good).Load("demo", Options{Scale: 10})
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "demo" || s.Title != "Demo" || s.Engine != "databricks" || s.ServeKind != "sqldb" || s.ProcessKind != "relay" {
		t.Errorf("header: %+v", s)
	}
	if got := s.Process.(*relayConfig).Dedupe.Horizon.D(); got != 10*time.Minute {
		t.Errorf("horizon = %v", got)
	}
	v := s.Verify.(*verifyConfig)
	if len(v.Thresholds) != 2 || v.Thresholds[1].When != "paced" || v.Thresholds[0].Check != "missing == 0" {
		t.Errorf("thresholds = %+v", v.Thresholds)
	}
	sim := s.Simulate.(*simConfig)
	if sim.Rate != 10000 || sim.Devices != 500 {
		t.Errorf("simulate = %+v", sim)
	}
	if got := s.Serve.(*storeConfig).Memory; got != 1<<30 {
		t.Errorf("memory = %v", got)
	}
	if s.Readme() != "# Demo\n" {
		t.Errorf("readme = %q", s.Readme())
	}
}

func TestProblemsSayWhereAndWhat(t *testing.T) {
	t.Parallel()
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("no %q in the good file", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	tests := map[string]struct {
		yaml string
		o    Options
		want []string
	}{
		"typo":          {replace("  partitions: 4", "  partitons: 4"), Options{}, []string{"solution.yaml:11:3: unknown key `partitons` in ingest; did you mean `partitions`?"}},
		"far":           {replace("  partitions: 4", "  zzzzzzzzz: 4"), Options{}, []string{"unknown key `zzzzzzzzz` in ingest; known: kind, topic, partitions"}},
		"top":           {replace("engine:", "engin:"), Options{}, []string{"solution.yaml:5:1: unknown key `engin`; did you mean `engine`?"}},
		"type":          {replace("  partitions: 4", "  partitions: four"), Options{}, []string{"solution.yaml:11:15: ingest.partitions must be a whole number, not `four`"}},
		"fraction":      {replace("  partitions: 4", "  partitions: 4.5"), Options{}, []string{"ingest.partitions must be a whole number, not `4.5`"}},
		"quoted":        {replace("  partitions: 4", "  partitions: \"4\""), Options{}, []string{"must be a number, not text in quotes"}},
		"minimum":       {replace("  partitions: 4", "  partitions: 0"), Options{}, []string{"ingest.partitions must be at least 1, not `0`"}},
		"huge":          {replace("  partitions: 4", "  partitions: 99999999999999999999999999"), Options{}, []string{"must be a smaller whole number"}},
		"list":          {replace("  partitions: 4", "  partitions: [4]"), Options{}, []string{"ingest.partitions must be one value, not a list"}},
		"duration":      {replace("interval: 2s", "interval: 2"), Options{}, []string{"verify.interval: \"2\" is not a duration such as 250ms, 10s or 5m"}},
		"duration min":  {replace("  partitions: 4", "  timeout: 1ms"), Options{}, []string{"ingest.timeout must be at least 10ms, not `1ms`"}},
		"enum":          {replace("layout: columnstore", "layout: diagonal"), Options{}, []string{"solution.yaml:17:11: serve.layout must be one of columnstore, rowstore, not `diagonal`"}},
		"kind":          {replace("kind: kafka", "kind: kafak"), Options{}, []string{"solution.yaml:10:9: unknown kind `kafak` in ingest; did you mean `kafka`?"}},
		"no kind":       {replace("  kind: sqldb\n", ""), Options{}, []string{"serve needs `kind`: cosmosdb or sqldb"}},
		"nested":        {replace("{horizon: 10m}", "{horizn: 10m}"), Options{}, []string{"unknown key `horizn` in process.dedupe; did you mean `horizon`?"}},
		"in a list":     {replace("when: paced", "wen: paced"), Options{}, []string{"unknown key `wen` in verify.thresholds[1]; did you mean `when`?"}},
		"two at once":   {strings.Replace(replace("  partitions: 4", "  partitons: 4"), "layout: columnstore", "layuot: x", 1), Options{}, []string{"solution.yaml:11:3", "solution.yaml:17:3"}},
		"validate":      {replace("  partitions: 4", "  topic: bad"), Options{}, []string{"solution.yaml:11:10: ingest.topic: `bad` is not allowed", "ingest: all of it is wrong"}},
		"env":           {good, Options{Getenv: environ("SQL_URL", "x", "KAFKA_BROKERS", "y"), Set: []Override{{"ingest.topic", "bad", "--set"}}}, []string{"--set: ingest.topic: `bad` is not allowed", "ingest: all of it is wrong"}},
		"set typo":      {good, Options{Set: []Override{{"ingest.partitons", "4", "--set"}}}, []string{"--set: there is no option `ingest.partitons`; did you mean `ingest.partitions`?"}},
		"set short":     {good, Options{Set: []Override{{"partitions", "4", "--set"}}}, []string{"did you mean `ingest.partitions`?"}},
		"set section":   {good, Options{Set: []Override{{"ingest", "4", "--set"}}}, []string{"ingest is a section; name one option in it, such as ingest.topic"}},
		"set too deep":  {good, Options{Set: []Override{{"ingest.topic.x", "4", "--set"}}}, []string{"ingest.topic holds one value"}},
		"set type":      {good, Options{Set: []Override{{"ingest.tls.on", "maybe", "--set"}}}, []string{"--set: ingest.tls.on must be true or false, not `maybe`"}},
		"set secret":    {good, Options{Set: []Override{{"ingest.password", "hush", "--set"}}}, []string{"ingest.password is a secret"}},
		"set kind":      {good, Options{Set: []Override{{"serve.kind", "sqdb", "--set"}}}, []string{"--set: unknown kind `sqdb` in serve; did you mean `sqldb`?"}},
		"scale":         {good, Options{Scale: 5}, []string{"-t 5: this solution has no such scale; it has 1, 10"}},
		"scale typo":    {replace("ingest.partitions: 16", "ingest.partitins: 16"), Options{}, []string{"solution.yaml:29:7: there is no option `ingest.partitins`; did you mean `ingest.partitions`?"}},
		"scale type":    {replace("ingest.partitions: 16", "ingest.partitions: many"), Options{Scale: 10}, []string{"ingest.partitions must be a whole number"}},
		"scale key":     {replace("  1: {rate", "  one: {rate"), Options{}, []string{"the key `one` in scales must be a whole number"}},
		"twice":         {good + "title: again\n", Options{}, []string{"title"}},
		"anchor":        {replace("title: Demo", "title: &a Demo"), Options{}, []string{"anchors (&) and aliases (*) are not supported"}},
		"tag":           {replace("title: Demo", "title: !!str Demo"), Options{}, []string{"tags (!) are not supported"}},
		"two documents": {good + "---\na: b\n", Options{}, []string{"one file holds one document"}},
		"syntax":        {replace("{horizon: 10m}", "{horizon: 10m"), Options{}, []string{"solution.yaml:"}},
		"list on top":   {"- a\n- b\n", Options{}, []string{"solution.yaml:1:1: the document must be a mapping"}},
		"empty":         {"", Options{}, []string{"`solution` is missing"}},
		"bad name":      {replace("solution: demo", "solution: De Mo"), Options{}, []string{"solution.yaml:2:11: `De Mo` is not a name"}},
		"binary":        {"a: \x00", Options{}, []string{"not UTF-8 text"}},
	}
	for name, tt := range tests {
		_, err := testLoader(tt.yaml).Load("demo", tt.o)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		var ps settings.Problems
		if !errors.As(err, &ps) {
			t.Errorf("%s: %T is not Problems", name, err)
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s:\n got %v\nwant %s", name, err, want)
			}
		}
		if len(tt.want) == 1 && len(ps) > 1 && name != "empty" && name != "list on top" {
			t.Errorf("%s: one mistake, %d problems:\n%v", name, len(ps), err)
		}
		if strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the secret is in the message: %v", name, err)
		}
	}
}

func TestOtherKindFromOutsideStartsFromItsDefaults(t *testing.T) {
	t.Parallel()
	s, err := testLoader(good).Load("demo", Options{Scale: 10, Set: []Override{{"serve.kind", "cosmosdb", "--set"}, {"serve.container", "c", "--set"}}})
	if err != nil {
		t.Fatal(err)
	}
	if s.ServeKind != "cosmosdb" || s.Serve.(*otherStore).Container != "c" {
		t.Errorf("serve = %s %+v", s.ServeKind, s.Serve)
	}
}

func TestUnknownSolutionIsSuggested(t *testing.T) {
	t.Parallel()
	_, err := testLoader(good).Load("hdinsight-kafak", Options{})
	if err == nil || !strings.Contains(err.Error(), "no solution `hdinsight-kafak`; did you mean `hdinsight-kafka`?") {
		t.Errorf("got %v", err)
	}
	var ps settings.Problems
	if errors.As(err, &ps) && ps[0].Hint != "`millrace list` shows all" {
		t.Errorf("hint = %q", ps[0].Hint)
	}
	for _, ref := range []string{"", ".", "..", "../demo", "/nowhere", "eventhubs-functions", "a/../demo", "x.yaml"} {
		if _, err := testLoader(good).Load(ref, Options{}); err == nil {
			t.Errorf("%q: no error", ref)
		}
	}
}

func TestFolderOfOnesOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{dir, filepath.Join(dir, FileName)} {
		s, err := testLoader("").Load(ref, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if s.Location != dir || s.Name != "demo" {
			t.Errorf("%s: %q at %q", ref, s.Name, s.Location)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, FileName), []byte("titel: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := testLoader("").Load(dir, Options{})
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, FileName)+":1:1: unknown key `titel`") {
		t.Errorf("got %v", err)
	}
}

func TestPrintedConfigurationNamesOriginsAndHidesSecrets(t *testing.T) {
	t.Parallel()
	s, err := testLoader(good).Load("demo", Options{Scale: 10,
		Getenv: environ("KAFKA_PASSWORD", "hush", "SQL_URL", "postgres://u:hush@h/db?x=1"),
		Set:    []Override{{"ingest.tls.on", "true", "--set"}}})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := s.PrintConfig(&b); err != nil {
		t.Fatal(err)
	}
	out := b.String()
	if strings.Contains(out, "hush") {
		t.Errorf("a secret is shown:\n%s", out)
	}
	squeezed := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{
		"partitions: 16 # -t 10", "topic: telemetry # default", `password: "***" # environment KAFKA_PASSWORD`,
		`url: "postgres://u:***@h/db?x=1" # environment SQL_URL`, "on: true # --set", "devices: 500 # solution.yaml:8",
		"rate: 10000 # -t 10", "memory: 1GB # -t 10", "kind: kafka # solution.yaml:10", "horizon: 10m0s # solution.yaml:14",
		`- check: "missing == 0" # solution.yaml:22`, "when: paced # solution.yaml:23",
	} {
		if !strings.Contains(squeezed, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
}

// The printed configuration is a solution file that means the same.
func TestPrintedConfigurationReadsBack(t *testing.T) {
	t.Parallel()
	sets := []Override{{"ingest.topic", "yes", "--set"}, {"simulate.labels", `{a b: "x: #y", "1": "2", é: "\u0007\n"}`, "--set"},
		{"ingest.tls.ca", "  /a b\\c'\"", "--set"}, {"ingest.brokers", `["[::1]:9", "0x10", "1e3", "null", "- a"]`, "--set"}}
	first, err := testLoader(good).Load("demo", Options{Scale: 10, Set: sets})
	if err != nil {
		t.Fatal(err)
	}
	var a, b bytes.Buffer
	if err := first.PrintConfig(&a); err != nil {
		t.Fatal(err)
	}
	second, err := testLoader(a.String()).Load("demo", Options{})
	if err != nil {
		t.Fatalf("%v\n%s", err, a.String())
	}
	for name, pair := range map[string][2]any{"ingest": {first.Ingest, second.Ingest}, "serve": {first.Serve, second.Serve},
		"simulate": {first.Simulate, second.Simulate}, "verify": {first.Verify, second.Verify}, "process": {first.Process, second.Process}} {
		x, y := asJSON(t, pair[0]), asJSON(t, pair[1])
		if x != y {
			t.Errorf("%s changed:\n%s\n%s\n%s", name, x, y, a.String())
		}
	}
	if err := second.PrintConfig(&b); err != nil {
		t.Fatal(err)
	}
	if strip(a.String()) != strip(b.String()) {
		t.Errorf("printed again it differs:\n%s\n%s", a.String(), b.String())
	}
}

func strip(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if j := strings.LastIndex(l, "  # "); j >= 0 {
			lines[i] = strings.TrimRight(l[:j], " ")
		}
	}
	return strings.Join(lines, "\n")
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSchemaAcceptsWhatTheLoaderAccepts(t *testing.T) {
	t.Parallel()
	schema := compile(t, testRegistry())
	check := func(yaml string) error {
		doc, err := settings.Parse("x", []byte(yaml))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(doc.Any())
	}
	if err := check(good); err != nil {
		t.Errorf("the good file: %v", err)
	}
	for _, bad := range []string{"  partitons: 4", "  partitions: 0", "  partitions: four", "  brokers: 7", "  tls: {of: true}"} {
		if err := check(strings.Replace(good, "  partitions: 4", bad, 1)); err == nil {
			t.Errorf("the schema accepts %q", bad)
		}
	}
	if err := check(strings.Replace(good, "layout: columnstore", "layout: x", 1)); err == nil {
		t.Error("the schema accepts a layout that is not in the enum")
	}
}

func compile(t *testing.T, r Registry) *jsonschema.Schema {
	t.Helper()
	text, err := json.Marshal(r.Schema())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestListNeedsNoRegistry(t *testing.T) {
	t.Parallel()
	l := testLoader(good)
	l.Registry = Registry{}
	list, err := l.List()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Name != "demo" || list[0].Summary != "From here to there." || list[1].Name != "hdinsight-kafka" {
		t.Errorf("list = %+v", list)
	}
}

// The loader answers every text with a solution or with Problems, quickly.
func FuzzLoad(f *testing.F) {
	f.Add(good, "ingest.partitions=4", 10)
	f.Add("a: [[[[", "simulate.labels={a: b}", 0)
	f.Add("a: &a [*a,*a]\nb: &b [*a,*a]", "verify.thresholds=[{check: x}]", 1)
	f.Add("solution: &x\n  <<: *x", "=", 0)
	f.Add(strings.Repeat("- ", 5000), "scales={1: {rate: 1}}", 1)
	f.Add(strings.Repeat("{a: ", 3000), "scales.1={rate: 1e999}", 1)
	f.Add("? [a]\n: b\n? - c\n", "ingest=x", -1)
	f.Add("a: |\n  b\n c: >-\n d", "ingest.kind=kafka", 1)
	f.Add("scales: {1: {set: {serve.kind: [a]}}}", "ingest.brokers=a,b", 1)
	f.Fuzz(func(t *testing.T, yaml, set string, n int) {
		o := Options{Scale: n, Getenv: environ("KAFKA_BROKERS", set, "SQL_URL", yaml)}
		if s, err := ParseSet(set); err == nil {
			o.Set = []Override{s}
		}
		s, err := testLoader(yaml).Load("demo", o)
		if err != nil {
			var ps settings.Problems
			if !errors.As(err, &ps) || len(ps) == 0 || err.Error() == "" {
				t.Fatalf("%T is not a list of problems: %v", err, err)
			}
			return
		}
		var b bytes.Buffer
		if err := s.PrintConfig(&b); err != nil {
			t.Fatal(err)
		}
		if _, err := testLoader(b.String()).Load("demo", Options{}); err != nil {
			t.Fatalf("the printed configuration does not load: %v\n%s", err, b.String())
		}
	})
}
