package contaxy

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// UserToken returns the token with which programs in a user's workspaces call the lab. The lab makes it the first time,
// and gives the same one ever after.
func (c *Client) UserToken(ctx context.Context, token, user string) (string, error) {
	var made string
	err := c.call(ctx, token, http.MethodGet, "/users/"+url.PathEscape(user)+"/token", url.Values{"access_level": {Write}}, nil, &made)
	return made, err
}

// ServiceToken makes a token that gives nothing but access to one service, as ML Lab itself makes one for each: programs in
// the service call it through the lab's proxy. It belongs to who holds token, and never expires.
func (c *Client) ServiceToken(ctx context.Context, token, project, service string) (string, error) {
	return c.makeToken(ctx, token, url.Values{
		"token_type": {"api-token"}, "scope": {accessTo(project, service, "")},
		"description": {fmt.Sprintf("Access token for service %s.", service)},
	})
}

// AccessToken returns a token that is good for one thing: to reach a port of a service through the lab's proxy. It is worth
// nothing after a quarter of an hour. The lab gives it to who may see the service, and counts it as use of it.
func (c *Client) AccessToken(ctx context.Context, token, project, service string, port int) (string, error) {
	return c.makeToken(ctx, token, url.Values{"token_type": {"session-token"}, "scope": {accessTo(project, service, strconv.Itoa(port))}})
}

// accessTo is the permission to reach a port of a service through the lab's proxy, "" = every one.
func accessTo(project, service, port string) string {
	return fmt.Sprintf("projects/%s/services/%s/access/%s#%s", project, service, port, Read)
}

func (c *Client) makeToken(ctx context.Context, token string, query url.Values) (string, error) {
	var made string
	err := c.call(ctx, token, http.MethodPost, "/auth/tokens", query, nil, &made)
	return made, err
}

// Revoke makes a token worthless. The lab may take it for some minutes more. One that is none is no error.
func (c *Client) Revoke(ctx context.Context, token string) error {
	form := url.Values{"token": {token}}
	return c.send(ctx, "", http.MethodPost, "/auth/oauth/revoke", nil, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()), nil)
}
