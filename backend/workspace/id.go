package workspace

import (
	"crypto/sha1" //nolint:gosec // ML Lab derives ids with SHA-1; it protects nothing here.
	"encoding/hex"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Owner is the id of the user a workspace belongs to, in ML Lab also the id of the user's home project.
// It is 4 to 25 characters of a-z and 0-9 (ML Lab's rule), so it is safe in names, labels, paths and host names.
type Owner string

// ID names a workspace: "<namespace>-p-<owner>-s-<slug>", at most 63 characters and a DNS label, because the same
// string is the container's name, the service id of ML Lab's access path and the first label of the workspace's host.
type ID string

var (
	ownerPattern     = regexp.MustCompile(`^[a-z0-9]{4,25}$`)
	idPattern        = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)
	namespacePattern = regexp.MustCompile(`^[a-z][a-z0-9]{2,14}$`)
)

const (
	maxIDLength   = 63
	maxSlugLength = 15 // of ML Lab; a suffix against collisions comes on top
	minSlugLength = 4
	slugHashChars = 5
)

// Valid reports whether the owner id has ML Lab's shape.
func (o Owner) Valid() bool { return ownerPattern.MatchString(string(o)) }

// Valid reports whether the id could have been made by NewID. It says nothing about existence.
func (id ID) Valid() bool { return idPattern.MatchString(string(id)) }

// ValidNamespace reports whether s can be the namespace part of ids: 3 to 15 characters, a letter first.
func ValidNamespace(s string) bool { return namespacePattern.MatchString(s) }

// OwnerFromName turns a login name of any form into an owner id: lower case, other characters dropped, padded to four
// characters and cut to twenty-five. A name without any usable character becomes "user" plus a hash of the name.
func OwnerFromName(name string) Owner {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		if (r >= 'a' && r <= 'z') || (r >= '0' && r <= '9') {
			b.WriteRune(r)
		}
	}
	base := b.String()
	switch {
	case base == "":
		return Owner("user" + shortHash(name))
	case len(base) < 4:
		base += "0000"[len(base):]
	case len(base) > 25:
		base = base[:25]
	}
	return Owner(base)
}

// NewID derives the id of a workspace from its display name, as ML Lab derives service ids ("WS " is put before the
// name, see facts on upstream's names), and adds a numeric suffix until taken says no. It is deterministic for a given
// answer of taken.
func NewID(namespace string, owner Owner, displayName string, taken func(ID) bool) ID {
	prefix := fmt.Sprintf("%s-p-%s-s-", namespace, owner)
	slug := Slug("WS " + displayName)
	for n := 1; ; n++ {
		suffix := ""
		if n > 1 {
			suffix = fmt.Sprintf("-%d", n)
		}
		room := maxIDLength - len(prefix) - len(suffix)
		id := ID(prefix + strings.TrimRight(slug[:min(len(slug), room)], "-") + suffix)
		if !taken(id) {
			return id
		}
	}
}

// Slug turns a display name into 4 to 15 characters of a-z, 0-9 and inner hyphens by ML Lab's rules: words of one letter
// are dropped (they would read as the "-s-" and "-p-" of ids), a long slug is cut to ten characters plus five of its
// SHA-1, a short one is padded from its SHA-1. Names in other scripts, which leave nothing behind, are told apart by a
// hash of the name itself instead of ML Lab's transliteration.
func Slug(displayName string) string {
	var words []string
	dropped := false
	for _, word := range strings.FieldsFunc(strings.ToLower(displayName), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		kept := strings.Map(func(r rune) rune {
			if (r >= 'a' && r <= 'z') || (r >= '0' && r <= '9') {
				return r
			}
			return -1
		}, word)
		dropped = dropped || len(kept) != len(word)
		if len(kept) > 1 || (len(kept) == 1 && kept[0] >= '0' && kept[0] <= '9') {
			words = append(words, kept)
		} else if kept != "" {
			dropped = true
		}
	}
	slug := strings.Join(words, "-")
	if dropped {
		slug = strings.Trim(slug+"-"+shortHash(displayName), "-")
	}
	switch {
	case len(slug) > maxSlugLength:
		head := slug[:maxSlugLength-slugHashChars]
		return head[:len(head)-1] + "-" + shortHash(slug)
	case len(slug) < minSlugLength:
		return slug + shortHash(slug)[:minSlugLength-len(slug)]
	}
	return slug
}

