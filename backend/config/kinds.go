package config

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/netip"
	"net/textproto"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

// kind is a type of value: how it is written in the file and in the environment.
type kind[T any] struct {
	allowed string // completes "it must be …"
	// decode takes a value as TOML has it. errNotAllowed is explained by allowed, any other error by its own words.
	decode func(value any) (T, error)
	// parse takes the text of an environment variable; nil where decode of the text does the same.
	parse func(text string) (T, error)
	show  func(T) string // as TOML
}

var errNotAllowed = errors.New("not allowed")

func (k kind[T]) fromText(text string) (T, error) {
	if k.parse != nil {
		return k.parse(text)
	}
	return k.decode(text)
}

// ofText makes a kind of value that is written as a string, from a function that checks it and may tidy it up.
func ofText(allowed string, tidy func(string) (string, error)) kind[string] {
	return kind[string]{
		allowed: allowed,
		decode: func(value any) (string, error) {
			text, ok := value.(string)
			if !ok {
				return "", errNotAllowed
			}
			return tidy(text)
		},
		show: quote,
	}
}

// quote writes a text as TOML, whose escapes are JSON's.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func checked(ok func(string) bool) func(string) (string, error) {
	return func(text string) (string, error) {
		if !ok(text) {
			return "", errNotAllowed
		}
		return text, nil
	}
}

func oneOf(choices ...string) kind[string] {
	quoted := make([]string, len(choices))
	for i, choice := range choices {
		quoted[i] = quote(choice)
	}
	return ofText(strings.Join(quoted, " or "), checked(func(text string) bool { return slices.Contains(choices, text) }))
}

// as makes a kind of text a kind of a type of text.
func as[T ~string](text kind[string]) kind[T] {
	return kind[T]{
		allowed: text.allowed,
		decode: func(value any) (T, error) {
			decoded, err := text.decode(value)
			return T(decoded), err
		},
		show: func(t T) string { return text.show(string(t)) },
	}
}

func onExceed() kind[quota.OnExceed] {
	return as[quota.OnExceed](oneOf(string(quota.Queue), string(quota.Refuse)))
}

func pullPolicy() kind[workspace.PullPolicy] {
	return as[workspace.PullPolicy](oneOf(pullPolicies...))
}

var pullPolicies = []string{string(workspace.PullMissing), string(workspace.PullAlways), string(workspace.PullNever)}

func optionalPullPolicy() kind[workspace.PullPolicy] {
	k := as[workspace.PullPolicy](oneOf(append([]string{""}, pullPolicies...)...))
	k.allowed = pullPolicy().allowed + `, or "" for what [images] says`
	return k
}

func engineName() kind[string] {
	known := oneOf(EngineAuto, EngineDocker, EngineMLLab)
	decode := known.decode
	known.decode = func(value any) (string, error) {
		if value == "kubernetes" {
			return "", fmt.Errorf(`comes with a later version; until then it must be %s`, known.allowed)
		}
		return decode(value)
	}
	return known
}

