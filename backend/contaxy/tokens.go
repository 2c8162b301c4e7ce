package contaxy

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// ServiceToken makes a token that gives nothing but access to one service, as ML Lab itself makes one for each: programs in
// the service call it through the lab's proxy. It belongs to who holds token, and never expires.
func (c *Client) ServiceToken(ctx context.Context, token, project, service string) (string, error) {
	var made string
	query := url.Values{
		"token_type": {"api-token"}, "scope": {fmt.Sprintf("projects/%s/services/%s/access/#%s", project, service, Read)},
		"description": {fmt.Sprintf("Access token for service %s.", service)},
	}
	err := c.call(ctx, token, http.MethodPost, "/auth/tokens", query, nil, &made)
	return made, err
}

// Revoke makes a token worthless. The lab may take it for some minutes more. One that is none is no error.
func (c *Client) Revoke(ctx context.Context, token string) error {
	form := url.Values{"token": {token}}
	return c.send(ctx, "", http.MethodPost, "/auth/oauth/revoke", nil, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()), nil)
}
