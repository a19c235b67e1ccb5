// Command tdsserver runs the TDS test server alone, so that any client of SQL
// Server can be pointed at it: for trying things out, never for data.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"millrace/connector/sqldb/local"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, os.Args[1:], os.Getenv("TDS_PASSWORD"), os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "tdsserver:", err)
		}
		stop()
		os.Exit(2)
	}
}

// serve runs the server until ctx ends. The address that it prints holds the
// password only if that is the well-known one.
func serve(ctx context.Context, args []string, password string, out, messages io.Writer) error {
	flags := flag.NewFlagSet("tdsserver", flag.ContinueOnError)
	flags.SetOutput(messages)
	host := flags.String("host", "127.0.0.1", "address to listen on")
	port := flags.Int("port", 1433, "port to listen on, 0 for a free one")
	user := flags.String("user", "", "login, sa if left out; the password is taken from TDS_PASSWORD")
	databases := flags.String("databases", "streaming", "databases, separated by commas")
	encrypt := flags.Bool("tls", false, "speak TLS, with a certificate made for this run")
	memory := flags.Int64("memory", 450, "soft limit for memory, in MB")
	if err := flags.Parse(args); err != nil {
		return err
	}
	// All data is kept in memory: rather collect garbage often than hold twice
	// as much.
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(*memory << 20)
	o := local.Options{Host: *host, Port: *port, User: *user, Password: password, Databases: strings.Split(*databases, ","),
		Log: slog.New(slog.NewTextHandler(messages, nil))}
	if *user == "" && password != "" {
		o.User = "sa"
	}
	if o.User != "" && o.Password == "" {
		return errors.New("a login needs a password: set TDS_PASSWORD")
	}
	if *encrypt {
		var err error
		if o.TLS, err = local.SelfSigned(); err != nil {
			return err
		}
	}
	s, err := local.Start(ctx, o)
	if err != nil {
		return err
	}
	address := s.Redacted()
	fmt.Fprintf(out, "This is a test server, not SQL Server; its tables are gone when it stops.\nSQL_URL=%s\n", address)
	<-ctx.Done()
	return s.Close()
}