func labEndpoint() kind[string] {
	allowed := `the address of an ML Lab's API, such as "http://ml-lab-backend:8080/api", or "" where there is none`
	return ofText(allowed, checked(func(text string) bool {
		parsed, err := url.Parse(text)
		return text == "" || (err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") && parsed.Host != "" && parsed.User == nil && parsed.RawQuery == "")
	}))
}

func labBase() kind[string] {
	return ofText(`the path below which browsers reach the lab, such as "/lab", or "" for none`, checked(func(text string) bool {
		parsed, err := url.Parse(text)
		return text == "" || (err == nil && parsed.Scheme == "" && parsed.Host == "" && parsed.RawQuery == "" && strings.HasPrefix(text, "/") && !strings.HasSuffix(text, "/"))
	}))
}

const maxLineLength = 500

// line is a text for people.
func line(least int) kind[string] {
	return ofText(fmt.Sprintf("a text of %d to %d characters in one line", least, maxLineLength), checked(func(text string) bool {
		length := len([]rune(text))
		return length >= least && length <= maxLineLength && strings.TrimSpace(text) == text && !strings.ContainsFunc(text, unicode.IsControl)
	}))
}

func imageName() kind[string] {
	return ofText(`the name of an image, such as "lab-workspace-minimal:latest"`, checked(func(text string) bool {
		return text != "" && len(text) <= workspace.MaxImageLength && !strings.ContainsFunc(text, func(r rune) bool {
			return unicode.IsSpace(r) || unicode.IsControl(r)
		})
	}))
}

// imagePattern is a part of an image's name, or all of it, with * for any characters.
func imagePattern() kind[string] {
	k := imageName()
	k.allowed = `a pattern of names of images, such as "*" or "registry.example.org/lab/*"`
	return k
}

const maxArgument = 10_000 // bytes

// argument is one of a command's. It may be empty and have line ends.
func argument() kind[string] {
	return ofText(fmt.Sprintf("a text of %d bytes at most", maxArgument), checked(func(text string) bool {
		return len(text) <= maxArgument && !strings.ContainsRune(text, 0)
	}))
}

// device is an id as nvidia-smi, CDI or a person who counts would name a GPU.
func device() kind[string] {
	return matching(`the id of a GPU, such as "0", "GPU-8a56a4bc-…" or "nvidia.com/gpu=0"`, "[A-Za-z0-9][A-Za-z0-9._:/=-]{0,199}")
}

func pollPath() kind[string] {
	return ofText(`a path that starts with "/", with * for any part of it, such as "/api/*/status"`, checked(func(text string) bool {
		return strings.HasPrefix(text, "/") && len(text) <= maxLineLength && !strings.ContainsAny(text, "?#") &&
			!strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
	}))
}

func matching(allowed, pattern string) kind[string] {
	return ofText(allowed, checked(regexp.MustCompile("^(?:"+pattern+")$").MatchString))
}

func profileName() kind[string] {
	return matching("a name of a-z, 0-9 and hyphens, 40 characters at most", "[a-z0-9][a-z0-9-]{0,39}")
}

func variableName() kind[string] {
	return matching("the name of an environment variable", "[A-Za-z_][A-Za-z0-9_]{0,199}")
}

func capability() kind[string] {
	return matching(`a Linux capability without "CAP_", such as "CHOWN"`, "[A-Z][A-Z_]{2,40}")
}

const headerPattern = "[A-Za-z][A-Za-z0-9-]{0,99}"

func header() kind[string] { return matching("the name of an HTTP header", headerPattern) }

func optionalHeader() kind[string] {
	return matching(`the name of an HTTP header, or "" for none`, headerPattern+"|")
}

func absolutePath() kind[string] {
	return ofText(`an absolute path below "/", such as "/workspace"`, checked(func(text string) bool {
		return path.IsAbs(text) && path.Clean(text) == text && text != "/" && !strings.ContainsFunc(text, unicode.IsControl)
	}))
}

func urlPath() kind[string] {
	return ofText(`a path that starts with "/", such as "/api"`, checked(func(text string) bool {
		parsed, err := url.ParseRequestURI(text)
		return err == nil && strings.HasPrefix(text, "/") && parsed.Host == "" && parsed.Fragment == ""
	}))
}

// address is where to listen. Port 0 asks the system for a free one.
func address() kind[string] {
	return ofText(`an address with a port, such as "127.0.0.1:8080" or ":8080"`, checked(func(text string) bool {
		host, port, err := net.SplitHostPort(text)
		if err != nil {
			return false
		}
		_, notAPort := strconv.ParseUint(port, 10, 16)
		return notAPort == nil && (host == "" || isHost(host))
	}))
}

var hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

func isHost(text string) bool {
	address, err := netip.ParseAddr(text)
	return (err == nil && address.Zone() == "") || (len(text) <= 253 && hostPattern.MatchString(text))
}

func hostName() kind[string] {
	return ofText(`a host name or an IP address without port, such as "lab.example.org"`, func(text string) (string, error) {
		if !isHost(text) {
			return "", errNotAllowed
		}
		return strings.ToLower(text), nil
	})
}

// origin is what a browser sends in the header of that name; it is tidied up so that it can be compared with it.
func origin() kind[string] {
	return ofText(`an origin, such as "https://lab.example.org" or "http://localhost:3000"`, func(text string) (string, error) {
		parsed, err := url.Parse(text)
		if err != nil || parsed.User != nil || parsed.Opaque != "" || parsed.RawQuery != "" || parsed.ForceQuery ||
			strings.Contains(text, "#") || (parsed.Path != "" && parsed.Path != "/") {
			return "", errNotAllowed
		}
		usualPort, known := map[string]string{"http": "80", "https": "443"}[parsed.Scheme]
		if _, notAPort := strconv.ParseUint(cmp.Or(parsed.Port(), "1"), 10, 16); !known || !isHost(parsed.Hostname()) || notAPort != nil {
			return "", errNotAllowed
		}
		host := strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(parsed.Host, ":"+usualPort), ":"))
		return parsed.Scheme + "://" + host, nil
	})
}

