// Command bench measures the speeds that the README promises, and prints them as a table. Every ratio compares two things
// measured in turns within one run on this machine; absolute numbers are for orientation.
//
// It owns the measuring: the program under test runs as its users run it, and what must not be measured with it (an engine
// for a thousand workspaces, a workspace behind the proxy) is a fake beside it. It is one goroutine but where load needs
// more.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// row is one line of the table.
type row struct{ what, floor, measured, target string }

// measurement is a part of the bench that can be asked for alone.
type measurement struct {
	name string
	run  func(context.Context) ([]row, error)
}

var measurements = []measurement{
	{"start", measureStarts},
	{"resize", measureResize},
	{"crowd", measureCrowd},
	{"idle", measureIdle},
	{"list", measureList},
	{"event", measureEvents},
	{"proxy", measureProxy},
	{"known", measureKnown},
	{"lab", measureLab},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	flag.Usage = func() {
		var names []string
		for _, m := range measurements {
			names = append(names, m.name)
		}
		_, _ = fmt.Fprintf(os.Stderr, "usage: bench [%s]…\nThe program is in LAB_BINARY.\n", strings.Join(names, "|"))
	}
	flag.Parse()
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "what\tcompared with\tmeasured\ttarget")
	failed := false
	for _, m := range measurements {
		if flag.NArg() > 0 && !slices.Contains(flag.Args(), m.name) {
			continue
		}
		_, _ = fmt.Fprintf(os.Stderr, "measuring %s …\n", m.name)
		rows, err := m.run(ctx)
		if err != nil {
			failed = true
			_, _ = fmt.Fprintf(os.Stderr, "%s could not be measured: %v\n", m.name, err)
		}
		for _, r := range rows {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", r.what, r.floor, r.measured, r.target)
		}
	}
	_ = table.Flush() // to standard output
	if failed {
		os.Exit(1)
	}
}

// spread is what is told of many measurements.
type spread []time.Duration

func (s spread) at(share float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

func (s spread) median() time.Duration { return s.at(0.5) }

func (s spread) String() string {
	return fmt.Sprintf("p50 %s, p99 %s", short(s.median()), short(s.at(0.99)))
}

// short writes a time with about three digits.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1e3)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
