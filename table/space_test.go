package table

import (
	"errors"
	"slices"
	"testing"
)

// TestSpaces: accounts and regions have tables of their own under the same
// names, also after a restart.
func TestSpaces(t *testing.T) {
	w := newWorld(t)
	type where struct{ account, region string }
	places := []where{{"000000000000", "us-east-1"}, {"000000000000", "eu-west-1"}, {"111122223333", "us-east-1"}, {"111122223333", "eu-west-1"}}
	in := func(p where) *Service {
		s, _ := w.In(p.account, p.region)
		return s
	}
	for i, p := range places {
		if _, known := w.In(p.account, p.region); known != (i == 0) {
			t.Errorf("%v is known: %v", p, known)
		}
		for _, name := range []string{"tab", "tab-" + p.region} {
			d, err := in(p).Create(simple(name, 1))
			if want := "arn:aws:dynamodb:" + p.region + ":" + p.account + ":table/" + name; err != nil || d.ARN != want {
				t.Fatalf("%v: Create = %+v, %v, want ARN %s", p, d, err, want)
			}
		}
		if _, err := in(p).Put(&PutRequest{Table: "tab", Item: js(`{"p":{"S":"` + p.account + p.region + `"}}`)}); err != nil {
			t.Fatal(err)
		}
	}
	w.restart()
	for _, p := range places {
		s, known := w.In(p.account, p.region)
		if !known {
			t.Errorf("%v is not known after a restart", p)
		}
		names, _, err := s.List("", 0)
		if want := []string{"tab", "tab-" + p.region}; err != nil || !slices.Equal(names, want) {
			t.Errorf("%v: List = %q, %v, want %q", p, names, err, want)
		}
		page, err := s.Scan(&ScanRequest{Table: "tab"})
		if want := `{"p":{"S":"` + p.account + p.region + `"}}`; err != nil || page.Count != 1 || show(page.Items[0]) != want {
			t.Errorf("%v: Scan = %+v, %v, want %s", p, page, err, want)
		}
	}
	if names, last, _ := in(places[3]).List("", 1); last != "tab" || len(names) != 1 {
		t.Errorf("List of 1 = %q, %q", names, last)
	}
	if _, err := in(places[2]).Delete("tab"); err != nil {
		t.Fatal(err)
	}
	for i, p := range places {
		_, err := in(p).Get(&GetRequest{Table: "tab", Key: js(`{"p":{"S":"a"}}`)})
		if want := i == 2; errors.As(err, new(*NotFoundError)) != want {
			t.Errorf("%v: Get: %v, want not found: %v", p, err, want)
		}
	}
	// An ARN names a table of its own account and region only.
	for table, want := range map[string]string{
		"arn:aws:dynamodb:us-east-1:000000000000:table/tab": "",
		"arn:aws:dynamodb:eu-west-1:000000000000:table/tab": "Requested resource not found",
	} {
		_, err := w.Get(&GetRequest{Table: table, Key: js(`{"p":{"S":"a"}}`)})
		checkError(t, table, err, want)
	}
}

// TestUnknownSpaces: asking leaves nothing behind.
func TestUnknownSpaces(t *testing.T) {
	w := newWorld(t)
	s, known := w.In("1", "mars")
	_, err := s.Describe("tab")
	checkError(t, "Describe", err, "Requested resource not found: Table: tab not found")
	if names, _, err := s.List("", 0); known || len(names) != 0 || err != nil || len(*w.spaces.Load()) != 1 {
		t.Errorf("known %v, List = %q, %v, %d spaces", known, names, err, len(*w.spaces.Load()))
	}
	w.Close()
	if _, err := s.Create(simple("tab", 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Create after Close: %v", err)
	}
	if s, _ := w.In("2", "mars"); s.live.Load() != nil {
		t.Error("a space that is entered after Close is open")
	}
}
