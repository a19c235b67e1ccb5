package sqldb

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// T-SQL needs no semicolon between statements, so that a text is one statement
// can only be told by its words. All statements that do anything begin with a
// word that is reserved: outside of quotes it can mean nothing else. A query
// with any of them is refused before it is sent, and so is what two readers of
// a text may understand differently. What passes runs in a transaction that is
// always rolled back (sqlserver_read.go), and nothing that passes can end it.

// acting are the reserved words of statements that are no queries, and those
// with which a query reaches beyond the database.
var acting = wordSet(`ADD ALTER AUTHORIZATION BACKUP BEGIN BREAK BULK CHECKPOINT CLOSE COMMIT CONTINUE CONVERSATION CREATE DBCC DEALLOCATE
	DECLARE DELETE DENY DISK DROP DUMP EXEC EXECUTE EXIT FILE GOTO GRANT IF INSERT INTO KILL LINENO LOAD MERGE OPEN OPENDATASOURCE
	OPENQUERY OPENROWSET PRINT PROC PROCEDURE RAISERROR READTEXT RECONFIGURE RENAME REPLICATION RESTORE RETURN REVERT REVOKE ROLLBACK SAVE
	SECURITYAUDIT SET SETUSER SHUTDOWN TRAN TRANSACTION TRIGGER TRUNCATE UPDATE UPDATETEXT USE WAITFOR WHILE WRITETEXT THROW`)

// joining are the words after which a SELECT goes on with the one before it.
var joining = wordSet("UNION ALL EXCEPT INTERSECT")

func wordSet(text string) map[string]bool {
	set := make(map[string]bool)
	for _, w := range strings.Fields(text) {
		set[w] = true
	}
	return set
}

// errServerReads refuses a query.
var errServerReads = errors.New("a query must be one statement that reads (SELECT, or WITH ... SELECT)")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w; %s", errServerReads, fmt.Sprintf(format, args...))
}

// readingQuery returns the text of a query that only reads, with `events` as
// another name of the run's table.
func readingQuery(text string, n names) (string, error) {
	words, err := queryWords(text)
	if err != nil {
		return "", err
	}
	if len(words) == 0 {
		return "", refuse("there is none")
	}
	events, selects := false, 0
	for i, w := range words {
		next := ""
		if i+1 < len(words) && !words[i+1].quoted { // MERGE [JOIN] is a statement
			next = words[i+1].upper
		}
		switch {
		case w.upper == "EVENTS":
			events = true
		case w.quoted:
		case w.upper == "MERGE" && (next == "JOIN" || next == "UNION"):
			// A hint, how to join.
		case w.upper == "SELECT" && w.depth == 0 && (i == 0 || !joining[words[i-1].upper]):
			if selects++; selects > 1 {
				return "", refuse("there are several")
			}
		case acting[w.upper]:
			return "", refuse("%s is not part of one", w.upper)
		case w.upper == "NEXT" && next == "VALUE":
			return "", refuse("NEXT VALUE FOR changes a sequence for good")
		}
	}
	first := words[0]
	if first.quoted || first.upper != "SELECT" && first.upper != "WITH" {
		return "", refuse("it begins with %s", text[first.start:first.end])
	}
	if !events || n.plainTable() {
		return text, nil
	}
	shadow := shadowEvents(n.Events)
	if first.upper == "WITH" {
		return text[:first.start] + shadow + "," + text[first.end:], nil
	}
	// In the same line, so that an error names the line that the user wrote.
	return text[:first.start] + shadow + " " + text[first.start:], nil
}

// word is a word of a query: a name, quoted or not, or a keyword.
type word struct {
	upper      string
	start, end int
	quoted     bool
	// depth is the number of parentheses around it.
	depth int
}

