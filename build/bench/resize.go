package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"lab-workspace-manager/backend/api"
)

const resizeRounds = 30

// measureResize tells how long after the request a changed memory limit is in force, beside Docker's own call for it.
func measureResize(ctx context.Context) (rows []row, err error) {
	p, mine, events, err := watchedProgram(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.end(ctx)) }()
	var made api.Workspace
	if err := p.call(ctx, http.MethodPost, mine+"/workspace", map[string]any{"display_name": "resize"}, &made); err != nil {
		return nil, err
	}
	if _, err := next(ctx, events, made.ID, func(w api.Workspace) bool { return w.Status == "running" }); err != nil {
		return nil, err
	}
	raw := newEngine()
	memory := func() (mb int64, err error) {
		var found struct{ HostConfig struct{ Memory int64 } }
		err = raw.call(ctx, http.MethodGet, "/containers/"+made.ID+"/json", nil, &found)
		return found.HostConfig.Memory >> 20, err
	}
	var live, byHand spread
	for round := range resizeRounds {
		wanted := int64(1000 + round)
		begin := time.Now()
		if err := p.call(ctx, http.MethodPatch, mine+"/workspace/"+made.ID, map[string]any{"compute": map[string]any{"memory": wanted}}, nil); err != nil {
			return nil, err
		}
		for now, err := memory(); now != wanted; now, err = memory() {
			if err != nil {
				return nil, err
			}
			if time.Since(begin) > 10*time.Second {
				return nil, fmt.Errorf("a memory limit of %d MB is not in force after 10 s", wanted)
			}
		}
		live = append(live, time.Since(begin))
		if _, err := next(ctx, events, made.ID, func(w api.Workspace) bool { return w.Compute.Memory == wanted && w.Phase == "" }); err != nil {
			return nil, err
		}
		limit := (wanted + 500) << 20
		begin = time.Now()
		if err := raw.call(ctx, http.MethodPost, "/containers/"+made.ID+"/update", map[string]any{"Memory": limit, "MemorySwap": limit}, nil); err != nil {
			return nil, err
		}
		byHand = append(byHand, time.Since(begin))
	}
	return []row{{"memory limit changed live", "raw update " + short(byHand.median()), live.String(), "≤ 50 ms"}}, nil
}
