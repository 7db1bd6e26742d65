package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
)

// TestIndexGolden: requests about indexes and their answers, over the whole
// house. Reads are repeated until they say what is expected: global indexes, and
// tables that are changing, take their time.
func TestIndexGolden(t *testing.T) {
	const file = "testdata/indexes/life.txt"
	s, err := OpenOn(env.New(), vfs.NewMem(), Options{Memory: true, Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if *update {
		runGolden(t, file, settling{s.Handler()})
		return
	}
	for i, e := range readGolden(t, file) {
		got := goldenAnswer(t, s.Handler(), e.request)
		if reads(e.request) {
			for n := 0; n < 1000 && got != e.answer; n++ {
				time.Sleep(time.Millisecond)
				got = goldenAnswer(t, s.Handler(), e.request)
			}
		}
		if got != e.answer {
			t.Errorf("%s, exchange %d:\n%s\n got:\n%s\nwant:\n%s", file, i+1, e.request, got, e.answer)
		}
	}
}

func reads(request string) bool {
	for _, operation := range []string{"Query", "Scan", "DescribeTable"} {
		if strings.HasPrefix(request, operation+" ") {
			return true
		}
	}
	return false
}

// settling gives indexes time before each request, while answers are recorded.
type settling struct{ http.Handler }

func (s settling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(100 * time.Millisecond)
	s.Handler.ServeHTTP(w, r)
}
