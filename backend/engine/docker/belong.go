package docker

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"lab-workspace-manager/backend/workspace"
)

// mostOfAccounts bounds what is read of a container's list of users: it is the image's, and may be anything.
const mostOfAccounts = 1 << 20

// account is who a container runs as, in numbers.
type account struct{ uid, gid int }

// letWrite gives the folder of an empty volume to the user that a container runs as, before it starts. Docker copies the
// owner of the folder that the image has at this place, and where it has none the folder belongs to root: an image that
// runs as another user could keep nothing. A folder with something in it is left as it is.
//
// To look into a container costs a fifth of its start, so it is left out where it cannot matter: for root, and for images
// that name their profile, as ours do, and so have its folder.
func (e *Engine) letWrite(ctx context.Context, handle string, image workspace.ImageFacts, d workspace.Deployment) error {
	if isRoot(image.User) || image.Labels[labelProfile] != "" {
		return nil
	}
	folder, isEmpty, err := e.folderInside(ctx, handle, d.MountPath)
	if err != nil || !isEmpty || folder.Uid != 0 {
		return err
	}
	who, err := e.accountOf(ctx, handle, image.User)
	if err != nil || who.uid == 0 {
		return err
	}
	var packed bytes.Buffer
	archive := tar.NewWriter(&packed)
	entry := &tar.Header{
		Typeflag: tar.TypeDir, Name: path.Base(d.MountPath) + "/", Mode: folder.Mode, Uid: who.uid, Gid: who.gid, ModTime: folder.ModTime,
	}
	if err := errors.Join(archive.WriteHeader(entry), archive.Close()); err != nil {
		return workspace.Errorf(workspace.CodeInternal, "The folder %s cannot be given to the user of the image: %w", d.MountPath, err)
	}
	err = e.client.CopyToContainer(ctx, handle, path.Dir(d.MountPath), &packed, container.CopyToContainerOptions{})
	return e.translate(err, "give the folder "+d.MountPath+" to the user of the image")
}

// isRoot reports whether a user, as images name them, is certainly root.
func isRoot(user string) bool {
	name, _, _ := strings.Cut(user, ":")
	return name == "" || name == "root" || name == "0"
}

// folderInside looks at a folder in a container and whether there is something in it. What is no folder counts as one
// that is not empty.
func (e *Engine) folderInside(ctx context.Context, handle, folder string) (*tar.Header, bool, error) {
	packed, _, err := e.client.CopyFromContainer(ctx, handle, folder)
	if err != nil {
		return nil, false, e.translate(err, "look at the folder "+folder)
	}
	defer func() { _ = packed.Close() }() // which ends the daemon's packing, however much there is
	archive := tar.NewReader(packed)
	found, err := archive.Next()
	if err != nil {
		return nil, false, e.translate(err, "look at the folder "+folder)
	}
	_, next := archive.Next()
	return found, found.Typeflag == tar.TypeDir && errors.Is(next, io.EOF), nil
}

// accountOf finds the numbers of a user, which an image gives as "name", "uid", "name:group" or any mixture of them. A
// name that the container does not know is root here; its start will say what is wrong with it.
func (e *Engine) accountOf(ctx context.Context, handle, user string) (account, error) {
	name, group, hasGroup := strings.Cut(user, ":")
	users, err := e.textInside(ctx, handle, "/etc/passwd")
	if err != nil {
		return account{}, err
	}
	who := account{}
	if line := lineOf(users, name); line != nil {
		who.uid, _ = strconv.Atoi(line[2]) // a line without numbers is as good as none
		who.gid, _ = strconv.Atoi(line[3])
	} else if who.uid, err = strconv.Atoi(name); err != nil {
		return account{}, nil
	}
	if !hasGroup {
		return who, nil
	}
	if who.gid, err = strconv.Atoi(group); err == nil {
		return who, nil
	}
	groups, err := e.textInside(ctx, handle, "/etc/group")
	if line := lineOf(groups, group); line != nil {
		who.gid, _ = strconv.Atoi(line[2])
	}
	return who, err
}

// lineOf finds a name or a number in a file like /etc/passwd or /etc/group.
func lineOf(text, nameOrNumber string) []string {
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) >= 4 && (fields[0] == nameOrNumber || fields[2] == nameOrNumber) {
			return fields
		}
	}
	return nil
}

// textInside reads a file of a container; "" where there is none, or it is no file.
func (e *Engine) textInside(ctx context.Context, handle, file string) (string, error) {
	packed, _, err := e.client.CopyFromContainer(ctx, handle, file)
	if errdefs.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", e.translate(err, "read "+file)
	}
	defer func() { _ = packed.Close() }()
	archive := tar.NewReader(packed)
	if _, err := archive.Next(); err != nil {
		return "", e.translate(err, "read "+file)
	}
	text, err := io.ReadAll(io.LimitReader(archive, mostOfAccounts))
	return string(text), e.translate(err, "read "+file)
}
