package quota

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/workspace"
)

func gigabytes(n int64) Amounts { return Amounts{Running: 1, NanoCPUs: 1e9, MemoryMB: n * 1000} }

func claim(owner, name string, held Amounts) Claim {
	return Claim{ID: workspace.ID(owner + "-" + name), Owner: workspace.Owner(owner), Name: name, StorageMB: 5000, Held: held}
}

func waits(c Claim, minute int, wanted Amounts) Claim {
	c.WaitsSince, c.Wanted = time.Unix(int64(minute*60), 0), wanted
	return c
}

func start(c Claim, amounts Amounts) Request {
	return Request{Claim: c, StorageMB: c.StorageMB, Starts: true, Amounts: amounts}
}

func TestAdmit_SaysWhyAndWhatWouldHelp(t *testing.T) {
	machine := Capacity{NanoCPUs: 8e9, MemoryMB: 32_000, GPUs: []workspace.GPU{{ID: "GPU-a"}, {ID: "GPU-b"}}}
	policy := Policy{
		User:   Sums{Workspaces: 3, Running: 2, MemoryMB: 16_000, StorageMB: 20_000, OnExceed: Queue},
		Groups: map[string]Group{"students": {Members: []workspace.Owner{"bob0", "eve0"}, Quota: Sums{MemoryMB: 10_000, GPUs: 1, OnExceed: Queue}}},
		Host:   HostQuota{ReserveMemoryMB: 2000, MemoryOvercommit: 1, OnExceed: Queue},
	}
	fresh := claim("ada0", "new", Amounts{})
	for name, c := range map[string]struct {
		policy  func(*Policy)
		claims  []Claim
		request Request
		want    Decision
	}{
		"fits": {
			claims: []Claim{claim("ada0", "a", gigabytes(12))}, request: start(fresh, gigabytes(4)),
			want: Decision{Verdict: Admitted},
		},
		"waits for its own quota": {
			claims: []Claim{claim("ada0", "image-tests", gigabytes(14))}, request: start(fresh, gigabytes(4)),
			want: Decision{
				Verdict: Queued, Position: 1, Short: "over your quota by 2 GB of memory",
				Reason: `Your quota is 16 GB of memory: 14 GB are taken, and this needs 4 GB. Stop "image-tests" to free 14 GB, or ask for at most 2 GB.`,
			},
		},
		"is refused where nothing waits": {
			policy: func(p *Policy) { p.User.OnExceed = Refuse },
			claims: []Claim{claim("ada0", "image-tests", gigabytes(14))}, request: start(fresh, gigabytes(4)),
			want: Decision{
				Verdict: Refused, Short: "over your quota by 2 GB of memory",
				Reason: `Your quota is 16 GB of memory: 14 GB are taken, and this needs 4 GB. Stop "image-tests" to free 14 GB, or ask for at most 2 GB.`,
			},
		},
		"the smallest that helps is advised": {
			policy:  func(p *Policy) { p.User.Running = 0 },
			claims:  []Claim{claim("ada0", "large", gigabytes(10)), claim("ada0", "small", gigabytes(4))},
			request: start(claim("ada0", "new", Amounts{}), gigabytes(5)),
			want: Decision{
				Verdict: Queued, Position: 1, Short: "over your quota by 3 GB of memory",
				Reason: `Your quota is 16 GB of memory: 14 GB are taken, and this needs 5 GB. Stop "small" to free 4 GB, or ask for at most 2 GB.`,
			},
		},
		"several must stop": {
			policy:  func(p *Policy) { p.User.Running = 0; p.User.Workspaces = 0 },
			claims:  []Claim{claim("ada0", "a", gigabytes(6)), claim("ada0", "b", gigabytes(5)), claim("ada0", "c", gigabytes(5))},
			request: start(fresh, gigabytes(10)),
			want: Decision{
				Verdict: Queued, Position: 1, Short: "over your quota by 10 GB of memory",
				Reason: `Your quota is 16 GB of memory: 16 GB are taken, and this needs 10 GB. Stop "a" and "c" to free 11 GB.`,
			},
		},
		"too many run": {
			claims:  []Claim{claim("ada0", "a", gigabytes(1)), claim("ada0", "b", gigabytes(1))},
			request: start(fresh, gigabytes(1)),
			want: Decision{
				Verdict: Queued, Position: 1, Short: "over your quota by 1 running workspace",
				Reason: `Your quota is 2 running workspaces at once, and 2 run. Stop "a".`,
			},
		},
		"can never fit": {
			request: start(fresh, gigabytes(20)),
			want: Decision{
				Verdict: Refused, Short: "over your quota by 4 GB of memory",
				Reason: "Your quota is 16 GB of memory in all, and this needs 20 GB. Ask for at most 16 GB.",
			},
		},
		"one workspace too many": {
			claims:  []Claim{claim("ada0", "a", Amounts{}), claim("ada0", "b", Amounts{}), claim("ada0", "c", Amounts{})},
			request: Request{Claim: fresh, StorageMB: 5000, Creates: true},
			want: Decision{
				Verdict: Refused, Short: "over your quota by 1 workspace",
				Reason: "Your quota is 3 workspaces, and 3 are there. Delete one that is not needed any more.",
			},
		},
		"too much storage": {
			claims:  []Claim{claim("ada0", "a", Amounts{})},
			request: Request{Claim: Claim{ID: "n", Owner: "ada0", StorageMB: 18_000}, StorageMB: 18_000, Creates: true},
			want: Decision{
				Verdict: Refused, Short: "over your quota by 3 GB of storage",
				Reason: "Your quota is 20 GB of storage: 5 GB are there, and this would be 18 GB more. Ask for at most 15 GB, or delete files that were kept.",
			},
		},
		"the group is full, of which others have the most": {
			claims:  []Claim{claim("eve0", "secret-name", gigabytes(9))},
			request: start(claim("bob0", "new", Amounts{}), gigabytes(2)),
			want: Decision{
				Verdict: Queued, Position: 1, Short: "over the quota of the group students by 1 GB of memory",
				Reason: "The quota of the group students is 10 GB of memory: 9 GB are taken, and this needs 2 GB. Ask for at most 1 GB.",
			},
		},
		"the machine is full": {
			claims:  []Claim{claim("eve0", "x", gigabytes(9)), claim("joe0", "x", gigabytes(15)), claim("zoe0", "x", gigabytes(6))},
			request: start(fresh, gigabytes(2)),
			want: Decision{
				Verdict: Queued, Position: 1, Short: "over what this machine gives out by 2 GB of memory",
				Reason: "What this machine gives out is 30 GB of memory: 30 GB are taken, and this needs 2 GB. It fits when others stop theirs.",
			},
		},
		"no device is free": {
			claims:  []Claim{{ID: "e", Owner: "eve0", Held: Amounts{Running: 1, GPUs: 1}, Lease: []string{"GPU-a"}}},
			request: start(fresh, Amounts{Running: 1, MemoryMB: 100, GPUs: 2}),
			want: Decision{
				Verdict: Queued, Position: 1, Short: "over what this machine gives out by 1 GPU",
				Reason: "What this machine gives out is 2 GPUs: 1 GPU is taken, and this needs 2 GPUs. Ask for at most 1 GPU.",
			},
		},
		"growth fits": {
			claims:  []Claim{claim("ada0", "a", gigabytes(12))},
			request: Request{Claim: claim("ada0", "a", gigabytes(12)), StorageMB: 5000, Amounts: gigabytes(16)},
			want:    Decision{Verdict: Admitted},
		},
		"growth cannot wait": {
			claims:  []Claim{claim("ada0", "a", gigabytes(12)), claim("ada0", "b", gigabytes(4))},
			request: Request{Claim: claim("ada0", "a", gigabytes(12)), StorageMB: 5000, Amounts: gigabytes(13)},
			want: Decision{
				Verdict: Refused, Short: "over your quota by 1 GB of memory",
				Reason: `Your quota is 16 GB of memory: 4 GB are taken, and this needs 13 GB. Stop "b" to free 4 GB, or ask for at most 12 GB.`,
			},
		},
		"growth takes nothing that others wait for": {
			claims: []Claim{
				claim("ada0", "a", gigabytes(4)), claim("joe0", "x", gigabytes(16)),
				waits(claim("zoe0", "big", Amounts{}), 1, gigabytes(16)),
			},
			request: Request{Claim: claim("ada0", "a", gigabytes(4)), StorageMB: 5000, Amounts: gigabytes(5)},
			want:    Decision{Verdict: Refused, Short: "others wait for the same and came first", Reason: "Others wait for memory and came first."},
		},
		"less is always fine": {
			policy:  func(p *Policy) { p.User.MemoryMB = 1000 },
			claims:  []Claim{claim("ada0", "a", gigabytes(12))},
			request: Request{Claim: claim("ada0", "a", gigabytes(12)), StorageMB: 5000, Amounts: gigabytes(8)},
			want:    Decision{Verdict: Admitted},
		},
	} {
		t.Run(name, func(t *testing.T) {
			policy := policy
			if c.policy != nil {
				c.policy(&policy)
			}
			got := Open(policy, machine, c.claims, nil).Admit(c.request)
			got.Lease = nil
			require.Equal(t, c.want, got)
		})
	}
}

