package server

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata")

// A golden file is a list of exchanges, each a raw request, a line "----", the
// raw answer and a line "====". Lines that begin with '#' before a request say
// why it is there. The length of the request's body is added when it is read.
// A request may also be one line, "Operation {body}"; its answer then shows
// the status and the body only.
//
// What differs from run to run is replaced: request ids, table ids, times.

type goldenExchange struct {
	comment, request, answer string
}

func readGolden(t testing.TB, name string) []goldenExchange {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var all []goldenExchange
	for part := range strings.SplitSeq(string(text), "====\n") {
		part = strings.TrimLeft(part, "\n")
		if part == "" {
			continue
		}
		var e goldenExchange
		for strings.HasPrefix(part, "#") {
			line, rest, _ := strings.Cut(part, "\n")
			e.comment += line + "\n"
			part = rest
		}
		e.request, e.answer, _ = strings.Cut(part, "----\n")
		all = append(all, e)
	}
	return all
}

// runGolden sends every request of a file to h and compares the answers, or
// rewrites them.
func runGolden(t *testing.T, name string, h http.Handler) {
	t.Helper()
	exchanges := readGolden(t, name)
	var out strings.Builder
	for i, e := range exchanges {
		got := goldenAnswer(t, h, e.request)
		if got != e.answer && !*update {
			t.Errorf("%s, exchange %d:\n%s\n got:\n%s\nwant:\n%s", name, i+1, e.request, got, e.answer)
		}
		fmt.Fprintf(&out, "%s%s----\n%s====\n\n", e.comment, e.request, got)
	}
	if *update {
		if err := os.WriteFile(name, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var shortForm = regexp.MustCompile(`(?s)^([A-Z][A-Za-z]+) (\{.*\})\n$`)

// goldenAnswer sends a request. A failure inside the server is never what a file may expect.
func goldenAnswer(t *testing.T, h http.Handler, request string) string {
	t.Helper()
	w := httptest.NewRecorder()
	defer func() {
		if w.Code == http.StatusInternalServerError {
			t.Errorf("%s: the server failed: %s", request, w.Body)
		}
	}()
	if m := shortForm.FindStringSubmatch(request); m != nil {
		h.ServeHTTP(w, newRequest(m[1], m[2]))
		return fmt.Sprintf("%d\n%s\n", w.Code, stable(w.Body.String()))
	}
	head, body, _ := strings.Cut(request, "\n\n")
	body = strings.TrimSuffix(body, "\n")
	raw := strings.ReplaceAll(head, "\n", "\r\n") + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatalf("%s: %v", request, err)
	}
	h.ServeHTTP(w, r)
	return rawAnswer(w)
}

// rawAnswer shows an answer as it goes over the wire, headers in order.
func rawAnswer(w *httptest.ResponseRecorder) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\n", w.Code, http.StatusText(w.Code))
	varies := stable(w.Body.String()) != w.Body.String()
	var lines []string
	for name, values := range w.Result().Header {
		for _, v := range values {
			if varies && (name == headerCRC || name == headerContentLength) {
				v = "<varies>"
			}
			lines = append(lines, name+": "+v+"\n")
		}
	}
	slices.Sort(lines)
	b.WriteString(strings.Join(lines, ""))
	if body := w.Body.String(); body != "" {
		b.WriteString("\n" + strings.TrimSuffix(body, "\n") + "\n")
	}
	return stable(b.String())
}

var unstable = []struct {
	find    *regexp.Regexp
	replace string
}{
	{regexp.MustCompile(`X-Amzn-Requestid: [0-9A-Z]{52}\n`), "X-Amzn-Requestid: <52 characters>\n"},
	{regexp.MustCompile(`request [0-9A-V]{52}`), "request <id>"},
	{regexp.MustCompile(`"TableId":"[0-9a-f-]{36}"`), `"TableId":"<uuid>"`},
	{regexp.MustCompile(`"RevisionId":"[0-9]{13}"`), `"RevisionId":"<revision>"`},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}"`), `<label>"`},
	{regexp.MustCompile(`DateTime":[0-9.]+`), `DateTime":<time>`},
}

func stable(s string) string {
	for _, u := range unstable {
		s = u.find.ReplaceAllString(s, u.replace)
	}
	return s
}

// The protocol around operations: what is answered to requests that never
// reach one, and the headers of those that do.
func TestProtocolGolden(t *testing.T) {
	f := idle()
	f.list = func(string, int) ([]string, string, error) { return []string{"abc", "def"}, "def", nil }
	runGolden(t, filepath.Join("testdata", "protocol.txt"), fakeEdge(f))
}
