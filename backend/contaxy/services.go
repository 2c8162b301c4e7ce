package contaxy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The states of a service.
const (
	StatusPending   = "pending"
	StatusRunning   = "running"
	StatusSucceeded = "succeeded"
	StatusFailed    = "failed"
	StatusStopped   = "stopped" // it has no container
	StatusUnknown   = "unknown"
)

// Compute is what a service may use; sizes in ML Lab's MB. Nil pointers are left to the lab.
type Compute struct {
	MinCPUs          *float64 `json:"min_cpus,omitempty"`
	MaxCPUs          *float64 `json:"max_cpus,omitempty"`
	MinMemory        *int64   `json:"min_memory,omitempty"`
	MaxMemory        *int64   `json:"max_memory,omitempty"`
	VolumePath       *string  `json:"volume_path,omitempty"`
	MaxVolumeSize    *int64   `json:"max_volume_size,omitempty"`
	MaxContainerSize *int64   `json:"max_container_size,omitempty"`
}

// ServiceInput is what a service is made of.
type ServiceInput struct {
	ContainerImage    string            `json:"container_image"`
	DisplayName       string            `json:"display_name"`
	Endpoints         []string          `json:"endpoints"`
	Metadata          map[string]string `json:"metadata"`
	Parameters        map[string]string `json:"parameters"`
	Compute           Compute           `json:"compute"`
	Args              []string          `json:"args,omitempty"`
	IdleTimeout       *float64          `json:"idle_timeout"` // seconds; nil = never
	ClearVolumeOnStop bool              `json:"clear_volume_on_stop"`
	IsStopped         bool              `json:"is_stopped"`
}

// ServiceUpdate is what can be changed of a service. It is merged into what is there; a running service is started anew.
type ServiceUpdate struct {
	ContainerImage    string             `json:"container_image"`
	Endpoints         []string           `json:"endpoints"`
	Metadata          map[string]*string `json:"metadata"` // nil removes
	Parameters        map[string]string  `json:"parameters,omitempty"`
	Compute           Compute            `json:"compute"`
	Args              *[]string          `json:"args,omitempty"` // nil leaves them; one that is empty removes them
	IdleTimeout       *float64           `json:"idle_timeout"`
	ClearVolumeOnStop bool               `json:"clear_volume_on_stop"`
}

// ServicePatch changes only what is not zero. It is merged into what is there; a running service is started anew.
type ServicePatch struct {
	ContainerImage    string             `json:"container_image,omitempty"`
	Args              []string           `json:"args,omitempty"`
	Metadata          map[string]*string `json:"metadata,omitempty"` // nil removes
	ClearVolumeOnStop *bool              `json:"clear_volume_on_stop,omitempty"`
}

// Addresses are those parameters of a service that name an address of the lab or of the service in it.
type Addresses map[string]string

// UnmarshalJSON reads parameters, and leaves out all others: they hold tokens.
func (a *Addresses) UnmarshalJSON(text []byte) error {
	var parameters map[string]any
	if err := json.Unmarshal(text, &parameters); err != nil {
		return err
	}
	*a = Addresses{}
	for name, value := range parameters {
		if address, isText := value.(string); isText && (strings.Contains(address, "/access/") || strings.HasSuffix(name, "_API_ENDPOINT")) {
			(*a)[name] = address
		}
	}
	return nil
}

// Service is a service as the lab tells of it. Its parameters, which hold tokens, are not read but for addresses; see Definition.
type Service struct {
	ID                string            `json:"id"`
	DisplayName       string            `json:"display_name"`
	ContainerImage    string            `json:"container_image"`
	Endpoints         []string          `json:"endpoints"`
	Metadata          map[string]string `json:"metadata"`
	Compute           Compute           `json:"compute"`
	Args              []string          `json:"args"`
	Addresses         Addresses         `json:"parameters"`
	IdleTimeout       *float64          `json:"idle_timeout"` // seconds
	ClearVolumeOnStop bool              `json:"clear_volume_on_stop"`
	Status            string            `json:"status"`
	InternalID        string            `json:"internal_id"` // of its container; "" without one
	CreatedAt         Time              `json:"created_at"`
	UpdatedAt         Time              `json:"updated_at"`
	StartedAt         Time              `json:"started_at"`
	StoppedAt         Time              `json:"stopped_at"`
	LastAccess        Time              `json:"last_access_time"`
}

// Time is a moment as contaxy writes it: with or without a zone, then in UTC; null or Docker's year 1 for never.
type Time struct{ time.Time }

// UnmarshalJSON reads the forms that pydantic and Docker write.
func (t *Time) UnmarshalJSON(text []byte) error {
	t.Time = time.Time{}
	if string(text) == "null" {
		return nil
	}
	written, err := strconv.Unquote(string(text))
	if err != nil {
		return err
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999-07:00", "2006-01-02 15:04:05.999999999"} {
		if moment, err := time.Parse(layout, written); err == nil {
			if moment.Year() > 1 {
				t.Time = moment.UTC()
			}
			return nil
		}
	}
	return fmt.Errorf("contaxy: %q is no time", written)
}

func servicesPath(project string) string { return "/projects/" + url.PathEscape(project) + "/services" }

func servicePath(project, service string) string {
	return servicesPath(project) + "/" + url.PathEscape(service)
}

// Services lists the services of a project, in no particular order.
func (c *Client) Services(ctx context.Context, token, project string) ([]Service, error) {
	var services []Service
	err := c.call(ctx, token, http.MethodGet, servicesPath(project), nil, nil, &services)
	return services, err
}

