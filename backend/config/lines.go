package config

import (
	"strconv"
	"strings"
)

// keyLines finds the line of every key in a TOML text: "server.listen", "image[0].name", "limits.cpus.choices[2]". The
// TOML library knows the lines but does not tell them. The text must be valid TOML, because this is no parser: it only
// knows where keys and values begin and end. For any other text the result is useless but harmless.
func keyLines(text string) map[string]int {
	s := &lineScanner{rest: strings.TrimPrefix(text, "\ufeff"), line: 1, lines: map[string]int{}, tables: map[string]int{}}
	table := ""
	for s.skipBlank(); s.rest != ""; s.skipBlank() {
		switch {
		case s.take("[["):
			table = s.header(s.key())
			s.tables[table]++
			table = element(table, s.tables[table]-1)
			s.note(table)
			s.take("]]")
		case s.take("["):
			table = s.header(s.key())
			s.take("]")
		default:
			s.assignment(table)
		}
	}
	return s.lines
}

type lineScanner struct {
	rest   string
	line   int
	lines  map[string]int
	tables map[string]int // how many [[name]] there were of each name
}

func element(path string, index int) string { return path + "[" + strconv.Itoa(index) + "]" }

func join(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}

// note keeps the first line of a path.
func (s *lineScanner) note(path string) {
	if _, known := s.lines[path]; !known {
		s.lines[path] = s.line
	}
}

// header is the path of the key in a [header]; a part that names a list of tables means its last one.
func (s *lineScanner) header(key []string) (path string) {
	for i, part := range key {
		path = join(path, part)
		s.note(path)
		if count := s.tables[path]; count > 0 && i < len(key)-1 {
			path = element(path, count-1)
		}
	}
	return path
}

func (s *lineScanner) take(token string) bool {
	rest, found := strings.CutPrefix(s.rest, token)
	if found {
		s.advance(len(s.rest) - len(rest))
	}
	return found
}

func (s *lineScanner) advance(n int) {
	n = min(n, len(s.rest))
	s.line += strings.Count(s.rest[:n], "\n")
	s.rest = s.rest[n:]
}

func (s *lineScanner) skipSpace() {
	s.rest = strings.TrimLeft(s.rest, " \t")
}

// skipBlank skips spaces, line ends and comments.
func (s *lineScanner) skipBlank() {
	for {
		s.advance(len(s.rest) - len(strings.TrimLeft(s.rest, " \t\r\n")))
		if !strings.HasPrefix(s.rest, "#") {
			return
		}
		s.advanceTo("\n")
	}
}

func (s *lineScanner) advanceTo(anyOf string) {
	if end := strings.IndexAny(s.rest, anyOf); end >= 0 {
		s.advance(end)
	} else {
		s.advance(len(s.rest))
	}
}

// key reads a dotted key.
func (s *lineScanner) key() (parts []string) {
	for {
		s.skipSpace()
		if s.rest != "" && strings.ContainsRune(`"'`, rune(s.rest[0])) {
			parts = append(parts, s.quoted())
		} else {
			before := s.rest
			s.advanceTo(" \t\r\n.=]#")
			parts = append(parts, before[:len(before)-len(s.rest)])
		}
		s.skipSpace()
		if !s.take(".") {
			return parts
		}
	}
}

// assignment reads "key = value" below a table.
func (s *lineScanner) assignment(table string) {
	before := len(s.rest)
	path := table
	for _, part := range s.key() {
		path = join(path, part)
		s.note(path)
	}
	s.skipSpace()
	s.take("=")
	s.value(path)
	if len(s.rest) == before {
		s.advance(1) // not TOML
	}
}

func (s *lineScanner) value(path string) {
	s.skipSpace()
	switch {
	case s.rest == "":
	case s.rest[0] == '"' || s.rest[0] == '\'':
		s.quoted()
	case s.take("["):
		s.list("]", func(i int) {
			s.note(element(path, i))
			s.value(element(path, i))
		})
	case s.take("{"):
		s.list("}", func(int) { s.assignment(path) })
	default:
		s.advanceTo(",]}#\r\n")
	}
}

// list reads what stands between commas until the end token.
func (s *lineScanner) list(end string, item func(int)) {
	for i := 0; ; i++ {
		s.skipBlank()
		if s.rest == "" || s.take(end) {
			return
		}
		before := len(s.rest)
		item(i)
		s.skipBlank()
		s.take(",")
		if len(s.rest) == before {
			s.advance(1) // not TOML
		}
	}
}

// quoted reads a string of any of TOML's four kinds.
func (s *lineScanner) quoted() string {
	mark := s.rest[:1]
	if triple := strings.Repeat(mark, 3); s.take(triple) {
		text := s.until(triple, mark == `"`)
		for s.take(mark) { // up to two more of them belong to the text
			text += mark
		}
		return text
	}
	s.advance(1)
	text := s.until(mark, mark == `"`)
	if unquoted, err := strconv.Unquote(`"` + text + `"`); mark == `"` && err == nil {
		return unquoted
	}
	return text
}

func (s *lineScanner) until(end string, escapes bool) string {
	for i := 0; i < len(s.rest); i++ {
		if escapes && s.rest[i] == '\\' {
			i++
		} else if strings.HasPrefix(s.rest[i:], end) {
			text := s.rest[:i]
			s.advance(i + len(end))
			return text
		}
	}
	text := s.rest
	s.advance(len(s.rest))
	return text
}
