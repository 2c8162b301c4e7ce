package contaxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"lab-workspace-manager/backend/workspace"
)

// maxAnswer bounds what is read of an answer. A log is the largest thing that is asked for.
const maxAnswer = 32 << 20

// Client asks one ML Lab.
type Client struct {
	endpoint string // with "/api", without a slash at the end
	http     *http.Client
}

// New makes a client of the lab whose API is at endpoint, as ML Lab itself gives it to extensions:
// "http://ml-lab-backend:8080/api".
func New(endpoint string) (*Client, error) {
	address, err := url.Parse(endpoint)
	if err != nil || address.Host == "" || (address.Scheme != "http" && address.Scheme != "https") {
		return nil, fmt.Errorf("contaxy: %q is no address of an ML Lab; it looks like http://ml-lab-backend:8080/api", endpoint)
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, MaxIdleConnsPerHost: 32, IdleConnTimeout: 30 * time.Second,
		TLSHandshakeTimeout: 5 * time.Second,
	}
	return &Client{
		endpoint: strings.TrimRight(endpoint, "/"),
		// A lab that sends us elsewhere would be handed the user's token there.
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// Endpoint is the address of the lab's API.
func (c *Client) Endpoint() string { return c.endpoint }

// Root is the address below which the lab serves its services and its own pages: the endpoint without "/api".
func (c *Client) Root() string { return strings.TrimSuffix(c.endpoint, "/api") }

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// problem is how contaxy says what went wrong; front ends before it answer with a page.
type problem struct {
	Message     string `json:"message"`
	Explanation string `json:"explanation"`
}

// call makes one request on behalf of who holds the token, and reads the answer into answer unless that is nil.
//
// Errors are workspace.Errors: CodeUnavailable when nobody answers, or something other than a lab does; the lab's own
// refusals with their sentence as CodeUnauthenticated, CodeForbidden, CodeNotFound, CodeConflict, CodeInvalid (400 and
// 422), and CodeInternal for what the lab itself calls an internal error.
func (c *Client) call(ctx context.Context, token, method, path string, query url.Values, body, answer any) error {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("contaxy: encode a request: %w", err)
		}
		content = bytes.NewReader(encoded)
	}
	address := c.endpoint + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return fmt.Errorf("contaxy: %w", err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer func() { _ = response.Body.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return c.refusal(response.StatusCode, text)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return nonsense(c.endpoint, err)
	}
	return nil
}

// unreachable says that nobody answered. The cause is left out of the sentence: it names addresses only.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var failure net.Error
	sentence := "ML Lab does not answer at " + c.endpoint + "."
	if errors.As(err, &failure) && failure.Timeout() {
		sentence = "ML Lab does not answer in time at " + c.endpoint + "."
	}
	return &workspace.Error{Code: workspace.CodeUnavailable, Message: sentence, Hint: "Workspaces go on; this page does too, as soon as the lab is back.", Err: err}
}

func nonsense(endpoint string, err error) error {
	return &workspace.Error{
		Code: workspace.CodeUnavailable, Message: "What answers at " + endpoint + " does not speak like an ML Lab.",
		Hint: "CONTAXY_API_ENDPOINT must be the address of the lab's API, as in http://ml-lab-backend:8080/api.", Err: err,
	}
}

// refusal reads an error of the lab, or of what stands before it.
func (c *Client) refusal(status int, text []byte) error {
	var said problem
	if err := json.Unmarshal(text, &said); err != nil || said.Message == "" {
		switch status {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return &workspace.Error{
				Code: workspace.CodeUnavailable, Message: "ML Lab is not up: what stands before it answers " + fmt.Sprint(status) + ".",
				Hint: "Workspaces go on; this page does too, as soon as the lab is back.", Err: fmt.Errorf("status %d", status),
			}
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusInternalServerError:
		default:
			return nonsense(c.endpoint, fmt.Errorf("status %d without a problem in it", status))
		}
	}
	code := workspace.CodeInternal
	switch status {
	case http.StatusUnauthorized:
		code = workspace.CodeUnauthenticated
	case http.StatusForbidden:
		code = workspace.CodeForbidden
	case http.StatusNotFound:
		code = workspace.CodeNotFound
	case http.StatusConflict:
		code = workspace.CodeConflict
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		code = workspace.CodeInvalid
	}
	sentence := said.Message
	switch {
	case sentence == "" && code == workspace.CodeInternal:
		sentence = "ML Lab has failed inside; its own log says why."
	case sentence == "":
		sentence = "ML Lab has refused it."
	case said.Explanation != "" && code != workspace.CodeUnauthenticated && code != workspace.CodeForbidden:
		sentence += " (" + said.Explanation + ")" // Docker's own words, of a deployment that it refuses
	}
	return &workspace.Error{Code: code, Message: sentence, Err: fmt.Errorf("status %d", status)}
}
