package tsql

import "strings"

// free are words that T-SQL does not reserve but the parser takes for keywords
// wherever they stand: columns have such names.
var free = map[string]bool{"TYPE": true, "MESSAGE": true, "LANGUAGE": true, "QUERY": true, "STATS": true, "JOB": true, "DELAY": true,
	"ENCRYPTION": true, "CREDENTIAL": true, "COOKIE": true, "CONVERSATION": true, "DIALOG": true, "GET": true, "SEND": true, "RECEIVE": true,
	"LOGIN": true, "CALLER": true, "NOTIFICATION": true, "SUBSCRIPTION": true, "MOVE": true, "SCOPED": true}

// bracketed puts the free words of a text into brackets, outside of strings,
// quoted names and comments.
func bracketed(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		end := i + 1
		switch c := text[i]; {
		case c == '\'' || c == '"' || c == '[':
			closing := c
			if c == '[' {
				closing = ']'
			}
			end = skipTo(text, i+1, string(closing))
		case strings.HasPrefix(text[i:], "--"):
			end = skipTo(text, i, "\n")
		case strings.HasPrefix(text[i:], "/*"):
			end = skipTo(text, i+2, "*/")
		case wordByte(c):
			for end < len(text) && wordByte(text[end]) {
				end++
			}
			if free[strings.ToUpper(text[i:end])] {
				b.WriteString("[" + text[i:end] + "]")
				i = end
				continue
			}
		}
		b.WriteString(text[i:end])
		i = end
	}
	return b.String()
}

// skipTo returns where the next closing ends, or the end of the text. A
// closing sign that is doubled opens the next string at once, which comes to
// the same.
func skipTo(text string, from int, closing string) int {
	if n := strings.Index(text[from:], closing); n >= 0 {
		return from + n + len(closing)
	}
	return len(text)
}

func wordByte(c byte) bool {
	return c == '_' || c == '@' || c == '#' || c == '$' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
