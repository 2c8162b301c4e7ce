package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"lab-workspace-manager/backend/workspace"
)

// primaryCode masks SQLite's extended result codes ("I/O error while growing the shared memory") to what they are a
// kind of ("I/O error").
const primaryCode = 0xff

// explain turns an error of SQLite or of the system into one with a code and a sentence that starts with what could
// not be done. The end of a context stays what it is.
func (s *Store) explain(err error, format string, args ...any) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	failure := &workspace.Error{Code: workspace.CodeInternal, Message: fmt.Sprintf(format, args...), Err: err}
	switch folder := filepath.Dir(s.path); {
	case s.isDiskFull(err):
		failure.Code = workspace.CodeStorageFull
		failure.Message += fmt.Sprintf(", because the disk of the folder %s is full. What was there before is not lost.", folder)
		failure.Hint = fmt.Sprintf("Make room in %s and try again.", folder)
	case hasCode(err, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
		failure.Code = workspace.CodeUnavailable
		failure.Message += fmt.Sprintf(", because another program holds the state file %s.", s.path)
		failure.Hint = "End that program, or wait until it is done, and try again."
	case hasCode(err, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
		failure.Message += ", because it is damaged or was never a state file of the workspace manager."
		failure.Hint = "Put a copy of it back, or move it away to begin without its workspaces."
	default:
		failure.Message += "."
	}
	return failure
}

func (s *Store) isDiskFull(err error) bool {
	if hasCode(err, sqlite3.SQLITE_FULL) || isNoSpace(err) {
		return true
	}
	// SQLite has a code of its own for a full disk only where it writes the file itself. While it grows its side files
	// it says "I/O error" or "cannot open", so the disk is asked.
	return hasCode(err, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) && isNoSpace(tryToWrite(filepath.Dir(s.path)))
}

func hasCode(err error, codes ...int) bool {
	failure, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	for _, code := range codes {
		if failure.Code()&primaryCode == code {
			return true
		}
	}
	return false
}

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// tryToWrite writes what SQLite needs at least for a change and takes it away again.
func tryToWrite(folder string) error {
	file, err := os.CreateTemp(folder, ".room-*")
	if err != nil {
		return err
	}
	_, err = file.Write(make([]byte, 64<<10))
	return errors.Join(err, file.Sync(), file.Close(), os.Remove(file.Name()))
}
