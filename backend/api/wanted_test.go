package api

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/workspace"
)

func TestWanted_SaysWhatAnOperationNeeds(t *testing.T) {
	var asked *Wanted
	handler := New(Options{
		Presenter: &Presenter{}, Log: slog.New(slog.DiscardHandler),
		Caller: func(_ *http.Request, wanted Wanted) (manager.Caller, error) {
			asked = &wanted
			return manager.Caller{}, workspace.Errorf(workspace.CodeForbidden, "No.")
		},
	})
	for request, want := range map[string]Wanted{
		"GET /users/ada0/workspace":          {Owner: "ada0", Now: true},
		"HEAD /users/ada0/workspace":         {Owner: "ada0", Now: true},
		"GET /users/ada0/workspace/x":        {Owner: "ada0", Workspace: "x", Now: true},
		"POST /users/ada0/workspace":         {Owner: "ada0", Write: true, Makes: true, Now: true},
		"PATCH /users/ada0/workspace/x":      {Owner: "ada0", Write: true, Workspace: "x", Now: true},
		"DELETE /users/ada0/workspace/x":     {Owner: "ada0", Write: true, Workspace: "x", Now: true},
		"POST /users/ada0/workspace/x:start": {Owner: "ada0", Write: true, Workspace: "x", Now: true},
		"GET /users/ada0/workspace/x:logs":   {Owner: "ada0", Write: true, Workspace: "x", Now: true}, // the lab's own rule (facts: 1.4)
		"POST /users/ada0/workspace:check":   {Owner: "ada0", Write: true},
		"POST /users/ada0/workspace/x:check": {Owner: "ada0", Write: true, Workspace: "x"},
		"GET /events?user=ada0":              {Owner: "ada0"},
		"GET /events":                        {},
		"POST /admin/workspaces/x:stop":      {Write: true, Workspace: "x"},
	} {
		asked = nil
		method, target, _ := strings.Cut(request, " ")
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(method, target, nil))
		require.Equal(t, http.StatusForbidden, answer.Code, request)
		require.Equal(t, &want, asked, request)
	}
}
