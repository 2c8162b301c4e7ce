package docker

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/pkg/stdcopy"

	"lab-workspace-manager/backend/workspace"
)

const (
	// measureTimeout bounds what somebody waits for: about a million files. Gentle work ends with its context.
	measureTimeout = time.Minute
	// helperCleanup bounds the removal of a helper.
	helperCleanup = 30 * time.Second
	// The share of one processor that a helper gets, in billionths.
	helperCPUs       = 500_000_000
	gentleHelperCPUs = 100_000_000
	helperMemory     = 256 * mebibyte
	helperProcesses  = 32
	placesFolder     = "/places/" // where a helper sees what it measures, by number
)

var (
	// errUnreadable says that this process cannot read a folder, but another one may.
	errUnreadable = errors.New("the folder cannot be read from here")
	// errNoHelper says that an image is not here, or has nothing in it that can measure.
	errNoHelper = errors.New("the image cannot measure")
	// errNoBind says that the daemon cannot give a helper a folder of its own.
	errNoBind = errors.New("the daemon does not bind its folders")
)

// location is where the files of a place are.
type location struct {
	container string      // its handle; "" for a volume
	folder    string      // on the daemon's machine; "" where that cannot be known
	mount     mount.Mount // for a helper
	// counts says that Docker itself counts only what the container has written. Other storage drivers compare it with
	// its whole image.
	counts bool
}

// Measure counts the files of places, in blocks of the disk: limits are about that. What this process cannot read, one
// helper container looks at for all of them. Of a container's files that only Docker itself can count, there is a size
// but neither a number of files nor a time.
func (e *Engine) Measure(ctx context.Context, places []workspace.Place, how workspace.Measuring) ([]workspace.Measurement, error) {
	measuring := ctx
	if !how.Gentle {
		limited, cancel := context.WithTimeout(ctx, measureTimeout)
		defer cancel()
		measuring = limited
	}
	measured := make([]workspace.Measurement, len(places))
	locations := make([]location, len(places))
	var unread []int
	for i, place := range places {
		measured[i].Usage, locations[i], measured[i].Err = e.measureHere(measuring, place, how.Gentle)
		if errors.Is(measured[i].Err, errUnreadable) {
			unread = append(unread, i)
		}
	}
	if len(unread) > 0 {
		e.measureElsewhere(measuring, measured, locations, unread, how)
	}
	for i := range measured {
		err := measured[i].Err
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case isTimeout(err):
			measured[i].Err = workspace.Errorf(workspace.CodeUnavailable, "There are too many files to measure within %s.", measureTimeout)
		case workspace.CodeOf(err) == workspace.CodeUnavailable && isHangUp(err):
			return nil, err
		}
		if err != nil {
			measured[i].Usage = workspace.Usage{} // a part is no number
		}
		measured[i].Usage.MeasuredAt = time.Now()
	}
	return measured, nil
}

func isTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// measureHere measures a place in its folder. errUnreadable with where it is, when this process cannot.
func (e *Engine) measureHere(ctx context.Context, place workspace.Place, gentle bool) (workspace.Usage, location, error) {
	at, err := e.locate(ctx, place)
	if err != nil {
		return workspace.Usage{}, at, err
	}
	if e.remote || at.folder == "" {
		return workspace.Usage{}, at, errUnreadable
	}
	usage, err := walk(ctx, at.folder, gentle)
	return usage, at, err
}

// locate finds where the files of a place are; CodeNotFound when there is no such place or it is not ours.
func (e *Engine) locate(ctx context.Context, place workspace.Place) (location, error) {
	if place.Container == "" {
		found, err := e.ourVolume(ctx, place.Volume)
		if err != nil {
			return location{}, err
		}
		return location{folder: found.Mountpoint, mount: mount.Mount{
			Type: mount.TypeVolume, Source: place.Volume, ReadOnly: true, VolumeOptions: &mount.VolumeOptions{NoCopy: true},
		}}, nil
	}
	found, err := e.client.ContainerInspect(ctx, place.Container)
	if err != nil {
		return location{}, e.translate(err, "look at the container")
	}
	if found.ContainerJSONBase == nil || found.Config == nil || found.Config.Labels[labelInstance] != e.instance {
		return location{}, workspace.Errorf(workspace.CodeNotFound, "The container %s is not ours.", place.Container)
	}
	at := location{container: found.ID, folder: e.upperFolder(found)}
	at.counts = at.folder != "" || e.knownDaemon().snapshots
	at.mount = mount.Mount{Type: mount.TypeBind, Source: at.folder, ReadOnly: true}
	return at, nil
}

