package contaxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"lab-workspace-manager/backend/workspace"
)

// Owners are the people on whose behalf a lab is called, by the tokens of those who came for them. It is safe for concurrent
// use.
type Owners struct {
	client *Client
	mu     sync.Mutex
	tokens map[workspace.Owner]ownerTokens
}

// ownerTokens are those by which a lab is called on behalf of an owner; "" = there is none.
type ownerTokens struct {
	program string // with which programs in their workspaces call the lab: it outlives a login
	change  string // the last by which somebody came who may change what the owner has
	shown   string // the last by which anybody came
}

// ErrNobodyHere is in the chain of errors that mean that there is no token to call a lab with.
var ErrNobodyHere = errors.New("contaxy: no token of the owner's")

// NewOwners returns those of a lab of whom nobody has come yet.
func NewOwners(client *Client) *Owners {
	return &Owners{client: client, tokens: map[workspace.Owner]ownerTokens{}}
}

// Came notes by which token somebody came for an owner. Who only looks on does not take the place of who may change things.
func (o *Owners) Came(owner workspace.Owner, token string, mayChange bool) {
	o.note(owner, func(known *ownerTokens) {
		known.shown = token
		if mayChange {
			known.change = token
		}
	})
}

// Knows notes the token of an owner's programs, where one of their workspaces has it.
func (o *Owners) Knows(owner workspace.Owner, program string) {
	o.note(owner, func(known *ownerTokens) { known.program = program })
}

func (o *Owners) note(owner workspace.Owner, change func(*ownerTokens)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	known := o.tokens[owner]
	change(&known)
	o.tokens[owner] = known
}

// Any reports whether there is a token to act for an owner with.
func (o *Owners) Any(owner workspace.Owner) bool { return len(o.of(owner)) > 0 }

// HasProgram reports whether the token of an owner's programs is known.
func (o *Owners) HasProgram(owner workspace.Owner) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tokens[owner].program != ""
}

// of are the tokens to act for an owner with, the best first.
func (o *Owners) of(owner workspace.Owner) (tokens []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	known := o.tokens[owner]
	for _, token := range []string{known.program, known.change, known.shown} {
		if token != "" && !slices.Contains(tokens, token) {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

func (o *Owners) forget(owner workspace.Owner, token string) {
	o.note(owner, func(known *ownerTokens) {
		for _, held := range []*string{&known.program, &known.change, &known.shown} {
			if *held == token {
				*held = ""
			}
		}
	})
}

// As calls the lab on behalf of an owner: with the token of their programs, and if the lab takes that no more, or allows it
// nothing, as that of a user who was deleted, with one that somebody came by. CodeUnauthenticated when the lab takes none of
// them any more; ErrNobodyHere when there is none.
func (o *Owners) As(owner workspace.Owner, call func(token string) error) error {
	var refused error
	for _, token := range o.of(owner) {
		err := call(token)
		switch workspace.CodeOf(err) {
		case workspace.CodeUnauthenticated:
			o.forget(owner, token)
			refused = cmp.Or(refused, err)
		case workspace.CodeForbidden:
			refused = err // which says more
		default:
			return err
		}
	}
	if refused != nil {
		return refused
	}
	return &workspace.Error{
		Code: workspace.CodeUnavailable, Message: fmt.Sprintf("Nobody who may act for %s has been here since this program was started.", owner),
		Hint: "It goes on as soon as its owner, or who administers the lab, comes here.", Err: ErrNobodyHere,
	}
}

// ForNobody is an error of As for what nobody waits for who could log in: that the lab takes no token any more is no question
// to anybody then.
func ForNobody(err error) error {
	if workspace.CodeOf(err) != workspace.CodeUnauthenticated {
		return err
	}
	return &workspace.Error{
		Code: workspace.CodeUnavailable, Message: "ML Lab takes none of the tokens by which somebody has been here for it.",
		Hint: "Load this page again, and log in if you are asked to.", Err: errors.Join(ErrNobodyHere, err),
	}
}

// ProgramToken returns the token for the programs in an owner's workspaces, which the lab makes once. It is asked for it each
// time: one that somebody has revoked helps no workspace.
func (o *Owners) ProgramToken(ctx context.Context, owner workspace.Owner) (program string, err error) {
	err = o.As(owner, func(token string) (err error) {
		program, err = o.client.UserToken(ctx, token, string(owner))
		return err
	})
	if err != nil {
		return "", err
	}
	o.Knows(owner, program)
	return program, nil
}
