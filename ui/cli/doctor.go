package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"millrace/connector"
	"millrace/internal/solution"
	"millrace/internal/solution/settings"
)

// pinger is implemented by connectors that can say whether their service
// answers and lets this user in, without creating anything.
type pinger interface {
	Ping(ctx context.Context, env connector.Env) error
}

const (
	pingTimeout = 10 * time.Second
	// What runs need at least to be useful; below it doctor warns.
	enoughMemory = 1 << 30
	enoughDisk   = 5 << 30
	enoughWrite  = 50 << 20 // bytes a second
	writeSample  = 64 << 20
)

// finding is one line of doctor.
type finding struct {
	what, found, hint string
	state             string // "ok", "warn", "FAIL"
}

func (a *app) doctorCommand() *cobra.Command {
	var dir string
	var set []string
	cmd := &cobra.Command{
		Use: "doctor [SOLUTION]", Short: "Say what this machine and the configured services can do",
		Long: "Doctor looks at the machine, the data directory and the services whose addresses\n" +
			"are set in the environment (of one solution, or of all). It creates nothing.\n\n" +
			"Exit codes: 0 all is well, 1 the data directory cannot be used, 2 usage or\n" +
			"configuration (a service refuses it), 3 a configured service does not answer.",
		ValidArgsFunction: a.completeSolutions,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return oneSolution(cmd, args)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "data-dir", "", "data directory to look at (default: the temporary folder)")
	cmd.Flags().StringArrayVar(&set, "set", nil, "set one option by its `path=value`, such as serve.url=duckdb:x.db (repeatable)")
	cmd.RunE = a.enter(func(cmd *cobra.Command, args []string) error {
		refs := args
		if len(refs) == 0 {
			refs = a.loader.Names()
		}
		var overrides []solution.Override
		for _, s := range set {
			o, err := solution.ParseSet(s)
			if err != nil {
				return err
			}
			overrides = append(overrides, o)
		}
		var found []*solution.Solution
		for _, ref := range refs {
			s, err := a.loader.Load(ref, solution.Options{Getenv: a.Getenv, Set: overrides})
			if err != nil {
				return err
			}
			found = append(found, s)
		}
		return a.doctor(cmd.Context(), dir, found)
	})
	return cmd
}

func (a *app) doctor(ctx context.Context, dir string, solutions []*solution.Solution) error {
	if dir == "" {
		dir = os.TempDir()
	}
	findings := machine()
	disk, diskErr := dataDirectory(dir)
	findings = append(findings, disk...)
	services, serviceErr := a.services(ctx, dir, solutions)
	findings = append(findings, services...)
	width := 0
	for _, f := range findings {
		width = max(width, len(f.what))
	}
	for _, f := range findings {
		fmt.Fprintf(a.Stdout, "%-4s  %-*s  %s\n", f.state, width, f.what, settings.Mask(oneLine(f.found)))
		if f.hint != "" {
			fmt.Fprintf(a.Stdout, "%*s  hint: %s\n", width+6, "", f.hint)
		}
	}
	if serviceErr != nil {
		return serviceErr
	}
	return diskErr
}

func machine() []finding {
	out := []finding{
		{what: "program", found: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH, state: "ok"},
		{what: "cores", found: strconv.Itoa(runtime.GOMAXPROCS(0)), state: "ok"},
	}
	if total, free, ok := memory(); ok {
		f := finding{what: "memory", found: fmt.Sprintf("%s of %s available", size(free), size(total)), state: "ok"}
		if free < enoughMemory {
			f.state, f.hint = "warn", "stop other programs, or lower process.dedupe.maxBytes"
		}
		out = append(out, f)
	}
	return out
}

// memory reads Linux's own account; elsewhere it is left out.
func memory() (total, free int64, ok bool) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, 0, false
	}
	for _, line := range strings.Split(string(b), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		n, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			continue
		}
		switch fields[0] {
		case "MemTotal:":
			total = n << 10
		case "MemAvailable:":
			free = n << 10
		}
	}
	return total, free, total > 0
}

// dataDirectory measures the nearest existing folder of dir, so that looking
// does not create it.
func dataDirectory(dir string) ([]finding, error) {
	existing, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("resolving the data directory: %w", err)
	}
	for {
		if info, err := os.Stat(existing); err == nil {
			if !info.IsDir() {
				return []finding{{what: "data directory", found: existing + " is not a folder", state: "FAIL", hint: "choose another with --data-dir"}},
					fmt.Errorf("the data directory %s cannot be used", dir)
			}
			break
		}
		parent := filepath.Dir(existing)
		if parent == existing {
			break
		}
		existing = parent
	}
	var out []finding
	var fs syscall.Statfs_t
	if err := syscall.Statfs(existing, &fs); err == nil {
		free := int64(fs.Bavail) * int64(fs.Bsize)
		f := finding{what: "disk space", found: size(free) + " free in " + existing, state: "ok"}
		if free < enoughDisk {
			f.state, f.hint = "warn", "a million events of 1 KB take 1 GB in the log alone"
		}
		out = append(out, f)
	}
	speed, err := writeSpeed(existing)
	if err != nil {
		return append(out, finding{what: "disk writes", found: err.Error(), state: "FAIL", hint: "choose a writable folder with --data-dir"}),
			fmt.Errorf("the data directory %s cannot be used: %w", dir, err)
	}
	f := finding{what: "disk writes", found: size(int64(speed)) + "/s, flushed", state: "ok"}
	if speed < enoughWrite {
		f.state, f.hint = "warn", "10,000 events a second are 10 MB/s into the log and as much again into the store; choose a faster disk with --data-dir"
	}
	return append(out, f), nil
}

