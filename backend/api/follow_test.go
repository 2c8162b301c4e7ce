package api_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/api"
	"lab-workspace-manager/backend/manager"
	"lab-workspace-manager/backend/profile"
	"lab-workspace-manager/backend/workspace"
	"lab-workspace-manager/backend/workspace/workspacetest"
)

// Who looks on hears what is used every two seconds, and of what may be had only when that has changed.
func TestFollow_TellsOfTheQuotaOnlyWhenItHasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := workspacetest.NewFakeEngine()
		m, err := manager.New(t.Context(), manager.Options{
			Engine: engine, Store: workspacetest.NewFakeStore(), Namespace: "labtest", Log: slog.New(slog.DiscardHandler), MeasureEvery: time.Hour,
			Settings: manager.Settings{
				Profiles: profile.Builtin(),
				Catalog:  []manager.CatalogImage{{Name: "Good", Image: workspacetest.FakeGoodImage, Profile: "workspace-minimal"}},
			},
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { m.Run(ctx) })
		defer running.Wait()
		defer cancel()
		synctest.Wait()
		ada := manager.Caller{User: "ada0"}
		cpus, memory, processes, size := 1.0, int64(2000), int64(100), int64(1000)
		made, err := m.Create(ctx, ada, "ada0", manager.CreateRequest{CPUs: &cpus, MemoryMB: &memory, Processes: &processes, VolumeMB: &size, ContainerMB: &size})
		require.NoError(t, err)
		time.Sleep(time.Minute) // it runs
		counts := map[string]int{}
		follower := api.Presenter{Manager: m}
		running.Go(func() {
			_ = follower.Follow(ctx, ada, "ada0", func(event api.Event) error {
				counts[event.Type]++
				return nil
			})
		})
		time.Sleep(time.Second) // the snapshot, and what was on its way
		synctest.Wait()
		clear(counts)
		for i := range 10 {
			engine.SetStats(made.Record.ID, workspace.Stats{MemoryBytes: int64(100+i) << 20, CPUSeconds: float64(i)})
			time.Sleep(2 * time.Second)
		}
		synctest.Wait()
		require.GreaterOrEqual(t, counts["use"], 9)
		require.Zero(t, counts["quota"])
		require.NoError(t, m.Stop(ctx, ada, "ada0", made.Record.ID))
		time.Sleep(time.Second)
		synctest.Wait()
		require.NotZero(t, counts["quota"])
	})
}