func TestAdmit_KeptFilesCountAsStorage(t *testing.T) {
	policy := Policy{User: Sums{StorageMB: 10_000}}
	books := func() *Books { return Open(policy, Capacity{}, nil, map[workspace.Owner]int64{"ada0": 6000}) }
	request := Request{Claim: Claim{ID: "n", Owner: "ada0", StorageMB: 5000}, StorageMB: 5000, Creates: true}
	require.Equal(t, Refused, books().Admit(request).Verdict)
	request.Claim.StorageMB, request.StorageMB = 4000, 4000
	require.Equal(t, Admitted, books().Admit(request).Verdict)
}

func TestTurn_FirstComeFirstServedWithoutStarvingTheLarge(t *testing.T) {
	machine := Capacity{NanoCPUs: 100e9, MemoryMB: 10_000, GPUs: []workspace.GPU{{ID: "GPU-a"}}}
	policy := Policy{
		User: Sums{Running: 1}, Host: HostQuota{MemoryOvercommit: 1},
		Overrides: []Override{{Users: []workspace.Owner{"gpu0", "gpu1"}}},
	}
	withGPU := gigabytes(1)
	withGPU.GPUs = 1
	books := Open(policy, machine, []Claim{
		claim("joe0", "runs", gigabytes(5)),
		{ID: "gpu0-runs", Owner: "gpu0", Held: withGPU, Lease: []string{"GPU-a"}},
		waits(claim("zoe0", "large", Amounts{}), 2, gigabytes(9)),
		waits(claim("ada0", "small", Amounts{}), 3, gigabytes(1)),
		waits(claim("joe0", "second", Amounts{}), 1, gigabytes(1)), // its owner has one that runs
		waits(claim("gpu1", "trains", Amounts{}), 0, withGPU),      // nobody but gpu0 can help it
		waits(claim("max0", "before", Amounts{}), 1, gigabytes(2)), // passes both: it wants nothing that they lack
	}, nil)
	grants, waiting := books.Turn()
	require.Equal(t, []Grant{{ID: "max0-before"}}, grants)
	var shown []string
	for _, w := range waiting {
		shown = append(shown, fmt.Sprintf("%s %d %s", w.ID, w.Position, w.Short))
	}
	require.Equal(t, []string{
		"gpu1-trains 1 over what this machine gives out by 1 GPU",
		"joe0-second 1 over your quota by 1 running workspace",
		"zoe0-large 1 over what this machine gives out by 7 GB of memory",
		"ada0-small 2 others wait for the same and came first",
	}, shown)
}

