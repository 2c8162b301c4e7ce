package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRun_PrintsTheConfigurationOfAUser(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(file, []byte("[[override]]\nusers = [\"ada\"]\nquota.running = 6\n"), 0o600))
	for arguments, want := range map[string]string{
		"--print-config":            "quota.running = 6",
		"--print-config --user Ada": "# What is decided for the user ada0.",
	} {
		var out, errs strings.Builder
		require.NoError(t, run(t.Context(), append(strings.Fields(arguments), "--config", file), &out, &errs))
		require.Contains(t, out.String(), want)
	}
	require.ErrorContains(t, run(t.Context(), []string{"--user", "ada"}, os.Stdout, os.Stderr), "--user goes with --print-config only")
}