// Service tells of one service. CodeNotFound when there is none.
func (c *Client) Service(ctx context.Context, token, project, service string) (Service, error) {
	var one Service
	err := c.call(ctx, token, http.MethodGet, servicePath(project, service), nil, nil, &one)
	return one, err
}

// Definition is all that makes a service but what the lab itself adds, by the names of the lab's fields: also what is not known
// here. Its parameters hold tokens.
type Definition map[string]any

// tellsOf are the fields that tell of a service and are not what it is made of.
var tellsOf = []string{
	"id", "created_at", "created_by", "updated_at", "updated_by", "started_at", "stopped_at", "extension_id", "deployment_type", "status",
	"internal_id", "last_access_time", "last_access_user",
}

// Definition returns what a service is made of, as it can be given to one that takes its place (see Redeploy): with the lab's own
// names in braces where parameters repeat what the lab adds.
func (c *Client) Definition(ctx context.Context, token, project, service string) (Definition, error) {
	var definition Definition
	if err := c.call(ctx, token, http.MethodGet, servicePath(project, service), nil, nil, &definition); err != nil {
		return nil, err
	}
	maps.DeleteFunc(definition, func(name string, value any) bool { return value == nil || slices.Contains(tellsOf, name) })
	definition.SetParameters(parametersAgain(definition.Parameters()))
	return definition, nil
}

// Parameters are the parameters of a definition, which may be none.
func (d Definition) Parameters() map[string]string {
	parameters := map[string]string{}
	fields, _ := d["parameters"].(map[string]any)
	for name, value := range fields {
		if text, isText := value.(string); isText {
			parameters[name] = text
		}
	}
	return parameters
}

// SetParameters has a definition have these parameters.
func (d Definition) SetParameters(parameters map[string]string) {
	fields := make(map[string]any, len(parameters))
	for name, value := range parameters {
		fields[name] = value
	}
	d["parameters"] = fields
}

func parametersAgain(parameters map[string]string) map[string]string {
	again := map[string]string{}
	names := slices.Sorted(maps.Keys(parameters)) // of two of the lab's that are the same the first counts
	for _, name := range names {
		if strings.HasPrefix(name, labVariables) {
			continue
		}
		again[name] = parameters[name]
		for _, added := range names {
			if strings.HasPrefix(added, labVariables) && parameters[added] != "" && parameters[added] == parameters[name] {
				again[name] = "{env." + added + "}"
				break
			}
		}
	}
	return again
}

// Redeploy makes a service of a definition, stopped. CodeConflict when there is one of its id.
func (c *Client) Redeploy(ctx context.Context, token, project string, definition Definition) (Service, error) {
	input := maps.Clone(definition)
	input["is_stopped"] = true
	var made Service
	err := c.call(ctx, token, http.MethodPost, servicesPath(project), nil, input, &made)
	return made, err
}

// Deploy makes a service, and starts it unless it shall be stopped. CodeConflict when there is one of its id.
func (c *Client) Deploy(ctx context.Context, token, project string, input ServiceInput) (Service, error) {
	var made Service
	err := c.call(ctx, token, http.MethodPost, servicesPath(project), nil, input, &made)
	return made, err
}

// Update changes a service, and starts it anew if it runs. The lab answers after that, up to minutes later.
func (c *Client) Update(ctx context.Context, token, project, service string, update ServiceUpdate) (Service, error) {
	var updated Service
	err := c.call(ctx, token, http.MethodPatch, servicePath(project, service), nil, update, &updated)
	return updated, err
}

// Patch is Update for parts of a service.
func (c *Client) Patch(ctx context.Context, token, project, service string, patch ServicePatch) error {
	return c.call(ctx, token, http.MethodPatch, servicePath(project, service), nil, patch, nil)
}

// The actions on a service. Start wants a stopped one, the others one that is not: else CodeInvalid.
const (
	ActionStart   = "start"
	ActionStop    = "stop"
	ActionRestart = "restart"
)

// Act executes an action on a service. A start pulls the image inside the request, which can take minutes.
func (c *Client) Act(ctx context.Context, token, project, service, action string) error {
	return c.call(ctx, token, http.MethodPost, servicePath(project, service)+"/actions/"+action, nil, struct{}{}, nil)
}

// Delete removes a service. Its volume goes with it only if asked and, on Docker, only if it has a container.
func (c *Client) Delete(ctx context.Context, token, project, service string, deleteVolumes bool) error {
	query := url.Values{"delete_volumes": {strconv.FormatBool(deleteVolumes)}}
	return c.call(ctx, token, http.MethodDelete, servicePath(project, service), query, nil, nil)
}

// noLogs is what the lab says where a container has written nothing.
const noLogs = "No logs available."

// Logs returns the last lines of a service's log (0 = all), of what was written since then unless that is zero.
// CodeNotFound without a container.
func (c *Client) Logs(ctx context.Context, token, project, service string, lines int, since time.Time) (string, error) {
	query := url.Values{}
	if lines > 0 {
		query.Set("lines", strconv.Itoa(lines))
	}
	if !since.IsZero() {
		query.Set("since", since.UTC().Format(time.RFC3339Nano))
	}
	var text string
	err := c.call(ctx, token, http.MethodGet, servicePath(project, service)+"/logs", query, nil, &text)
	if text == noLogs {
		text = ""
	}
	return text, err
}
