package offline

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"millrace/process/streamanalytics/files"
	"millrace/process/streamanalytics/timing"
	"millrace/process/streamanalytics/value"
)

// FileOrder is the value of Options.Arrival for events that arrive in the order
// of their files.
const FileOrder = "FILE-ORDER"

// Options say how a query is run over files. The zero value is not ready for
// use; [Options.AddRunFlags] sets the defaults.
type Options struct {
	// Inputs and References are NAME=FILE[:FORMAT]. An input that is named
	// several times has several partitions.
	Inputs, References []string
	// PartitionKeys are NAME=COLUMN: the column by which an input's events are
	// put into partitions.
	PartitionKeys []string
	// Functions are files of JavaScript.
	Functions []string
	// Late and OutOfOrder are the tolerances, LatePolicy what becomes of events
	// beyond them: adjust or drop.
	Late, OutOfOrder time.Duration
	LatePolicy       string
	// Compatibility is 1.0, 1.1 or 1.2.
	Compatibility string
	// Arrival is "", FileOrder or the name of a field with the arrival time.
	Arrival string
	// Replay turns the late policy off.
	Replay bool
	// EmitEarly is how often windows that are still open give out provisional
	// rows, 0 for never.
	EmitEarly time.Duration
	// Start is the time before which no row is given out.
	Start string
	// DateFormat and TimeFormat are how {date} and {time} in the path of
	// reference data are written.
	DateFormat, TimeFormat string
	// Delimiter separates the values of CSV.
	Delimiter string
	// MaxState bounds the memory of the query's state in MB, 0 for no bound.
	MaxState int64
}

// Defaults of the options.
const (
	defaultCompatibility = "1.2"
	defaultMaxState      = 2048
)

// Defaults returns options as they are without any flag.
func Defaults() *Options {
	o := &Options{}
	o.AddRunFlags(pflag.NewFlagSet("", pflag.ContinueOnError))
	return o
}

// AddCheckFlags adds the flags that matter for checking a query.
func (o *Options) AddCheckFlags(f *pflag.FlagSet) {
	f.StringArrayVarP(&o.Inputs, "input", "i", nil, "an input: `NAME=FILE[:FORMAT]`, with json, csv, avro or parquet (default: by the file's suffix); several files are partitions; - is standard input")
	f.StringArrayVarP(&o.References, "reference", "r", nil, "reference data: `NAME=FILE[:FORMAT]`; with {date} and {time} in the path, snapshots")
	f.StringArrayVar(&o.PartitionKeys, "partition-key", nil, "`NAME=COLUMN`: the column by which events of an input are put into partitions; groups by it need not be brought together")
	f.StringArrayVar(&o.Functions, "udf", nil, "a `FILE` of JavaScript functions and aggregates, called as udf.NAME and uda.NAME")
	f.StringVar(&o.Compatibility, "compatibility", defaultCompatibility, "compatibility `LEVEL`: 1.0, 1.1 or 1.2")
}

// AddRunFlags adds all flags and sets their defaults.
func (o *Options) AddRunFlags(f *pflag.FlagSet) {
	o.AddCheckFlags(f)
	f.DurationVar(&o.Late, "late", 5*time.Second, "how late events may arrive, as a `DURATION`")
	f.DurationVar(&o.OutOfOrder, "out-of-order", 0, "how far events may be out of order, as a `DURATION`")
	f.StringVar(&o.LatePolicy, "late-policy", "adjust", "what becomes of late and of out-of-order events: adjust or drop")
	f.StringVar(&o.Arrival, "arrival", "", "when events arrive: the `FIELD` with the time, or FILE-ORDER (default: at their own time)")
	f.BoolVar(&o.Replay, "replay", false, "take events of any age: no late policy")
	f.DurationVar(&o.EmitEarly, "emit-early", 0, "give out provisional rows of open windows each time this `DURATION` has passed, and corrections later")
	f.StringVar(&o.Start, "start", "", "give out no rows before this `TIME`, such as 2026-01-02T15:04:05Z")
	f.StringVar(&o.DateFormat, "date-format", "", "`FORMAT` of {date} in paths of reference data (default YYYY/MM/DD)")
	f.StringVar(&o.TimeFormat, "time-format", "", "`FORMAT` of {time} in paths of reference data (default HH-mm)")
	f.StringVar(&o.Delimiter, "delimiter", "", "what separates the values of CSV: a `CHARACTER`, or tab (default a comma)")
	f.Int64Var(&o.MaxState, "max-state", defaultMaxState, "most `MB` of memory for windows, joins and other state; 0: no limit")
}

