package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"lab-workspace-manager/backend/workspace"
)

const (
	tokenPrefix = "lwm_" // lets people and secret scanners recognise one
	tokenBytes  = 32
	tokenLength = len(tokenPrefix) + 2*tokenBytes

	// maxTokenFile bounds what is read of a file that may be anything.
	maxTokenFile = 4 << 10
)

// Token is the owner's secret. It prints as it is, because a command shows it to its owner, but a log hides it.
type Token string

// LogValue keeps the token out of logs.
func (Token) LogValue() slog.Value { return slog.StringValue("(token)") }

// digest is what tokens are compared by, so that the comparison takes the same time for all of them.
func (t Token) digest() [sha256.Size]byte { return sha256.Sum256([]byte(t)) }

func sameDigest(a, b [sha256.Size]byte) bool { return subtle.ConstantTimeCompare(a[:], b[:]) == 1 }

// OpenToken reads the token from its file, and makes both if there is no file yet. A file that others could read is
// mended. It is safe against another process doing the same at the same time.
func OpenToken(path string) (Token, error) {
	token, err := readToken(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return token, err
	}
	token = newToken()
	err = writeToken(path, token, os.Link) // fails if the file exists by now
	if errors.Is(err, fs.ErrExist) {
		return readToken(path)
	}
	if err != nil && !errors.Is(err, syscall.ENOSPC) {
		err = writeToken(path, token, os.Rename) // not every file system has hard links
	}
	if err != nil {
		return "", tokenFileError(path, err)
	}
	return token, nil
}

// RotateToken replaces the token by a new one. A manager that runs takes it up within seconds (see Owner.Rekey).
func RotateToken(path string) (Token, error) {
	token := newToken()
	if err := writeToken(path, token, os.Rename); err != nil {
		return "", tokenFileError(path, err)
	}
	return token, nil
}

func newToken() Token {
	var random [tokenBytes]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return Token(tokenPrefix + hex.EncodeToString(random[:]))
}

// readToken returns an error that is fs.ErrNotExist when there is no file, else one for people.
func readToken(path string) (Token, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err != nil {
		return "", tokenFileError(path, err)
	}
	defer func() { _ = file.Close() }() // it was only read
	content, err := io.ReadAll(io.LimitReader(file, maxTokenFile))
	if err != nil {
		return "", tokenFileError(path, err)
	}
	token := Token(strings.TrimSpace(string(content)))
	if !token.wellFormed() {
		return "", &workspace.Error{
			Code:    workspace.CodeInvalid,
			Message: fmt.Sprintf("The file %s does not hold a token of this program.", path),
			Hint:    "Remove the file and start again: a new token is made, and browsers ask for it once.",
		}
	}
	info, err := file.Stat()
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		return "", tokenFileError(path, err)
	}
	return token, nil
}

func (t Token) wellFormed() bool {
	digits, found := strings.CutPrefix(string(t), tokenPrefix)
	if !found || len(t) != tokenLength {
		return false
	}
	_, err := hex.DecodeString(digits)
	return err == nil
}

// writeToken puts the token into place in one step, so that a crash leaves the old file or the new one.
func writeToken(path string, token Token, place func(from, to string) error) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(folder, ".token-*") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // gone already when it was renamed
	_, err = file.WriteString(string(token) + "\n")
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return err
	}
	if err := place(file.Name(), path); err != nil {
		return err
	}
	return syncFolder(folder)
}

// syncFolder makes a new name in the folder survive a loss of power. Windows has no such call and needs none.
func syncFolder(folder string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	opened, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(opened.Sync(), opened.Close())
}

func tokenFileError(path string, err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return workspace.Errorf(workspace.CodeStorageFull, "The token cannot be written to %s, because the disk is full: %w", path, err)
	}
	return workspace.Errorf(workspace.CodeInvalid, "The token file %s cannot be used: %w", path, err)
}
