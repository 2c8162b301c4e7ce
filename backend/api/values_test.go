package api

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestSeconds_ReadsEveryForm(t *testing.T) {
	for text, want := range map[string]float64{
		"null": 0, "0": 0, "1.5": 1.5, `"90"`: 90, `" 90 "`: 90, `"PT1H30M"`: 5400, `"P1DT1S"`: 86401, `"pt0,5s"`: 0.5, `"-PT1M"`: -60, `"P2W"`: 1209600,
	} {
		var seconds Seconds
		require.NoError(t, json.Unmarshal([]byte(text), &seconds), text)
		require.InDelta(t, want, float64(seconds), 1e-9, text)
	}
	for _, text := range []string{`""`, `"P"`, `"PT"`, `"P1M"`, `"P1Y"`, `"NaN"`, `"Inf"`, "true", "[]", `"one hour"`, `"1e999"`} {
		var seconds Seconds
		require.Error(t, json.Unmarshal([]byte(text), &seconds), text)
	}
}

func TestNumber_ReadsNumericStringsToo(t *testing.T) {
	for text, want := range map[string]float64{"2": 2, "0.5": 0.5, `"2"`: 2, `" 1e3 "`: 1000} {
		var number Number
		require.NoError(t, json.Unmarshal([]byte(text), &number), text)
		require.InDelta(t, want, float64(number), 1e-9, text)
	}
	for _, text := range []string{`""`, `"two"`, "true", "[]", `"NaN"`, `"-Inf"`, `"1e999"`} {
		var number Number
		require.Error(t, json.Unmarshal([]byte(text), &number), text)
	}
}

func FuzzValues(f *testing.F) {
	for _, text := range []string{"2", `"2"`, "null", `"PT1H30M"`, `"P99999999999999999999W"`, `"\ud800"`, "1e308", `"0x10"`, `"1_000"`, "True", "off", strings.Repeat("9", 400)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		finite := func(value float64) { require.False(t, math.IsNaN(value) || math.IsInf(value, 0), text) }
		var number Number
		if err := number.UnmarshalJSON([]byte(text)); err != nil {
			require.Less(t, len(err.Error()), 200)
			require.True(t, utf8.ValidString(err.Error()))
		}
		finite(float64(number))
		var seconds Seconds
		if err := seconds.UnmarshalJSON([]byte(text)); err == nil {
			finite(float64(seconds))
			again, marshalErr := json.Marshal(seconds)
			require.NoError(t, marshalErr)
			var same Seconds
			require.NoError(t, json.Unmarshal(again, &same))
			require.Equal(t, seconds, same, "%q → %s", text, again)
			if seconds.Duration() < 0 {
				require.Negative(t, float64(seconds))
			}
		} else {
			require.Less(t, len(err.Error()), 200)
		}
		if value, ok := parseBool(text); !ok {
			require.False(t, value)
		}
	})
}
