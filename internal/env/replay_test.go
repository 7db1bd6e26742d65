package env_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
)

var (
	seeds = flag.Int("env.seeds", 200, "how many seeds TestReplay runs twice")
	alone = flag.Int("env.alone", -1, "print the hash of this seed only")
)

// TestReplay runs one program that uses everything the worlds offer twice per
// seed and compares the traces byte for byte.
func TestReplay(t *testing.T) {
	before := runtime.NumGoroutine()
	distinct := map[uint64]bool{}
	for seed := range uint64(*seeds) {
		first, hash, err := runProgram(seed)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		again, hash2, _ := runProgram(seed)
		if !bytes.Equal(first, again) || hash != hash2 {
			t.Fatalf("seed %d: two runs differ (replay with -run TestReplay -env.seeds %d):\n%s", seed, seed+1, firstDifference(first, again))
		}
		distinct[hash] = true
	}
	if len(distinct) != *seeds {
		t.Errorf("%d seeds gave %d different runs", *seeds, len(distinct))
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines left", after-before)
	}
}

// A seed alone in a process, with another scheduler and another collector,
// gives what it gives after many others: nothing passes from world to world.
func TestSeedAloneEqualsSeedInBatch(t *testing.T) {
	if *alone >= 0 {
		_, hash, err := runProgram(uint64(*alone))
		fmt.Printf("hash=%x err=%v\n", hash, err)
		return
	}
	var want []string
	for seed := range uint64(30) {
		_, hash, err := runProgram(seed)
		want = append(want, fmt.Sprintf("hash=%x err=%v", hash, err))
	}
	for _, seed := range []int{0, 17, 29} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestSeedAloneEqualsSeedInBatch$", fmt.Sprint("-env.alone=", seed))
		cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=10")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if got, _, _ := strings.Cut(string(out), "\n"); got != want[seed] {
			t.Errorf("seed %d alone: %s\nin a batch: %s", seed, got, want[seed])
		}
	}
}

// The comparison must be able to fail: a program that lets the order of a map
// decide is told apart.
func TestReplaySeesMapOrder(t *testing.T) {
	run := func() uint64 {
		w := env.NewWorld(1, env.Options{})
		defer w.Close()
		e := w.NewNode("n")
		waiting := map[int]*env.Future[int]{}
		for i := range 20 {
			f := env.NewFuture[int](e)
			waiting[i] = f
			e.Go("wait", func() { f.Await() })
		}
		e.Go("wake", func() {
			e.Sleep(time.Millisecond)
			for i, f := range waiting {
				f.Set(i, nil)
			}
		})
		_ = w.RunUntilIdle()
		return w.Hash()
	}
	hash := run()
	for range 20 {
		if run() != hash {
			return
		}
	}
	t.Error("20 runs with random map order have the same hash")
}

func firstDifference(a, b []byte) string {
	as, bs := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range min(len(as), len(bs)) {
		if !bytes.Equal(as[i], bs[i]) {
			from := max(0, i-10)
			return fmt.Sprintf("%s\n-- first run:\n%s\n-- second run:\n%s", bytes.Join(as[from:i], []byte("\n")), as[i], bs[i])
		}
	}
	return fmt.Sprintf("lengths %d and %d lines", len(as), len(bs))
}

