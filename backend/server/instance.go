package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"syscall"

	"github.com/gofrs/flock"

	"lab-workspace-manager/backend/config"
	"lab-workspace-manager/backend/store/sqlite"
	"lab-workspace-manager/backend/workspace"
)

// instance is one state folder: who its manager is among others on the same engine, and whose workspaces it holds.
type instance struct {
	id    string // made with the state folder
	owner workspace.Owner
	store *sqlite.Store
	lock  *flock.Flock
}

// Keys of the store's meta table.
const (
	metaInstance = "instance"
	metaOwner    = "owner"
)

// namespacePrefix begins every name we give to something in an engine, so that people see whose it is.
const namespacePrefix = "lab"

// namespace is the first part of every id of this instance.
func (i *instance) namespace() string { return namespacePrefix + i.id }

// openInstance locks and opens the state folder; a new one gets its id from newID. CodeConflict when another manager uses it.
func openInstance(ctx context.Context, folders config.Folders, newID func() string) (*instance, error) {
	if err := os.MkdirAll(folders.State, 0o700); err != nil {
		return nil, stateError(folders.State, err)
	}
	lock := flock.New(folders.LockFile(), flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, stateError(folders.State, err)
	}
	if !locked {
		return nil, &workspace.Error{
			Code:    workspace.CodeConflict,
			Message: fmt.Sprintf("Another workspace manager uses the state folder %s already.", folders.State),
			Hint:    "Use that one, stop it, or set XDG_STATE_HOME to another folder.",
		}
	}
	store, err := sqlite.Open(folders.StateFile())
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	i := &instance{store: store, lock: lock}
	if err := i.load(ctx, newID); err != nil {
		return nil, errors.Join(err, i.close())
	}
	return i, nil
}

func stateError(folder string, err error) error {
	code := workspace.CodeInternal
	if errors.Is(err, syscall.ENOSPC) {
		code = workspace.CodeStorageFull
	}
	return &workspace.Error{Code: code, Message: fmt.Sprintf("The state folder %s cannot be used: %v.", folder, err), Hint: "Free space or rights there, or set XDG_STATE_HOME.", Err: err}
}

// load reads the ids of the instance, and makes them the first time.
func (i *instance) load(ctx context.Context, newID func() string) error {
	var err error
	if i.id, err = i.meta(ctx, metaInstance, newID); err != nil {
		return err
	}
	owner, err := i.meta(ctx, metaOwner, func() string { return string(workspace.OwnerFromName(loginName())) })
	i.owner = workspace.Owner(owner)
	return err
}

func (i *instance) meta(ctx context.Context, key string, otherwise func() string) (string, error) {
	value, err := i.store.GetMeta(ctx, key)
	if err != nil || value != "" {
		return value, err
	}
	value = otherwise()
	return value, i.store.SetMeta(ctx, key, value)
}

func (i *instance) close() error { return errors.Join(i.store.Close(), i.lock.Unlock()) }

// newInstanceID makes 30 random bits, enough to tell the managers of one machine apart.
func newInstanceID() string {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return instanceID(random[:])
}

// extensionID is the instance of the extension of that name, of which a machine can have only one: whoever loses its state
// folder finds all that it has made by the same id again. A random one where nobody has said the name.
func extensionID(name string) string {
	if name == "" {
		return newInstanceID()
	}
	sum := sha256.Sum256([]byte(name))
	return instanceID(sum[:])
}

// instanceID writes the first 30 bits as six characters of a-z and 2-7.
func instanceID(bits []byte) string {
	return strings.ToLower(base32.StdEncoding.EncodeToString(bits)[:6])
}

// loginName is the name of who runs the program, "user" where nobody knows (a container without a passwd entry).
func loginName() string {
	if current, err := user.Current(); err == nil && current.Username != "" {
		name := current.Username
		return name[strings.LastIndexAny(name, `\/`)+1:] // Windows: DOMAIN\name
	}
	return "user"
}