func TestTurn_WhatCannotFitAnyMoreLeaves(t *testing.T) {
	policy := Policy{User: Sums{MemoryMB: 4000}}
	books := Open(policy, Capacity{}, []Claim{
		waits(claim("ada0", "from before the quota", Amounts{}), 1, gigabytes(8)),
		waits(claim("ada0", "fits", Amounts{}), 2, gigabytes(4)),
	}, nil)
	grants, waiting := books.Turn()
	require.Len(t, grants, 1)
	require.Equal(t, workspace.ID("ada0-fits"), grants[0].ID)
	require.True(t, waiting[0].Never)
}

func TestLeases(t *testing.T) {
	gpus := []workspace.GPU{{ID: "GPU-c"}, {ID: "GPU-a"}, {ID: "GPU-b"}}
	books := func(shares int, claims ...Claim) *Books {
		return Open(Policy{GPUShares: shares}, Capacity{GPUs: gpus}, claims, nil)
	}
	holds := func(id string, devices ...string) Claim {
		return Claim{ID: workspace.ID(id), Owner: workspace.Owner(id), Held: Amounts{Running: 1, GPUs: int64(len(devices))}, Lease: devices}
	}
	want := func(n int64) Request {
		return Request{Claim: Claim{ID: "new", Owner: "new0"}, Starts: true, Amounts: Amounts{Running: 1, GPUs: n}}
	}
	require.Equal(t, []string{"GPU-a", "GPU-b"}, books(1).Admit(want(2)).Lease)
	require.Equal(t, []string{"GPU-b"}, books(1, holds("x", "GPU-a")).Admit(want(1)).Lease)
	require.Equal(t, Queued, books(1, holds("x", "GPU-a"), holds("y", "GPU-b")).Admit(want(2)).Verdict)
	require.Equal(t, Refused, books(1).Admit(want(4)).Verdict, "there are three")
	require.Equal(t, []string{"GPU-b", "GPU-c"}, books(2, holds("x", "GPU-a")).Admit(want(2)).Lease, "the least shared first")
	require.Equal(t, Queued, books(2, holds("x", "GPU-a", "GPU-b", "GPU-c"), holds("y", "GPU-a", "GPU-b")).Admit(want(2)).Verdict)
	require.Equal(t, []string{"GPU-gone"}, books(1, holds("x", "GPU-gone")).claims[0].Lease, "what was taken out of the machine is still held")

	t.Log("a restart gets the same device again")
	again := want(1)
	again.Claim = holds("x", "GPU-c")
	again.Claim.Owner = "x"
	require.Equal(t, []string{"GPU-c"}, books(1, holds("x", "GPU-c")).Admit(again).Lease)
}

