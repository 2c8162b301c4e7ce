package mllab

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/workspace"
)

// Keys of a service's metadata. The first marks workspaces (upstream's filter is exact); the others are there only where
// upstream's own fields cannot say it.
const (
	metaKind    = "ctxy.workspaceExtension.deploymentType"
	metaName    = "ctxy.workspaceExtension.displayName"
	metaProfile = "ctxy.workspaceExtension.profile"
	metaRemoval = "ctxy.workspaceExtension.removal" // what is being removed of it, of which there is a container only for that
	metaImage   = "ctxy.workspaceExtension.image"   // its own image, while that container is of another
	metaArgs    = "ctxy.workspaceExtension.args"    // as JSON, arguments that somebody has given it by hand
	metaMount   = "ctxy.workspaceExtension.mount"   // likewise, where its files are

	kindWorkspace = "workspace"
	namePrefix    = "WS "
)

// metaID is where the lab itself writes the id of a service, which its container keeps as a label whatever it is called.
const metaID = "ctxy.deploymentId"

// isOtherName reports whether a service is one that the lab knows already, by another name: somebody has renamed its container
// (or made a copy of it), and the lab, which lists by names, has written that down as one more. There it stays when the
// container has its name back.
func isOtherName(service contaxy.Service, all map[string]contaxy.Service) bool {
	made := service.Metadata[metaID]
	_, known := all[made]
	return known && made != service.ID
}

// isUsed reports whether a service was started or visited by its name: then it may have become one of its own.
func isUsed(service contaxy.Service) bool { return !service.LastAccess.IsZero() }

// otherNames are the names that containers of services seem to have in place of their own, by the ids of these.
func otherNames(all map[string]contaxy.Service) map[string]string {
	names := map[string]string{}
	for id, service := range all {
		if isOtherName(service, all) && service.Status != contaxy.StatusStopped && all[service.Metadata[metaID]].Status == contaxy.StatusStopped {
			names[service.Metadata[metaID]] = id
		}
	}
	return names
}

// upstreamEndpoint is where upstream's workspaces listen, with the path kept.
const upstreamEndpoint = "8080b"

// upstreamMount is where upstream's workspaces have their files.
const upstreamMount = "/workspace"

// upstreamProfile is what upstream's workspaces are taken for, which say nothing of a profile.
const upstreamProfile = "ml-workspace"

func isWorkspace(service contaxy.Service) bool { return service.Metadata[metaKind] == kindWorkspace }

// endpointOf spells where a workspace listens as ML Lab does: a b says that the path is kept.
func endpointOf(d workspace.Deployment) string {
	if d.KeepsPath {
		return strconv.Itoa(d.Port) + "b"
	}
	return strconv.Itoa(d.Port)
}

// labNameOf is a name from which the lab derives the id of a workspace.
func labNameOf(d workspace.Deployment) string {
	namespace, _, _ := strings.Cut(string(d.ID), "-p-")
	tried := 0
	for name := range workspace.LabNames(d.DisplayName) {
		if workspace.LabID(namespace, d.Owner, name) == d.ID {
			return name
		}
		if tried++; tried > 1000 {
			break
		}
	}
	_, slug, _ := strings.Cut(string(d.ID), "-s-") // it was named by somebody else's rule
	return namePrefix + strings.TrimPrefix(slug, "ws-")
}

// metadataOf is the metadata of the service that the lab has under a name.
func metadataOf(d workspace.Deployment, name string) map[string]string {
	metadata := map[string]string{metaKind: kindWorkspace}
	if name != namePrefix+d.DisplayName {
		metadata[metaName] = d.DisplayName
	}
	// Without a word it is upstream's, who give no arguments and have the files in one place.
	if endpointOf(d) != upstreamEndpoint || d.Profile != upstreamProfile || len(d.Args) > 0 || d.MountPath != upstreamMount {
		metadata[metaProfile] = d.Profile
	}
	return metadata
}

// tokenParameter is the variable that holds the token of who owns a workspace.
const tokenParameter = "LAB_API_TOKEN"