// upperFolder is where everything is that a container has written, "" where the storage driver has no such folder.
func (e *Engine) upperFolder(found container.InspectResponse) string {
	if folder := found.GraphDriver.Data["UpperDir"]; folder != "" {
		return folder
	}
	if e.remote || found.State == nil || found.State.Pid == 0 {
		return ""
	}
	return upperOfProcess(procFolder, found.ID, found.State.Pid) // containerd's snapshots are not told by the API
}

// measureElsewhere measures what this process cannot read: by helpers, and what they cannot have by Docker itself.
func (e *Engine) measureElsewhere(ctx context.Context, measured []workspace.Measurement, locations []location, unread []int, how workspace.Measuring) {
	var forHelpers []int
	for _, i := range unread {
		if locations[i].folder != "" {
			forHelpers = append(forHelpers, i)
		}
	}
	e.measureWithHelpers(ctx, measured, locations, forHelpers, how)
	for _, i := range unread {
		if locations[i].container != "" && errors.Is(measured[i].Err, errUnreadable) {
			measured[i].Usage, measured[i].Err = e.measureByDocker(ctx, locations[i], how.Gentle)
		}
		if errors.Is(measured[i].Err, errUnreadable) {
			measured[i].Err = workspace.Errorf(workspace.CodeUnavailable, "The files cannot be measured: there is no image here to look with.")
		}
	}
}

// measureByDocker takes Docker's own number, which it adds up anew every time and at its own pace.
func (e *Engine) measureByDocker(ctx context.Context, at location, gentle bool) (workspace.Usage, error) {
	if gentle && !at.counts {
		return workspace.Usage{}, workspace.Errorf(workspace.CodeUnavailable, "What the container has written cannot be measured gently: Docker would compare all of its files with its image.")
	}
	found, _, err := e.client.ContainerInspectWithRaw(ctx, at.container, true)
	if err != nil {
		return workspace.Usage{}, e.translate(err, "measure the container")
	}
	if found.ContainerJSONBase == nil || found.SizeRw == nil {
		return workspace.Usage{}, workspace.Errorf(workspace.CodeUnavailable, "Docker does not tell what the container has written.")
	}
	return workspace.Usage{Bytes: *found.SizeRw}, nil
}

// measureWithHelpers measures places from a helper container. Each image is tried for what those before it have left.
func (e *Engine) measureWithHelpers(ctx context.Context, measured []workspace.Measurement, locations []location, wanted []int, how workspace.Measuring) {
	for _, image := range how.Helpers {
		if len(wanted) == 0 {
			return
		}
		found, err := e.measureInside(ctx, image, pick(locations, wanted), how.Gentle)
		if errors.Is(err, errNoBind) { // volumes can be had all the same
			wanted = slices.DeleteFunc(wanted, func(i int) bool { return locations[i].container != "" })
			found, err = e.measureInside(ctx, image, pick(locations, wanted), how.Gentle)
		}
		if errors.Is(err, errNoHelper) {
			continue
		}
		var left []int
		for n, i := range wanted {
			usage, there := found[n]
			switch {
			case err != nil:
				measured[i].Err = err
			case there:
				measured[i] = workspace.Measurement{Usage: usage}
			default:
				left = append(left, i)
			}
		}
		wanted = left
	}
}

func pick(locations []location, wanted []int) []location {
	picked := make([]location, len(wanted))
	for n, i := range wanted {
		picked[n] = locations[i]
	}
	return picked
}

//go:embed measure.sh
var measureScript string

