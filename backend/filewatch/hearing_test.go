package filewatch

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/fsnotify/fsnotify"
	"github.com/stretchr/testify/require"
)

func TestFollow_KnowsWhatIsToldOfAFile(t *testing.T) {
	watcher, err := fsnotify.NewWatcher()
	require.NoError(t, err)
	defer func() { require.NoError(t, watcher.Close()) }()
	folder, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	inFolder := func(name string) string { return filepath.Join(folder, name) }
	hears := func(name string) hearing { return follow(watcher, map[string]bool{}, inFolder(name)) }
	require.NoError(t, os.WriteFile(inFolder("plain"), nil, 0o600))
	require.NoError(t, os.Symlink(inFolder("plain"), inFolder("link")))
	require.NoError(t, os.Symlink(folder, inFolder("way")))
	all := most
	if tellsAll(folder) {
		all = sharp
	}
	require.Equal(t, all, hears("plain"))
	require.Equal(t, all, hears("not/yet/there"))
	require.Equal(t, most, hears("link"), "a link behind it may be turned elsewhere")
	require.Equal(t, most, hears("way/plain"))
	require.False(t, tellsAll("/proc"), "what is not known is not trusted")
}
