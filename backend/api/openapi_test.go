package api

import (
	"encoding/json"
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
