package docker

import (
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/volume"

	"lab-workspace-manager/backend/workspace"
)

// The labels on everything we make. ML Lab's (ctxy.*) let an ML Lab on the same engine list and route to workspaces
// (facts: names, ids, labels); ours hold what observations are read from.
const (
	labelNamespace      = "ctxy.namespace"      // first part of all names of an instance
	labelOwner          = "ctxy.projectName"    // owner of the workspace
	labelDeployment     = "ctxy.deploymentId"   // id of the workspace
	labelDeploymentType = "ctxy.deploymentType" // "service" for a container
	labelLabDisplayName = "ctxy.displayName"    // "WS " and the display name, as upstream stores it
	labelDescription    = "ctxy.description"    // this and the next three: nothing, as of upstream's workspaces
	labelRequirements   = "ctxy.requirements"
	labelIcon           = "ctxy.icon"
	labelMinLifetime    = "ctxy.minLifetime"
	labelEndpoints      = "ctxy.endpoints" // port of the IDE, with b: the path is kept
	labelWorkspace      = "ctxy.workspaceExtension.deploymentType"
	labelLabName        = "ctxy.workspaceExtension.displayName" // where ML Lab's own label has no room for it
	labelLabProfile     = "ctxy.workspaceExtension.profile"     // where it is not that of upstream's workspaces
	labelCreatedBy      = "ctxy.createdBy"
	labelVolumePath     = "ctxy.volumePath"

	labelInstance    = "lab-workspace-manager.instance"     // the manager whose it is
	labelUID         = "lab-workspace-manager.uid"          // of the workspace
	labelAttempt     = "lab-workspace-manager.attempt"      // for which the container was made
	labelFingerprint = "lab-workspace-manager.fingerprint"  // of what the container was made with
	labelDisplayName = "lab-workspace-manager.display-name" // when it was made
	labelProfile     = "lab-workspace-manager.profile"      // contract of its image, as the configuration calls it
	labelPort        = "lab-workspace-manager.port"         // where the IDE listens
	labelContext     = "lab-workspace-manager.context"      // of an image: what it was built from here
	labelHelper      = "lab-workspace-manager.helper"       // the manager it helps; no workspace, so snapshots leave it out
	labelSizeMB      = "lab-workspace-manager.size-mb"      // what a volume was made to hold
	labelContainerMB = "lab-workspace-manager.container-mb" // what a container may write outside of its volume
	labelMadeAt      = "lab-workspace-manager.made-at"      // of a volume: Docker tells only seconds
)

const (
	labNamePrefix    = "WS "
	upstreamEndpoint = "8080b" // where upstream's workspaces listen
	// mostOfLabName is how long ML Lab's names are. Of a service with a longer one its whole list would be an error.
	mostOfLabName = 128
)

// labDisplayName is what ML Lab calls a workspace.
func labDisplayName(displayName string) string {
	name := []rune(labNamePrefix + displayName)
	return string(name[:min(len(name), mostOfLabName)])
}

// ours filters for what carries the label of this instance.
func (e *Engine) ours(more ...filters.KeyValuePair) filters.Args {
	return filters.NewArgs(append(more, filters.Arg("label", labelInstance+"="+e.instance))...)
}

// ownedBy filters for what of this instance belongs to an owner.
func (e *Engine) ownedBy(owner workspace.Owner) filters.Args {
	return e.ours(filters.Arg("label", labelOwner+"="+string(owner)))
}

// baseLabels are on everything of an owner.
func (e *Engine) baseLabels(owner workspace.Owner) map[string]string {
	return map[string]string{
		labelInstance:  e.instance,
		labelNamespace: e.namespaceNow(),
		labelOwner:     string(owner),
	}
}

func (e *Engine) containerLabels(d workspace.Deployment) map[string]string {
	labels := e.baseLabels(d.Owner)
	labels[labelDeployment] = string(d.ID)
	labels[labelDeploymentType] = "service"
	labels[labelWorkspace] = "workspace"
	labels[labelLabDisplayName] = labDisplayName(d.DisplayName)
	if labels[labelLabDisplayName] != labNamePrefix+d.DisplayName {
		labels[labelLabName] = d.DisplayName
	}
	labels[labelEndpoints] = strconv.Itoa(d.Port)
	if d.KeepsPath {
		labels[labelEndpoints] += "b"
	}
	if labels[labelEndpoints] != upstreamEndpoint {
		labels[labelLabProfile] = d.Profile
	}
	labels[labelDescription], labels[labelRequirements], labels[labelIcon] = "", "", ""
	labels[labelMinLifetime] = "0"
	labels[labelCreatedBy] = string(d.Owner)
	labels[labelVolumePath] = d.MountPath
	labels[labelUID] = d.UID
	labels[labelAttempt] = strconv.FormatInt(d.Attempt, 10)
	labels[labelProfile] = d.Profile
	labels[labelFingerprint] = d.Fingerprint
	labels[labelDisplayName] = d.DisplayName
	labels[labelPort] = strconv.Itoa(d.Port)
	if d.Storage.ContainerMB > 0 {
		labels[labelContainerMB] = strconv.FormatInt(d.Storage.ContainerMB, 10)
	}
	return labels
}

func (e *Engine) volumeLabels(d workspace.Deployment, now time.Time) map[string]string {
	labels := e.baseLabels(d.Owner)
	labels[labelDeployment] = string(d.ID)
	labels[labelUID] = d.UID
	labels[labelDisplayName] = d.DisplayName
	if d.Storage.VolumeMB > 0 {
		labels[labelSizeMB] = strconv.FormatInt(d.Storage.VolumeMB, 10)
	}
	labels[labelMadeAt] = now.UTC().Format(time.RFC3339Nano)
	return labels
}

func volumeOf(found *volume.Volume) workspace.Volume {
	made, err := time.Parse(time.RFC3339Nano, found.Labels[labelMadeAt])
	if err != nil {
		made, _ = time.Parse(time.RFC3339, found.CreatedAt) // zero when Docker says nothing either
	}
	size, _ := strconv.ParseInt(found.Labels[labelSizeMB], 10, 64) // 0 for what an older version made
	return workspace.Volume{
		Name: found.Name, Owner: workspace.Owner(found.Labels[labelOwner]), UID: found.Labels[labelUID],
		DisplayName: strings.ToValidUTF8(found.Labels[labelDisplayName], ""), CreatedAt: made,
		SizeMB: max(0, size), Enforced: found.Options[sizeOption] != "",
	}
}
