package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

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
	o := LocalOptions{Getenv: a.Getenv}
	var verbose bool
	cmd := &cobra.Command{
		Use: l.Name, Short: l.Short, Args: noArgs,
		RunE: a.enter(func(cmd *cobra.Command, _ []string) error {
			if o.Port < 0 || o.Port > 65535 {
				return usage("0 takes a free one", "--port must be between 0 and 65535, not %d", o.Port)
			}
			o.Log = logger(a.Stderr, verbose)
			return a.serveLocal(cmd.Context(), l, o)
		}),
	}
	cmd.Flags().StringVar(&o.DataDir, "data-dir", "millrace-"+l.Name, "folder where it keeps its data")
	cmd.Flags().IntVar(&o.Port, "port", l.Port, "port on 127.0.0.1; 0 takes a free one")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "log what it does to standard error")
	return cmd
}

// serveLocal serves until ctx ends: stopping it is how it is meant to end.
func (a *app) serveLocal(ctx context.Context, l Local, o LocalOptions) error {
	s, err := l.Start(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Stdout, "%s at %s, data in %s; Ctrl-C stops it\n", l.Name, s.Address(), o.DataDir)
	if l.Address != "" {
		fmt.Fprintf(a.Stdout, "export %s=%s\n", l.Address, s.Address())
	}
	<-ctx.Done()
	if err := s.Close(); err != nil {
		return fmt.Errorf("stopping %s: %w", l.Name, err)
	}
	return nil
}