// parametersOf are the environment of a workspace: upstream's five, and what else its profile wants. The lab fills in
// what is in braces.
func parametersOf(d workspace.Deployment, userToken string) map[string]string {
	parameters := map[string]string{
		"WORKSPACE_BASE_URL":  "{env.CONTAXY_SERVICE_URL}",
		"SSH_JUMPHOST_TARGET": "{env.CONTAXY_DEPLOYMENT_NAME}",
		"SELF_ACCESS_TOKEN":   "{env.CONTAXY_API_TOKEN}",
		"LAB_API_ENDPOINT":    "{env.CONTAXY_API_ENDPOINT}",
		tokenParameter:        userToken,
	}
	if endpointOf(d) != upstreamEndpoint || d.Env["WORKSPACE_BASE_URL"] == "" {
		for name, value := range d.Env {
			parameters[name] = strings.ReplaceAll(value, d.AccessPath, "{env.CONTAXY_SERVICE_URL}")
		}
	}
	return parameters
}

// computeOf asks for what upstream asks for: half of the CPUs and three quarters of the memory at least. On Kubernetes a
// number of whole gigabytes below four would be read back as less than four megabytes, and take the whole list of services
// down with it (facts: kube_utils.py): such a minimum is one megabyte less.
func computeOf(d workspace.Deployment) contaxy.Compute {
	minMemory := d.Compute.MemoryMB * 3 / 4
	if minMemory == 1000 || minMemory == 2000 || minMemory == 3000 {
		minMemory--
	}
	minCPUs := d.Compute.CPUs / 2
	compute := contaxy.Compute{
		MinCPUs: &minCPUs, MaxCPUs: &d.Compute.CPUs, MinMemory: &minMemory, MaxMemory: &d.Compute.MemoryMB, VolumePath: &d.MountPath,
	}
	if d.Storage.VolumeMB > 0 {
		compute.MaxVolumeSize = &d.Storage.VolumeMB
	}
	if d.Storage.ContainerMB > 0 {
		compute.MaxContainerSize = &d.Storage.ContainerMB
	}
	return compute
}

func idleOf(d workspace.Deployment) *float64 {
	if d.IdleTimeout == 0 {
		return nil
	}
	seconds := d.IdleTimeout.Seconds()
	return &seconds
}

// argsOf fills in the address as the lab spells it where a profile starts the image's program itself. contaxy fills
// templates into parameters only.
func argsOf(d workspace.Deployment, base string) []string {
	args := slices.Clone(d.Args)
	for i, arg := range args {
		args[i] = strings.ReplaceAll(arg, d.AccessPath, base+d.AccessPath)
	}
	return args
}

// runsTheSame reports whether a service is to be of the image that it has, perhaps of another tag: then what somebody has set up
// by hand for that image stays.
func runsTheSame(service contaxy.Service, d workspace.Deployment) bool {
	return repositoryOf(cmp.Or(service.Metadata[metaImage], service.ContainerImage)) == repositoryOf(d.Image)
}

func repositoryOf(image string) string {
	name, _, _ := strings.Cut(image, "@")
	if at := strings.LastIndex(name, ":"); at > strings.LastIndex(name, "/") {
		name = name[:at]
	}
	return name
}

// argsByHand are arguments that somebody has given a service by hand; nil = none. Neither upstream nor we give any to what says
// nothing of a profile.
func argsByHand(service contaxy.Service) (args []string) {
	saved := service.Metadata[metaArgs]
	switch {
	case service.Metadata[metaImage] != "": // those that it has now are of that container
		_ = json.Unmarshal([]byte(saved), &args) // somebody may have changed it: then there are none
	case len(service.Args) > 0 && (saved != "" || service.Metadata[metaProfile] == ""):
		args = service.Args
	}
	return args
}

// mountByHand is where somebody has put the files of a service by hand; "" = nowhere else than upstream, or its profile.
func mountByHand(service contaxy.Service) string {
	path := valueOf(service.Compute.VolumePath)
	if service.Metadata[metaMount] == path || (service.Metadata[metaProfile] == "" && path != upstreamMount) {
		return path
	}
	return ""
}

// endpointsOf are where a service listens: the IDE first, as it should be, and whatever else somebody has opened.
func endpointsOf(service contaxy.Service, d workspace.Deployment) []string {
	wanted := endpointOf(d)
	if len(service.Endpoints) == 0 {
		return []string{wanted}
	}
	endpoints := slices.Clone(service.Endpoints)
	if first, _, _ := strings.Cut(endpoints[0], "/"); first != wanted {
		endpoints[0] = wanted
	}
	return endpoints
}

