package quota

import (
	"fmt"
	"testing"

	"lab-workspace-manager/backend/workspace"
)

// BenchmarkAdmit decides on a start among 1,000 workspaces of 100 users, of which a third run and twenty wait, under
// quotas for users, groups and the machine. The books are opened anew for every decision, as the manager does.
func BenchmarkAdmit(b *testing.B) {
	policy := Policy{
		User: Sums{Workspaces: 20, Running: 5, CPUs: 8, MemoryMB: 16_000, StorageMB: 200_000, OnExceed: Queue}, Groups: map[string]Group{},
		Host: HostQuota{ReserveCPUs: 1, ReserveMemoryMB: 2000, CPUOvercommit: 2, MemoryOvercommit: 1},
	}
	var claims []Claim
	for u := range 100 {
		owner := workspace.Owner(fmt.Sprintf("user%03d", u))
		name := fmt.Sprint("group", u%5)
		group := policy.Groups[name]
		group.Members, group.Quota = append(group.Members, owner), Sums{CPUs: 400, MemoryMB: 900_000}
		policy.Groups[name] = group
		for n := range 10 {
			c := claim(string(owner), fmt.Sprint("w", n), Amounts{})
			if n < 3 {
				c.Held = gigabytes(2)
			}
			if u < 20 && n == 9 {
				c = waits(c, u, gigabytes(10))
			}
			claims = append(claims, c)
		}
	}
	machine := Capacity{NanoCPUs: 512e9, MemoryMB: 606_000}
	request := start(claim("user042", "w9", Amounts{}), gigabytes(4))
	b.ReportAllocs()
	for b.Loop() {
		if d := Open(policy, machine, claims, nil).Admit(request); d.Verdict != Queued {
			b.Fatal(d)
		}
	}
}

// BenchmarkTurn looks at a queue of 2,000 among 10,000 workspaces of 500 users, in which nobody's turn has come.
func BenchmarkTurn(b *testing.B) {
	policy := Policy{
		User: Sums{Running: 5, CPUs: 8, MemoryMB: 16_000, OnExceed: Queue}, Groups: map[string]Group{},
		Host: HostQuota{ReserveCPUs: 1, ReserveMemoryMB: 2000, CPUOvercommit: 2, MemoryOvercommit: 1},
	}
	var claims []Claim
	for u := range 500 {
		owner := workspace.Owner(fmt.Sprintf("user%03d", u))
		name := fmt.Sprint("group", u%5)
		group := policy.Groups[name]
		group.Members, group.Quota = append(group.Members, owner), Sums{CPUs: 2000, MemoryMB: 4_500_000}
		policy.Groups[name] = group
		for n := range 20 {
			c := claim(string(owner), fmt.Sprint("w", n), Amounts{})
			switch {
			case n < 3:
				c.Held = gigabytes(2)
			case n < 7:
				c = waits(c, u, gigabytes(10))
			}
			claims = append(claims, c)
		}
	}
	machine := Capacity{NanoCPUs: 5120e9, MemoryMB: 3_006_000}
	b.ReportAllocs()
	for b.Loop() {
		if _, waiting := Open(policy, machine, claims, nil).Turn(); len(waiting) != 2000 {
			b.Fatal(len(waiting))
		}
	}
}
