package sqlite

import (
	"testing"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace/workspacetest"
)

func BenchmarkPutRecord(b *testing.B) {
	for _, synchronous := range []string{"NORMAL", "FULL"} {
		b.Run(synchronous, func(b *testing.B) {
			store, err := Open(b.TempDir() + "/state.db")
			require.NoError(b, err)
			_, err = store.db.Exec("PRAGMA synchronous = " + synchronous)
			require.NoError(b, err)
			record := workspacetest.NewRecord("ada0", 1)
			for b.Loop() {
				require.NoError(b, store.PutRecord(b.Context(), record))
			}
			require.NoError(b, store.Close())
		})
	}
}

func BenchmarkRecords10000(b *testing.B) {
	store, err := Open(b.TempDir() + "/state.db")
	require.NoError(b, err)
	_, err = store.db.Exec("PRAGMA synchronous = OFF") // only reading is measured
	require.NoError(b, err)
	for n := range 10_000 {
		record := workspacetest.NewRecord("ada0", n)
		require.NoError(b, store.PutRecord(b.Context(), record))
	}
	for b.Loop() {
		records, err := store.Records(b.Context())
		require.NoError(b, err)
		require.Equal(b, 10_000, len(records))
	}
	require.NoError(b, store.Close())
}