// writeSpeed writes and flushes a temporary file.
func writeSpeed(dir string) (bytesPerSecond float64, err error) {
	f, err := os.CreateTemp(dir, ".millrace-doctor-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	chunk := make([]byte, 1<<20)
	for i := range chunk {
		chunk[i] = byte(i * 7)
	}
	start := time.Now()
	for n := 0; n < writeSample; n += len(chunk) {
		if _, err := f.Write(chunk); err != nil {
			return 0, err
		}
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	return writeSample / max(time.Since(start).Seconds(), 1e-6), nil
}

// services looks at every service that is configured, each address once.
func (a *app) services(ctx context.Context, dir string, solutions []*solution.Solution) ([]finding, error) {
	var out []finding
	var firstErr error
	seen := map[string]bool{}
	env := connector.Env{DataDir: dir, Getenv: a.Getenv, Log: logger(a.Stderr, false)}
	look := func(section, kind, addr string, config any) {
		key := section + " " + kind + " " + addr
		if seen[key] {
			return
		}
		seen[key] = true
		f := finding{what: section + ": " + kind, state: "ok"}
		if addr == "" {
			f.found = "embedded (no address is configured)"
			out = append(out, f)
			return
		}
		f.found = addr + " answers"
		how, err := ping(ctx, env, addr, config)
		if err != nil {
			f.state, f.found = "FAIL", err.Error()
			f.hint = hintOf(err)
			if f.hint == "" {
				f.hint = "--print-config of any command shows where the address comes from"
			}
			if _, away := errors.AsType[*connector.Unreachable](err); firstErr == nil && !away {
				// It answers, and refuses: that is for the configuration.
				firstErr = usage(f.hint, "%s cannot be used: %w", f.what, err)
			} else if firstErr == nil {
				firstErr = fmt.Errorf("%s does not answer: %w", f.what, err)
			}
		} else if how != "" {
			f.found = addr + " " + how
		}
		out = append(out, f)
	}
	for _, s := range solutions {
		look("ingest", s.IngestKind, s.Ingest.Address(), s.Ingest)
		look("serve", s.ServeKind, s.Serve.Address(), s.Serve)
	}
	return out, firstErr
}

// ping asks the connector, or, if it cannot say, tries the port. how is what to
// say instead of "answers".
func ping(ctx context.Context, env connector.Env, addr string, config any) (how string, err error) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if p, ok := config.(pinger); ok {
		return "", p.Ping(ctx, env)
	}
	hosts := hostPorts(addr)
	if len(hosts) == 0 {
		return "(embedded)", nil
	}
	var errs []error
	for _, h := range hosts {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", h)
		if err == nil {
			return "accepts connections (rights not tried)", c.Close()
		}
		errs = append(errs, err)
	}
	return "", &connector.Unreachable{What: strings.Join(hosts, ", "), Hint: "check that the service runs and that the address is right", Err: errors.Join(errs...)}
}

// hostPorts finds the hosts in an address: a URL, or host:port separated by
// commas. An address of a file has none.
func hostPorts(addr string) []string {
	if strings.Contains(addr, "://") {
		u, err := url.Parse(addr)
		if err != nil || u.Host == "" {
			return nil
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"postgres": "5432", "postgresql": "5432", "sqlserver": "1433", "http": "80", "https": "443"}[u.Scheme]
		}
		return []string{net.JoinHostPort(u.Hostname(), port)}
	}
	var out []string
	for _, h := range strings.Split(addr, ",") {
		if host, port, err := net.SplitHostPort(strings.TrimSpace(h)); err == nil {
			if _, err := strconv.Atoi(port); err == nil && host != "" {
				out = append(out, net.JoinHostPort(host, port))
			}
		}
	}
	return out
}

func size(n int64) string {
	for _, u := range []struct {
		n    float64
		name string
	}{{1 << 30, "GB"}, {1 << 20, "MB"}, {1 << 10, "KB"}} {
		if float64(n) >= u.n {
			return fmt.Sprintf("%.1f %s", float64(n)/u.n, u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