// serviceURL is the variable by which the lab tells a service its own address, as it was when the service was made.
const serviceURL = "CONTAXY_SERVICE_URL"

// isMovedFrom says below which path the lab was when a service was made, if it is below another one now.
func isMovedFrom(service contaxy.Service, d workspace.Deployment, base string) (old string, moved bool) {
	told := cmp.Or(service.Addresses[serviceURL], service.Addresses["WORKSPACE_BASE_URL"])
	old, _, found := strings.Cut(told, accessTo(d))
	return old, found && old != base && (old == "" || strings.HasPrefix(old, "/"))
}

// accessTo begins all addresses of a service, below the path of the lab.
func accessTo(d workspace.Deployment) string {
	return "/projects/" + string(d.Owner) + "/services/" + string(d.ID) + "/access/"
}

// moved is an address, or arguments with one in them, after the lab has moved.
func moved(text, old, base string, d workspace.Deployment) string {
	for _, before := range []string{old, base} { // whoever has changed it by hand has it right already
		text = strings.ReplaceAll(text, before+accessTo(d), accessTo(d))
	}
	return strings.ReplaceAll(text, accessTo(d), base+accessTo(d))
}

// parametersAfterMove are the parameters that a service needs where the lab has moved since it was made; nil = none. The lab
// itself goes on giving it those of then.
func parametersAfterMove(service contaxy.Service, d workspace.Deployment, base string) map[string]string {
	old, isMoved := isMovedFrom(service, d, base)
	if !isMoved {
		return nil
	}
	parameters := map[string]string{"CONTAXY_BASE_URL": base}
	for name, value := range service.Addresses {
		after := moved(value, old, base, d)
		if host, isAPI := strings.CutSuffix(value, old+"/api"); isAPI && strings.HasSuffix(name, "_API_ENDPOINT") {
			after = host + base + "/api"
		}
		if after != value {
			parameters[name] = after
		}
	}
	return parameters
}

// inputOf is a workspace as the lab is to write it down under a name, but for its parameters.
func inputOf(d workspace.Deployment, name, base string) contaxy.ServiceInput {
	return contaxy.ServiceInput{
		ContainerImage: d.Image, DisplayName: name, Endpoints: []string{endpointOf(d)}, Metadata: metadataOf(d, name),
		Compute: computeOf(d), Args: argsOf(d, base),
		IdleTimeout: idleOf(d), ClearVolumeOnStop: d.ClearOnStop, IsStopped: true,
	}
}

// differs reports whether the lab keeps something else than it should. What the lab does not keep is not compared.
func differs(service contaxy.Service, d workspace.Deployment, base string) bool {
	wanted := computeOf(d)
	_, isMoved := isMovedFrom(service, d, base)
	return isMoved || service.ContainerImage != d.Image || !slices.Equal(service.Endpoints, endpointsOf(service, d)) ||
		!maps.Equal(ours(service.Metadata), ours(metadataOf(d, service.DisplayName))) ||
		valueOf(service.Compute.MaxCPUs) != *wanted.MaxCPUs || valueOf(service.Compute.MaxMemory) != *wanted.MaxMemory ||
		valueOf(service.Compute.MaxVolumeSize) != valueOf(wanted.MaxVolumeSize) || valueOf(service.Compute.MaxContainerSize) != valueOf(wanted.MaxContainerSize) ||
		valueOf(service.IdleTimeout) != valueOf(idleOf(d)) || service.ClearVolumeOnStop != d.ClearOnStop
}

// ours picks from the metadata, into which the lab mixes its own labels, what we write there.
func ours(metadata map[string]string) map[string]string {
	picked := map[string]string{}
	for _, key := range []string{metaKind, metaName, metaProfile, metaRemoval, metaImage} {
		if value := metadata[key]; value != "" {
			picked[key] = value
		}
	}
	return picked
}

