package table

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
)

// TestCloseUnderLoad: everything is closed from the top down while requests of all
// kinds are under way. Each of them ends, and what was answered is there afterwards.
func TestCloseUnderLoad(t *testing.T) {
	for range 3 {
		closeUnderLoad(t)
	}
}

func closeUnderLoad(t *testing.T) {
	fs, err := vfs.NewOS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := openStack(env.New(), fs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(simple("tab", 2)); err != nil {
		t.Fatal(err)
	}
	const clients = 4
	var acked [clients]int
	var ended sync.WaitGroup
	var done atomic.Int64
	enough := make(chan struct{})
	loop := func(request func(i int) error) {
		ended.Go(func() {
			for i := 1; ; i++ {
				if request(i) != nil {
					return
				}
				if done.Add(1) == 2000 {
					close(enough)
				}
			}
		})
	}
	for c := range clients {
		loop(func(i int) error {
			_, err := s.Put(&PutRequest{Table: "tab", Item: js(fmt.Sprintf(`{"p":{"S":"%d"},"v":{"N":"%d"},"pad":{"S":%q}}`, c, i, longText(2000)))})
			if err == nil {
				acked[c] = i
			}
			return err
		})
		loop(func(i int) error {
			_, err := s.Get(&GetRequest{Table: "tab", Key: js(fmt.Sprintf(`{"p":{"S":"%d"}}`, c)), Consistent: i%2 == 0})
			return err
		})
	}
	loop(func(i int) error {
		_, err := s.Scan(&ScanRequest{Table: "tab", Consistent: i%2 == 0})
		return err
	})
	loop(func(i int) error {
		name := fmt.Sprint("more", i%3)
		if _, err := s.Create(simple(name, 1)); err != nil {
			return err
		}
		_, err := s.Delete(name)
		return err
	})
	<-enough
	if err := s.close(); err != nil {
		t.Error(err)
	}
	ended.Wait()
	if s, err = openStack(env.New(), fs); err != nil {
		t.Fatal(err)
	}
	for c, want := range acked {
		r, err := s.Get(&GetRequest{Table: "tab", Key: js(fmt.Sprintf(`{"p":{"S":"%d"}}`, c)), Consistent: true})
		got := 0
		if v, ok := r.Item.Get("v"); err == nil && ok {
			fmt.Sscan(v.Number().String(), &got)
		}
		if err != nil || got < want {
			t.Errorf("client %d: version %d, %v; answered was %d", c, got, err, want)
		}
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
