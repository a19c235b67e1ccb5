package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/connector"
	"millrace/connector/eventhubs"
)

// Hubs is a client of a namespace of Event Hubs.
type Hubs interface {
	// Host is where it is; Local tells an emulator from the service; DefaultHub
	// is the hub that the connection string names, "" if it names none.
	Host() string
	Local() bool
	DefaultHub() string

	Hubs(ctx context.Context) ([]eventhubs.HubInfo, error)
	CreateHub(ctx context.Context, name string, partitions int, retention time.Duration) error
	DeleteHub(ctx context.Context, name string) error
	Groups(ctx context.Context, hub string) ([]eventhubs.GroupInfo, error)
	CreateGroup(ctx context.Context, hub, group string) error
	DeleteGroup(ctx context.Context, hub, group string) error
	Peek(ctx context.Context, p eventhubs.Peek, fn func(eventhubs.PeekedEvent) error) error
	Send(ctx context.Context, s eventhubs.Send, bodies <-chan []byte) (sent int, err error)
	Close() error
}

// ExploreOptions say which namespace is meant.
type ExploreOptions struct {
	// Address is host:port of a local one; "": the one that the environment
	// names, else the usual port on this machine.
	Address string
	Getenv  func(string) string
	Verbose bool
	Stderr  io.Writer
}

// hubClient is what the commands that look into hubs have in common.
type hubClient struct {
	a       *app
	l       Local
	address string
	verbose bool
}

// hubCommands are the commands that use a running service.
func (a *app) hubCommands(l Local) []*cobra.Command {
	hubs := &cobra.Command{Use: "hubs COMMAND", Short: "List, create and delete the hubs of a running service"}
	groups := &cobra.Command{Use: "groups COMMAND", Short: "List, create and delete the consumer groups of a hub"}
	for _, parent := range []*cobra.Command{hubs, groups} {
		parent.Args = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknownCommand(cmd, args[0])
		}
		parent.RunE = a.enter(func(cmd *cobra.Command, _ []string) error { return cmd.Help() })
	}
	hubs.AddCommand(a.hubsList(l), a.hubsCreate(l), a.hubsDelete(l))
	groups.AddCommand(a.groupsList(l), a.groupsCreate(l), a.groupsDelete(l))
	return []*cobra.Command{hubs, groups, a.peekCommand(l), a.sendCommand(l)}
}

// hubCommand is a command that uses a running service.
func (a *app) hubCommand(l Local, cmd *cobra.Command, run func(ctx context.Context, h Hubs, cmd *cobra.Command, args []string) error) *cobra.Command {
	c := &hubClient{a: a, l: l}
	cmd.Flags().SortFlags = false
	cmd.RunE = a.enter(func(cmd *cobra.Command, args []string) (err error) {
		h, err := c.open()
		if err != nil {
			return err
		}
		defer func() {
			if cerr := h.Close(); err == nil && cerr != nil {
				err = fmt.Errorf("closing the client: %w", cerr)
			}
		}()
		err = run(cmd.Context(), h, cmd, args)
		if away := (*connector.Unreachable)(nil); errors.As(err, &away) && h.Local() {
			away.Hint = fmt.Sprintf("start it with `millrace local %s`, or name another one with --address or %s", l.Name, l.Address)
		}
		return err
	})
	cmd.ValidArgsFunction = c.complete
	cmd.Flags().StringVar(&c.address, "address", "",
		fmt.Sprintf("`host:port` of a local service (default: what %s names, else 127.0.0.1:%d)", l.Address, l.Port))
	cmd.Flags().BoolVarP(&c.verbose, "verbose", "v", false, "log what the client does to standard error")
	return cmd
}

func (c *hubClient) open() (Hubs, error) {
	if c.address != "" {
		host, port, err := net.SplitHostPort(c.address)
		if n, nerr := strconv.Atoi(port); err != nil || nerr != nil || host == "" || n < 1 || n > 65535 {
			return nil, usage(fmt.Sprintf("for example: --address 127.0.0.1:%d", c.l.Port), "--address must be host:port, not %s", c.address)
		}
	}
	return c.l.Explore(ExploreOptions{Address: c.address, Getenv: c.a.Getenv, Verbose: c.verbose, Stderr: c.a.Stderr})
}

// completeTimeout is how long the shell waits for names.
const completeTimeout = time.Second

// complete offers the names of the hubs for the argument HUB of commands that
// take an existing one.
func (c *hubClient) complete(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 || !strings.Contains(cmd.Use, "HUB") || cmd.Use == "create HUB" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	h, err := c.open()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer h.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
	defer cancel()
	hubs, err := h.Hubs(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, i := range hubs {
		names = append(names, cobra.CompletionWithDesc(i.Name, several(i.PartitionCount, "partition")))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// needs accepts so many arguments, which are called names.
func needs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usage("", "%s needs %s", cmd.CommandPath(), strings.Join(names, " and "))
		case len(args) > len(names):
			return usage("", "%s takes %s; `%s` is too much", cmd.CommandPath(), strings.Join(names, " and "), strings.Join(args[len(names):], " "))
		}
		return nil
	}
}

