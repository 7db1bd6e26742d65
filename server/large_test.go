package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

const scanABC = `{"TableName":"abc"}`

func longPage(*table.ScanRequest) (*table.Page, error) {
	it := testItem("a", strings.Repeat("x", 100<<10))
	return &table.Page{Items: []item.Item{it}, Count: 1, ScannedCount: 1}, nil
}

// A stuck client reads nothing until it is let go.
type stuck struct {
	*httptest.ResponseRecorder
	writing, read chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	close(s.writing)
	<-s.read
	return s.ResponseRecorder.Write(p)
}

// Answers that slow clients have not read yet are counted; what has no room is
// dropped, and small answers need none.
func TestSlowReaders(t *testing.T) {
	f := idle()
	f.scan = longPage
	h := fakeEdge(f)
	h.answers.left.Store(200 << 10)

	slow := &stuck{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.ServeHTTP(slow, newRequest("Scan", scanABC))
	}()
	<-slow.writing
	if status, got := call(t, h, "Scan", scanABC); status != http.StatusServiceUnavailable || got != "" {
		t.Errorf("a second large answer: got %d, %d bytes, want 503", status, len(got))
	}
	if status, _ := call(t, h, "GetItem", getABC); status != http.StatusBadRequest {
		t.Errorf("a small answer: got %d, want 400", status)
	}
	close(slow.read)
	<-done
	if slow.Code != 200 || slow.Body.Len() < 100<<10 {
		t.Errorf("the slow client got %d, %d bytes", slow.Code, slow.Body.Len())
	}
	if status, _ := call(t, h, "Scan", scanABC); status != 200 {
		t.Errorf("afterwards: got %d, want 200", status)
	}
	if left := h.answers.left.Load(); left != 200<<10 {
		t.Errorf("%d bytes of the budget were not given back", 200<<10-left)
	}
}

// Requests for many items wait for their turn; a client that goes away does
// not, and others do not notice.
func TestTurns(t *testing.T) {
	f := idle()
	f.scan = longPage
	h := fakeEdge(f)
	for range cap(h.pages) {
		h.pages <- struct{}{}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, newRequest("Scan", scanABC).WithContext(gone))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("a client that went away: got %d, want 503", w.Code)
	}
	if status, _ := call(t, h, "GetItem", getABC); status != http.StatusBadRequest {
		t.Errorf("GetItem: got %d, want 400", status)
	}
	waiting := make(chan int)
	go func() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, newRequest("Scan", scanABC))
		waiting <- w.Code
	}()
	h.pages.give()
	if got := <-waiting; got != 200 {
		t.Errorf("a request that waited: got %d, want 200", got)
	}
	if got, want := len(h.pages), cap(h.pages)-1; got != want {
		t.Errorf("%d turns are taken, want %d", got, want)
	}
	if status, _ := call(t, h, "BatchGetItem", `{"RequestItems":{"abc":{"Keys":[{}]}}}`); status != http.StatusBadRequest || len(h.batches) != 0 {
		t.Errorf("BatchGetItem: got %d, want 400; %d turns are taken, want 0", status, len(h.batches))
	}
}

// Room is made in one step, and large buffers go back to where others of
// their size come from.
func TestMakeRoom(t *testing.T) {
	for _, n := range []int{0, maxKept / 2, maxKept + 1, 1 << minLargeLog, 1<<minLargeLog + 1, 1 << maxLargeLog, 1<<maxLargeLog + 1, 20 << 20} {
		x := &exchange{}
		x.makeRoom(n)
		if n <= maxKept/2 {
			if x.dropLarge(); cap(x.out) < n {
				t.Errorf("%d bytes: the small buffer is gone", n)
			}
			continue
		}
		if got := cap(x.out); got < n || got > max(2*n, 1<<minLargeLog) {
			t.Errorf("%d bytes: room for %d", n, got)
		}
		if x.dropLarge(); x.out != nil {
			t.Errorf("%d bytes: the large buffer stays", n)
		}
	}
	page, _ := longPage(nil)
	answer := answerPage(page, api.Optional[string]{}, "abc")
	if got, want := room(answer), len(answer.AppendJSON(nil)); got < want || got > 2*want {
		t.Errorf("expected %d bytes for an answer of %d", got, want)
	}
}
