package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"lab-workspace-manager/backend/workspace"
)

// Problem is the body of every error: RFC 9457, whose detail is the one field that ML Lab's clients read.
type Problem struct {
	Title  string         `json:"title" doc:"The HTTP status in words." example:"Conflict"`
	Status int            `json:"status" doc:"The HTTP status." example:"409"`
	Detail string         `json:"detail" doc:"One sentence for people: cause, consequence and what to do." example:"A workspace with the name thesis already exists for user ada0!"`
	Code   workspace.Code `json:"code,omitempty" doc:"The kind of error, for programs." example:"conflict"`
	Hint   string         `json:"hint,omitempty" doc:"What to do about it."`
	Errors []FieldProblem `json:"errors,omitempty" doc:"The fields that are wrong."`
}

// FieldProblem is what is wrong with one field of the input.
type FieldProblem struct {
	Location string `json:"location" doc:"Path of the field." example:"body.compute.cpus"`
	Message  string `json:"message" doc:"What is wrong with it."`
}

func (p *Problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status; huma asks for it.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType makes huma send RFC 9457's media type.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// inQuery begins the names of fields that are no part of the body.
const inQuery = "query."

// statusOf is the one table from error codes to HTTP statuses.
func statusOf(code workspace.Code) int {
	switch code {
	case workspace.CodeInvalid:
		return http.StatusUnprocessableEntity
	case workspace.CodeWrongState:
		return http.StatusBadRequest
	case workspace.CodeUnauthenticated:
		return http.StatusUnauthorized
	case workspace.CodeForbidden:
		return http.StatusForbidden
	case workspace.CodeNotFound:
		return http.StatusNotFound
	case workspace.CodeConflict, workspace.CodeOverQuota:
		return http.StatusConflict
	case workspace.CodeUnavailable:
		return http.StatusServiceUnavailable
	case workspace.CodeStorageFull:
		return http.StatusInsufficientStorage
	case workspace.CodeImageMissing:
		return http.StatusNotFound
	case workspace.CodeTimeout:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// problemOf turns an error into what the caller sees. An unknown one is logged under an id, and only the id is shown.
func problemOf(ctx context.Context, log *slog.Logger, err error) *Problem {
	code := workspace.CodeOf(err)
	problem := newProblem(statusOf(code), workspace.MessageOf(err))
	problem.Code, problem.Hint = code, workspace.HintOf(err)
	if code == workspace.CodeInternal {
		var random [6]byte
		_, _ = rand.Read(random[:]) // never fails (crypto/rand)
		id := hex.EncodeToString(random[:])
		log.ErrorContext(ctx, "request failed", "request", id, "error", err)
		problem.Detail = "Something went wrong inside the workspace manager. Its log knows more under " + id + "."
	}
	if coded, ok := err.(*workspace.Error); ok && coded.Field != "" {
		location := coded.Field
		if !strings.HasPrefix(location, inQuery) {
			location = "body." + location
		}
		problem.Errors = []FieldProblem{{Location: location, Message: coded.Message}}
	}
	return problem
}

func newProblem(status int, detail string) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Detail: detail}
}

// WriteError answers a request with what an error says, and logs it if it says nothing that callers may see.
func WriteError(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	writeProblem(w, problemOf(r.Context(), log, err))
}

// WriteProblem answers a request with an error in the form of this API.
func WriteProblem(w http.ResponseWriter, status int, code workspace.Code, detail string) {
	problem := newProblem(status, detail)
	problem.Code = code
	writeProblem(w, problem)
}

func writeProblem(w http.ResponseWriter, problem *Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(problem.Status)
	_ = json.NewEncoder(w).Encode(problem) // the client is gone; nobody is left to tell
}

// validationProblem is what huma makes of requests that do not fit the schema: all that is wrong, in one sentence each.
func validationProblem(status int, message string, errs ...error) huma.StatusError {
	problem := newProblem(status, sentence(message))
	sentences := make([]string, 0, len(errs))
	for _, err := range errs {
		if err == nil {
			continue
		}
		field := FieldProblem{Message: err.Error()}
		if detailer, ok := err.(huma.ErrorDetailer); ok {
			detail := detailer.ErrorDetail()
			field.Location, field.Message = detail.Location, plainMessage(detail.Location, detail.Message)
		}
		problem.Errors = append(problem.Errors, field)
		sentences = append(sentences, sentence(strings.TrimPrefix(strings.TrimPrefix(field.Location, "body"), ".")+" "+field.Message))
	}
	if len(sentences) > 0 {
		problem.Detail = strings.Join(sentences[:min(len(sentences), 5)], " ")
	}
	switch {
	case status == http.StatusBadRequest && (message == "request body is required" || len(errs) > 0):
		problem.Status = http.StatusUnprocessableEntity // ML Lab's answer to a body that is none
		problem.Title = http.StatusText(problem.Status)
		problem.Code = workspace.CodeInvalid
	case status == http.StatusUnprocessableEntity:
		problem.Code = workspace.CodeInvalid
	case status == http.StatusRequestEntityTooLarge:
		problem.Code, problem.Detail = workspace.CodeInvalid, "The body is too large; nothing that can be said of a workspace needs more than 64 kB."
	case status == http.StatusUnsupportedMediaType:
		problem.Code, problem.Detail = workspace.CodeInvalid, "The body must be JSON (Content-Type: application/json)."
	}
	return problem
}

// plainMessage says in our words what huma's validation says in a schema's.
func plainMessage(location, message string) string {
	switch {
	case strings.HasPrefix(message, "invalid character"), strings.HasPrefix(message, "unexpected end of JSON"):
		return "The body is no JSON: " + message
	case !strings.Contains(message, "exactly one schema"):
		return message
	case strings.HasSuffix(location, "idle_timeout"), strings.HasSuffix(location, "body.seconds"):
		return `must be a number of seconds or an ISO 8601 duration such as "PT1H30M"`
	case strings.Contains(location, "compute.") || strings.Contains(location, "storage.") || strings.HasSuffix(location, "body.port"):
		return "must be a number"
	}
	return "must be true or false"
}

// sentence makes a message read like one.
func sentence(message string) string {
	message = strings.TrimSpace(message)
	if message == "" {
		return message
	}
	message = strings.ToUpper(message[:1]) + message[1:]
	if !strings.HasSuffix(message, ".") {
		message += "."
	}
	return message
}
