package activity

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// sentence makes a sentence of its parts.
func sentence(parts ...string) string {
	text := strings.Join(parts, " ")
	first, size := utf8.DecodeRuneInString(text)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(first)) + text[size:] + "."
}

// ago says how long ago something was, in the same words as the pages: "just now", "26 min ago", "3 days ago".
func ago(d time.Duration) string {
	if d < time.Minute {
		return "just now"
	}
	return length(d) + " ago"
}

// length says how long something is, in the largest whole unit.
func length(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d < 48*time.Hour:
		return "1 day"
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}
