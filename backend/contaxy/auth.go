package contaxy

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"lab-workspace-manager/backend/workspace"
)

// The levels of access, each of which includes those before it.
const (
	Read  = "read"
	Write = "write"
	Admin = "admin"
)

const verifyPath = "/auth/tokens/verify"

// Verify asks who holds a token, and whether its holder has the permission, such as "projects/ada0/services#read"; "" asks
// for none. The lab is asked to look it up anew, since it remembers its own answers for five minutes. It returns the id of
// the user. CodeUnauthenticated for a token that is not valid (any more), CodeForbidden without the permission.
func (c *Client) Verify(ctx context.Context, token, permission string) (user string, err error) {
	query := url.Values{"use_cache": {"false"}}
	if permission != "" {
		query.Set("permission", permission)
	}
	var access struct {
		Subject string `json:"authorized_subject"`
	}
	if err := c.call(ctx, token, http.MethodPost, verifyPath, query, nil, &access); err != nil {
		return "", err
	}
	user, isUser := strings.CutPrefix(access.Subject, "users/")
	if !isUser {
		return "", workspace.Errorf(workspace.CodeForbidden, "The token is not one of a user.")
	}
	return user, nil
}

// UserName returns what a user has called themselves. CodeForbidden for who may not see that.
func (c *Client) UserName(ctx context.Context, token, user string) (string, error) {
	var known struct {
		Username string `json:"username"`
	}
	err := c.call(ctx, token, http.MethodGet, "/users/"+url.PathEscape(user), nil, nil, &known)
	return known.Username, err
}

// StateUninitialized is the state of a lab that nobody can log in to yet.
const StateUninitialized = "uninitialized"

// Info is what a lab says of itself to everybody.
type Info struct {
	Version   string `json:"version"`
	Namespace string `json:"namespace"` // first part of the ids of its services
	State     string `json:"system_state"`
}

// Info asks the lab about itself. It proves that a lab answers.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var info Info
	err := c.call(ctx, "", http.MethodGet, "/system/info", nil, nil, &info)
	if err == nil && info.Namespace == "" {
		err = nonsense(c.endpoint, nil)
	}
	return info, err
}
