package cli

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"millrace/connector"
	"millrace/internal/solution/settings"
)

func (a *app) localCommand() *cobra.Command {
	if len(a.Stages.Locals) == 0 {
		return nil
	}
	cmd := &cobra.Command{
		Use: "local SERVICE", Short: "Serve one stand-in, for any client",
		Args: func(cmd *cobra.Command, args []string) error {
			var names []string
			for _, l := range a.Stages.Locals {
				names = append(names, l.Name)
			}
			if len(args) == 0 {
				return usage("", "%s needs the name of a service: %s", cmd.CommandPath(), strings.Join(names, ", "))
			}
			text := fmt.Sprintf("there is no stand-in `%s`", args[0])
			if guess := settings.Nearest(args[0], names); guess != "" {
				text += fmt.Sprintf("; did you mean `%s`?", guess)
			}
			return usage("there are: "+strings.Join(names, ", "), "%s", text)
		},
		RunE: a.enter(func(*cobra.Command, []string) error { return nil }),
	}
	for _, l := range a.Stages.Locals {
		cmd.AddCommand(a.localOne(l))
	}
	return cmd
}

func (a *app) localOne(l Local) *cobra.Command {
	o := LocalOptions{Getenv: a.Getenv, Values: map[string]string{}}
	var verbose, asJSON bool
	cmd := &cobra.Command{Use: l.Name, Short: l.Short, Long: l.Long, Example: l.Example}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 || !cmd.HasAvailableSubCommands() {
			return noArgs(cmd, args)
		}
		return unknownCommand(cmd, args[0])
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&o.DataDir, "data-dir", "millrace-"+l.Name, "`folder` where it keeps its data")
	fl.IntVar(&o.Port, "port", l.Port, "`port` on 127.0.0.1; 0 takes a free one")
	for _, f := range l.Flags {
		f.add(cmd)
	}
	fl.BoolVar(&asJSON, "json", false, "print where it is as one JSON object on one line")
	fl.BoolVarP(&verbose, "verbose", "v", false, "log what it does to standard error")
	cmd.RunE = a.enter(func(cmd *cobra.Command, _ []string) error {
		if o.Port < 0 || o.Port > 65535 {
			return usage("0 takes a free one", "--port must be between 0 and 65535, not %d", o.Port)
		}
		for _, f := range l.Flags {
			value := cmd.Flags().Lookup(f.Name).Value.String()
			if err := f.check(value); err != nil {
				return err
			}
			o.Values[f.Name] = value
		}
		o.Given = func(flag string) bool { return cmd.Flags().Changed(flag) }
		o.Log = logger(a.Stderr, verbose)
		return a.serveLocal(cmd.Context(), l, o, asJSON)
	})
	if l.Explore != nil {
		cmd.AddCommand(a.hubCommands(l)...)
	}
	return cmd
}

// unknownCommand says that there is no such subcommand, and which was meant.
func unknownCommand(cmd *cobra.Command, name string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	text := fmt.Sprintf("%s has no command `%s`", cmd.CommandPath(), name)
	if guess := settings.Nearest(name, names); guess != "" {
		text += fmt.Sprintf("; did you mean `%s`?", guess)
	}
	return usage("there are: "+strings.Join(names, ", "), "%s", text)
}

// add adds the flag. Numbers are integers to the flags' parser, too.
func (f LocalFlag) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	if f.Kind == PortFlag || f.Kind == NumberFlag {
		n, _ := strconv.Atoi(f.Default)
		fl.Int(f.Name, n, f.Doc)
		return
	}
	if f.Kind == SwitchFlag {
		fl.Bool(f.Name, f.Default == "true", f.Doc)
		return
	}
	fl.String(f.Name, f.Default, f.Doc)
}

// check refuses values that are not of the flag's kind.
func (f LocalFlag) check(value string) error {
	switch f.Kind {
	case PortFlag:
		if n, err := strconv.Atoi(value); err != nil || n < 0 || n > 65535 {
			return usage("0 takes a free one", "--%s must be between 0 and 65535, not %s", f.Name, value)
		}
	case NumberFlag:
		if n, err := strconv.Atoi(value); err != nil || n < f.Min {
			return usage("", "--%s must be a whole number of at least %d, not %s", f.Name, f.Min, value)
		}
	case FileFlag:
		if value == "" {
			return nil
		}
		if info, err := os.Stat(value); err != nil {
			return usage("check the name", "--%s: there is no file %s", f.Name, value)
		} else if info.IsDir() {
			return usage("name a file in it", "--%s: %s is a folder", f.Name, value)
		}
	}
	return nil
}

// serveLocal serves until ctx ends: stopping it is how it is meant to end.
func (a *app) serveLocal(ctx context.Context, l Local, o LocalOptions, asJSON bool) error {
	s, err := l.Start(ctx, o)
	if err != nil {
		return err
	}
	if err := a.announce(l, o, s, asJSON); err != nil {
		_ = s.Close() // what went wrong first is said
		return err
	}
	<-ctx.Done()
	if err := s.Close(); err != nil {
		return fmt.Errorf("stopping %s: %w", l.Name, err)
	}
	return nil
}

// announce says where the stand-in is.
func (a *app) announce(l Local, o LocalOptions, s connector.Standin, asJSON bool) error {
	several, ok := s.(Endpoints)
	explored, one := s.(Explored)
	switch {
	case one && asJSON:
		return writeLine(a.Stdout, struct {
			Service  string `json:"service"`
			DataDir  string `json:"dataDir"`
			Address  string `json:"address"`
			Explorer string `json:"explorer"`
		}{l.Name, o.DataDir, explored.Connection(), explored.Explorer()})
	case one:
		return a.announceExplored(l, o, explored)
	case ok && asJSON:
		return writeLine(a.Stdout, struct {
			Service    string     `json:"service"`
			DataDir    string     `json:"dataDir"`
			Namespaces []Endpoint `json:"namespaces"`
		}{l.Name, o.DataDir, several.Endpoints()})
	case ok:
		return a.announceHubs(l, o, several.Endpoints())
	case asJSON:
		return writeLine(a.Stdout, struct {
			Service string `json:"service"`
			DataDir string `json:"dataDir"`
			Address string `json:"address"`
		}{l.Name, o.DataDir, s.Address()})
	}
	_, err := fmt.Fprintf(a.Stdout, "%s at %s, data in %s; Ctrl-C stops it\n", l.Name, s.Address(), o.DataDir)
	if l.Address != "" && err == nil {
		_, err = fmt.Fprintf(a.Stdout, "export %s=%s\n", l.Address, s.Address())
	}
	return err
}
