package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// run starts the command in dir and returns its exit code and all it printed.
func run(t *testing.T, dir string, args ...string) (int, string) {
	t.Helper()
	name, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().String()
	free.Close()
	startServer(t, "--dir", filepath.Join(dir, "open"))
	for name, text := range map[string]string{"letters/letter.txt": "Dear", "items.json": `{"pk":"a"}`, "file": ""} {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ args, want string }{
		{"serve --addr 0.0.0.0:0", "not a loopback address"},
		{"serve --addr :0", "not a loopback address"},
		{"serve --addr example.com:0", "not a loopback address"},
		{"serve --addr 8000", "HOST:PORT"},
		{"serve --addr " + busy.Addr().String(), "address already in use"},
		{"serve --addr 127.0.0.1:0 --dir open", "in use"},
		{"serve --addr 127.0.0.1:0 --dir letters", "letter.txt"},
		{"serve --addr 127.0.0.1:0 --dir file", "not a directory"},
		{"serve --sync sometimes", "--sync must be one of"},
		{"inspect --dir open", "in use"},
		{"inspect --dir missing", "no such file"},
		{"inspect all 000001.sst --dir open", "which kind"},
		{"import items.json --table Items --key pk --dir open", "in use"},
		{"import items.json --table Items --key pk --endpoint " + nobody, "stator serve"},
		{"import items.json --table Items --key pk:X", "want NAME"},
		{"import items.json --table Items --column pk", "want COLUMN="},
		{"import missing.json --table Items", "no such file"},
		{"import items.json", "--table"},
		{"nonsense", "unexpected argument"},
		{"admin kil 2", `admin has no command "kil"; there are nodes, groups, `},
		{"sim rnu", `sim has no command "rnu"; there are run, replay, `},
		{"sim run --seeds 0", "--seeds and --jobs begin at 1"},
		{"sim run --again 300", "from 0 to 100"},
		{"sim run --nodes 3 --azs 9", "no zone is without a node"},
		{"sim check file", "nothing was checked"},
		{"admin nodes more", "unexpected argument more"},
		{"admin --endpoint " + nobody, "no node at http://" + nobody},
		{"serve --addr 127.0.0.1:0 --record items.json", "not overwritten"},
	} {
		if code, out := run(t, dir, strings.Fields(c.args)...); code <= 0 || !strings.Contains(out, c.want) || strings.Count(out, "\n") > 4 {
			t.Errorf("stator %s\nexit code %d, want a failure that says %q in a few lines:\n%s", c.args, code, c.want, out)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "stator-data")); err == nil {
		t.Error("a refused command made a database")
	}
}

// Processes without a seed are not started.
func TestSimMoreJobsThanSeeds(t *testing.T) {
	if code, out := run(t, t.TempDir(), strings.Fields("sim run --seeds 1 --jobs 3 --nodes 1 --duration 200ms")...); code != 0 || !strings.Contains(out, "1 seeds") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

// "help" in front is "--help" behind.
func TestHelp(t *testing.T) {
	for _, args := range []string{"", "serve", "admin drain"} {
		_, want := run(t, t.TempDir(), append(strings.Fields(args), "--help")...)
		if code, out := run(t, t.TempDir(), append([]string{"help"}, strings.Fields(args)...)...); code != 0 || out != want || out == "" {
			t.Errorf("help %s: exit code %d:\n%s\nwant\n%s", args, code, out, want)
		}
	}
}

func TestImportIntoDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "items.csv"), []byte("id,n\na,1\nb,x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	load := strings.Fields("import items.csv --table Items --key id --column n=:N --dir data")
	if code, out := run(t, dir, load...); code != 1 || !strings.Contains(out, "record 2") || !strings.Contains(out, "--skip-bad") {
		t.Errorf("exit code %d, want 1 and a hint:\n%s", code, out)
	}
	code, out := run(t, dir, append(load, "--skip-bad")...)
	if code != 0 || !strings.Contains(out, "1 by an earlier import, 1 skipped") {
		t.Errorf("exit code %d, want 0, with one record stored before and one skipped:\n%s", code, out)
	}
	if code, out := run(t, dir, "inspect", "--dir", "data"); code != 0 || !strings.Contains(out, "entries") {
		t.Errorf("inspect: exit code %d:\n%s", code, out)
	}
}

// TestTerm ends a server with SIGTERM while requests run: it exits with 0, and
// all that was acknowledged is there afterwards.
func TestTerm(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := startServer(t, "--dir", dir)
	createTable(t, s.client, "versions")
	var w writer
	gone := make(chan error)
	go func() {
		for v := int64(1); ; v++ {
			if err := w.write(t.Context(), s.client, 0, v); err != nil {
				gone <- err
				return
			}
			if v == 20 {
				s.cmd.Process.Signal(syscall.SIGTERM)
			}
		}
	}()
	<-gone
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	w.check(t, startServer(t, "--dir", dir).client, 0)
}

// A request that hangs holds the server up after the first signal, not after
// the second.
func TestSecondSignal(t *testing.T) {
	s := startServer(t, "--memory")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 100)); err != nil { // the handler waits for the body
		t.Fatal(err)
	}
	began := time.Now()
	s.cmd.Process.Signal(syscall.SIGTERM)
	for { // the first signal has been heard once the listener is closed
		c, err := net.Dial("tcp", conn.RemoteAddr().String())
		if err != nil {
			break
		}
		c.Close()
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	s.cmd.Wait()
	if took := time.Since(began); took > drainFor/2 {
		t.Errorf("the server ended after %v", took)
	}
}

func TestVersionAndCompletion(t *testing.T) {
	if code, out := run(t, ".", "version"); code != 0 || !strings.HasPrefix(out, "stator ") {
		t.Errorf("version: %d, %s", code, out)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if code, out := run(t, ".", "completion", "-c", shell); code != 0 || !strings.Contains(out, "stator") {
			t.Errorf("completion %s: %d, %s", shell, code, out)
		}
	}
	name, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cities.csv"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{"stator serve --sy": "--sync\n", "stator serve --sync n": "never\n", "stator import cit": "cities.csv\n"} {
		cmd := exec.Command(name)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "COMP_LINE="+line)
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := cmd.Run(); err != nil || out.String() != want {
			t.Errorf("completing %q: %q, %v; want %q", line, out.String(), err, want)
		}
	}
}

// What the simulator is for needs no further word.
func TestSimAlone(t *testing.T) {
	if code, out := run(t, t.TempDir(), "sim", "--nodes", "1", "--seeds", "1", "--duration", "300ms", "--faults", "none", "--json"); code != 0 || !strings.Contains(out, `"seeds"`) {
		t.Errorf("status %d: %s", code, out)
	}
}
