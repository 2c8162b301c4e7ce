package workspacetest

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"lab-workspace-manager/backend/workspace"
)

// OpenStore opens the store that keeps its things in folder. Opened again after it was closed (where it can be), it
// must know what it knew.
type OpenStore func(t *testing.T, folder string) workspace.Store

// TestStore is the contract of workspace.Store: every implementation must pass it.
func TestStore(t *testing.T, open OpenStore) {
	for name, test := range map[string]func(*testing.T, workspace.Store){
		"an empty store answers with nothing":             storeEmpty,
		"a record is replaced by its id":                  storeReplacesRecord,
		"deleting a record takes its log along":           storeDeletesRecord,
		"deleting twice is no error":                      storeDeletesTwice,
		"a log keeps its end":                             storeBoundsLog,
		"a log of an unknown workspace is dropped":        storeDropsStrayLog,
		"a volume is kept until it is forgotten":          storeKeepsVolumes,
		"what was returned can be changed without harm":   storeSharesNothing,
		"the audit log keeps what was done, newest first": storeKeepsAudit,
		"an instant survives in any time zone":            storeKeepsInstants,
		"writers at once do not lose each other's words":  storeTakesWritersAtOnce,
	} {
		t.Run(name, func(t *testing.T) {
			test(t, openFor(t, open, t.TempDir()))
		})
	}
	t.Run("every field comes back after reopening", func(t *testing.T) { storeKeepsEveryField(t, open) })
}

func openFor(t *testing.T, open OpenStore, folder string) workspace.Store {
	store := open(t, folder)
	t.Cleanup(func() { closeStore(t, store) })
	return store
}

func closeStore(t *testing.T, store workspace.Store) {
	if closer, ok := store.(io.Closer); ok {
		require.NoError(t, closer.Close())
	}
}

// NewRecord makes a plain record of a stopped workspace, with the id that the owner's n-th workspace could have.
func NewRecord(owner workspace.Owner, n int) workspace.Record {
	name := fmt.Sprintf("Lab %d", n) // short enough for its id to hold all of it
	now := time.Date(2026, 11, 24, 12, 0, n%60, 0, time.UTC)
	return workspace.Record{
		ID:    workspace.NewID("lab", owner, name, func(workspace.ID) bool { return false }),
		UID:   fmt.Sprintf("uid-%s-%d", owner, n),
		Owner: owner,
		Spec: workspace.Spec{
			DisplayName: name, Image: "image:latest", Profile: "profile",
			Compute: workspace.Compute{CPUs: 0.5, MemoryMB: 2000, ShmMB: 1000, Processes: 4096},
		},
		Desired: workspace.DesiredStopped, Volume: fmt.Sprintf("volume-%s-%d", owner, n),
		CreatedAt: now, UpdatedAt: now, DesiredAt: now,
	}
}

func storeEmpty(t *testing.T, store workspace.Store) {
	records, err := store.Records(t.Context())
	require.NoError(t, err)
	require.Empty(t, records)
	volumes, err := store.KeptVolumes(t.Context())
	require.NoError(t, err)
	require.Empty(t, volumes)
	log, err := store.Log(t.Context(), "lab-p-ada0-s-none")
	require.NoError(t, err)
	require.Nil(t, log)
}

func storeReplacesRecord(t *testing.T, store workspace.Store) {
	first, other := NewRecord("ada0", 1), NewRecord("bob0", 1)
	require.NoError(t, store.PutRecord(t.Context(), first))
	require.NoError(t, store.PutRecord(t.Context(), other))
	require.NoError(t, store.PutLog(t.Context(), first.ID, []byte("the end")))

	changed := first
	changed.Spec.DisplayName = "Ünïcode ✓ 名前"
	changed.Outcome = &workspace.Outcome{Status: workspace.StatusFailed, Code: workspace.ReasonOutOfMemory, ExitCode: 137}
	require.NoError(t, store.PutRecord(t.Context(), changed))
	requireRecords(t, store, changed, other)

	changed.Outcome = nil // gone means gone, not left as it was
	require.NoError(t, store.PutRecord(t.Context(), changed))
	requireRecords(t, store, changed, other)

	log, err := store.Log(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, "the end", string(log), "a replaced record keeps its log")
}

func storeDeletesRecord(t *testing.T, store workspace.Store) {
	doomed, other := NewRecord("ada0", 1), NewRecord("ada0", 2)
	for _, record := range []workspace.Record{doomed, other} {
		require.NoError(t, store.PutRecord(t.Context(), record))
		require.NoError(t, store.PutLog(t.Context(), record.ID, []byte(record.UID)))
	}
	require.NoError(t, store.DeleteRecord(t.Context(), doomed.ID))
	requireRecords(t, store, other)

	require.NoError(t, store.PutRecord(t.Context(), doomed)) // a later workspace of the same id
	log, err := store.Log(t.Context(), doomed.ID)
	require.NoError(t, err)
	require.Nil(t, log)
	log, err = store.Log(t.Context(), other.ID)
	require.NoError(t, err)
	require.Equal(t, other.UID, string(log))
}

