package workspacetest

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

func TestFakeStore_KeepsTheContract(t *testing.T) {
	stores := map[string]*FakeStore{}
	TestStore(t, func(_ *testing.T, folder string) workspace.Store {
		if stores[folder] == nil {
			stores[folder] = NewFakeStore()
		}
		return stores[folder]
	})
}

func TestFakeStore_FailsWritesOnly(t *testing.T) {
	store, full := NewFakeStore(), errors.New("full")
	record := NewRecord("ada0", 1)
	require.NoError(t, store.PutRecord(t.Context(), record))

	store.FailWrites(full)
	require.ErrorIs(t, store.DeleteRecord(t.Context(), record.ID), full)
	requireRecords(t, store, record)

	store.FailWrites(nil)
	require.NoError(t, store.DeleteRecord(t.Context(), record.ID))
	require.Equal(t, 2, store.Writes())
}
