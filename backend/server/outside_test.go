package server

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOutside(t *testing.T) {
	require.Equal(t, outside{}, outsideOf(t.Context(), nil), "an engine that knows no containers")
	for name, test := range map[string]struct {
		there outside
		port  int
		doubt string
	}{
		"no container":        {outside{}, 8080, ""},
		"published elsewhere": {outside{contained: true, ports: map[int]int{8080: 9000, 8081: 8081}}, 9000, ""},
		"half of it":          {outside{contained: true, ports: map[int]int{8080: 9000}}, 9000, "Nothing leads to port 8081 of this container: start it with --publish 127.0.0.1:8081:8081.\n"},
		"not told":            {outside{contained: true}, 8080, "This program runs in a container, and Docker does not tell it by which ports of the machine its own, [8080 8081], are reached: put those in their place.\n"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.port, test.there.port(8080))
			require.Equal(t, test.doubt, test.there.doubt(8080, 8081))
		})
	}
}
