package api

import (
	"encoding/json"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOpenAPI_Describes31(t *testing.T) {
	text, err := OpenAPI()
	require.NoError(t, err)
	var document struct {
		OpenAPI string                    `json:"openapi"`
		Paths   map[string]map[string]any `json:"paths"`
	}
	require.NoError(t, json.Unmarshal(text, &document))
	require.Equal(t, "3.1.0", document.OpenAPI)
	for path, methods := range map[string][]string{
		"/users/me":                  {"get"},
		"/config":                    {"get"},
		"/users/{user_id}/workspace": {"get", "post"},
		"/users/{user_id}/workspace/{workspace_id}":       {"get", "patch", "delete"},
		"/users/{user_id}/workspace/{workspace_id}:start": {"post"},
		"/users/{user_id}/workspace/{workspace_id}:open":  {"post"},
		"/users/{user_id}/workspace/{workspace_id}:logs":  {"get"},
		"/events": {"get"},
	} {
		for _, method := range methods {
			require.Contains(t, document.Paths[path], method, path)
		}
	}
}

// Huma passes parameters over in silence when it cannot set them.
func TestOpenAPI_KnowsTheParametersOfEveryPath(t *testing.T) {
	text, err := OpenAPI()
	require.NoError(t, err)
	var document struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ In, Name string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &document))
	for path, methods := range document.Paths {
		for method, operation := range methods {
			var named []string
			for _, parameter := range operation.Parameters {
				if parameter.In == "path" {
					named = append(named, "{"+parameter.Name+"}")
				}
			}
			require.ElementsMatch(t, regexp.MustCompile(`\{[^}]*\}`).FindAllString(path, -1), named, "%s %s", method, path)
		}
	}
}