// measureInside measures places from a helper container that can do nothing but read them, and returns what it found by
// their numbers. errNoHelper when the image cannot do it, errNoBind when the daemon has not the folder of a container.
func (e *Engine) measureInside(ctx context.Context, image string, places []location, gentle bool) (map[int]workspace.Usage, error) {
	if len(places) == 0 {
		return nil, nil
	}
	config, host := helperOf(image, places, gentle)
	config.Labels = map[string]string{labelHelper: e.instance}
	made, err := e.client.ContainerCreate(ctx, config, host, &network.NetworkingConfig{}, nil, "")
	if err != nil {
		switch {
		case errdefs.IsNotFound(err):
			return nil, errNoHelper
		case isBindRefused(err):
			return nil, errNoBind
		}
		return nil, e.translate(err, "measure files")
	}
	defer func() {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), helperCleanup)
		defer cancel()
		if err := e.removeByHandle(cleanup, made.ID); err != nil {
			e.log.Warn("helper container left behind", "container", made.ID, "error", err)
		}
		e.removeConjured(cleanup, places)
	}()
	waiting, failed := e.client.ContainerWait(ctx, made.ID, container.WaitConditionNextExit)
	if err := e.client.ContainerStart(ctx, made.ID, container.StartOptions{}); err != nil {
		switch {
		case isBindRefused(err):
			return nil, errNoBind
		case errdefs.IsInvalidArgument(err), errdefs.IsNotFound(err): // no shell in the image
			return nil, errNoHelper
		}
		return nil, e.translate(err, "measure files")
	}
	select {
	case <-waiting: // what it printed tells how it went
	case err := <-failed:
		return nil, e.translate(err, "measure files")
	}
	stream, err := e.client.ContainerLogs(ctx, made.ID, container.LogsOptions{ShowStdout: true})
	if err != nil {
		return nil, e.translate(err, "measure files")
	}
	defer func() { _ = stream.Close() }()
	var text bytes.Buffer
	if _, err := stdcopy.StdCopy(&text, nil, stream); err != nil {
		return nil, e.translate(err, "measure files")
	}
	return readMeasurements(&text, len(places)), nil
}

// helperOf computes the container that measures places: root to read all, and nothing else.
func helperOf(image string, places []location, gentle bool) (*container.Config, *container.HostConfig) {
	processes, cpus := int64(helperProcesses), int64(helperCPUs)
	if gentle {
		cpus = gentleHelperCPUs
	}
	mounts := make([]mount.Mount, len(places))
	for n, place := range places {
		mounts[n] = place.mount
		mounts[n].Target = placesFolder + strconv.Itoa(n)
	}
	config := &container.Config{
		Image: image, User: "0:0", NetworkDisabled: true, WorkingDir: "/",
		Entrypoint: []string{"/bin/sh", "-c", measureScript, "measure"}, Cmd: []string{strconv.Itoa(len(places))},
	}
	return config, &container.HostConfig{
		CapDrop: []string{dropAll}, CapAdd: []string{"DAC_READ_SEARCH"},
		SecurityOpt:    []string{noNewPrivileges, "label=disable"}, // the files carry the labels of other containers
		ReadonlyRootfs: true, Mounts: mounts,
		LogConfig: container.LogConfig{Type: "json-file"}, // the daemon's own choice may not be readable
		Resources: container.Resources{NanoCPUs: cpus, Memory: helperMemory, MemorySwap: helperMemory, PidsLimit: &processes},
	}
}

// removeConjured removes volumes that came into being because they were removed between a look at them and the making of
// the helper, which has Docker make what it mounts.
func (e *Engine) removeConjured(ctx context.Context, places []location) {
	for _, place := range places {
		if place.mount.Type != mount.TypeVolume {
			continue
		}
		found, err := e.client.VolumeInspect(ctx, place.mount.Source)
		if err != nil || len(found.Labels) > 0 {
			continue
		}
		if err := e.client.VolumeRemove(ctx, found.Name, false); err != nil {
			e.log.Warn("volume left behind", "volume", found.Name, "error", err)
		}
	}
}

// readMeasurements reads lines of "place bytes files newest", as measure.sh prints them. Places without a line that makes
// sense are left out.
func readMeasurements(text *bytes.Buffer, places int) map[int]workspace.Usage {
	found := map[int]workspace.Usage{}
	for lines := bufio.NewScanner(text); lines.Scan(); {
		var (
			place   int
			usage   workspace.Usage
			changed float64
		)
		if _, err := fmt.Sscanf(lines.Text(), "%d %d %d %g\n", &place, &usage.Bytes, &usage.Files, &changed); err != nil ||
			place < 0 || place >= places || usage.Bytes < 0 || usage.Files < 0 {
			continue
		}
		if changed > 0 {
			usage.ChangedAt = time.UnixMicro(int64(changed * 1e6))
		}
		found[place] = usage
	}
	return found
}
