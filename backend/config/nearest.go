package config

import (
	"fmt"
	"strings"
	"unicode"
)

// unknownKey is the sentence about a key that means nothing, with the known key it could have meant. known holds the
// names of all keys below base, a table of a list or "" for the file; the key was found in the table inner of it.
func unknownKey(doc document, base, inner, name string, known []string) error {
	path := join(base, inner)
	place, key := doc.at(join(path, name)), join(path, name)
	if strings.ContainsFunc(key, unicode.IsControl) {
		key = quote(key)
	}
	below := ""
	if inner != "" {
		below = inner + "."
	}
	if nearest := nearestOf(name, siblings(below, known)); nearest != "" {
		return fmt.Errorf("%s: there is no key %s; did you mean %s?", place, key, join(path, nearest))
	}
	for _, candidate := range known { // the right key in the wrong table
		if strings.HasSuffix(candidate, "."+name) {
			return fmt.Errorf("%s: there is no key %s; did you mean %s?", place, key, join(base, candidate))
		}
	}
	return fmt.Errorf("%s: there is no key %s; config.example.toml shows all there are", place, key)
}

// siblings are the names that stand directly in a table.
func siblings(below string, known []string) (names []string) {
	for _, candidate := range known {
		if rest, inside := strings.CutPrefix(candidate, below); inside {
			name, _, _ := strings.Cut(rest, ".")
			names = append(names, name)
		}
	}
	return names
}

// nearestOf is the candidate that takes the fewest changes of a letter, "" when all of them take too many.
func nearestOf(name string, candidates []string) (nearest string) {
	const maxLength = 60
	if len(name) > maxLength {
		return ""
	}
	fewest := max(2, len(name)/3) + 1
	for _, candidate := range candidates {
		if changes := distance(strings.ToLower(name), candidate); changes < fewest && changes < len(candidate) {
			nearest, fewest = candidate, changes
		}
	}
	return nearest
}

// distance is Levenshtein's: how many letters must be put in, taken out or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
