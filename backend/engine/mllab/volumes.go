package mllab

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/workspace"
)

// The lab names a volume after its service, and knows of none without one: files of a deleted service are there again when
// one of the same id is made. So which are there is written down, under that id. A document goes when a service has had its
// files in use, which then stands for them itself; until then they are known by both.

// volumesCollection holds a document for each volume whose service was deleted without it.
const volumesCollection = "lab_workspace_manager_volumes"

// volumePatience is how long a deletion waits for the document of the files that it leaves: whoever is killed in between
// finds one that is not needed yet, and not files that nobody knows of.
const volumePatience = 2 * time.Second

// keptVolume is such a document.
type keptVolume struct {
	Service     string    `json:"service"` // the name from which the lab makes the id again
	DisplayName string    `json:"display_name"`
	Image       string    `json:"container_image"` // that it was last used with
	MountPath   string    `json:"mount_path"`
	SizeMB      int64     `json:"volume_size"`
	CreatedAt   time.Time `json:"created_at"` // of its workspace
	KeptSince   time.Time `json:"kept_since"`
}

// readVolume reads the document of a volume. Whoever can write in the project may have written it.
func readVolume(who workspace.Owner, document contaxy.Document) (id workspace.ID, volume keptVolume, ok bool) {
	id = workspace.ID(document.Key)
	if json.Unmarshal(document.Value, &volume) != nil || !id.Valid() {
		return "", volume, false
	}
	_, isOwn := namespaceOf(who, id)
	ok = isOwn && workspace.CheckDisplayName(volume.DisplayName) == nil &&
		workspace.CheckDisplayName(volume.Service) == nil && volume.Image != "" && len(volume.Image) <= workspace.MaxImageLength &&
		strings.HasPrefix(volume.MountPath, "/") && volume.SizeMB >= 0 && !volume.KeptSince.IsZero()
	return id, volume, ok
}

// namespaceOf is the first part of an id, if that is one of an owner's services.
func namespaceOf(who workspace.Owner, id workspace.ID) (namespace string, ok bool) {
	namespace, _, found := strings.Cut(string(id), "-p-"+string(who)+"-s-")
	return namespace, found && workspace.ValidNamespace(namespace)
}

// volume is a kept volume as the manager is told of it.
func (v keptVolume) volume(who workspace.Owner, id workspace.ID) workspace.Volume {
	return workspace.Volume{
		Name: volumeOf(who, id), Owner: who, DisplayName: v.DisplayName, SizeMB: v.SizeMB, CreatedAt: v.CreatedAt, KeptSince: v.KeptSince,
	}
}

// takeVolumes takes up which volumes were kept, as it was read. The caller holds the lock.
func (e *Engine) takeVolumes(who workspace.Owner, found []contaxy.Document) {
	o := e.owners[who]
	for _, document := range found {
		id, volume, ok := readVolume(who, document)
		if !ok {
			e.log.Warn("a document about a volume in ML Lab says nothing that could be used, and is left alone", "owner", who, "key", document.Key)
			continue
		}
		if _, known := o.volumes[id]; known || o.isUnsaved(documentName{volumesCollection, string(id)}) {
			continue
		}
		o.keep(id, volume)
		e.names[id] = volume.Service
		if h := e.services[id]; h != nil && h.files {
			e.dropVolume(who, id) // of an earlier service
		} else if h != nil {
			h.files = true
		}
	}
}

// tellOfVolumes tells of the kept volumes that were read, once, when it is known which of them have a service. The caller holds
// the lock.
func (e *Engine) tellOfVolumes(who workspace.Owner, at time.Time) {
	o := e.owners[who]
	if !o.documents.read || o.documents.told {
		return
	}
	o.documents.told = true
	if volumes := e.volumesOf(who, o); len(volumes) > 0 {
		e.tell(workspace.Change{Kind: workspace.ChangeVolumes, Volumes: volumes, At: at})
	}
}

func (o *owner) keep(id workspace.ID, volume keptVolume) {
	if o.volumes == nil {
		o.volumes = map[workspace.ID]keptVolume{}
	}
	o.volumes[id] = volume
}

// keepVolume writes down that the files of a service are there without it, if it has any. The caller holds the lock.
func (e *Engine) keepVolume(id workspace.ID, h *held) (kept bool) {
	o := e.owners[h.owner]
	if o == nil || !h.files || valueOf(h.service.Compute.VolumePath) == "" {
		return false
	}
	spec := keptOf(h.owner, h.service).Spec
	volume := keptVolume{
		Service: h.service.DisplayName, DisplayName: spec.DisplayName, Image: spec.Image, MountPath: valueOf(h.service.Compute.VolumePath),
		SizeMB: spec.Storage.VolumeMB, CreatedAt: h.service.CreatedAt.Time, KeptSince: time.Now().UTC().Truncate(time.Second),
	}
	o.keep(id, volume)
	e.write(h.owner, documentName{volumesCollection, string(id)}, volume)
	return true
}

