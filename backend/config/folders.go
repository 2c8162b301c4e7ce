package config

import (
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/adrg/xdg"
)

const product = "lab-workspace-manager"

// Folders are where the program keeps its things. They may not exist yet.
type Folders struct {
	State  string // what must outlive a restart
	Config string
}

// TokenFile holds the token of the owner.
func (f Folders) TokenFile() string { return filepath.Join(f.State, "token") }

// StateFile is the database.
func (f Folders) StateFile() string { return filepath.Join(f.State, "state.db") }

// LockFile is locked by the one manager that uses the state folder.
func (f Folders) LockFile() string { return filepath.Join(f.State, "lock") }

func findFolders(env environment) (Folders, error) {
	var folders Folders
	for _, folder := range []struct {
		variable string
		usual    string // what xdg found when the program started
		into     *string
	}{
		{"XDG_STATE_HOME", xdg.StateHome, &folders.State},
		{"XDG_CONFIG_HOME", xdg.ConfigHome, &folders.Config},
	} {
		base := folder.usual
		if home, _ := env.lookup("HOME"); home == "" && runtime.GOOS != "windows" {
			base = "" // xdg would take the root folder
		}
		// The XDG specification says to ignore a relative path.
		if named, _ := env.lookup(folder.variable); filepath.IsAbs(named) {
			base = named
		}
		if !filepath.IsAbs(base) {
			return Folders{}, fmt.Errorf("there is no home folder to keep things in: set HOME, or %s to an absolute path", folder.variable)
		}
		*folder.into = filepath.Join(base, product)
	}
	return folders, nil
}