// settings are Options that have been read.
type settings struct {
	inputs, references []files.File
	level              value.Level
	mode               timing.Mode
	start              int64
	late, outOfOrder   int64
	emitEarly          int64
	maxState           int64
	path               []string // of the arrival field
}

func ticksOf(d time.Duration) int64 { return int64(d / 100) }

// read checks the options and reads what is text in them.
func (o *Options) read() (*settings, error) {
	s := &settings{late: ticksOf(o.Late), outOfOrder: ticksOf(o.OutOfOrder), emitEarly: ticksOf(o.EmitEarly), maxState: o.MaxState << 20}
	if s.maxState <= 0 {
		s.maxState = -1
	}
	var ok bool
	if s.level, ok = parseLevel(o.Compatibility); !ok {
		return nil, files.Misuse("", "--compatibility must be 1.0, 1.1 or 1.2, not %s", o.Compatibility)
	}
	var err error
	if s.mode, err = timing.ParseMode(strings.ToLower(o.LatePolicy)); err != nil {
		return nil, files.Misuse("", "--late-policy must be adjust or drop, not %s", o.LatePolicy)
	}
	if s.late > timing.MaxLate || s.late < 0 {
		return nil, files.Misuse("", "--late must be from 0s to 21 days (503h59m59s), not %s", o.Late)
	}
	if o.OutOfOrder < 0 {
		return nil, files.Misuse("", "--out-of-order must not be negative, as %s is", o.OutOfOrder)
	}
	if o.EmitEarly < 0 {
		return nil, files.Misuse("", "--emit-early must not be negative, as %s is", o.EmitEarly)
	}
	if o.Start != "" {
		if s.start, ok = value.ParseTime(o.Start); !ok {
			return nil, files.Misuse("for example: --start 2026-01-02T15:04:05Z", "--start must be a time in ISO 8601, not `%s`", o.Start)
		}
	}
	if o.Arrival != "" && !strings.EqualFold(o.Arrival, FileOrder) {
		s.path = strings.Split(o.Arrival, ".")
	}
	return s, o.readFiles(s)
}

// readFiles reads the files' names.
func (o *Options) readFiles(s *settings) error {
	delimiter, err := o.delimiter()
	if err != nil {
		return err
	}
	for _, list := range []struct {
		flag  string
		texts []string
		to    *[]files.File
	}{{"input", o.Inputs, &s.inputs}, {"reference", o.References, &s.references}} {
		for _, text := range list.texts {
			f, err := files.Parse(list.flag, text)
			if err != nil {
				return err
			}
			f.Delimiter = delimiter
			*list.to = append(*list.to, f)
		}
	}
	stdin := 0
	for _, f := range s.inputs {
		if f.Path == files.Stdin {
			stdin++
		}
	}
	if stdin > 1 {
		return files.Misuse("", "only one input can come from standard input")
	}
	for i, r := range s.references {
		if r.Path == files.Stdin {
			return files.Misuse("", "reference data can not come from standard input")
		}
		for _, other := range s.references[:i] {
			if strings.EqualFold(other.Name, r.Name) {
				return files.Misuse("", "there are two files for the reference data %s", r.Name)
			}
		}
		for _, in := range s.inputs {
			if strings.EqualFold(in.Name, r.Name) {
				return files.Misuse("", "%s is both an --input and a --reference", r.Name)
			}
		}
	}
	return nil
}

func (o *Options) delimiter() (rune, error) {
	switch r := []rune(o.Delimiter); {
	case len(r) == 0:
		return 0, nil
	case o.Delimiter == "tab", o.Delimiter == `\t`:
		return '\t', nil
	case len(r) == 1 && r[0] != '"' && r[0] != '\n' && r[0] != '\r' && r[0] != 0xFFFD:
		return r[0], nil
	}
	return 0, files.Misuse("", "--delimiter must be one character or tab, not %s", strconv.Quote(o.Delimiter))
}

func parseLevel(text string) (value.Level, bool) {
	switch text {
	case "1.0":
		return value.Level10, true
	case "1.1":
		return value.Level11, true
	case "1.2", "":
		return value.Level12, true
	}
	return 0, false
}

// ParseFlags reads flags of a run from words.
func (o *Options) ParseFlags(words []string) error {
	f := pflag.NewFlagSet("options", pflag.ContinueOnError)
	o.AddRunFlags(f)
	if err := f.Parse(words); err != nil {
		return files.Misuse("", "%w", err)
	}
	if f.NArg() > 0 {
		return files.Misuse("", "`%s` is no option", strings.Join(f.Args(), " "))
	}
	return nil
}

// several is a number of things in words.
func several(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
