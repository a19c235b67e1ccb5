package cli

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"millrace/connector/eventhubs"
)

func (a *app) peekCommand(l Local) *cobra.Command {
	var p eventhubs.Peek
	var from string
	var asJSON bool
	cmd := a.hubCommand(l, &cobra.Command{
		Use: "peek [HUB]", Short: "Show events of a hub without taking them from anybody",
		Long: "Peek shows the newest events of a hub, or those from a place on. It reads with\n" +
			"a consumer group but keeps no position, so that nobody misses anything.\n\n" +
			"HUB may be left out if the connection string names one (EntityPath).",
		Example: "  millrace local " + l.Name + " peek orders --count 3\n" +
			"  millrace local " + l.Name + " peek orders --from 2026-01-31T12:00:00Z --json\n" +
			"  millrace local " + l.Name + " peek orders --partition 0 --from 120 --follow",
		Args: oneHubAtMost,
	}, func(ctx context.Context, h Hubs, cmd *cobra.Command, args []string) (err error) {
		if p.Hub, err = hubOf(h, cmd, args); err != nil {
			return err
		}
		if p.Count < 0 || p.Count == 0 && !p.Follow {
			return usage("10 is usual", "--count must be at least 1, not %d", p.Count)
		}
		if p.From, err = placeOf(from); err != nil {
			return err
		}
		shown := 0
		err = h.Peek(ctx, p, func(e eventhubs.PeekedEvent) error {
			shown++
			if asJSON {
				return writeLine(a.Stdout, peeked(e))
			}
			return a.showEvent(e)
		})
		if err == nil && shown == 0 && !p.Follow && !asJSON {
			_, err = fmt.Fprintf(a.Stderr, "no events in %s\n", p.Hub)
		}
		return err
	})
	fl := cmd.Flags()
	fl.StringVar(&p.Partition, "partition", "", "the only `partition` to look at (default: all)")
	fl.StringVar(&from, "from", "latest", "where to begin: latest, earliest, a sequence number or a `time` such as 2026-01-31T12:00:00Z")
	fl.IntVar(&p.Count, "count", 10, "how `many` events to show at most, before following")
	fl.BoolVarP(&p.Follow, "follow", "f", false, "go on with events as they come, until Ctrl-C")
	fl.StringVar(&p.Group, "group", "", "consumer `group` to read with (default: $Default)")
	fl.BoolVar(&asJSON, "json", false, "print one JSON object on each line")
	return cmd
}

// oneHubAtMost accepts the name of a hub or nothing.
func oneHubAtMost(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage("", "%s takes one hub; `%s` is too much", cmd.CommandPath(), strings.Join(args[1:], " "))
	}
	return nil
}

// hubOf is the hub that is meant.
func hubOf(h Hubs, cmd *cobra.Command, args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	if name := h.DefaultHub(); name != "" {
		return name, nil
	}
	return "", usage("`hubs list` shows all", "%s needs the name of a hub", cmd.CommandPath())
}

// placeOf reads --from.
func placeOf(text string) (eventhubs.PeekFrom, error) {
	switch strings.ToLower(text) {
	case "", "latest":
		return eventhubs.PeekFrom{}, nil
	case "earliest":
		return eventhubs.PeekFrom{Earliest: true}, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return eventhubs.PeekFrom{Sequence: &n}, nil
	}
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return eventhubs.PeekFrom{At: &at}, nil
	}
	return eventhubs.PeekFrom{}, usage("latest, earliest, a sequence number, or a time such as 2026-01-31T12:00:00Z", "--from does not know `%s`", text)
}

// showEvent prints an event on one line.
func (a *app) showEvent(e eventhubs.PeekedEvent) error {
	at := "-"
	if e.EnqueuedTime != nil {
		at = e.EnqueuedTime.UTC().Format("2006-01-02T15:04:05.000Z07:00")
	}
	parts := []string{at, "p" + e.Partition, "#" + strconv.FormatInt(e.SequenceNumber, 10)}
	if e.PartitionKey != nil {
		parts = append(parts, "key="+*e.PartitionKey)
	}
	for _, name := range sortedNames(e.Properties) {
		parts = append(parts, fmt.Sprintf("%s=%v", name, textOf(e.Properties[name])))
	}
	body := fmt.Sprintf("(%d bytes, not text)", len(e.Body))
	if utf8.Valid(e.Body) {
		body = string(e.Body)
	}
	_, err := fmt.Fprintln(a.Stdout, printable(strings.Join(parts, " ")+" "+body))
	return err
}

func sortedNames(m map[string]any) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// textOf makes bytes readable if they are text.
func textOf(v any) any {
	if b, ok := v.([]byte); ok {
		return cell(b)
	}
	return v
}

