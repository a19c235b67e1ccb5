package cli

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"millrace/connector"
)

func (a *app) queryCommand() *cobra.Command {
	if a.Stages.Query == nil {
		return nil
	}
	var asJSON, asCSV bool
	var at string
	cmd := &cobra.Command{
		Use: "query SOLUTION TEXT", Short: "Ask the serving store in its own language",
		Example: "  millrace query hdinsightkafka-databricks-sqldw --data-dir d1 \\\n      'SELECT count(*) FROM events'",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage("put the query in quotes: millrace query NAME 'SELECT ...'", "%s needs a solution and one query", cmd.CommandPath())
			}
			return nil
		},
	}
	f := a.addSolutionFlags(cmd, false)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object on each line")
	cmd.Flags().BoolVar(&asCSV, "csv", false, "print comma-separated values with a header")
	cmd.Flags().StringVar(&at, "at", "", "ask the store as it was at a `version` or a time (2006-01-02T15:04:05Z),\nif it keeps its past (Delta tables)")
	cmd.MarkFlagsMutuallyExclusive("json", "csv")
	cmd.RunE = a.enter(func(cmd *cobra.Command, args []string) (err error) {
		q, err := f.request(cmd, args[0])
		if q == nil || err != nil {
			return err
		}
		q.At = at
		rows, err := a.Stages.Query(cmd.Context(), *q, args[1])
		if err != nil {
			return err
		}
		defer func() {
			if cerr := rows.Close(); err == nil && cerr != nil {
				err = fmt.Errorf("closing the query: %w", cerr)
			}
		}()
		switch {
		case asJSON:
			return rowsJSON(cmd.Context(), a.Stdout, rows)
		case asCSV:
			return rowsCSV(cmd.Context(), a.Stdout, rows)
		}
		return rowsTable(cmd.Context(), a.Stdout, rows, a.Columns)
	})
	return cmd
}

// eachRow calls fn for every row.
func eachRow(ctx context.Context, rows connector.Rows, fn func([]any) error) error {
	for {
		row, err := rows.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the result: %w", err)
		}
		if err := fn(row); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
	}
}

// rowsJSON writes an object for each row, members in the order of columns.
func rowsJSON(ctx context.Context, w io.Writer, rows connector.Rows) error {
	var names [][]byte
	for _, c := range rows.Columns() {
		name, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
		names = append(names, name)
	}
	var b bytes.Buffer
	return eachRow(ctx, rows, func(row []any) error {
		b.Reset()
		b.WriteByte('{')
		for i, v := range row {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(names[i])
			b.WriteByte(':')
			switch x := v.(type) {
			case []byte, time.Time:
				v = cell(x)
			case float64:
				if math.IsNaN(x) || math.IsInf(x, 0) {
					v = cell(x)
				}
			}
			text, err := json.Marshal(v)
			if err != nil {
				return err
			}
			b.Write(text)
		}
		b.WriteString("}\n")
		_, err := w.Write(b.Bytes())
		return err
	})
}

func rowsCSV(ctx context.Context, w io.Writer, rows connector.Rows) error {
	c := csv.NewWriter(w)
	if err := c.Write(rows.Columns()); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	line := make([]string, len(rows.Columns()))
	err := eachRow(ctx, rows, func(row []any) error {
		for i, v := range row {
			line[i] = ""
			if v != nil {
				line[i] = cell(v)
			}
		}
		return c.Write(line)
	})
	c.Flush()
	if err == nil && c.Error() != nil {
		err = fmt.Errorf("writing the result: %w", c.Error())
	}
	return err
}

// tableSample is how many rows decide the widths of a table's columns; later
// rows are fitted to them, so that a large result does not sit in memory.
const tableSample = 500

// rowsTable writes an aligned table, numbers to the right. With columns > 0
// the table is kept that narrow by cutting long cells.
func rowsTable(ctx context.Context, w io.Writer, rows connector.Rows, columns int) error {
	header := rows.Columns()
	t := table{w: w, header: header, widths: make([]int, len(header)), right: make([]bool, len(header)), columns: columns}
	for i, h := range header {
		t.widths[i] = utf8.RuneCountInString(h)
		t.right[i] = true
	}
	n := 0
	err := eachRow(ctx, rows, func(row []any) error {
		n++
		return t.add(row)
	})
	if err == nil {
		err = t.flush()
	}
	if err != nil {
		return err
	}
	word := "rows"
	if n == 1 {
		word = "row"
	}
	_, err = fmt.Fprintf(w, "(%d %s)\n", n, word)
	return err
}

type table struct {
	w       io.Writer
	header  []string
	widths  []int
	right   []bool
	columns int
	sample  [][]string
	started bool
}

func (t *table) add(row []any) error {
	cells := make([]string, len(t.header))
	for i, v := range row {
		cells[i] = printable(cell(v))
		if !t.started {
			t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cells[i]))
			switch v.(type) {
			case int64, float64, nil:
			default:
				t.right[i] = false
			}
		}
	}
	if t.started {
		return t.line(cells)
	}
	t.sample = append(t.sample, cells)
	if len(t.sample) == tableSample {
		return t.flush()
	}
	return nil
}

// flush writes the header and the sample, once.
func (t *table) flush() error {
	if t.started {
		return nil
	}
	t.started = true
	for t.columns > 0 && total(t.widths) > t.columns {
		widest := 0
		for i := range t.widths {
			if t.widths[i] > t.widths[widest] {
				widest = i
			}
		}
		if t.widths[widest] <= 4 {
			break
		}
		t.widths[widest]--
	}
	if err := t.line(t.header); err != nil {
		return err
	}
	rule := make([]string, len(t.widths))
	for i, n := range t.widths {
		rule[i] = strings.Repeat("-", n)
	}
	if err := t.line(rule); err != nil {
		return err
	}
	for _, cells := range t.sample {
		if err := t.line(cells); err != nil {
			return err
		}
	}
	t.sample = nil
	return nil
}

func (t *table) line(cells []string) error {
	parts := make([]string, len(cells))
	for i, c := range cells {
		n := utf8.RuneCountInString(c)
		if t.columns > 0 && n > t.widths[i] {
			c = string([]rune(c)[:max(t.widths[i]-1, 0)]) + "…"
			n = t.widths[i]
		}
		pad := strings.Repeat(" ", max(t.widths[i]-n, 0))
		if t.right[i] {
			parts[i] = pad + c
		} else {
			parts[i] = c + pad
		}
	}
	_, err := fmt.Fprintln(t.w, strings.TrimRight(strings.Join(parts, "  "), " "))
	return err
}

// cell writes a value of a row for people.
func cell(v any) string {
	switch x := v.(type) {
	case nil:
		return "null"
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	case time.Time:
		return x.UTC().Format("2006-01-02T15:04:05.000000Z07:00")
	case []byte:
		if utf8.Valid(x) {
			return string(x)
		}
		return "0x" + hex.EncodeToString(x)
	}
	return fmt.Sprint(v)
}

// printable keeps control characters in data from reaching the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '·'
		}
		return r
	}, s)
}