func dockerHost() kind[string] {
	allowed := `the address of a Docker daemon, such as "unix:///var/run/docker.sock", or "" to find it`
	return ofText(allowed, checked(func(text string) bool {
		parsed, err := url.Parse(text)
		schemes := []string{"unix", "npipe", "tcp", "http", "https"}
		// No user and password: what is printed of the configuration would show them.
		return text == "" || (err == nil && slices.Contains(schemes, parsed.Scheme) && parsed.User == nil && parsed.Host+parsed.Path != "")
	}))
}

func subnetPool() kind[string] {
	return ofText(`a private IPv4 range of at least 256 addresses, such as "172.29.0.0/16"`, checked(func(text string) bool {
		prefix, err := netip.ParsePrefix(text)
		return err == nil && prefix.Addr().Is4() && prefix.Addr().IsPrivate() && prefix.Masked() == prefix && prefix.Bits() >= 8 && prefix.Bits() <= 24
	}))
}

func flag() kind[bool] {
	return kind[bool]{
		allowed: "true or false",
		decode: func(value any) (bool, error) {
			on, ok := value.(bool)
			if !ok {
				return false, errNotAllowed
			}
			return on, nil
		},
		parse: func(text string) (bool, error) { // the words that upstream's manager knows
			switch strings.ToLower(text) {
			case "true", "t", "yes", "y", "on", "1":
				return true, nil
			case "false", "f", "no", "n", "off", "0":
				return false, nil
			}
			return false, errNotAllowed
		},
		show: strconv.FormatBool,
	}
}

func logLevel() kind[slog.Level] {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warning": slog.LevelWarn, "error": slog.LevelError,
		"warn": slog.LevelWarn, "critical": slog.LevelError, // other words of upstream's manager
	}
	return kind[slog.Level]{
		allowed: `"debug", "info", "warning" or "error"`,
		decode: func(value any) (slog.Level, error) {
			text, _ := value.(string)
			level, ok := levels[strings.ToLower(text)]
			if !ok {
				return 0, errNotAllowed
			}
			return level, nil
		},
		show: func(level slog.Level) string {
			for _, word := range []string{"debug", "info", "warning"} {
				if levels[word] == level {
					return quote(word)
				}
			}
			return quote("error")
		},
	}
}

// whole makes a kind of whole number.
func whole[T int | int64](allowed string, ok func(int64) bool) kind[T] {
	check := func(n int64) (T, error) {
		if !ok(n) {
			return 0, errNotAllowed
		}
		return T(n), nil
	}
	return kind[T]{
		allowed: allowed,
		decode: func(value any) (T, error) {
			n, isWhole := value.(int64)
			if !isWhole {
				return 0, errNotAllowed
			}
			return check(n)
		},
		parse: func(text string) (T, error) {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return 0, errNotAllowed
			}
			return check(n)
		},
		show: func(n T) string { return strconv.FormatInt(int64(n), 10) },
	}
}

func from(least, most int64) func(int64) bool {
	return func(n int64) bool { return n >= least && n <= most }
}

func port(least int64, allowed string) kind[int] {
	return whole[int](allowed, from(least, math.MaxUint16))
}

// least is the smallest value of a limit; zero says what 0 means besides, "" that it is not allowed.
type least struct {
	value int64
	zero  string
}

func (l least) holds(n int64) bool { return n >= l.value || (n == 0 && l.zero != "") }

func (l least) or() string {
	if l.zero == "" {
		return ""
	}
	return ", or 0 for " + l.zero
}

const maxProcesses = 1 << 22 // what Linux can count

func processes(l least) kind[int64] {
	return whole[int64](fmt.Sprintf("a number of processes from %d to %d%s", l.value, maxProcesses, l.or()),
		func(n int64) bool { return l.holds(n) && n <= maxProcesses })
}

// maxLimitMB is more than any machine has, and its bytes can be counted.
const maxLimitMB = 8_000_000 * mbPerTB