func storeDeletesTwice(t *testing.T, store workspace.Store) {
	record := NewRecord("ada0", 1)
	require.NoError(t, store.PutRecord(t.Context(), record))
	for range 2 {
		require.NoError(t, store.DeleteRecord(t.Context(), record.ID))
		require.NoError(t, store.ForgetVolume(t.Context(), "never kept"))
	}
	requireRecords(t, store)
}

func storeBoundsLog(t *testing.T, store workspace.Store) {
	record := NewRecord("ada0", 1)
	require.NoError(t, store.PutRecord(t.Context(), record))
	lines := bytes.Repeat([]byte("\x00 any byte \xff\n"), workspace.MaxLogBytes/8)
	for _, text := range [][]byte{
		lines,
		lines[:workspace.MaxLogBytes],
		[]byte("short, in place of the long one\n"),
	} {
		require.NoError(t, store.PutLog(t.Context(), record.ID, text))
		log, err := store.Log(t.Context(), record.ID)
		require.NoError(t, err)
		require.True(t, bytes.HasSuffix(text, log), "the end of the log is what is kept")
		require.Equal(t, min(len(text), workspace.MaxLogBytes), len(log))
	}
	for _, nothing := range [][]byte{{}, nil} {
		require.NoError(t, store.PutLog(t.Context(), record.ID, nothing))
		log, err := store.Log(t.Context(), record.ID)
		require.NoError(t, err)
		require.Nil(t, log)
	}
}

func storeDropsStrayLog(t *testing.T, store workspace.Store) {
	record := NewRecord("ada0", 1)
	require.NoError(t, store.PutLog(t.Context(), record.ID, []byte("of a workspace that was deleted meanwhile")))
	require.NoError(t, store.PutRecord(t.Context(), record))
	log, err := store.Log(t.Context(), record.ID)
	require.NoError(t, err)
	require.Nil(t, log, "a later workspace of the same id must not show it")
}

func storeKeepsVolumes(t *testing.T, store workspace.Store) {
	since := time.Date(2026, 11, 24, 12, 0, 0, 123456789, time.UTC)
	first := workspace.Volume{Name: "volume-1", Owner: "ada0", UID: "1", DisplayName: "Eins", CreatedAt: since, KeptSince: since}
	second := workspace.Volume{Name: "volume-2", Owner: "bob0"}
	require.NoError(t, store.KeepVolume(t.Context(), first))
	require.NoError(t, store.KeepVolume(t.Context(), second))
	requireVolumes(t, store, first, second)

	first.DisplayName = "One"
	require.NoError(t, store.KeepVolume(t.Context(), first))
	requireVolumes(t, store, first, second)

	for range 2 {
		require.NoError(t, store.ForgetVolume(t.Context(), first.Name))
		requireVolumes(t, store, second)
	}
}

func storeSharesNothing(t *testing.T, store workspace.Store) {
	record := NewRecord("ada0", 1)
	record.Outcome = &workspace.Outcome{Reason: "as it was"}
	record.Previous = &workspace.PreviousImage{Image: "as it was"}
	text := []byte("as it was")
	require.NoError(t, store.PutRecord(t.Context(), record))
	require.NoError(t, store.PutLog(t.Context(), record.ID, text))
	record.Outcome.Reason, record.Previous.Image, text[0] = "changed", "changed", 'X'

	for range 2 {
		records, err := store.Records(t.Context())
		require.NoError(t, err)
		require.Equal(t, "as it was", records[0].Outcome.Reason)
		require.Equal(t, "as it was", records[0].Previous.Image)
		log, err := store.Log(t.Context(), record.ID)
		require.NoError(t, err)
		require.Equal(t, "as it was", string(log))
		records[0].Outcome.Reason, records[0].Previous.Image, log[0] = "changed", "changed", 'X'
	}
}

func storeKeepsInstants(t *testing.T, store workspace.Store) {
	record := NewRecord("ada0", 1)
	record.CreatedAt = time.Date(2026, 11, 24, 12, 0, 0, 5, time.FixedZone("elsewhere", 5*3600+1800))
	require.NoError(t, store.PutRecord(t.Context(), record))
	records, err := store.Records(t.Context())
	require.NoError(t, err)
	require.True(t, record.CreatedAt.Equal(records[0].CreatedAt))
}