func shortHash(s string) string {
	sum := sha1.Sum([]byte(s)) //nolint:gosec // not a protection, see the import
	return hex.EncodeToString(sum[:])[:slugHashChars]
}

// LabNames yields the names under which ML Lab can hold a workspace of that display name, the best first. ML Lab derives a
// service's id from its name, so different workspaces need names of different ids; and it transliterates other scripts in
// its own way, so they are told apart by a hash. Every name has 4 to 128 ASCII characters, ML Lab's bounds.
func LabNames(displayName string) iter.Seq[string] {
	const room = MaxDisplayNameLength - len("WS  99")
	plain := strings.TrimSpace(displayName)
	isPlain := len(plain) <= room && plain != "" && strings.IndexFunc(plain, func(r rune) bool { return r < ' ' || r > '~' }) < 0
	if !isPlain {
		ascii := strings.Map(func(r rune) rune {
			if r >= ' ' && r <= '~' {
				return r
			}
			return -1
		}, plain)
		ascii = strings.TrimSpace(ascii[:min(len(ascii), room-2*slugHashChars)])
		plain = strings.TrimSpace(ascii + " " + shortHash(displayName))
	}
	return func(yield func(string) bool) {
		for n := 1; ; n++ {
			name := "WS " + plain
			if n > 1 {
				name = fmt.Sprintf("%s %d", name, n)
			}
			if !yield(name) {
				return
			}
		}
	}
}

// LabID is the id that ML Lab derives for a service of that name, which must be ASCII (contaxy 0.0.23,
// utils/id_utils.py, generate_readable_id as managers/deployment/utils.py calls it).
func LabID(namespace string, owner Owner, labName string) ID {
	return ID(fmt.Sprintf("%s-p-%s-s-%s", namespace, owner, labSlug(labName)))
}

// NewLabID is NewID for an engine that lets ML Lab make the ids.
func NewLabID(namespace string, owner Owner, displayName string, taken func(ID) bool) ID {
	for name := range LabNames(displayName) {
		if id := LabID(namespace, owner, name); !taken(id) {
			return id
		}
	}
	panic("unreachable: names go on for ever")
}

func labSlug(name string) string {
	slug := labWords(name)
	if len(slug) > maxSlugLength {
		head := slug[:maxSlugLength-slugHashChars]
		if !strings.HasSuffix(head, "-") {
			head = head[:len(head)-1] + "-"
		}
		slug = head + shortHash(slug)
	}
	slug = labWords(slug) // once more, as ML Lab does: a piece of one letter is lost here
	if len(slug) > maxSlugLength {
		slug = strings.Trim(slug[:maxSlugLength], "-")
	}
	if len(slug) < minSlugLength {
		sum := sha1.Sum([]byte(slug)) //nolint:gosec // not a protection, see the import
		slug += hex.EncodeToString(sum[:])[:minSlugLength-len(slug)]
	}
	return slug
}

var commaInNumber = regexp.MustCompile(`([0-9]),([0-9])`)

// labWords is python-slugify: words of letters and digits, without those of one letter. Commas within numbers are lost
// without a trace.
func labWords(name string) string {
	for before := ""; before != name; { // twice, as in "1,2,3": what was matched is not looked at again
		before, name = name, commaInNumber.ReplaceAllString(name, "$1$2")
	}
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	words = slices.DeleteFunc(words, func(word string) bool { return len(word) == 1 && word[0] >= 'a' })
	return strings.Join(words, "-")
}
