package contaxy

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"lab-workspace-manager/backend/workspace"
)

// GlobalProject is the project whose extensions every user of a lab sees.
const GlobalProject = "ctxy-global"

// StatusTerminating is a further state that a service can have in a cluster.
const StatusTerminating = "terminating"

// ExtensionInput is what an extension is made of. The type of an extension is left to the lab: of those that it takes,
// none is for everybody, and it asks nobody for it.
type ExtensionInput struct {
	ContainerImage string            `json:"container_image"`
	DisplayName    string            `json:"display_name"` // 4 to 128 characters; the lab makes the id from it
	Description    string            `json:"description"`  // at most 240 characters
	Icon           string            `json:"icon"`         // name of a Material icon
	Endpoints      []string          `json:"endpoints"`    // ports
	UIEndpoint     string            `json:"ui_extension_endpoint"`
	APIEndpoint    string            `json:"api_extension_endpoint"`
	Metadata       map[string]string `json:"metadata"`
	Parameters     map[string]string `json:"parameters"` // its environment. Every user of the lab can read it
	Compute        Compute           `json:"compute"`
}

// What the lab keeps the endpoints of an extension in, as they were said. Where it tells of the extension itself, they are
// filled in for who asks.
const (
	metaUIEndpoint  = "ctxy.ui_extension_endpoint"
	metaAPIEndpoint = "ctxy.api_extension_endpoint"
)

// labVariables begins the names of the variables that the lab itself gives to what it starts, a token among them.
const (
	labVariables = "CONTAXY_"
	labBaseURL   = labVariables + "BASE_URL"
)

// Extension is an extension as the lab tells of it.
type Extension struct {
	ID             string            `json:"id"` // also the name of its container
	ContainerImage string            `json:"container_image"`
	DisplayName    string            `json:"display_name"`
	Description    string            `json:"description"`
	Icon           string            `json:"icon"`
	Endpoints      []string          `json:"endpoints"`
	UI             string            `json:"ui_extension_endpoint"` // path at the lab's host, for who has asked
	Metadata       map[string]string `json:"metadata"`
	Parameters     map[string]string `json:"parameters"` // without those that the lab has set
	Compute        Compute           `json:"compute"`
	Status         string            `json:"status"`
	// MadeAt is the path below which the lab was when it made the extension, without a slash at its end; nil = it did not make
	// it. The lab tells it to the extension, as it tells its other addresses, once and for all.
	MadeAt *string `json:"-"`
}

// BelowNow is the path below which the lab is now, by where it says that the page is.
func (e Extension) BelowNow() string {
	path, _, _ := strings.Cut(e.UI, "/projects/")
	return path
}

// UIEndpoint is the page's endpoint as it was said when the extension was made.
func (e Extension) UIEndpoint() string { return e.Metadata[metaUIEndpoint] }

// APIEndpoint is the API's endpoint as it was said when the extension was made.
func (e Extension) APIEndpoint() string { return e.Metadata[metaAPIEndpoint] }

func extensionsPath(project string) string {
	return "/projects/" + url.PathEscape(project) + "/extensions"
}

// withoutLabVariables drops what the lab has put into the environment of an extension.
func withoutLabVariables(e *Extension) {
	if path, made := e.Parameters[labBaseURL]; made {
		path = strings.TrimRight(path, "/")
		e.MadeAt = &path
	}
	maps.DeleteFunc(e.Parameters, func(name, _ string) bool { return strings.HasPrefix(name, labVariables) })
}

// Extensions lists the extensions of a project and those that everybody sees.
func (c *Client) Extensions(ctx context.Context, token, project string) ([]Extension, error) {
	var found []Extension
	err := c.call(ctx, token, http.MethodGet, extensionsPath(project), nil, nil, &found)
	for i := range found {
		withoutLabVariables(&found[i])
	}
	return found, err
}

// InstallExtension makes an extension and starts it, for which the lab pulls its image if need be, inside the request.
// CodeConflict when there is one of its id. When it fails otherwise a stopped one can be left behind.
func (c *Client) InstallExtension(ctx context.Context, token, project string, input ExtensionInput) (Extension, error) {
	var made Extension
	err := c.call(ctx, token, http.MethodPost, extensionsPath(project), nil, input, &made)
	withoutLabVariables(&made)
	return made, err
}

// ChangeExtension changes what the lab has written down of an extension. It acts at the next start: the lab's API cannot
// stop what it has started as an extension. Parameters of before that are not in the input go, but for the lab's own.
func (c *Client) ChangeExtension(ctx context.Context, token, project string, before Extension, input ExtensionInput) error {
	parameters := map[string]*string{}
	for name := range before.Parameters {
		parameters[name] = nil
	}
	for name, value := range input.Parameters {
		parameters[name] = &value
	}
	metadata := maps.Clone(input.Metadata)
	if metadata == nil {
		metadata = map[string]string{}
	}
	metadata[metaUIEndpoint], metadata[metaAPIEndpoint] = input.UIEndpoint, input.APIEndpoint
	change := map[string]any{
		"container_image": input.ContainerImage, "description": input.Description, "icon": input.Icon,
		"endpoints": input.Endpoints, "metadata": metadata, "parameters": parameters, "compute": input.Compute,
	}
	return c.call(ctx, token, http.MethodPatch, servicePath(project, before.ID), nil, change, nil)
}

// Visit asks a service for a page through the lab's proxy, as a browser does, and returns the status of the answer: that of
// the service, 502 or 504 while nothing answers there.
func (c *Client) Visit(ctx context.Context, token, project, service, endpointAndPath string) (status int, err error) {
	address := c.Root() + servicePath(project, service) + "/access/" + endpointAndPath
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, fmt.Errorf("contaxy: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := c.http.Do(request)
	if err != nil {
		return 0, c.unreachable(ctx, err)
	}
	defer func() { _ = response.Body.Close() }() // its content is of no interest
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return 0, c.unreachable(ctx, err)
	}
	return response.StatusCode, nil
}

// Login returns a token of who has the name and the password. CodeUnauthenticated when there is nobody.
func (c *Client) Login(ctx context.Context, user, password string) (token string, err error) {
	var granted struct {
		AccessToken string `json:"access_token"`
	}
	form := url.Values{"grant_type": {"password"}, "username": {user}, "password": {password}}
	err = c.send(ctx, "", http.MethodPost, "/auth/oauth/token", nil, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()), &granted)
	if code := workspace.CodeOf(err); code == workspace.CodeUnauthenticated || code == workspace.CodeInvalid {
		return "", &workspace.Error{Code: workspace.CodeUnauthenticated, Message: "ML Lab knows no user of that name and password.", Err: err}
	}
	if err == nil && granted.AccessToken == "" {
		err = nonsense(c.endpoint, nil)
	}
	return granted.AccessToken, err
}

// Logout ends a token that Login has returned.
func (c *Client) Logout(ctx context.Context, token string) error {
	form := url.Values{"token": {token}}
	return c.send(ctx, token, http.MethodPost, "/auth/oauth/revoke", nil, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()), nil)
}
