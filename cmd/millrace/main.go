// Command millrace runs a streaming architecture end to end and proves what
// came out.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/term"

	"millrace/run"
	"millrace/solutions"
	"millrace/ui/cli"
)

// sameSignal is how close together two signals count as one.
const sameSignal = 200 * time.Millisecond

func main() {
	if os.Getenv("GOGC") == "" {
		// Nearly all of the heap is payloads, which the collector does not
		// look into: collecting often is cheap, and bounds what a full
		// queue costs.
		debug.SetGCPercent(70)
	}
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		// A second signal does not wait for anything. Some senders (timeout(1)
		// does) deliver the first one twice, to the process and to its group.
		for first := time.Now(); ; {
			if <-signals; time.Since(first) > sameSignal {
				os.Exit(cli.ExitInterrupted)
			}
		}
	}()
	code := cli.Run(ctx, cli.Env{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
		Columns: columns(os.Stdout), StderrColumns: columns(os.Stderr),
		Builtin: solutions.FS, Registry: run.Registry(), Stages: run.Stages(), Version: version(),
	})
	cancel()
	os.Exit(code)
}

// columns is the width of the terminal behind f, 0 if there is none.
func columns(f *os.File) int {
	if !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return 80
	}
	return width
}