// peekedEvent is an event of --json.
type peekedEvent struct {
	Partition        string         `json:"partition"`
	SequenceNumber   int64          `json:"sequenceNumber"`
	Offset           string         `json:"offset"`
	EnqueuedTime     time.Time      `json:"enqueuedTime,omitzero"`
	PartitionKey     *string        `json:"partitionKey,omitempty"`
	ContentType      *string        `json:"contentType,omitempty"`
	MessageID        *string        `json:"messageId,omitempty"`
	Properties       map[string]any `json:"properties,omitempty"`
	SystemProperties map[string]any `json:"systemProperties,omitempty"`
	// Body is there if it is text, BodyBase64 if not.
	Body       *string `json:"body,omitempty"`
	BodyBase64 *string `json:"bodyBase64,omitempty"`
}

func peeked(e eventhubs.PeekedEvent) peekedEvent {
	out := peekedEvent{Partition: e.Partition, SequenceNumber: e.SequenceNumber, Offset: e.Offset, PartitionKey: e.PartitionKey,
		ContentType: e.ContentType, MessageID: e.MessageID, Properties: readable(e.Properties), SystemProperties: readable(e.SystemProperties)}
	if e.EnqueuedTime != nil {
		out.EnqueuedTime = e.EnqueuedTime.UTC()
	}
	if utf8.Valid(e.Body) {
		text := string(e.Body)
		out.Body = &text
	} else {
		text := base64.StdEncoding.EncodeToString(e.Body)
		out.BodyBase64 = &text
	}
	return out
}

func readable(m map[string]any) map[string]any {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]any, len(m))
	for name, v := range m {
		out[name] = textOf(v)
	}
	return out
}

func (a *app) sendCommand(l Local) *cobra.Command {
	var s eventhubs.Send
	var properties []string
	var whole bool
	cmd := a.hubCommand(l, &cobra.Command{
		Use: "send HUB [BODY...]", Short: "Send events to a hub",
		Long: "Send sends each BODY as an event, or without one each line of standard input,\n" +
			"and returns when the service has acknowledged all of them.",
		Example: "  millrace local " + l.Name + " send orders '{\"id\":1}' --key customer-7\n" +
			"  millrace local " + l.Name + " send orders --property source=test < events.jsonl",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("", "%s needs the name of a hub", cmd.CommandPath())
			}
			return nil
		},
	}, func(ctx context.Context, h Hubs, _ *cobra.Command, args []string) error {
		s.Hub = args[0]
		if s.Key != "" && s.Partition != "" {
			return usage("the key chooses the partition", "--key and --partition cannot be given together")
		}
		var err error
		if s.Properties, err = parseProperties(properties); err != nil {
			return err
		}
		sent, err := a.send(ctx, h, s, args[1:], whole)
		if err != nil {
			if sent > 0 {
				err = fmt.Errorf("after %s: %w", several(sent, "event"), err)
			}
			return err
		}
		_, err = fmt.Fprintf(a.Stdout, "sent %s to %s\n", several(sent, "event"), s.Hub)
		return err
	})
	fl := cmd.Flags()
	fl.StringVar(&s.Key, "key", "", "partition `key`: events with the same one stay in order")
	fl.StringVar(&s.Partition, "partition", "", "`partition` to send to (default: the service chooses)")
	fl.StringArrayVar(&properties, "property", nil, "set a property of every event by its `name=value` (repeatable)")
	fl.BoolVar(&whole, "whole", false, "send all of standard input as one event")
	return cmd
}

// parseProperties reads name=value. Values are text: what they are is not
// guessed.
func parseProperties(args []string) (map[string]any, error) {
	if len(args) == 0 {
		return nil, nil
	}
	out := map[string]any{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, usage("for example: --property source=test", "--property: `%s` is not name=value", arg)
		}
		out[name] = value
	}
	return out, nil
}

// send sends the bodies, or standard input if there are none.
func (a *app) send(ctx context.Context, h Hubs, s eventhubs.Send, bodies []string, whole bool) (int, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	events := make(chan []byte, 64)
	failed := make(chan error, 1)
	go func() {
		defer close(events)
		failed <- a.feed(ctx, bodies, whole, events)
	}()
	sent, err := h.Send(ctx, s, events)
	if err != nil {
		// The reader of standard input ends with the process: reading cannot
		// be interrupted.
		return sent, err
	}
	return sent, <-failed
}

// feed hands bodies over until there are no more.
func (a *app) feed(ctx context.Context, bodies []string, whole bool, to chan<- []byte) error {
	give := func(b []byte) error {
		select {
		case to <- b:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, b := range bodies {
		if err := give([]byte(b)); err != nil {
			return err
		}
	}
	if len(bodies) > 0 {
		return nil
	}
	if whole {
		b, err := io.ReadAll(io.LimitReader(a.Stdin, maxLine+1))
		if err != nil {
			return fmt.Errorf("reading standard input: %w", err)
		}
		return give(b)
	}
	lines := bufio.NewScanner(a.Stdin)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		if err := give([]byte(lines.Text())); err != nil {
			return err
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return usage("an event has 1 MB at most", "a line of standard input has more than %d bytes", maxLine)
	} else if err != nil {
		return fmt.Errorf("reading standard input: %w", err)
	}
	return nil
}

// maxLine is more than any service takes as one event.
const maxLine = 4 << 20
