package filewatch

import "golang.org/x/sys/unix"

// tellsAll reports whether a folder is on a file system that only this machine writes to, so that all changes are told.
// Others, and those that are not known, may be written to by another machine, or below the one that is seen here.
func tellsAll(folder string) bool {
	const zfs = 0x2fc12fc1 // no part of the kernel's own list
	var found unix.Statfs_t
	if unix.Statfs(folder, &found) != nil {
		return false
	}
	switch found.Type {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC, zfs:
		return true
	}
	return false
}
