package result

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Limits are what the machine can do at best, probed in some 0.3 s. No figure can beat
// those that it depends on. 0: not probed.
type Limits struct {
	Clock       float64 `json:"clock_ns"`          // reading the clock once
	SyncP50     float64 `json:"sync_p50_ns"`       // 4 KiB written to a file that has the space, and synced
	SyncP99     float64 `json:"sync_p99_ns"`       //
	SyncsPerSec float64 `json:"syncs_per_second"`  //
	Memory      float64 `json:"memory_ns"`         // one read that depends on the one before, in 64 MiB
	Copy        float64 `json:"copy_bytes_per_s"`  // within memory, 32 MiB at a time
	HTTP        float64 `json:"http_empty_p50_ns"` // a request to an empty net/http handler on the loopback interface
}

// Probe finds the limits out. dir is where files are written.
func Probe(dir string) (Limits, error) {
	l := Limits{Clock: probeClock(), Memory: probeMemory(), Copy: probeCopy()}
	err := errors.Join(l.probeSync(dir), l.probeHTTP())
	return l, err
}

func probeClock() float64 {
	const n = 20_000
	begin := time.Now()
	for range n {
		time.Since(begin)
	}
	return float64(time.Since(begin)) / n
}

// probeMemory follows a chain by the wall's clock: what a program sees.
func probeMemory() float64 {
	const reads = 200_000
	next := newChain()
	at := uint64(1)
	begin := time.Now()
	for range reads {
		at = next[at]
	}
	took := time.Since(begin)
	if at >= chainSize { // never; but the loop must not be left out
		return 0
	}
	return float64(took) / reads
}

func probeCopy() float64 {
	from, to := make([]byte, 32<<20), make([]byte, 32<<20)
	copy(to, from) // first touch
	best := time.Duration(1 << 62)
	for range 3 {
		begin := time.Now()
		copy(to, from)
		best = min(best, time.Since(begin))
	}
	return float64(len(to)) / best.Seconds()
}

func (l *Limits) probeSync(dir string) error {
	const n, block = 64, 4096
	f, err := os.CreateTemp(dir, "probe-")
	if err != nil {
		return err
	}
	defer os.Remove(filepath.Join(dir, filepath.Base(f.Name())))
	defer f.Close()
	b := make([]byte, block)
	for range n {
		if _, err := f.Write(b); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	var took []float64
	for i := range n {
		begin := time.Now()
		if _, err := f.WriteAt(b, int64(i)*block); err != nil {
			return err
		}
		if err := datasync(f); err != nil {
			return err
		}
		took = append(took, float64(time.Since(begin)))
	}
	sum := 0.0
	for _, t := range took {
		sum += t
	}
	slices.Sort(took)
	l.SyncP50, l.SyncP99, l.SyncsPerSec = took[n/2], took[n*99/100], n*1e9/sum
	return nil
}

func (l *Limits) probeHTTP() error {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	c := srv.Client()
	var took []float64
	for range 200 {
		begin := time.Now()
		res, err := c.Post(srv.URL, "application/x-amz-json-1.0", nil)
		if err != nil {
			return err
		}
		if err := res.Body.Close(); err != nil {
			return err
		}
		took = append(took, float64(time.Since(begin)))
	}
	slices.Sort(took)
	l.HTTP = took[len(took)/2]
	return nil
}
