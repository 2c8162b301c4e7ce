package docker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPace_KeepsToItsShareAndSavesNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var used time.Duration
		p := newPace(func() time.Duration { return used })
		began := time.Now()
		for range 1000 {
			used += 300 * time.Microsecond
			require.NoError(t, p.rest(t.Context()))
		}
		share := float64(used) / float64(used+time.Since(began))
		require.InDelta(t, gentleShare, share, 0.005)

		t.Log("a minute's wait for the disk is followed by no minute at full speed")
		time.Sleep(time.Minute)
		used += 10 * time.Millisecond
		require.Greater(t, p.due(), 150*time.Millisecond)
		require.Zero(t, p.due())

		t.Log("who is called off does not rest")
		used += time.Hour
		ctx, callOff := context.WithCancel(t.Context())
		callOff()
		require.ErrorIs(t, p.rest(ctx), context.Canceled)
	})
}