// updateOf changes a service into what it should be, and leaves what nobody here knows of as it is. The lab resolves templates only when it makes a service, so where the
// address of the IDE changes they are filled in here.
func updateOf(service contaxy.Service, d workspace.Deployment, base string) contaxy.ServiceUpdate {
	update := contaxy.ServiceUpdate{
		ContainerImage: d.Image, Endpoints: endpointsOf(service, d), Metadata: map[string]*string{}, Compute: computeOf(d),
		IdleTimeout: idleOf(d), ClearVolumeOnStop: d.ClearOnStop,
	}
	old, isMoved := isMovedFrom(service, d, base)
	args, byHand := argsOf(d, base), map[string]string{metaArgs: "", metaMount: ""}
	if runsTheSame(service, d) {
		if own := slices.Clone(argsByHand(service)); own != nil {
			for i := range own {
				if isMoved {
					own[i] = moved(own[i], old, base, d)
				}
			}
			args, byHand[metaArgs] = own, jsonOf(own)
		}
		if own := mountByHand(service); own != "" {
			update.Compute.VolumePath, byHand[metaMount] = &own, own
		}
	}
	update.Args = &args
	for key, value := range byHand {
		switch {
		case value != "":
			update.Metadata[key] = &value
		case service.Metadata[key] != "":
			update.Metadata[key] = nil
		}
	}
	wanted := metadataOf(d, service.DisplayName)
	for key, value := range wanted {
		update.Metadata[key] = &value
	}
	for key := range ours(service.Metadata) {
		if _, still := wanted[key]; !still {
			update.Metadata[key] = nil // merged away
		}
	}
	update.Parameters = parametersAfterMove(service, d, base)
	if !slices.Equal(service.Endpoints, update.Endpoints) {
		address := base + d.AccessPath
		if update.Parameters == nil {
			update.Parameters = map[string]string{}
		}
		update.Parameters["WORKSPACE_BASE_URL"], update.Parameters[serviceURL] = address, address
		for name, value := range d.Env {
			update.Parameters[name] = strings.ReplaceAll(value, d.AccessPath, address)
		}
	}
	return update
}

// keptOf reads what the lab keeps of a workspace.
func keptOf(owner workspace.Owner, service contaxy.Service) workspace.Kept {
	kept := workspace.Kept{
		ID: workspace.ID(service.ID), Owner: owner, CreatedAt: service.CreatedAt.Time, Stopped: service.Status == contaxy.StatusStopped,
		Volume: volumeOf(owner, workspace.ID(service.ID)), Removal: workspace.Removal(service.Metadata[metaRemoval]),
		Spec: workspace.Spec{
			DisplayName: strings.TrimPrefix(service.DisplayName, namePrefix), Image: cmp.Or(service.Metadata[metaImage], service.ContainerImage), Profile: service.Metadata[metaProfile],
			Compute: workspace.Compute{CPUs: valueOf(service.Compute.MaxCPUs), MemoryMB: valueOf(service.Compute.MaxMemory)},
			Storage: workspace.Storage{VolumeMB: valueOf(service.Compute.MaxVolumeSize), ContainerMB: valueOf(service.Compute.MaxContainerSize)},
			// The lab counts in seconds, as a decimal number.
			IdleTimeout:       time.Duration(valueOf(service.IdleTimeout) * float64(time.Second)),
			ClearVolumeOnStop: service.ClearVolumeOnStop,
		},
	}
	if name := service.Metadata[metaName]; name != "" {
		kept.Spec.DisplayName = name
	}
	if len(service.Endpoints) > 0 && service.Endpoints[0] != upstreamEndpoint {
		port, _, _ := strings.Cut(strings.TrimSuffix(service.Endpoints[0], "b"), "/")
		kept.Spec.Port, _ = strconv.Atoi(port) // 0, the profile's own, for what is no number
	}
	return kept
}

// volumeOf is how the lab names the volume of a service (contaxy: get_volume_name).
func volumeOf(owner workspace.Owner, id workspace.ID) string {
	return string(owner) + "-" + string(id) + "-vol"
}

// stateOf translates the lab's word. Pending is a container that was made, or on Kubernetes one that is not ready yet;
// unknown one that Docker starts again and again, or that somebody has frozen.
func stateOf(status string) (state workspace.ContainerState, exitCode int) {
	switch status {
	case contaxy.StatusSucceeded:
		return workspace.ContainerExited, 0
	case contaxy.StatusFailed:
		return workspace.ContainerExited, workspace.ExitCodeUnknown
	}
	return workspace.ContainerRunning, 0
}

func jsonOf(texts []string) string {
	encoded, err := json.Marshal(texts)
	if err != nil {
		return "" // texts are
	}
	return string(encoded)
}

func valueOf[T any](pointer *T) (value T) {
	if pointer != nil {
		value = *pointer
	}
	return value
}
