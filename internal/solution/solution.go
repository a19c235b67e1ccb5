// Package solution is the model of a solution and its loader: a folder with
// solution.yaml, a README and its query or job files, either built into the
// program or of the user's own. It knows the sections of the file and the order
// in which defaults, file, scale, environment and flags override each other;
// which kinds of logs, processors and stores exist it is told in a Registry.
package solution

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"millrace/connector"
	"millrace/internal/solution/settings"
)

// FileName is the file that makes a folder a solution.
const FileName = "solution.yaml"

// Registry is the catalogue of what the sections of a solution can be. The
// functions return pointers to structs that hold the defaults and carry the
// tags of package settings. If such a struct has a method Validate() []error
// or Validate() error, loading calls it.
type Registry struct {
	// Ingest, Process and Serve map the names of kinds (`kind: kafka`) to
	// their configuration.
	Ingest  map[string]func() connector.LogConfig
	Process map[string]func() any
	Serve   map[string]func() connector.StoreConfig
	// Simulate, DeadLetters and Verify configure the sections that have one
	// kind only. A nil function leaves the section out of the file format.
	Simulate    func() any
	DeadLetters func() any
	Verify      func() any
}

// Solution is a loaded solution. Its configuration is complete: every default
// filled in, every override applied, every value validated.
type Solution struct {
	// Name is the solution's name in the catalogue.
	Name string
	// Title and Summary are for people; Engine is the engine of the real
	// architecture.
	Title, Summary, Engine string
	// Scale is the scale that was asked for, 0 if none.
	Scale int
	// Files is the solution's folder; Location names it for people.
	Files    fs.FS
	Location string

	// IngestKind, ProcessKind and ServeKind name the kinds chosen.
	IngestKind, ProcessKind, ServeKind string
	Ingest                             connector.LogConfig
	Serve                              connector.StoreConfig
	// Process, Simulate, DeadLetters and Verify are the pointers that the
	// Registry's functions returned, filled in. Nil if the Registry has no
	// such section.
	Process, Simulate, DeadLetters, Verify any

	tree *settings.Tree
}

// PrintConfig writes the whole resulting configuration as YAML, with a comment
// on each line saying where the value came from. Secrets are shown as ***.
func (s *Solution) PrintConfig(w io.Writer) error { return s.tree.Print(w) }

// Origin says where the option at path ("ingest.brokers") came from.
func (s *Solution) Origin(path string) string { return s.tree.Origin(path).String() }

// Options lists the paths that --set takes.
func (s *Solution) Options() []string { return s.tree.Paths() }

// Readme returns the solution's page, "" if it has none.
func (s *Solution) Readme() string {
	b, err := fs.ReadFile(s.Files, "README.md")
	if err != nil {
		return ""
	}
	return string(b)
}

// header is the part of solution.yaml that every solution has.
type header struct {
	Solution string        `yaml:"solution" required:"true" doc:"the solution's name: lower-case letters, digits and dashes"`
	Title    string        `yaml:"title" doc:"the name for people"`
	Summary  string        `yaml:"summary" doc:"one sentence: what goes where"`
	Engine   string        `yaml:"engine" doc:"the engine of the real architecture; the embedded engine does its work locally"`
	Scales   map[int]scale `yaml:"scales" doc:"the known scales, in thousands of events a second, that -t chooses from"`
}

// scale is one entry of `scales`.
type scale struct {
	Rate float64                     `yaml:"rate" min:"0" doc:"events a second to simulate"`
	Set  map[string]settings.Literal `yaml:"set" doc:"options of this solution and their values at this scale, by path"`
}

