package manager

import (
	"strings"
	"sync"
	"time"

	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/quota"
	"lab-workspace-manager/backend/workspace"
)

// Settings is what an administrator can change while the manager runs. Nobody writes into it once it is given here.
type Settings struct {
	Policy   quota.Policy
	Profiles []profile.Profile
	Catalog  []CatalogImage // the first is the default
	Allowed  []string       // patterns of images that may be used; nil = any
	Pull     workspace.PullPolicy
	// FullGrace is for how long a workspace that is full may run after a start, so that its owner can clean up.
	FullGrace time.Duration
	// CheckUpdates is how often registries are asked whether a tag has moved; 0 = never.
	CheckUpdates time.Duration
}

// CatalogImage is an image that is offered to owners.
type CatalogImage struct {
	Name        string // "JupyterLab"
	Image       string
	Profile     string
	Description string
	Pull        workspace.PullPolicy // "" = as Settings.Pull
}

// settings are Settings in force, with what was computed from them.
type settings struct {
	Settings
	mu     sync.Mutex
	limits map[limitsKey]quota.Limits
}

type limitsKey struct {
	owner   workspace.Owner
	profile string
}

func inForce(s Settings) *settings {
	return &settings{Settings: s, limits: map[limitsKey]quota.Limits{}}
}

// limitsFor is Policy.LimitsFor, remembered: it is asked for every workspace that is shown.
func (s *settings) limitsFor(owner workspace.Owner, profileName string) quota.Limits {
	key := limitsKey{owner, profileName}
	s.mu.Lock()
	defer s.mu.Unlock()
	limits, known := s.limits[key]
	if !known {
		limits = s.Policy.LimitsFor(owner, profileName)
		s.limits[key] = limits
	}
	return limits
}

// Configure puts other settings in force. Nothing that runs is ended: workspaces above a lowered limit meet it at their
// next start, and starts that wait are looked at again.
func (m *Manager) Configure(s Settings) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settings.Store(inForce(s))
	for _, e := range m.entries {
		e.published = nil // names of images are part of what is shown
		m.publish(e)
	}
	m.board.announce(EventConfig, "")
	m.stirred.ring()
}

// Announce tells all surfaces to ask again for something that concerns everybody.
func (m *Manager) Announce(kind EventKind) { m.board.announce(kind, "") }

// Settings returns the settings in force.
func (m *Manager) Settings() Settings { return m.settings.Load().Settings }

// LimitsFor are the limits of one workspace of a user with an image of a profile, capped to what the machine has.
func (m *Manager) LimitsFor(owner workspace.Owner, profileName string) quota.Limits {
	host, now := m.Engine().Host, m.settings.Load()
	if _, known := profile.Find(now.Profiles, profileName); !known {
		profileName = "" // no override can be for it, and nobody shall fill memory with names
	}
	return now.limitsFor(owner, profileName).CapToHost(host.CPUs, host.MemoryMB, len(host.GPUs))
}

// profileOf finds the profile of a workspace. A profile that was taken out of the configuration leaves the default, so
// that its workspaces can still be stopped and deleted.
func (m *Manager) profileOf(spec workspace.Spec) profile.Profile {
	found, there := profile.Find(m.settings.Load().Profiles, spec.Profile)
	if !there {
		found = profile.MLWorkspace
	}
	return found.WithPort(spec.Port)
}

// offered finds an image in the catalogue.
func (s *settings) offered(image string) (CatalogImage, bool) {
	for _, offered := range s.Catalog {
		if offered.Image == image {
			return offered, true
		}
	}
	return CatalogImage{}, false
}

// profileFor chooses the profile of an image: the one asked for, else the catalogue's, else ML Lab's contract.
func (m *Manager) profileFor(asked, image string) (string, error) {
	now := m.settings.Load()
	if asked == workspace.ProfileAuto {
		return asked, nil
	}
	if asked != "" {
		if _, there := profile.Find(now.Profiles, asked); !there {
			names := make([]string, len(now.Profiles))
			for i, p := range now.Profiles {
				names[i] = p.Name
			}
			return "", workspace.Invalid("profile", "There is no image profile %q. There are: %s.", asked, strings.Join(names, ", "))
		}
		return asked, nil
	}
	if offered, there := now.offered(image); there && offered.Profile != "" {
		return offered.Profile, nil
	}
	return profile.MLWorkspace.Name, nil
}

// ImageTitle is what people call an image: its name in the catalogue, else the reference itself.
func (m *Manager) ImageTitle(image string) string {
	if offered, there := m.settings.Load().offered(image); there {
		return offered.Name
	}
	return image
}

// pullPolicy is when an image is asked of its registry.
func (m *Manager) pullPolicy(image string) workspace.PullPolicy {
	now := m.settings.Load()
	policy := now.Pull
	if offered, there := now.offered(image); there && offered.Pull != "" {
		policy = offered.Pull
	}
	if policy == "" {
		return workspace.PullMissing
	}
	return policy
}
