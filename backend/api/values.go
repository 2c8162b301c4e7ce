package api

import (
	"bytes"
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lab-workspace-manager/backend/workspace"
)

// Number is a JSON number; a string that holds one is accepted too, as upstream does.
type Number float64

// UnmarshalJSON reads a number or a numeric string.
func (n *Number) UnmarshalJSON(data []byte) error {
	text := strings.TrimSpace(strings.Trim(string(data), `"`))
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
		return workspace.Invalid("", "%s is no number.", clipped(data))
	}
	*n = Number(value)
	return nil
}

// Schema describes Number to OpenAPI.
func (Number) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "A number; a string that holds one is accepted.",
		OneOf:       []*huma.Schema{{Type: huma.TypeNumber}, {Type: huma.TypeString, Pattern: `^\s*[+-]?[0-9.]+([eE][+-]?[0-9]+)?\s*$`}},
	}
}

// Flag is a JSON boolean; the spellings that ML Lab's clients send elsewhere ("True", 1) are accepted too, as upstream does.
type Flag bool

// UnmarshalJSON reads a boolean in any of its spellings.
func (f *Flag) UnmarshalJSON(data []byte) error {
	value, ok := parseBool(strings.Trim(string(data), `"`))
	if !ok || len(data) == 0 || string(data) == `""` {
		return workspace.Invalid("", "%s is neither true nor false.", clipped(data))
	}
	*f = Flag(value)
	return nil
}

// Schema describes Flag to OpenAPI.
func (Flag) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "true or false; their spellings in a string or as 1 and 0 are accepted.",
		OneOf: []*huma.Schema{
			{Type: huma.TypeBoolean, Nullable: true}, {Type: huma.TypeInteger, Enum: []any{0, 1}},
			{Type: huma.TypeString, Pattern: "^(?i:true|false|1|0|t|f|y|n|yes|no|on|off)$"},
		},
	}
}

// Seconds is a duration on the wire: a float of seconds in answers; a number of seconds, a numeric string or an ISO 8601
// duration ("PT1H30M") in requests; null is 0 (ML Lab's wire format).
type Seconds float64

// Duration converts to Go's duration. Absurd values become the largest one, which the limits then refuse.
func (s Seconds) Duration() time.Duration {
	if nanos := float64(s) * float64(time.Second); math.Abs(nanos) < math.MaxInt64 {
		return time.Duration(nanos)
	} else if nanos < 0 {
		return math.MinInt64
	}
	return math.MaxInt64
}

func secondsOf(d time.Duration) Seconds { return Seconds(d.Seconds()) }

// MarshalJSON writes a float as Python does: 0.0, 3600.0.
func (s Seconds) MarshalJSON() ([]byte, error) {
	text := strconv.FormatFloat(float64(s), 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return []byte(text), nil
}

// UnmarshalJSON reads any of the accepted forms.
func (s *Seconds) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		*s = 0
		return nil
	}
	text := string(data)
	if len(data) > 0 && data[0] == '"' {
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
	}
	value, ok := parseSeconds(text)
	if !ok {
		return workspace.Invalid("", "%s is no duration. Use a number of seconds or an ISO 8601 duration such as PT1H30M.", clipped(data))
	}
	*s = Seconds(value)
	return nil
}

// Schema describes Seconds to OpenAPI.
func (Seconds) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "Seconds; in requests also a numeric string, an ISO 8601 duration (PT1H30M) or null for 0.",
		OneOf:       []*huma.Schema{{Type: huma.TypeNumber, Nullable: true}, {Type: huma.TypeString}},
	}
}

// MaybeSeconds is a Seconds that may be left out. A pointer would not do: null means 0, and JSON makes nil of it.
type MaybeSeconds struct {
	Said  bool
	Value Seconds
}

// UnmarshalJSON reads any of the forms of Seconds, null among them.
func (m *MaybeSeconds) UnmarshalJSON(data []byte) error {
	m.Said = true
	return m.Value.UnmarshalJSON(data)
}

// Schema describes MaybeSeconds to OpenAPI.
func (MaybeSeconds) Schema(r huma.Registry) *huma.Schema { return Seconds(0).Schema(r) }

func (m MaybeSeconds) duration() *time.Duration {
	if !m.Said {
		return nil
	}
	duration := m.Value.Duration()
	return &duration
}

var isoDuration = regexp.MustCompile(`^([+-])?P(?:(\d+(?:[.,]\d+)?)W)?(?:(\d+(?:[.,]\d+)?)D)?(?:T(?:(\d+(?:[.,]\d+)?)H)?(?:(\d+(?:[.,]\d+)?)M)?(?:(\d+(?:[.,]\d+)?)S)?)?$`)

// parseSeconds reads seconds or an ISO 8601 duration of weeks, days, hours, minutes and seconds; months and years have
// no fixed length and are refused.
func parseSeconds(text string) (float64, bool) {
	text = strings.TrimSpace(text)
	if value, err := strconv.ParseFloat(text, 64); err == nil {
		return value, !math.IsNaN(value) && !math.IsInf(value, 0)
	}
	parts := isoDuration.FindStringSubmatch(strings.ToUpper(text))
	if parts == nil {
		return 0, false
	}
	total, any := 0.0, false
	for i, unit := range []float64{7 * 86400, 86400, 3600, 60, 1} {
		if part := parts[i+2]; part != "" {
			value, err := strconv.ParseFloat(strings.Replace(part, ",", ".", 1), 64)
			if err != nil {
				return 0, false
			}
			total += value * unit
			any = true
		}
	}
	if parts[1] == "-" {
		total = -total
	}
	return total, any && !math.IsInf(total, 0)
}

// parseBool reads the spellings of a boolean that ML Lab's clients send, Python's among them. Empty is false.
func parseBool(text string) (value, ok bool) {
	switch strings.ToLower(text) {
	case "", "false", "0", "f", "n", "no", "off":
		return false, true
	case "true", "1", "t", "y", "yes", "on":
		return true, true
	}
	return false, false
}

// clipped bounds what of the input comes back in a sentence.
func clipped(data []byte) string {
	if len(data) > 60 {
		return strings.ToValidUTF8(string(data[:60]), "") + "…"
	}
	return strings.ToValidUTF8(string(data), "")
}