// spec is the format of solution.yaml for this catalogue.
func (r Registry) spec() settings.Spec {
	top := settings.Member{New: func() any { return &header{} }}
	s := settings.Spec{top}
	if r.Simulate != nil {
		s = append(s, settings.Member{Key: "simulate", Doc: "stage 1: the devices and what they send", New: r.Simulate})
	}
	s = append(s,
		settings.Member{Key: "ingest", Doc: "stage 2: the log that devices send to", Kinds: kinds(r.Ingest)},
		settings.Member{Key: "process", Doc: "stage 3: what is done with each event", Kinds: kinds(r.Process)},
		settings.Member{Key: "serve", Doc: "stage 4: the store that results are served from", Kinds: kinds(r.Serve)})
	if r.DeadLetters != nil {
		s = append(s, settings.Member{Key: "deadLetters", Doc: "where inputs go that cannot be processed", New: r.DeadLetters})
	}
	if r.Verify != nil {
		s = append(s, settings.Member{Key: "verify", Doc: "stage 5: when and against what the outcome is checked", New: r.Verify})
	}
	return s
}

func kinds[T any](m map[string]func() T) map[string]func() any {
	out := make(map[string]func() any, len(m))
	for name, create := range m {
		out[name] = func() any { return create() }
	}
	return out
}

// Schema returns the JSON Schema (2020-12) of solution.yaml for this
// catalogue.
func (r Registry) Schema() map[string]any {
	return r.spec().Schema("https://millrace.invalid/solution.schema.json", "Millrace solution",
		"A streaming architecture as data: what is simulated, ingested, processed, served and verified.")
}

// validate calls v's Validate, if it has one, and places each problem at the
// option that its text names first ("partitions: must be at least 1").
func validate(tree *settings.Tree, section string) {
	var errs []error
	switch v := tree.Value(section).(type) {
	case interface{ Validate() []error }:
		errs = v.Validate()
	case interface{ Validate() error }:
		if err := v.Validate(); err != nil {
			errs = unjoin(err)
		}
	}
	for _, err := range errs {
		if err == nil {
			continue
		}
		path, rest, found := strings.Cut(err.Error(), ": ")
		if !found || strings.ContainsAny(path, " `\"'") {
			tree.Problem(section, "%s: %v", section, err)
			continue
		}
		tree.Problem(section+"."+path, "%s.%s: %s", section, path, rest)
	}
}

// unjoin takes errors.Join apart.
func unjoin(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}

// build decodes doc and applies the layers above it in their order.
func (r Registry) build(file string, doc *settings.Node, o Options) (*Solution, error) {
	spec := r.spec()
	picked := pickScale(doc, o.Scale)
	tree := settings.Decode(spec, doc, choices(doc, picked, o))
	if err := pickedError(doc, picked, file, o.Scale); err != nil {
		tree.Reject(err)
	}
	checkScales(tree, doc)
	applyScale(tree, picked, o.Scale)
	if o.Getenv != nil {
		tree.Env(o.Getenv)
	}
	for _, layer := range [][]Override{o.Set, o.Flags} {
		for _, s := range layer {
			if _, kind := kindOf(s.Path); !kind {
				tree.SetText(s.Path, s.Value, settings.Origin{Text: s.From})
			}
		}
	}
	tree.Required(file)
	tree.ResolveFiles()
	s := &Solution{tree: tree, Scale: o.Scale}
	s.Name, s.Title, s.Summary, s.Engine = text(doc, "solution"), text(doc, "title"), text(doc, "summary"), text(doc, "engine")
	if s.Name != "" && !validName(s.Name) {
		tree.Problem("solution", "`%s` is not a name for a solution: use lower-case letters, digits and dashes", s.Name)
	}
	if tree.Err() == nil {
		for _, section := range []string{"simulate", "ingest", "process", "serve", "deadLetters", "verify"} {
			validate(tree, section)
		}
	}
	if err := tree.Err(); err != nil {
		return nil, err
	}
	s.IngestKind, s.ProcessKind, s.ServeKind = tree.Kind("ingest"), tree.Kind("process"), tree.Kind("serve")
	s.Ingest = tree.Value("ingest").(connector.LogConfig)
	s.Serve = tree.Value("serve").(connector.StoreConfig)
	s.Process, s.Simulate = tree.Value("process"), tree.Value("simulate")
	s.DeadLetters, s.Verify = tree.Value("deadLetters"), tree.Value("verify")
	return s, nil
}

func text(doc *settings.Node, key string) string {
	if n := doc.Get(key); n != nil && n.Shape == settings.Scalar {
		return n.Text
	}
	return ""
}

