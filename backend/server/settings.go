package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"lab-workspace-manager/backend/api"
	"lab-workspace-manager/backend/config"
	"lab-workspace-manager/backend/manager"
)

// settingsOf is what of the configuration the manager needs.
func settingsOf(c config.Config) manager.Settings {
	catalog := make([]manager.CatalogImage, len(c.Images))
	for i, offered := range c.Images {
		catalog[i] = manager.CatalogImage{
			Name: offered.Name, Image: offered.Image, Profile: offered.Profile, Description: offered.Description, Pull: offered.Pull,
		}
	}
	return manager.Settings{
		Policy: c.Policy, Profiles: c.Profiles, Catalog: catalog, FullGrace: c.FullGrace,
		Allowed: c.ImagePolicy.Allowed, Pull: c.ImagePolicy.Pull, CheckUpdates: c.ImagePolicy.CheckUpdates,
	}
}

// configuration is the file as it is in force, and how the last reload went. It is safe for concurrent use.
type configuration struct {
	mu      sync.Mutex
	loaded  config.Loaded
	problem string
	at      time.Time
	changes []config.Change
}

var _ api.Configuration = (*configuration)(nil)

// Settings lists every value in force with where it came from.
func (c *configuration) Settings() []api.Setting {
	c.mu.Lock()
	defer c.mu.Unlock()
	values := c.loaded.Values()
	shown := make([]api.Setting, len(values))
	for i, value := range values {
		shown[i] = api.Setting(value)
	}
	return shown
}

// Status tells how the last reload went.
func (c *configuration) Status() api.ConfigStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	status := api.ConfigStatus{File: c.loaded.File, Problem: c.problem, Changes: make([]api.ConfigChange, len(c.changes))}
	for i, change := range c.changes {
		status.Changes[i] = api.ConfigChange{Key: change.Key, Before: change.Before, After: change.After, Live: change.Live}
	}
	if !c.at.IsZero() {
		at := c.at
		status.LoadedAt = &at
	}
	return status
}

// take notes a reload and returns what it changed; nil when it cannot be used or changes nothing.
func (c *configuration) take(loaded config.Loaded, err error, now time.Time) []config.Change {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.problem = err.Error()
		return nil
	}
	changes := config.Diff(c.loaded, loaded)
	c.problem, c.loaded = "", loaded
	if len(changes) > 0 {
		c.changes, c.at = changes, now
	}
	return changes
}

// reloaded hears what became of a changed file: what can act while the program runs does so now.
func (s *Server) reloaded(loaded config.Loaded, err error) {
	changes := s.configuration.take(loaded, err, time.Now())
	if err != nil {
		s.log.Error("the changed configuration is not used; the one before stays in force", "error", err)
		s.Manager.Announce(manager.EventConfig)
		return
	}
	for _, change := range changes {
		level, when := slog.LevelInfo, "now"
		if !change.Live {
			level, when = slog.LevelWarn, "after the next start"
		}
		s.log.Log(context.Background(), level, "configuration changed", "key", change.Key, "before", change.Before, "after", change.After, "acts", when, "origin", change.Origin)
	}
	if len(changes) == 0 {
		s.log.Info("configuration read again; nothing has changed")
	}
	if s.logLevel != nil {
		s.logLevel.Set(loaded.Config.LogLevel)
	}
	s.Manager.Configure(settingsOf(loaded.Config))
}

// Reload reads the configuration file now, as SIGHUP asks for. It does not wait for it.
func (s *Server) Reload() {
	if s.watcher != nil {
		s.watcher.Reload()
	}
}