func storeTakesWritersAtOnce(t *testing.T, store workspace.Store) {
	const writers, writesEach = 8, 10
	failures := make(chan error, writers)
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			owner := workspace.Owner(fmt.Sprintf("owner%d", w))
			for n := range writesEach {
				record := NewRecord(owner, n)
				err := store.PutRecord(t.Context(), record)
				if err == nil {
					err = store.PutLog(t.Context(), record.ID, []byte(record.UID))
				}
				if err == nil {
					_, err = store.Records(t.Context())
				}
				if err != nil {
					failures <- err
					return
				}
			}
		})
	}
	running.Wait()
	close(failures)
	require.NoError(t, <-failures)

	records, err := store.Records(t.Context())
	require.NoError(t, err)
	require.Equal(t, writers*writesEach, len(records))
	for _, record := range records {
		log, err := store.Log(t.Context(), record.ID)
		require.NoError(t, err)
		require.Equal(t, record.UID, string(log))
	}
}

func storeKeepsEveryField(t *testing.T, open OpenStore) {
	folder := t.TempDir()
	store := open(t, folder)
	records := map[workspace.ID]workspace.Record{}
	volumes := map[string]workspace.Volume{}
	rapid.Check(t, func(rt *rapid.T) {
		record, volume := anyOf[workspace.Record](rt, "record"), anyOf[workspace.Volume](rt, "volume")
		require.NoError(rt, store.PutRecord(t.Context(), record))
		require.NoError(rt, store.KeepVolume(t.Context(), volume))
		records[record.ID], volumes[volume.Name] = record, volume
	})
	closeStore(t, store)

	reopened := openFor(t, open, folder)
	kept, err := reopened.Records(t.Context())
	require.NoError(t, err)
	require.Equal(t, len(records), len(kept))
	for _, record := range kept {
		require.Equal(t, records[record.ID], record)
	}
	keptVolumes, err := reopened.KeptVolumes(t.Context())
	require.NoError(t, err)
	require.Equal(t, len(volumes), len(keptVolumes))
	for _, volume := range keptVolumes {
		require.Equal(t, volumes[volume.Name], volume)
	}
}

// anyOf draws a value of the type with every field drawn, so that a field added to the domain is tested without a word
// here.
func anyOf[T any](rt *rapid.T, label string) T {
	var value T
	draw(rt, reflect.ValueOf(&value).Elem(), label)
	return value
}

func draw(rt *rapid.T, v reflect.Value, label string) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(anyInstant(rt, label)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			draw(rt, v.Field(i), label+"."+v.Type().Field(i).Name)
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(rt, label+" is set") {
			v.Set(reflect.New(v.Type().Elem()))
			draw(rt, v.Elem(), label)
		}
	case reflect.Slice:
		// An empty list and none are the same in JSON's eyes, so there is none or at least one.
		if n := rapid.IntRange(0, 3).Draw(rt, label+" length"); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				draw(rt, v.Index(i), fmt.Sprintf("%s[%d]", label, i))
			}
		}
	case reflect.String:
		v.SetString(rapid.String().Draw(rt, label))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(rt, label))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(rt, label))
	case reflect.Float64:
		v.SetFloat(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64).Draw(rt, label))
	default:
		rt.Fatalf("%s has a kind that the suite cannot draw: %s", label, v.Type())
	}
}

func anyInstant(rt *rapid.T, label string) time.Time {
	if rapid.Bool().Draw(rt, label+" is zero") {
		return time.Time{}
	}
	const year9999 = 253402300799 // the last that RFC 3339 can write
	return time.Unix(rapid.Int64Range(0, year9999).Draw(rt, label), rapid.Int64Range(0, 999_999_999).Draw(rt, label+" ns")).UTC()
}

func requireRecords(t *testing.T, store workspace.Store, want ...workspace.Record) {
	t.Helper()
	records, err := store.Records(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, want, records)
}

func requireVolumes(t *testing.T, store workspace.Store, want ...workspace.Volume) {
	t.Helper()
	volumes, err := store.KeptVolumes(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, want, volumes)
}

func storeKeepsAudit(t *testing.T, store workspace.Store) {
	none, err := store.Audit(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, none)
	for n := range 3 {
		require.NoError(t, store.AddAudit(t.Context(), workspace.AuditEntry{
			At: time.Unix(int64(n), 0).UTC(), Actor: "root", Action: "stop", Owner: "ada0", ID: "x", Name: "thesis", Detail: fmt.Sprint(n),
		}))
	}
	newest, err := store.Audit(t.Context(), 2)
	require.NoError(t, err)
	require.Len(t, newest, 2)
	require.Equal(t, []string{"2", "1"}, []string{newest[0].Detail, newest[1].Detail})
	require.Equal(t, workspace.Owner("root"), newest[0].Actor)
}
