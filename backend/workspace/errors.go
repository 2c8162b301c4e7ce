package workspace

import (
	"errors"
	"fmt"
)

// Code classifies an error so that every adapter can answer it in its own terms (an HTTP status, an exit code, a hint).
type Code string

// The codes that cross package edges.
const (
	CodeInvalid         Code = "invalid"         // the input breaks a rule; the message names the field and the rule
	CodeWrongState      Code = "wrong_state"     // the workspace is in a state in which this cannot be done
	CodeUnauthenticated Code = "unauthenticated" // nobody said who is calling
	CodeForbidden       Code = "forbidden"       // the caller may not do this
	CodeNotFound        Code = "not_found"       // there is no such thing
	CodeConflict        Code = "conflict"        // it clashes with something that exists
	CodeOverQuota       Code = "over_quota"      // it does not fit within a quota; the message has the numbers
	CodeUnavailable     Code = "unavailable"     // the engine does not answer; trying again later can help
	CodeStorageFull     Code = "storage_full"    // the state could not be written because the disk is full
	CodeImageMissing    Code = "image_missing"   // the image exists neither here nor in its registry
	CodeTimeout         Code = "timeout"         // a deadline passed
	CodeInternal        Code = "internal"        // anything else: logged with a request id, never shown in detail
)

// Error is an error with a code and a sentence for people: cause, consequence and, where there is one, what to do.
type Error struct {
	Code    Code
	Message string
	Field   string // path of the input field that is wrong or taken; else ""
	Hint    string // what to do about it, one sentence; may be ""
	Err     error  // the technical cause for the log; may be nil
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Message, e.Err)
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of the code with a formatted sentence. A %w operand becomes the wrapped cause.
func Errorf(code Code, format string, args ...any) *Error {
	formatted := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: formatted.Error(), Err: errors.Unwrap(formatted)}
}

// Invalid makes a CodeInvalid error about one input field, named by its path ("compute.cpus").
func Invalid(field, format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of the first Error in the chain, CodeInternal for any other error and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if coded, ok := errors.AsType[*Error](err); ok {
		return coded.Code
	}
	return CodeInternal
}

// HintOf returns what to do about the error, "" when nobody knows.
func HintOf(err error) string {
	if coded, ok := errors.AsType[*Error](err); ok {
		return coded.Hint
	}
	return ""
}

// MessageOf returns the sentence for people of the first Error in the chain, or a neutral one that gives nothing away.
func MessageOf(err error) string {
	if err == nil {
		return ""
	}
	if coded, ok := errors.AsType[*Error](err); ok {
		return coded.Message
	}
	return "Something went wrong inside the workspace manager."
}
