package cli

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// renderPage lays a Markdown page out as plain text of at most width columns:
// headings underlined, paragraphs and lists wrapped, tables aligned, code as
// it is. It knows the Markdown that the solutions' pages are written in.
func renderPage(page string, width int) string {
	var out strings.Builder
	put := func(s string) { out.WriteString(strings.TrimRight(s, " ") + "\n") }
	lines := strings.Split(strings.TrimRight(page, "\n"), "\n")
	for i := 0; i < len(lines); {
		line := lines[i]
		switch {
		case strings.HasPrefix(line, "```"):
			for i++; i < len(lines) && !strings.HasPrefix(lines[i], "```"); i++ {
				put(lines[i])
			}
			i++
		case strings.HasPrefix(line, "#"):
			text := inline(strings.TrimSpace(strings.TrimLeft(line, "#")))
			mark := "-"
			if strings.HasPrefix(line, "# ") {
				mark = "="
			}
			put(text)
			put(strings.Repeat(mark, utf8.RuneCountInString(text)))
			i++
		case strings.HasPrefix(line, "|"):
			start := i
			for i < len(lines) && strings.HasPrefix(lines[i], "|") {
				i++
			}
			for _, l := range renderTable(lines[start:i], width) {
				put(l)
			}
		case strings.TrimSpace(line) == "":
			put("")
			i++
		default:
			var indent, first string
			text := line
			if m := bullet.FindString(line); m != "" {
				first, indent = m, strings.Repeat(" ", len(m))
				text = line[len(m):]
			}
			for i++; i < len(lines) && continues(lines[i]); i++ {
				text += " " + strings.TrimSpace(lines[i])
			}
			for j, l := range wrap(inline(text), width-len(indent)) {
				if j == 0 {
					put(first + l)
				} else {
					put(indent + l)
				}
			}
		}
	}
	return out.String()
}

var (
	bullet = regexp.MustCompile(`^ *([-*]|[0-9]+\.) +`)
	link   = regexp.MustCompile(`\[([^\]]*)\]\(([^)]*)\)`)
	strong = regexp.MustCompile(`\*\*([^*]+)\*\*`)
)

// continues tells whether a line goes on with the paragraph before it.
func continues(line string) bool {
	return strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "|") &&
		!strings.HasPrefix(line, "```") && !bullet.MatchString(line)
}

// inline drops the marks inside a line. Code keeps its backquotes: they tell
// a word to type from prose.
func inline(s string) string {
	s = link.ReplaceAllString(s, "$1 <$2>")
	return strings.TrimSpace(strong.ReplaceAllString(s, "$1"))
}

// renderTable aligns a table, wrapping the cells of the widest columns until
// it fits.
func renderTable(lines []string, width int) []string {
	var rows [][]string
	columns := 0
	for i, l := range lines {
		if i == 1 && strings.Trim(l, "|-: ") == "" {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(l), "|"), "|")
		for j := range cells {
			cells[j] = inline(strings.TrimSpace(cells[j]))
		}
		columns = max(columns, len(cells))
		rows = append(rows, cells)
	}
	widths := make([]int, columns)
	for _, r := range rows {
		for j, c := range r {
			widths[j] = max(widths[j], utf8.RuneCountInString(c))
		}
	}
	for total(widths) > width {
		widest := 0
		for j := range widths {
			if widths[j] > widths[widest] {
				widest = j
			}
		}
		if widths[widest] <= 8 {
			break
		}
		widths[widest]--
	}
	var out []string
	for i, r := range rows {
		out = append(out, tableRow(r, widths)...)
		if i == 0 {
			rule := make([]string, columns)
			for j := range rule {
				rule[j] = strings.Repeat("-", widths[j])
			}
			out = append(out, strings.Join(rule, "  "))
		}
	}
	return out
}

func total(widths []int) int {
	n := 2 * (len(widths) - 1)
	for _, w := range widths {
		n += w
	}
	return n
}

func tableRow(cells []string, widths []int) []string {
	wrapped := make([][]string, len(widths))
	height := 1
	for j := range widths {
		if j < len(cells) {
			wrapped[j] = wrap(cells[j], widths[j])
			height = max(height, len(wrapped[j]))
		}
	}
	out := make([]string, height)
	for k := range out {
		parts := make([]string, len(widths))
		for j, w := range widths {
			if k < len(wrapped[j]) {
				parts[j] = wrapped[j][k]
			}
			parts[j] += strings.Repeat(" ", max(w-utf8.RuneCountInString(parts[j]), 0))
		}
		out[k] = strings.Join(parts, "  ")
	}
	return out
}