// queryWords finds the words of a text outside of strings and comments. It
// knows T-SQL's quotes ('...', "...", [...], each with its closing sign
// doubled inside), comments and numbers, and refuses what it cannot be sure
// of: outside of quotes and comments that is everything beyond ASCII.
func queryWords(text string) ([]word, error) {
	if !utf8.ValidString(text) {
		return nil, refuse("it is not valid UTF-8")
	}
	var words []word
	ended, depth := false, 0
	for i := 0; i < len(text); {
		c, n := utf8.DecodeRuneInString(text[i:])
		rest := text[i:]
		if end, err := comment(rest); err != nil {
			return nil, err
		} else if end > 0 {
			i += end
			continue
		}
		switch {
		case c >= utf8.RuneSelf:
			return nil, refuse("%q in it is outside of quotes; put a name that holds it in [ ]", c)
		case c == ' ' || c >= '\t' && c <= '\r':
			i += n
			continue
		case c < ' ' || c == 0x7f:
			return nil, refuse("it holds a control character")
		}
		if ended {
			return nil, refuse("something follows the semicolon")
		}
		switch {
		case c == '\'' || c == '"' || c == '[':
			end, err := quoted(rest)
			if err != nil {
				return nil, err
			}
			if c != '\'' {
				inner := rest[1 : end-1]
				words = append(words, word{upper: strings.ToUpper(inner), start: i, end: i + end, quoted: true})
			}
			i += end
		case c == ';':
			ended = true
			i++
		case c == '{' || c == '\\':
			return nil, refuse("%q is not part of one", c)
		case digit(text[i]) || c == '.' && i+1 < len(text) && digit(text[i+1]):
			end, err := numberLength(rest)
			if err != nil {
				return nil, err
			}
			words = append(words, word{upper: rest[:end], start: i, end: i + end})
			i += end
		case wordByte(text[i]):
			end := i
			for end < len(text) && wordByte(text[end]) {
				end++
			}
			w := word{upper: strings.ToUpper(text[i:end]), start: i, end: end, depth: depth}
			if c == '$' && !dollars[w.upper] {
				return nil, refuse("%s is not known", text[i:end])
			}
			words = append(words, w)
			i = end
		default:
			if len(words) == 0 {
				// A parenthesis may open a query; nothing else does.
				if c != '(' {
					return nil, refuse("it begins with %q", c)
				}
				return nil, refuse("it begins with a parenthesis, which T-SQL may take for something else")
			}
			if depth += parenthesis[c]; depth < 0 {
				return nil, refuse("its parentheses do not match")
			}
			i += n
		}
	}
	if depth != 0 {
		return nil, refuse("its parentheses do not match")
	}
	return words, nil
}

// parenthesis is what a character adds to the depth.
var parenthesis = map[rune]int{'(': 1, ')': -1}

// dollars are the words that begin with a dollar sign. Amounts of money do so
// too, and $DELETE is one of them and a statement.
var dollars = wordSet("$ACTION $IDENTITY $PARTITION $ROWGUID")

// wordByte tells what names and keywords are made of.
func wordByte(c byte) bool {
	return c == '_' || c == '@' || c == '#' || c == '$' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || digit(c)
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// numberLength returns the length of the number that text begins with. T-SQL wants
// nothing between a number and the next word: SELECT 1DELETE FROM x is two
// statements, and so is SELECT 1.e5DELETE FROM x. What may be read like that
// is refused.
func numberLength(text string) (int, error) {
	i := 0
	skip := func(digits string) {
		for i < len(text) && strings.IndexByte(digits, text[i]) >= 0 {
			i++
		}
	}
	const decimal = "0123456789"
	if len(text) > 1 && text[0] == '0' && text[1]|0x20 == 'x' {
		i = 2
		skip(decimal + "abcdefABCDEF")
	} else {
		skip(decimal)
		if i < len(text) && text[i] == '.' {
			i++
			skip(decimal)
		}
		if i < len(text) && text[i]|0x20 == 'e' {
			i++
			if i < len(text) && (text[i] == '+' || text[i] == '-') {
				i++
			}
			skip(decimal)
		}
	}
	if i < len(text) && (wordByte(text[i]) || text[i] >= utf8.RuneSelf) {
		return 0, refuse("the number %s in it runs into a word; put a space between them", text[:i])
	}
	return i, nil
}

// comment returns the length of the comment that text begins with, 0 if it
// begins with something else.
func comment(text string) (int, error) {
	switch {
	case strings.HasPrefix(text, "--"):
		return lineComment(text)
	case strings.HasPrefix(text, "/*"):
		end := strings.Index(text[2:], "*/")
		// With the asterisk: in /* /*/ the last three open a second comment.
		if end < 0 || strings.Contains(text[2:2+end+1], "/*") {
			return 0, refuse("a comment in it has no end, or holds another one")
		}
		return end + 4, nil
	}
	return 0, nil
}

// lineComment returns the length of the comment that text begins with. Where
// it ends must not be open to doubt: what one reader takes for a comment is a
// statement for another.
func lineComment(text string) (int, error) {
	end := strings.IndexByte(text, '\n')
	if end < 0 {
		end = len(text)
	}
	if strings.ContainsAny(strings.TrimSuffix(text[:end], "\r"), "\r\v\f\u0085\u2028\u2029\x00") {
		return 0, refuse("a comment in it may end in several places")
	}
	return end, nil
}

// quoted returns the length of the string or quoted name that text begins
// with.
func quoted(text string) (int, error) {
	closing := text[0]
	if closing == '[' {
		closing = ']'
	}
	for i := 1; i < len(text); i++ {
		if text[i] != closing {
			continue
		}
		if i+1 < len(text) && text[i+1] == closing {
			i++ // doubled: part of the text
			continue
		}
		return i + 1, nil
	}
	return 0, refuse("a quote in it has no end")
}
