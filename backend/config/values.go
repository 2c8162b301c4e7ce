package config

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxSizeMB is the largest size whose bytes can be counted.
const maxSizeMB = math.MaxInt64 >> 20

// The units of sizes in ML Lab's MB, which Docker reads as MiB.
const (
	mbPerGB  = 1000
	mbPerTB  = 1000 * 1000
	mbPerGiB = 1024
	mbPerTiB = 1024 * 1024
)

var sizePattern = regexp.MustCompile(`^([0-9]{1,15})(?:\.([0-9]{1,6}))? ?([A-Za-z]*)$`)

// parseSize reads a size in ML Lab's MB: "2000", "2000MB" and "2GB" are 2000 of them, "2GiB" is 2048.
func parseSize(text string) (mb int64, ok bool) {
	parts := sizePattern.FindStringSubmatch(strings.TrimSpace(text))
	if parts == nil {
		return 0, false
	}
	unit, known := map[string]int64{
		"": 1, "mb": 1, "mib": 1, "gb": mbPerGB, "gib": mbPerGiB, "tb": mbPerTB, "tib": mbPerTiB,
	}[strings.ToLower(parts[3])]
	if !known {
		return 0, false
	}
	// Digits after the point are counted as a fraction of the unit, so that no float rounds them.
	whole, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || whole > maxSizeMB/unit {
		return 0, false
	}
	fraction, scale := int64(0), int64(1)
	for _, digit := range parts[2] {
		fraction, scale = fraction*10+int64(digit-'0'), scale*10
	}
	if fraction*unit%scale != 0 {
		return 0, false // not a whole number of MB
	}
	return whole*unit + fraction*unit/scale, true
}

// showSize writes a size as TOML, in the largest unit that says it without a fraction.
func showSize(mb int64) string {
	for _, unit := range []struct {
		name string
		mb   int64
	}{{"TB", mbPerTB}, {"GB", mbPerGB}, {"GiB", mbPerGiB}} {
		if mb > 0 && mb%unit.mb == 0 {
			return quote(strconv.FormatInt(mb/unit.mb, 10) + unit.name)
		}
	}
	if mb == 0 {
		return "0"
	}
	return quote(strconv.FormatInt(mb, 10) + "MB")
}

// parseDuration reads "90m", "1h30m", "0s" or a number of seconds. Whole seconds are what ML Lab can say.
func parseDuration(text string) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		const most = int64(math.MaxInt64 / time.Second)
		return time.Duration(seconds) * time.Second, seconds >= -most && seconds <= most
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d%time.Second == 0
}

// showDuration writes "4h" where Go writes "4h0m0s".
func showDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// splitList takes "1,2", "[1, 2]", `["a", "b"]`, "5" or "" apart.
func splitList(text string) (items []string, ok bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, true
	}
	if !strings.HasPrefix(text, "[") {
		for item := range strings.SplitSeq(text, ",") {
			items = append(items, strings.TrimSpace(item))
		}
		return items, true
	}
	var values []json.RawMessage
	if err := json.Unmarshal([]byte(text), &values); err != nil {
		return nil, false
	}
	for _, value := range values {
		item := string(value)
		if strings.HasPrefix(item, `"`) {
			if err := json.Unmarshal(value, &item); err != nil {
				return nil, false
			}
		}
		items = append(items, item)
	}
	return items, true
}

const maxDescribed = 60

// describe names a value that cannot be used, as its writer wrote it.
func describe(value any) string {
	switch value := value.(type) {
	case string:
		return quote(shorten(value))
	case []any:
		items := make([]string, min(len(value), maxDescribed))
		for i := range items {
			items[i] = describe(value[i])
		}
		return shorten("[" + strings.Join(items, ", ") + "]")
	case []map[string]any:
		return "a list of tables"
	case map[string]any:
		return "a table"
	case time.Time:
		return "a date or time"
	}
	return fmt.Sprint(value)
}

func shorten(text string) string {
	if runes := []rune(text); len(runes) > maxDescribed {
		return string(runes[:maxDescribed]) + "…"
	}
	return text
}