// runProgram is a counter service: clients on one node send requests to a
// server on another, which logs them to a disk under a latch. Faults crash and
// pause the server. It returns the trace.
func runProgram(seed uint64) ([]byte, uint64, error) {
	var trace bytes.Buffer
	w := env.NewWorld(seed, env.Options{Trace: &trace, Policy: env.Policy(seed % 3)})
	defer w.Close()
	p := &program{w: w, clients: w.NewNode("clients"), disk: vfs.NewDisk(seed)}
	chance := w.Stream("faults")
	p.disk.OnOp(func(op vfs.Op) error {
		if e := p.server; e != nil && op.Kind == vfs.OpSync && e.Rand()%4 == 0 {
			e.Sleep(time.Duration(e.Rand() % 1e6))
		}
		return nil
	})
	p.boot(w.NewNode("server"))
	w.OnCrash("server", func() { p.disk.Crash(vfs.RandomCrash(chance)) })
	restart := func() {
		if !w.Up("server") {
			p.boot(w.Restart("server"))
		}
	}

	for i := range 3 {
		p.clients.Go(fmt.Sprint("client", i), func() { p.client(i) })
	}
	p.clients.Go("nemesis", func() {
		for range 6 {
			p.clients.Sleep(time.Duration(chance.IntN(20)) * time.Millisecond)
			switch chance.IntN(4) {
			case 0:
				w.Crash("server")
				p.clients.Sleep(time.Duration(chance.IntN(5)) * time.Millisecond)
				restart()
			case 1:
				p.disk.CrashAt(1+chance.IntN(20), func() {
					w.After(3*time.Millisecond, restart)
					w.Crash("server")
				})
				p.clients.Sleep(20 * time.Millisecond)
			case 2:
				w.Pause("server")
				p.clients.Sleep(time.Duration(chance.IntN(5)) * time.Millisecond)
				w.Resume("server")
			case 3:
				w.SetClock("server", int64(chance.IntN(1000)-500), time.Duration(chance.IntN(1e6)))
			}
		}
	})
	err := w.Run(env.Mono(300 * time.Millisecond))
	w.Note("disk writes %d, marks %v", p.disk.Writes(), w.Marks())
	return trace.Bytes(), w.Hash(), err
}

type program struct {
	w        *env.World
	clients  *env.Env
	server   *env.Env
	requests *env.Queue[request]
	disk     *vfs.Disk
}

type request struct {
	n    int
	done *env.Future[int64]
}

// boot starts the server: one task that reads the log, then two that append.
func (p *program) boot(e *env.Env) {
	p.server, p.requests = e, env.NewQueue[request](e, 4)
	requests, fs := p.requests, p.disk.Mount()
	e.Go("boot", func() {
		f, err := fs.Open("log")
		if errors.Is(err, vfs.ErrNotExist) {
			f, err = fs.Create("log")
			err = errors.Join(err, fs.SyncDir(""))
		}
		if err != nil {
			return
		}
		size, _ := f.Size()
		e.Trace("boot with %d bytes", size)
		latch := env.NewLatch(e)
		var mu env.Leaf
		mu.Bind(e)
		group := env.NewGroup(e)
		for range 2 {
			group.Go("worker", func() error {
				for {
					r, ok := requests.RecvFor(50 * time.Millisecond)
					if !ok {
						e.Sometimes("idle worker")
						continue
					}
					mu.Lock()
					off := size
					size += 100
					mu.Unlock()
					latch.Lock() // held over the disk's latency
					_, err := f.WriteAt(bytes.Repeat([]byte{byte(r.n)}, 100), off)
					err = errors.Join(err, f.Sync())
					latch.Unlock()
					if e.Buggify("late answer") {
						e.Sleep(time.Millisecond)
					}
					r.done.Set(off, err)
				}
			})
		}
		_ = group.Wait()
	})
}

func (p *program) client(id int) {
	e := p.clients
	ticks := 0
	quit := env.NewFuture[int](e)
	e.After(200*time.Millisecond, func() { quit.Set(0, nil) })
	for n := 0; !quit.Ready(); n++ {
		e.Sleep(time.Duration(e.Rand() % 3e6))
		done := env.NewFuture[int64](e)
		if !p.requests.TrySend(request{n: n, done: done}) {
			continue
		}
		switch env.WaitAnyFor(e, 5*time.Millisecond, done, quit) {
		case 0:
			off, err := done.Await()
			e.Trace("client %d request %d at %d: %v", id, n, off, err)
		case -1:
			ticks++
		}
	}
	e.Trace("client %d gave up %d times", id, ticks)
}
