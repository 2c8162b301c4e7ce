package auth

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

func TestOpenToken_MakesOneAndKeepsIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "token")
	made, err := OpenToken(path)
	require.NoError(t, err)
	require.Regexp(t, `^lwm_[0-9a-f]{64}$`, string(made))
	again, err := OpenToken(path)
	require.NoError(t, err)
	require.Equal(t, made, again)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(made)+"\n", string(content))
	if runtime.GOOS != "windows" {
		require.Equal(t, os.FileMode(0o600), modeOf(t, path))
		require.Equal(t, os.FileMode(0o700), modeOf(t, filepath.Dir(path)))
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left beside it")
}

func modeOf(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Mode().Perm()
}

func TestOpenToken_MendsAFileThatOthersCanRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files there have no such modes")
	}
	path := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(path, []byte(token), 0o600))
	require.NoError(t, os.Chmod(path, 0o644))
	opened, err := OpenToken(path)
	require.NoError(t, err)
	require.Equal(t, token, opened)
	require.Equal(t, os.FileMode(0o600), modeOf(t, path))
}

func TestOpenToken_SaysWhatIsWrong(t *testing.T) {
	folder := t.TempDir()
	for name, content := range map[string]string{
		"empty": "", "short": "lwm_12", "without prefix": strings.Repeat("a", 68), "no hex": "lwm_" + strings.Repeat("z", 64), "huge": strings.Repeat("a", 1<<20),
	} {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := OpenToken(path)
		require.Equal(t, workspace.CodeInvalid, workspace.CodeOf(err), name)
		require.Contains(t, workspace.MessageOf(err), path)
		require.NotEmpty(t, workspace.HintOf(err))
	}
	_, err := OpenToken(folder)
	require.ErrorContains(t, err, "cannot be used")
	_, err = OpenToken(filepath.Join(folder, "empty", "token"))
	require.ErrorContains(t, err, "cannot be used")
}

func TestOpenToken_TwoAtOnceAgree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "token")
	tokens := make([]Token, 20)
	errs := make([]error, len(tokens))
	var all sync.WaitGroup
	for i := range tokens {
		all.Go(func() { tokens[i], errs[i] = OpenToken(path) })
	}
	all.Wait()
	for i := range tokens {
		require.NoError(t, errs[i])
		require.Equal(t, tokens[0], tokens[i])
	}
}

func TestRotateToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	old, err := OpenToken(path)
	require.NoError(t, err)
	rotated, err := RotateToken(path)
	require.NoError(t, err)
	require.NotEqual(t, old, rotated)
	opened, err := OpenToken(path)
	require.NoError(t, err)
	require.Equal(t, rotated, opened)
	require.Equal(t, os.FileMode(0o600), modeOf(t, path))
}
