package contaxy

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
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
const maxAnswer = 8 << 20

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

// ErrNoLab is in the chain of errors that mean that no lab is there, or that its front cannot reach it.
var ErrNoLab = errors.New("contaxy: no lab answers")

func noLab(err error) error { return fmt.Errorf("%w: %w", ErrNoLab, err) }

// problem is how contaxy says what went wrong; front ends before it answer with a page.
type problem struct {
	Message     string `json:"message"`
	Explanation string `json:"explanation"`
	OAuth       string `json:"error"` // a word of OAuth 2, where a login is refused
}

// call makes one request on behalf of who holds the token, and reads the answer into answer unless that is nil.
//
// Errors are workspace.Errors: CodeUnavailable when nobody answers, or something other than a lab does; the lab's own
// refusals with their sentence as CodeUnauthenticated, CodeForbidden, CodeNotFound, CodeConflict, CodeInvalid (400 and
// 422), and CodeInternal for what the lab itself calls an internal error.
func (c *Client) call(ctx context.Context, token, method, path string, query url.Values, body, answer any) error {
	if body == nil {
		return c.send(ctx, token, method, path, query, "", nil, answer)
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("contaxy: encode a request: %w", err)
	}
	return c.send(ctx, token, method, path, query, "application/json", bytes.NewReader(encoded), answer)
}

// send is call with a body of any type; contentType says which, "" without body.
func (c *Client) send(ctx context.Context, token, method, path string, query url.Values, contentType string, content io.Reader, answer any) error {
	address := c.endpoint + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return fmt.Errorf("contaxy: %w", err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if path == verifyPath {
		// It changes nothing although it is a POST. So it may be asked again where the lab closes a connection at the very moment
		// it is used, as its front does when it is loaded anew. Go sends no such header when it is empty.
		request.Header["Idempotency-Key"] = []string{}
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
	if elsewhere, err := response.Location(); err == nil && response.StatusCode < http.StatusBadRequest {
		return &workspace.Error{
			Code: workspace.CodeUnavailable, Message: fmt.Sprintf("What answers at %s sends us on to %s://%s%s.", c.endpoint, elsewhere.Scheme, elsewhere.Host, elsewhere.Path),
			Hint: "If the lab is there, its address must be that of its API there.", Err: fmt.Errorf("status %d", response.StatusCode),
		}
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
	if problem := untrusted(c.endpoint, err); problem != nil {
		return problem
	}
	var failure net.Error
	sentence := "ML Lab does not answer at " + c.endpoint + "."
	if errors.As(err, &failure) && failure.Timeout() {
		sentence = "ML Lab does not answer in time at " + c.endpoint + "."
	}
	return &workspace.Error{Code: workspace.CodeUnavailable, Message: sentence, Hint: "Workspaces go on; this page does too, as soon as the lab is back.", Err: noLab(err)}
}

// untrusted says that somebody answers who cannot be trusted, or does not speak TLS; nil for other errors.
func untrusted(endpoint string, err error) error {
	problem := &workspace.Error{Code: workspace.CodeUnavailable, Err: err}
	if _, found := errors.AsType[tls.RecordHeaderError](err); found || errors.Is(err, http.ErrSchemeMismatch) {
		problem.Message, problem.Hint = "What answers at "+endpoint+" does not speak TLS.", "Write http:// in place of https://, if the way there is one that you trust."
		return problem
	}
	if unverified, found := errors.AsType[*tls.CertificateVerificationError](err); found {
		problem.Message = "The certificate of what answers at " + endpoint + " is not trusted: " + unverified.Err.Error() + "."
		problem.Hint = "Put the certificate of who has signed it into the bundle of this machine, or name a file with it in SSL_CERT_FILE."
		if _, found := errors.AsType[x509.HostnameError](err); found {
			problem.Hint = "Use the name that the certificate was made for."
		}
		return problem
	}
	return nil
}

func nonsense(endpoint string, err error) error {
	if err == nil {
		err = errors.New("something is missing in the answer")
	}
	return &workspace.Error{
		Code: workspace.CodeUnavailable, Message: "What answers at " + endpoint + " does not speak like an ML Lab.",
		Hint: "CONTAXY_API_ENDPOINT must be the address of the lab's API, as in http://ml-lab-backend:8080/api.", Err: noLab(err),
	}
}

// refusal reads an error of the lab, or of what stands before it.
func (c *Client) refusal(status int, text []byte) error {
	var said problem
	if err := json.Unmarshal(text, &said); err != nil || (said.Message == "" && said.OAuth == "") {
		switch status {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return &workspace.Error{
				Code: workspace.CodeUnavailable, Message: "ML Lab is not up: what stands before it answers " + fmt.Sprint(status) + ".",
				Hint: "Workspaces go on; this page does too, as soon as the lab is back.", Err: noLab(fmt.Errorf("status %d", status)),
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
	sentence := cmp.Or(said.Message, strings.ReplaceAll(said.OAuth, "_", " "))
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
