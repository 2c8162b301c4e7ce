package manager

import (
	"context"
	"slices"
	"strings"
	"time"

	"lab-workspace-manager/backend/workspace"
)

// imagesEvery is how often it is looked at what the tags of images stand for on this machine.
const imagesEvery = time.Minute

// knownImage is what was last found out about a name.
type knownImage struct {
	looked  bool     // the rest says something
	id      string   // of its content here, "" = it is not here
	digests []string // by which registries know that
	remote  string   // what its registry has; "" = not known
	asked   time.Time
}

// update says what of an image is newer than what a container was made of; "" when nothing is known to be.
func update(image string, runs string, known knownImage, policy workspace.PullPolicy) string {
	switch {
	case known.id == "":
		return "" // see gone
	case runs != "" && runs != known.id:
		if known.remote != "" && !slices.Contains(known.digests, known.remote) {
			return "The name of its image stands for another version here now. A restart uses that."
		}
		return "A newer version of its image is here. A restart uses it."
	case known.remote == "" || len(known.digests) == 0 || slices.Contains(known.digests, known.remote):
		return ""
	case policy == workspace.PullAlways:
		return "Its registry has a newer version of its image. A restart gets it."
	}
	return "Its registry has a newer version of its image: docker pull " + image + ", then a restart uses it."
}

// gone says that the name of an image stands for nothing here any more; "" when it does, or when nobody knows. What was made
// of it goes on.
func gone(image string, known knownImage, policy workspace.PullPolicy) string {
	switch {
	case !known.looked || known.id != "":
		return ""
	case policy == workspace.PullNever:
		return "The image " + image + " is not on this machine any more. It runs on, but cannot be started again before that is back."
	}
	return "The image " + image + " is not on this machine any more. It runs on, and its next start has to get it again."
}

// watchImages follows what the tags of images stand for, here and at registries, until ctx ends.
func (m *Manager) watchImages(ctx context.Context) {
	for {
		m.lookAtImages(ctx)
		if !m.imagesSoon.wait(ctx, imagesEvery) {
			return
		}
	}
}

// lookAtImages takes one look at the images that run.
func (m *Manager) lookAtImages(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, imagesEvery)
	defer cancel()
	m.mu.Lock()
	up, every, now := m.engine.up && m.can.Pulls, m.settings.Load().CheckUpdates, m.Now()
	names := map[string]knownImage{}
	for _, e := range m.entries {
		if e.observed != nil && alive(e.observed) {
			names[e.record.Spec.Image] = m.images[e.record.Spec.Image]
		}
	}
	m.mu.Unlock()
	if !up || len(names) == 0 {
		return
	}
	var refs []string
	for name := range names {
		refs = append(refs, name)
	}
	states, err := m.Options.Engine.Images(ctx, refs)
	if err != nil {
		return // the session finds out whether the engine is away
	}
	for _, state := range states {
		known := names[state.Image]
		known.looked, known.id, known.digests = true, state.ID, state.Digests
		pinned := strings.Contains(state.Image, "@sha256:")
		if every > 0 && len(state.Digests) > 0 && !pinned && now.Sub(known.asked) >= every {
			known.asked = now
			if digest, err := m.Options.Engine.RemoteDigest(ctx, state.Image); err == nil {
				known.remote = digest
			} else {
				m.Log.Debug("registry not asked", "image", state.Image, "error", err)
			}
		}
		names[state.Image] = known
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.images = names
	for _, e := range m.entries {
		if newer, gone := m.imageOf(e); newer != e.published.Update || gone != e.published.ImageGone {
			m.publish(e)
		}
	}
}

// imageOf says what of a workspace's image is newer, and that it is gone. The caller holds the lock.
func (m *Manager) imageOf(e *entry) (newer, isGone string) {
	image := e.record.Spec.Image
	known, there := m.images[image]
	if !there || e.observed == nil || !alive(e.observed) || e.observed.Image != image {
		return "", ""
	}
	policy := m.pullPolicy(image)
	return update(image, e.observed.ImageID, known, policy), gone(image, known, policy)
}
