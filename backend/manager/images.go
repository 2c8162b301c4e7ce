package manager

import (
	"context"
	"slices"
	"strings"
	"time"

	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/workspace"
)

// inspectTimeout bounds a look at an image that is here.
const inspectTimeout = 5 * time.Second

// Detect says which profile fits an image, and why: that of the catalogue, else what the image says of itself, else what
// its name tells. A proposal without a profile says that nobody knows before the image is here.
func (m *Manager) Detect(ctx context.Context, image string) (profile.Proposal, error) {
	if offered, there := m.settings.Load().offered(image); there && offered.Profile != "" {
		return profile.Proposal{Profile: offered.Profile, Why: "The configuration says so.", Sure: true}, nil
	}
	if err := checkImage(image); err != nil {
		return profile.Proposal{}, err
	}
	proposal, err := m.lookAtImage(ctx, image)
	if workspace.CodeOf(err) == workspace.CodeNotFound {
		return profile.Detect(image, nil, m.settings.Load().Profiles), nil
	}
	return proposal, err
}

// lookAtImage detects the profile of an image that is here.
func (m *Manager) lookAtImage(ctx context.Context, image string) (profile.Proposal, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	facts, err := m.Options.Engine.InspectImage(ctx, image)
	if err != nil {
		return profile.Proposal{}, err
	}
	return profile.Detect(image, &facts, m.settings.Load().Profiles), nil
}

// proposeFor fills in the profile of a request that names none: what is known of the image, or that it has to be found
// out. It asks the engine, so the caller must not hold the lock; where the engine does not answer the request itself
// will say so.
func (m *Manager) proposeFor(ctx context.Context, asked string, image *string, port **int) string {
	if (asked != "" && asked != workspace.ProfileAuto) || image == nil {
		return asked
	}
	if offered, there := m.settings.Load().offered(*image); there && offered.Profile != "" {
		return offered.Profile
	}
	proposal, err := m.Detect(ctx, *image)
	if err != nil || proposal.Profile == "" {
		if !m.can.Pulls { // nobody will ever look into it
			return profile.MLWorkspace.Name
		}
		return workspace.ProfileAuto
	}
	if *port == nil && proposal.Port != 0 {
		*port = &proposal.Port
	}
	return proposal.Profile
}

// proposeForUpdate is proposeFor where the image of a workspace changes. A port of its own belongs to the image before.
func (m *Manager) proposeForUpdate(ctx context.Context, id workspace.ID, request *UpdateRequest) {
	view, there := m.board.get(id)
	if !there || request.Image == nil || *request.Image == view.Record.Spec.Image {
		return
	}
	asked := ""
	assign(&asked, request.Profile)
	found := m.proposeFor(ctx, asked, request.Image, &request.Port)
	request.Profile = &found
	if request.Port == nil {
		request.Port = new(int)
	}
}

// useProfile writes down what an image turned out to be once it was here. The caller holds the lock.
func (m *Manager) useProfile(e *entry, step workspace.Step, proposal profile.Proposal) {
	if e.record.Spec.Profile != workspace.ProfileAuto || e.record.Spec.Image != step.Deployment.Image {
		return
	}
	same := e.stepsFor == startOf(e.record)
	e.record.Spec.Profile = proposal.Profile
	if e.record.Spec.Port == 0 {
		e.record.Spec.Port = proposal.Port
	}
	if same {
		e.stepsFor = startOf(e.record) // it is the same start
	}
	m.Log.Info("image profile found out", "id", e.record.ID, "image", e.record.Spec.Image, "profile", proposal.Profile, "cause", proposal.Why)
	m.save(e)
}

// checkAllowed refuses an image that the administrator does not allow. What the catalogue offers is allowed.
func (m *Manager) checkAllowed(image string) error {
	now := m.settings.Load()
	if _, offered := now.offered(image); offered || now.Allowed == nil || profile.Allowed(now.Allowed, image) {
		return nil
	}
	names := make([]string, len(now.Catalog))
	for i, offered := range now.Catalog {
		names[i] = offered.Image
	}
	refused := workspace.Invalid("container_image", "The image %q is not among those that may be used here: %s.", clip(image),
		strings.Join(slices.Compact(append(names, now.Allowed...)), ", "))
	refused.Hint = "An administrator can add a pattern to images.allowed."
	return refused
}
