package profile

import (
	"slices"
	"strings"

	"github.com/distribution/reference"
)

// Allowed reports whether an administrator's patterns allow an image. In a pattern "*" stands for any run of characters,
// "/" among them; everything else stands for itself. One pattern that fits is enough, none allow nothing.
//
// A pattern is held against every way to write the image that means the same: "python", "library/python" and
// "docker.io/library/python" are one, and so are no tag and ":latest". So
//   - "quay.io/jupyter/*" allows everything below it, with any tag and any digest;
//   - "python" allows "python" and "python:latest", not "python:3.12": "python:*" does, and any digest of python too;
//   - "python@sha256:…" allows this digest and no other.
//
// Engines that are given a digest look at no tag, so "python:3.12@sha256:…" may well be another version. Unless it
// speaks of digests itself, a pattern must therefore fit the image without its tag: "python:3.12" and "python:3*" allow
// no digest at all, "python:3.12@*" allows those that come with the tag.
//
// What is no name of an image is never allowed. What an engine could take for the id of any image that is here, such as
// "sha256:…" or "cafe12", is allowed by "*" and by itself only.
func Allowed(patterns []string, ref string) bool {
	if isID(ref) {
		return slices.Contains(patterns, "*") || slices.Contains(patterns, ref)
	}
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		return slices.ContainsFunc(spellings(named, strings.Contains(pattern, "@")), func(spelling string) bool {
			return fits(pattern, spelling)
		})
	})
}

// isID is true for what an engine looks up among the ids of its images before or after it has looked for the name: an id
// with its algorithm, or the beginning of one.
func isID(ref string) bool {
	algorithm, _, found := strings.Cut(ref, ":")
	if found {
		return slices.Contains([]string{"sha256", "sha384", "sha512"}, algorithm)
	}
	return ref != "" && strings.Trim(ref, "0123456789abcdef") == ""
}

// spellings are the ways to write an image. Beside a digest the tag means nothing, and withTag says whether to write it.
func spellings(named reference.Named, withTag bool) []string {
	tag, digest := "", ""
	if tagged, ok := named.(reference.Tagged); ok {
		tag = ":" + tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		digest = "@" + digested.Digest().String()
	}
	var ends []string
	switch {
	case digest != "":
		ends = []string{digest, ":" + digest} // the second one for patterns such as "python:*"
		if withTag && tag != "" {
			ends = append(ends, tag+digest)
		}
	case tag == "" || tag == ":latest":
		ends = []string{"", ":latest"}
	default:
		ends = []string{tag}
	}
	var all []string
	for _, name := range names(named) {
		for _, end := range ends {
			all = append(all, name+end)
		}
	}
	return all
}

// names are the ways to write the name of an image without tag and digest.
func names(named reference.Named) []string {
	full := named.Name()
	path, onHub := strings.CutPrefix(full, "docker.io/")
	if !onHub {
		return []string{full}
	}
	var all []string
	for _, registry := range []string{"", "docker.io/", "index.docker.io/"} {
		for _, path := range slices.Compact([]string{path, strings.TrimPrefix(path, "library/")}) {
			// "docker.io/quay.io/x" must not pass for "quay.io/x".
			if again, err := reference.ParseNormalizedNamed(registry + path); err == nil && again.Name() == full {
				all = append(all, registry+path)
			}
		}
	}
	return all
}

// fits reports whether a text fits a pattern in which "*" stands for any run of characters.
func fits(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	first, between, last := parts[0], parts[1:len(parts)-1], parts[len(parts)-1]
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, part := range between {
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return true
}