func TestPolicy_TheMostSpecificWins(t *testing.T) {
	largest := func(mb int64) LimitsPatch { return LimitsPatch{MemoryMB: RangePatch[int64]{Max: &mb}} }
	policy := Policy{
		Limits: sample(), Groups: map[string]Group{"students": {Members: []workspace.Owner{"ada0", "bob0"}}},
		Overrides: []Override{
			{Users: []workspace.Owner{"ada0"}, Limits: largest(32_000)},
			{Groups: []string{"students"}, Limits: largest(4000)},
			{Profiles: []string{"gpu"}, Limits: largest(64_000)},
			{Groups: []string{"students"}, Profiles: []string{"gpu"}, Limits: largest(6000)},
			{Groups: []string{"students"}, Limits: largest(5000)},
		},
	}
	for _, c := range []struct {
		user, profile string
		want          int64
	}{
		{"zoe0", "", 8000}, {"zoe0", "gpu", 64_000}, {"bob0", "", 5000}, {"bob0", "gpu", 6000}, {"ada0", "", 32_000}, {"ada0", "gpu", 32_000},
	} {
		require.Equal(t, c.want, policy.LimitsFor(workspace.Owner(c.user), c.profile).MemoryMB.Max, "%s with %q", c.user, c.profile)
	}
	require.Equal(t, int64(2000), policy.LimitsFor("bob0", "").MemoryMB.Default)
	tiny := int64(1000)
	policy.Overrides = []Override{{Users: []workspace.Owner{"ada0"}, Limits: largest(tiny)}}
	require.Equal(t, tiny, policy.LimitsFor("ada0", "").MemoryMB.Default, "a default never exceeds its maximum")
}

func TestTurn_WhatEndsHoldsUntilItHasEnded(t *testing.T) {
	ending := waits(claim("ada0", "a", Amounts{Running: 1, MemoryMB: 1000, GPUs: 2}), 1, Amounts{Running: 1, MemoryMB: 2000, GPUs: 1})
	ending.Lease = []string{"GPU-a", "GPU-b"}
	other := waits(claim("bob0", "b", Amounts{}), 2, Amounts{Running: 1, MemoryMB: 1000, GPUs: 1})
	machine := Capacity{MemoryMB: 9000, GPUs: []workspace.GPU{{ID: "GPU-a"}, {ID: "GPU-b"}}}
	grants, waiting := Open(Policy{}, machine, []Claim{ending, other}, nil).Turn()
	require.Equal(t, []Grant{{ID: "ada0-a", Lease: []string{"GPU-a"}}}, grants)
	require.Len(t, waiting, 1)
}
