package bench

import (
	"net"
	"os"
	"runtime"
	"testing"
	"time"
)

// What is written in small synced pieces counts as its pages, whatever the kernel takes a folio for.
func TestWrittenBytes(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(dir + "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	before := WrittenBytes(dir, true)
	if before == 0 {
		t.Skip("the system does not say")
	}
	const writes, size = 20, 100
	for i := range int64(writes) {
		if _, err := f.WriteAt(make([]byte, size), 4096*i); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	// Nothing else in this process writes much; a page may be more than 4 KiB elsewhere.
	if got := WrittenBytes(dir, true) - before; got < writes*size || got > 4*writes*float64(os.Getpagesize()+size) {
		t.Errorf("%v bytes for %d writes of %d", got, writes, size)
	}
}

// What /proc says of this process, seen as if it were another one, agrees with what it knows of itself.
func TestUsageOf(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pid := ListenerOf(l.Addr().(*net.TCPAddr).Port)
	if pid != os.Getpid() {
		t.Fatalf("process %d listens, this is %d", pid, os.Getpid())
	}
	before := CPUTime()
	u, err := UsageOf(pid)
	if err != nil {
		t.Fatal(err)
	}
	// The kernel rounds to ticks of 10 ms.
	if u.CPU < before-25*time.Millisecond || u.CPU > CPUTime()+25*time.Millisecond {
		t.Errorf("CPU %v, of itself %v", u.CPU, before)
	}
	if own := Resident(); u.ResidentBytes < own/2 || u.ResidentBytes > own*2 {
		t.Errorf("resident %v, of itself %v", u.ResidentBytes, own)
	}
	l.Close()
	if pid := ListenerOf(l.Addr().(*net.TCPAddr).Port); pid != 0 {
		t.Errorf("process %d still listens", pid)
	}
	if _, err := UsageOf(1 << 30); err == nil {
		t.Error("a process that is not there has a usage")
	}
}