// dropVolume forgets a kept volume: it is gone, or a service stands for it. The caller holds the lock.
func (e *Engine) dropVolume(who workspace.Owner, id workspace.ID) {
	o := e.owners[who]
	if o == nil {
		return
	}
	if _, known := o.volumes[id]; known {
		delete(o.volumes, id)
		e.write(who, documentName{volumesCollection, string(id)}, nil)
	}
}

// inUse notes what a service says of its files. The caller holds the lock.
func (e *Engine) inUse(id workspace.ID, h *held, isNew bool) {
	e.names[id] = h.service.DisplayName
	e.sight(id, h.service)
	// It says only when it was last asked for; a start that has failed then has made no volume, and a stop may have cleared it.
	ran := !h.service.LastAccess.IsZero() && (h.service.Status != contaxy.StatusStopped || !h.service.ClearVolumeOnStop)
	if h.service.InternalID != "" || (isNew && ran) {
		h.files = true
		e.dropVolume(h.owner, id)
	} else if o := e.owners[h.owner]; o != nil && !h.files {
		_, h.files = o.volumes[id]
	}
}

// mayHave refuses files for a new service that are somebody else's, or that are not there.
func (e *Engine) mayHave(d workspace.Deployment) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.owners[d.Owner]
	if o == nil || e.services[d.ID] != nil { // what is there already has its files
		return nil
	}
	kept, there := o.volumes[d.ID]
	switch {
	case there && !d.VolumeAdopted:
		return workspace.Errorf(workspace.CodeConflict, "In ML Lab the workspace would have the files of the deleted workspace %q, which nobody has asked for.", kept.DisplayName)
	case !there && d.VolumeAdopted && o.documents.read:
		return workspace.Errorf(workspace.CodeNotFound, "There is no volume %q.", d.Volume)
	}
	return nil
}

// volumesOf lists the kept volumes of an owner. The caller holds the lock.
func (e *Engine) volumesOf(who workspace.Owner, o *owner) (list []workspace.Volume) {
	for id, volume := range o.volumes {
		if e.services[id] == nil {
			list = append(list, volume.volume(who, id))
		}
	}
	return list
}

// RemoveVolume deletes the files of a deleted workspace. The lab does that only together with a service that has a container, so
// there is one for a moment, which is written down as what it is: whoever finds it after a restart ends it.
func (e *Engine) RemoveVolume(ctx context.Context, volume string) error {
	d, err := e.caretaker(volume)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { // to its end, whoever waits for it
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightsEnd)
		defer cancel()
		ended <- e.removeWith(ctx, d)
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// caretaker is the workspace with which a kept volume can be deleted.
func (e *Engine) caretaker(volume string) (d workspace.Deployment, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, h := range e.services {
		if volumeOf(h.owner, id) == volume {
			return d, workspace.Errorf(workspace.CodeConflict, "The volume %q is in use.", volume)
		}
	}
	for who, o := range e.owners {
		for id, kept := range o.volumes {
			if volumeOf(who, id) != volume {
				continue
			}
			path := "/projects/" + string(who) + "/services/" + string(id) + "/access/" + upstreamEndpoint
			return workspace.Deployment{
				ID: id, Owner: who, DisplayName: kept.DisplayName, Volume: volume, VolumeAdopted: true, DeletesVolume: true, Deleted: true,
				Image: kept.Image, MountPath: kept.MountPath, Compute: workspace.Compute{CPUs: 1, MemoryMB: 500}, Storage: workspace.Storage{VolumeMB: kept.SizeMB},
				Port: 8080, AccessPath: path, KeepsPath: true, Env: map[string]string{"WORKSPACE_BASE_URL": path},
			}, nil
		}
	}
	return d, workspace.Errorf(workspace.CodeNotFound, "There is no volume %q.", volume)
}

// removeWith makes a workspace and deletes it with its files. It gets no token of its owner: whoever shares their project may
// delete files, and could read it there.
func (e *Engine) removeWith(ctx context.Context, d workspace.Deployment) error {
	done := e.begin(d.ID)
	defer done()
	input := inputOf(d, e.nameFor(d), e.base)
	input.Parameters = parametersOf(d, "")
	delete(input.Parameters, tokenParameter)
	input.Metadata[metaRemoval] = string(workspace.RemovalOfAll)
	_, err := e.deployAs(ctx, d, input)
	if isNoStart(err) { // its image is not allowed any more
		for _, image := range e.imagesThere(ctx, d.Owner) {
			input.ContainerImage, input.Args = image, helpersArgs
			if _, again := e.deployAs(ctx, d, input); again == nil {
				err = nil
				break
			}
		}
	}
	if err != nil {
		return err
	}
	if err = e.removeStorage(ctx, d); err == nil {
		return nil
	}
	undone := e.tokens.As(d.Owner, func(token string) error {
		return e.lab.Delete(ctx, token, string(d.Owner), string(d.ID), false)
	})
	if undone != nil { // it is found by and by, and what was begun goes on
		e.log.Warn("what was made to delete a volume could not be taken away", "id", d.ID, "error", undone)
	}
	return &workspace.Error{
		Code: workspace.CodeOf(err), Err: err, Message: workspace.MessageOf(err),
		Hint: "Try again while another workspace of yours runs: its image serves as well.",
	}
}