func size(l least) kind[int64] {
	check := func(mb int64, ok bool) (int64, error) {
		if !ok || !l.holds(mb) || mb > maxLimitMB {
			return 0, errNotAllowed
		}
		return mb, nil
	}
	return kind[int64]{
		allowed: fmt.Sprintf(`a size from %d MB to %d TB, such as 2000, "2GB" or "2GiB"%s`, max(1, l.value), maxLimitMB/mbPerTB, l.or()),
		decode: func(value any) (int64, error) {
			switch value := value.(type) {
			case int64:
				return check(value, true)
			case string:
				return check(parseSize(value))
			}
			return 0, errNotAllowed
		},
		show: showSize,
	}
}

const maxCPUs = 100_000 // more than any machine has, and far from what Docker cannot count

func cpus() kind[float64] {
	return fraction(fmt.Sprintf("a number of CPUs from %v to %d, such as 0.5 or 2", quota.MinCPUs, maxCPUs),
		func(n float64) bool { return n >= quota.MinCPUs && n <= maxCPUs })
}

// cpuSum is CPUs, or none with a meaning of its own.
func cpuSum(zero string) kind[float64] {
	some := cpus()
	return fraction(some.allowed+", or 0 for "+zero, func(n float64) bool { return n == 0 || (n >= quota.MinCPUs && n <= maxCPUs) })
}

func overcommit() kind[float64] {
	const fewest, most = 0.1, 100
	return fraction(fmt.Sprintf("a factor from %v to %d, such as 1.5, or 0 for no bound", fewest, most),
		func(n float64) bool { return n == 0 || (n >= fewest && n <= most) })
}

// fraction makes a kind of number. "nan" is never ok, because it is in no range.
func fraction(allowed string, ok func(float64) bool) kind[float64] {
	check := func(n float64) (float64, error) {
		if !ok(n) {
			return 0, errNotAllowed
		}
		return n, nil
	}
	return kind[float64]{
		allowed: allowed,
		decode: func(value any) (float64, error) {
			switch value := value.(type) {
			case int64:
				return check(float64(value))
			case float64:
				return check(value)
			}
			return 0, errNotAllowed
		},
		parse: func(text string) (float64, error) {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return 0, errNotAllowed
			}
			return check(n)
		},
		show: func(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) },
	}
}

func duration(allowed string, from, to time.Duration) kind[time.Duration] {
	check := func(d time.Duration, ok bool) (time.Duration, error) {
		if !ok || d < from || d > to {
			return 0, errNotAllowed
		}
		return d, nil
	}
	return kind[time.Duration]{
		allowed: allowed,
		decode: func(value any) (time.Duration, error) {
			switch value := value.(type) {
			case int64:
				return check(parseDuration(strconv.FormatInt(value, 10)))
			case string:
				return check(parseDuration(value))
			}
			return 0, errNotAllowed
		},
		show: func(d time.Duration) string { return quote(showDuration(d)) },
	}
}

func idleTimeout(zero string) kind[time.Duration] {
	return duration(fmt.Sprintf(`a time up to a year in whole seconds, such as "90m", "4h" or 3600, or "0s" for %s`, zero), 0, workspace.MaxIdleTimeout)
}

func patience() kind[time.Duration] {
	return duration(`a time from "1s" to "1h"`, time.Second, time.Hour)
}

// checkInterval keeps us from asking registries, which count and refuse, all the time.
func checkInterval() kind[time.Duration] {
	k := duration(`a time from "1m" to a year, such as "6h", or "0s" for never`, 0, workspace.MaxIdleTimeout)
	decode := k.decode
	k.decode = func(value any) (time.Duration, error) {
		d, err := decode(value)
		if err == nil && d != 0 && d < time.Minute {
			return 0, errNotAllowed
		}
		return d, err
	}
	return k
}

const maxListLength = 1000

// entryError is about one entry of a list.
type entryError struct {
	index   int
	value   any
	allowed string
	err     error
}

func (e entryError) Error() string { return e.err.Error() }
func (e entryError) Unwrap() error { return e.err }

// listOf makes a kind of list. An empty one is nil.
func listOf[T any](item kind[T]) kind[[]T] { return listOfUpTo(maxListLength, item) }