func (a *app) hubsList(l Local) *cobra.Command {
	var asJSON bool
	cmd := a.hubCommand(l, &cobra.Command{Use: "list", Short: "List the hubs", Args: noArgs},
		func(ctx context.Context, h Hubs, _ *cobra.Command, _ []string) error {
			hubs, err := h.Hubs(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				if hubs == nil {
					hubs = []eventhubs.HubInfo{}
				}
				return writeJSON(a.Stdout, hubs)
			}
			if len(hubs) == 0 {
				_, err := fmt.Fprintf(a.Stdout, "no hubs at %s; `millrace local %s hubs create NAME` makes one\n", h.Host(), l.Name)
				return err
			}
			rows := [][]any{}
			for _, i := range hubs {
				rows = append(rows, []any{i.Name, int64(i.PartitionCount), known(i.Events), rateOf(i.EventsPerSecond), keptFor(i.RetentionInHours), moment(i.LastEnqueuedTime)})
			}
			return a.hubTable(ctx, []string{"hub", "partitions", "events", "events/s", "kept", "newest event"}, rows)
		})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

func (a *app) hubsCreate(l Local) *cobra.Command {
	var partitions int
	var retention time.Duration
	cmd := a.hubCommand(l, &cobra.Command{Use: "create HUB", Short: "Create a hub", Args: needs("the name of a hub")},
		func(ctx context.Context, h Hubs, _ *cobra.Command, args []string) error {
			if partitions < 1 {
				return usage("4 is usual", "--partitions must be at least 1, not %d", partitions)
			}
			if retention < 0 || retention%time.Hour != 0 {
				return usage("for example: --retention 72h", "--retention must be whole hours, not %s", retention)
			}
			if err := h.CreateHub(ctx, args[0], partitions, retention); err != nil {
				return err
			}
			_, err := fmt.Fprintf(a.Stdout, "created hub %s with %s at %s\n", args[0], several(partitions, "partition"), h.Host())
			return err
		})
	cmd.Flags().IntVar(&partitions, "partitions", 4, "how `many` partitions it has")
	cmd.Flags().DurationVar(&retention, "retention", 0, "how `long` events are kept, rounded up to days (default: 7 days)")
	return cmd
}

func (a *app) hubsDelete(l Local) *cobra.Command {
	var yes bool
	cmd := a.hubCommand(l, &cobra.Command{Use: "delete HUB", Short: "Delete a hub with all its events", Args: needs("the name of a hub")},
		func(ctx context.Context, h Hubs, _ *cobra.Command, args []string) error {
			// The environment may name a service that others rely on.
			if !h.Local() && !yes {
				return usage("add --yes if that is meant, or name a local one with --address", "%s is not a local service", h.Host())
			}
			if err := h.DeleteHub(ctx, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(a.Stdout, "deleted hub %s at %s\n", args[0], h.Host())
			return err
		})
	cmd.Flags().BoolVar(&yes, "yes", false, "also on a service that is not local")
	return cmd
}

func (a *app) groupsList(l Local) *cobra.Command {
	var asJSON bool
	cmd := a.hubCommand(l, &cobra.Command{Use: "list HUB", Short: "List the consumer groups of a hub", Args: needs("the name of a hub")},
		func(ctx context.Context, h Hubs, _ *cobra.Command, args []string) error {
			groups, err := h.Groups(ctx, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				if groups == nil {
					groups = []eventhubs.GroupInfo{}
				}
				return writeJSON(a.Stdout, groups)
			}
			rows := [][]any{}
			for _, g := range groups {
				rows = append(rows, []any{g.Name, strings.TrimSpace(g.Protocol + " " + g.State), known(g.Lag)})
			}
			return a.hubTable(ctx, []string{"group", "protocol", "lag"}, rows)
		})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

func (a *app) groupsCreate(l Local) *cobra.Command {
	return a.hubCommand(l, &cobra.Command{Use: "create HUB GROUP", Short: "Create a consumer group of a hub", Args: needs("the name of a hub", "the name of a group")},
		func(ctx context.Context, h Hubs, _ *cobra.Command, args []string) error {
			if err := h.CreateGroup(ctx, args[0], args[1]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(a.Stdout, "created consumer group %s of hub %s\n", args[1], args[0])
			return err
		})
}

func (a *app) groupsDelete(l Local) *cobra.Command {
	var yes bool
	cmd := a.hubCommand(l, &cobra.Command{Use: "delete HUB GROUP", Short: "Delete a consumer group of a hub", Args: needs("the name of a hub", "the name of a group")},
		func(ctx context.Context, h Hubs, _ *cobra.Command, args []string) error {
			if !h.Local() && !yes {
				return usage("add --yes if that is meant, or name a local one with --address", "%s is not a local service", h.Host())
			}
			if err := h.DeleteGroup(ctx, args[0], args[1]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(a.Stdout, "deleted consumer group %s of hub %s\n", args[1], args[0])
			return err
		})
	cmd.Flags().BoolVar(&yes, "yes", false, "also on a service that is not local")
	return cmd
}

// hubTable prints rows as tables of queries are printed.
func (a *app) hubTable(ctx context.Context, columns []string, rows [][]any) error {
	return rowsTable(ctx, a.Stdout, &tableRows{columns, rows}, a.Columns)
}

// tableRows are rows that are there already.
type tableRows struct {
	columns []string
	rows    [][]any
}

func (r *tableRows) Columns() []string { return r.columns }

func (r *tableRows) Next(context.Context) ([]any, error) {
	if len(r.rows) == 0 {
		return nil, io.EOF
	}
	row := r.rows[0]
	r.rows = r.rows[1:]
	return row, nil
}

func (r *tableRows) Close() error { return nil }

func known(n *int64) any {
	if n == nil {
		return "-"
	}
	return *n
}

func rateOf(n *float64) any {
	if n == nil {
		return "-"
	}
	return strconv.FormatFloat(*n, 'f', 1, 64)
}

func keptFor(hours float64) string {
	if hours >= 48 {
		return strconv.FormatFloat(hours/24, 'f', -1, 64) + " days"
	}
	return strconv.FormatFloat(hours, 'f', -1, 64) + " h"
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// writeLine writes a value as JSON on one line.
func writeLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	return nil
}