func validName(s string) bool {
	for _, r := range s {
		if r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return false
		}
	}
	return !strings.HasPrefix(s, "-") && len(s) <= 80
}

// kindOf tells whether path chooses the kind of a section, and of which.
func kindOf(path string) (section string, ok bool) {
	section, ok = strings.CutSuffix(path, ".kind")
	return section, ok && slices.Contains([]string{"ingest", "process", "serve"}, section)
}

// choices collects the kinds that a scale or --set chooses, the latter last.
func choices(doc, picked *settings.Node, o Options) map[string]settings.Choice {
	chosen := map[string]settings.Choice{}
	if set := picked.Get("set"); set != nil {
		for _, k := range set.Keys {
			if section, ok := kindOf(k.Name); ok {
				chosen[section] = settings.Choice{Kind: k.Value.Text, Origin: settings.Origin{Text: scaleName(o.Scale)}}
			}
		}
	}
	for _, layer := range [][]Override{o.Set, o.Flags} {
		for _, s := range layer {
			if section, ok := kindOf(s.Path); ok {
				chosen[section] = settings.Choice{Kind: s.Value, Origin: settings.Origin{Text: s.From}}
			}
		}
	}
	return chosen
}

func scaleName(n int) string { return fmt.Sprintf("-t %d", n) }

// pickScale returns the scale's node in the document, nil if there is none.
func pickScale(doc *settings.Node, n int) *settings.Node {
	if n == 0 {
		return nil
	}
	return doc.Get("scales").Get(fmt.Sprint(n))
}

func pickedError(doc, picked *settings.Node, file string, n int) *settings.Problem {
	if n == 0 || picked != nil {
		return nil
	}
	var known []string
	if scales := doc.Get("scales"); scales != nil {
		for _, k := range scales.Keys {
			known = append(known, k.Name)
		}
	}
	p := &settings.Problem{Origin: settings.Origin{Text: scaleName(n)}, Text: "this solution has no such scale",
		Hint: "say --rate for any other rate"}
	if len(known) > 0 {
		p.Text += "; it has " + strings.Join(known, ", ")
	}
	return p
}

// checkScales looks for mistakes in the options of every scale, so that they
// show before somebody chooses it.
func checkScales(tree *settings.Tree, doc *settings.Node) {
	scales := doc.Get("scales")
	if scales == nil {
		return
	}
	for _, k := range scales.Keys {
		set := k.Value.Get("set")
		if set == nil {
			continue
		}
		for _, option := range set.Keys {
			section, _, _ := strings.Cut(option.Name, ".")
			if _, kind := kindOf(option.Name); kind || tree.Forced(section) {
				continue
			}
			n := *option.Value
			n.Origin = option.Origin
			tree.Check(option.Name, &n)
		}
	}
}

func applyScale(tree *settings.Tree, picked *settings.Node, n int) {
	if picked == nil || tree.Err() != nil {
		return // checkScales may have reported just what would be reported here
	}
	from := settings.Origin{Text: scaleName(n)}
	if rate := picked.Get("rate"); rate != nil && rate.Shape == settings.Scalar && tree.Value("simulate") != nil {
		tree.SetNode("simulate.rate", rate, from)
	}
	set := picked.Get("set")
	if set == nil {
		return
	}
	for _, option := range set.Keys {
		section, _, _ := strings.Cut(option.Name, ".")
		if _, kind := kindOf(option.Name); kind || tree.Forced(section) || !slices.Contains(tree.Paths(), option.Name) {
			continue // wrong paths have been reported by checkScales
		}
		tree.SetNode(option.Name, option.Value, from)
	}
}

// Names lists the kinds of the catalogue, for messages and tests.
func (r Registry) Names() (ingest, process, serve []string) {
	return slices.Sorted(maps.Keys(r.Ingest)), slices.Sorted(maps.Keys(r.Process)), slices.Sorted(maps.Keys(r.Serve))
}

// Option describes one option of the catalogue.
type Option = settings.Option

// Options lists every option of every section and kind of the catalogue.
func (r Registry) Options() []Option { return r.spec().Options() }
