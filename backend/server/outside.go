package server

import (
	"context"
	"fmt"
	"time"
)

// outside is how the ports of this program are reached from outside of the container that it may run in.
type outside struct {
	contained bool
	ports     map[int]int // of the machine, by ours; nil = not told
}

// publisher is an engine that knows the container that this program runs in.
type publisher interface {
	Published(ctx context.Context) (ports map[int]int, contained bool)
}

// publishedTimeout bounds how long a start waits for what only makes its links better.
const publishedTimeout = 2 * time.Second

func outsideOf(ctx context.Context, engine any) outside {
	knows, ok := engine.(publisher)
	if !ok {
		return outside{}
	}
	ctx, cancel := context.WithTimeout(ctx, publishedTimeout)
	defer cancel()
	ports, contained := knows.Published(ctx)
	return outside{contained: contained, ports: ports}
}

// port is where one of ours is reached; that itself where nobody has said.
func (o outside) port(ours int) int {
	if there := o.ports[ours]; there != 0 {
		return there
	}
	return ours
}

// doubt says what is not known of ports, or wrong with them, and what to do; "" when nothing is.
func (o outside) doubt(ours ...int) (sentences string) {
	if !o.contained {
		return ""
	}
	if o.ports == nil {
		return fmt.Sprintf("This program runs in a container, and Docker does not tell it by which ports of the machine its own, %v, are reached: "+
			"put those in their place.\n", ours)
	}
	for _, port := range ours {
		if o.ports[port] == 0 {
			sentences += fmt.Sprintf("Nothing leads to port %d of this container: start it with --publish 127.0.0.1:%d:%d.\n", port, port, port)
		}
	}
	return sentences
}