func listOfUpTo[T any](longest int, item kind[T]) kind[[]T] {
	collect := func(length int, at func(int) (T, error)) (list []T, err error) {
		if length > longest {
			return nil, fmt.Errorf("has %d entries; it may have %d", length, longest)
		}
		for i := range length {
			value, err := at(i)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	}
	return kind[[]T]{
		allowed: "a list, each of its entries " + item.allowed,
		decode: func(value any) ([]T, error) {
			items, ok := value.([]any)
			if !ok {
				return nil, errNotAllowed
			}
			return collect(len(items), func(i int) (T, error) {
				decoded, err := item.decode(items[i])
				if err != nil {
					err = entryError{index: i, value: items[i], allowed: item.allowed, err: err}
				}
				return decoded, err
			})
		},
		parse: func(text string) ([]T, error) {
			items, ok := splitList(text)
			if !ok {
				return nil, errNotAllowed
			}
			return collect(len(items), func(i int) (T, error) { return item.fromText(items[i]) })
		},
		show: func(list []T) string {
			shown := make([]string, len(list))
			for i, value := range list {
				shown[i] = item.show(value)
			}
			return "[" + strings.Join(shown, ", ") + "]"
		},
	}
}

// distinct refuses a list that says something twice.
func distinct[T comparable](list kind[[]T]) kind[[]T] {
	decode := list.decode
	list.decode = func(value any) ([]T, error) {
		entries, err := decode(value)
		seen := make(map[T]bool, len(entries))
		for i, entry := range entries {
			if seen[entry] {
				return nil, entryError{index: i, value: value.([]any)[i], err: errors.New("is there already; each must be there once")}
			}
			seen[entry] = true
		}
		return entries, err
	}
	return list
}

func notEmpty[T any](list kind[[]T]) kind[[]T] {
	decode := list.decode
	list.allowed = strings.Replace(list.allowed, "a list,", "a list with an entry at least,", 1)
	list.decode = func(value any) ([]T, error) {
		entries, err := decode(value)
		if err == nil && len(entries) == 0 {
			err = errNotAllowed
		}
		return entries, err
	}
	return list
}

// choicesOf makes a kind of list whose order and repetitions mean nothing.
func choicesOf[T cmp.Ordered](item kind[T]) kind[[]T] {
	list := listOf(item)
	tidy := func(values []T, err error) ([]T, error) {
		slices.Sort(values)
		return slices.Compact(values), err
	}
	decode, parse := list.decode, list.parse
	list.decode = func(value any) ([]T, error) { return tidy(decode(value)) }
	list.parse = func(text string) ([]T, error) { return tidy(parse(text)) }
	return list
}

const maxValue = 100_000 // bytes

func variables() kind[map[string]string] {
	name := variableName()
	return textTable(`a table of environment variables, such as { LANG = "C.UTF-8" }`, func(key, value string) (string, bool) {
		_, err := name.decode(key)
		return key, err == nil && len(value) <= maxValue && !strings.ContainsRune(value, 0)
	})
}

// ofTheConnection are headers that say how a message travels. Whoever forwards one writes them anew.
var ofTheConnection = []string{
	"Connection", "Content-Length", "Host", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

func headers() kind[map[string]string] {
	name := header()
	return textTable(`a table of HTTP headers that say nothing of the connection, such as { X-Forwarded-Prefix = "{access_path}" }`,
		func(key, value string) (string, bool) {
			_, err := name.decode(key)
			canonical := textproto.CanonicalMIMEHeaderKey(key)
			return canonical, err == nil && !slices.Contains(ofTheConnection, canonical) && len(value) <= maxValue &&
				strings.TrimSpace(value) == value && !strings.ContainsFunc(value, unicode.IsControl)
		})
}

// textTable makes a kind of table of texts. check returns what must be there once, and whether key and value are allowed.
func textTable(allowed string, check func(key, value string) (once string, ok bool)) kind[map[string]string] {
	return kind[map[string]string]{
		allowed: allowed,
		decode: func(value any) (map[string]string, error) {
			table, ok := value.(map[string]any)
			if !ok || len(table) > maxListLength {
				return nil, errNotAllowed
			}
			texts, seen := make(map[string]string, len(table)), map[string]bool{}
			for key, value := range table {
				text, isText := value.(string)
				once, ok := check(key, text)
				if !isText || !ok || seen[once] {
					return nil, errNotAllowed
				}
				texts[key], seen[once] = text, true
			}
			return texts, nil
		},
		show: func(texts map[string]string) string {
			shown := make([]string, 0, len(texts))
			for _, name := range slices.Sorted(maps.Keys(texts)) {
				shown = append(shown, name+" = "+quote(texts[name]))
			}
			if len(shown) == 0 {
				return "{}"
			}
			return "{ " + strings.Join(shown, ", ") + " }"
		},
	}
}
