package mllab

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lab-workspace-manager/backend/contaxy"
	"lab-workspace-manager/backend/workspace"
)

// The lab's proxy may lead to another container, which has the address that this one had.
func TestReply_WhatIsAnothersIsNoAnswer(t *testing.T) {
	strict := workspace.Deployment{ID: "mine", Owner: "ada0"}
	custom := workspace.Deployment{ID: "mine", Owner: "ada0", AnyAnswer: true}
	for _, one := range []struct {
		status   int
		location string
		d        workspace.Deployment
		want     reply
	}{
		{200, "", strict, answered},
		{404, "", strict, notYet},
		{404, "", custom, answered},
		{403, "", custom, notYet},
		{500, "", custom, notYet},
		{503, "", custom, notYet},
		{502, "", custom, reachesNobody},
		{504, "", custom, reachesNobody},
		{302, "/projects/ada0/services/mine/access/8080b/lab", strict, answered},
		{302, "/login?next=%2F", custom, answered},
		{302, "/projects/ada0/services/other/access/8080b/api", strict, reachesAnother},
		{302, "http://lab/base/projects/ada0/services/mine/access/8080/projects/ada0/services/other/access/8080b/api", custom, reachesAnother},
		{302, "http://lab/base/projects/ada0/services/mine/access/8080/projects/ada0/services/mine/access/8080b/lab", custom, answered},
		{302, "/services/of/ours/access/", custom, answered},
	} {
		require.Equal(t, one.want, replyOf(one.status, one.location, one.d), "%+v", one)
	}
}

func TestSettles_AsLongAsTheProxyMayBelieveInAnEarlierContainer(t *testing.T) {
	const id = workspace.ID("lab-p-ada0-s-ws-thesis")
	now := time.Now()
	at := func(ago time.Duration) contaxy.Time { return contaxy.Time{Time: now.Add(-ago)} }
	stopped := contaxy.Service{CreatedAt: at(time.Hour)}
	ran := contaxy.Service{CreatedAt: at(time.Hour), LastAccess: at(30 * time.Minute)}
	one := contaxy.Service{InternalID: "c1", CreatedAt: at(time.Hour), StartedAt: at(0), LastAccess: at(0)}
	two := one
	two.InternalID = "c2"
	first := one
	first.CreatedAt = at(10 * time.Second)
	old := one
	old.StartedAt = at(30 * time.Minute)
	for name, way := range map[string]struct {
		seen []contaxy.Service
		want time.Duration // from now; 0 = it leads to it
		ago  time.Duration // how long before its last one the one before was there
	}{
		"its first one":                       {[]contaxy.Service{stopped, one}, 0, 0},
		"its first one, found":                {[]contaxy.Service{first}, 0, 0},
		"started again":                       {[]contaxy.Service{stopped, one, ran, two}, believedFor, 0},
		"started anew in one":                 {[]contaxy.Service{one, two}, believedFor, 0},
		"ran before this program did":         {[]contaxy.Service{ran, one}, believedFor, 0},
		"found running":                       {[]contaxy.Service{one}, believedFor, 0},
		"found running since long ago":        {[]contaxy.Service{old}, believedFor - 30*time.Minute, 0},
		"deleted, made again, and its first":  {[]contaxy.Service{first, stopped, two}, believedFor, 0},
		"the same one, seen again":            {[]contaxy.Service{stopped, one, one}, 0, 0},
		"stopped long enough to be forgotten": {[]contaxy.Service{stopped, one, stopped, two}, 0, believedFor + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			engine := New(Options{Lab: &contaxy.Client{}})
			for i, service := range way.seen {
				if way.ago > 0 && i == len(way.seen)-1 {
					left := engine.sighted[id]
					left.leftAt = left.leftAt.Add(-way.ago)
					engine.sighted[id] = left
				}
				engine.sight(id, service)
			}
			settles := engine.settles(id, way.seen[len(way.seen)-1].StartedAt.Time)
			if way.want == 0 {
				require.Zero(t, settles)
				return
			}
			require.WithinDuration(t, now.Add(way.want), settles, 5*time.Second)
		})
	}
}

func TestWhyNotYet_SaysWhatIsThereInPlaceOfAnAnswer(t *testing.T) {
	require.Equal(t, "nobody answers on port 8080 yet", whyNotYet(reachesNobody, 8080, -time.Hour))
	require.Equal(t, "ML Lab leads to another workspace in its place; ML Lab may look for it where it was before, for up to 5 min more", whyNotYet(reachesAnother, 8080, 4*time.Minute+time.Second))
	require.Equal(t, "it answers, but not yet as it should", whyNotYet(notYet, 8080, 0))
}
