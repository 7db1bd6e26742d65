package table

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/statordb/stator/internal/env"
)

// settings shows everything that is set of a table.
func (w *world) settings(table string) string {
	w.t.Helper()
	tags, err := w.Tags(table)
	status, attribute, err2 := w.TimeToLive(table)
	recovery, err3 := w.Recovery(table)
	if err := errors.Join(err, err2, err3); err != nil {
		return err.Error()
	}
	policy, err := w.Policy(table)
	if err != nil {
		policy.Text = err.Error()
	}
	return fmt.Sprint(tags, " ", status, attribute, " ", recovery.Since != 0, recovery.Days, " ", policy.Text)
}

// TestSettings: what is set of a table survives a restart, and goes with it.
func TestSettings(t *testing.T) {
	w := newWorld(t)
	d := simple("tab", 1)
	d.Tags = []Tag{{"a", "1"}}
	w.create(d)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const none = "Resource-based policy not found for the provided ResourceArn: tab"
	if got, want := w.settings("tab"), "[{a 1}] DISABLED false 0 "+none; got != want {
		t.Errorf("a new table has %s, want %s", got, want)
	}
	must(w.Tag("tab", []Tag{{"b", "2"}, {"a", "3"}}))
	must(w.SetTimeToLive("tab", true, "exp"))
	_, err := w.SetRecovery("tab", true, 7)
	must(err)
	_, err = w.PutPolicy("tab", "{}", "")
	must(err)
	const all = "[{a 3} {b 2}] ENABLEDexp true 7 {}"
	if got := w.settings("tab"); got != all {
		t.Errorf("it is set to %s, want %s", got, all)
	}
	w.restart()
	if got := w.settings("tab"); got != all {
		t.Errorf("after a restart it is %s, want %s", got, all)
	}
	must(w.Untag("tab", []string{"a", "z"}))
	must(w.SetTimeToLive("tab", false, "exp"))
	_, err = w.SetRecovery("tab", false, 0)
	must(err)
	_, err = w.DeletePolicy("tab", "")
	must(err)
	w.restart()
	if got, want := w.settings("tab"), "[{b 2}] DISABLED false 0 "+none; got != want {
		t.Errorf("it is set back to %s, want %s", got, want)
	}
	_, err = w.Delete("tab")
	must(err)
	w.create(simple("tab", 1))
	if got, want := w.settings("tab"), "[] DISABLED false 0 "+none; got != want {
		t.Errorf("the next table of the name has %s, want %s", got, want)
	}
	const missing = "Requested resource not found: Table: none not found"
	if got := w.settings("none"); !strings.HasPrefix(got, missing) {
		t.Errorf("no table has %s", got)
	}
	checkError(t, "Tag", w.Tag("none", []Tag{{"a", "1"}}), missing)
}

// TestSettingsInTransitions: a table that comes or goes cannot be set, one that
// changes can.
func TestSettingsInTransitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, options: Options{TableDelay: 10 * time.Second}}
		w.begin()
		defer func() { w.Close(); w.db.Close() }()
		set := func(want string) {
			t.Helper()
			checkError(t, "Tag", w.Tag("tab", []Tag{{"a", "1"}}), want)
			_, err := w.SetRecovery("tab", true, 0)
			checkError(t, "SetRecovery", err, want)
		}
		const inUse = "Attempt to change a resource which is still in use: Table is being "
		w.create(simple("tab", 1))
		set(inUse + "created: tab")
		time.Sleep(10 * time.Second)
		if _, err := w.Update(UpdateTableRequest{Table: "tab", TableClass: "STANDARD"}); err != nil {
			t.Fatal(err)
		}
		set("")
		time.Sleep(10 * time.Second)
		if _, err := w.Delete("tab"); err != nil {
			t.Fatal(err)
		}
		set(inUse + "deleted: tab")
	})
}

// TestTimeToLiveStates: each change takes a while, and the next one has to wait
// for an hour.
func TestTimeToLiveStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, options: Options{TableDelay: 10 * time.Second}}
		w.begin()
		defer func() { w.Close(); w.db.Close() }()
		w.create(simple("tab", 1))
		state := func(want string) {
			t.Helper()
			status, attribute, err := w.TimeToLive("tab")
			if got := status + attribute; err != nil || got != want {
				t.Errorf("TimeToLive = %s, %v, want %s", got, err, want)
			}
		}
		const often = "Time to live has been modified multiple times within a fixed interval"
		time.Sleep(10 * time.Second)
		state("DISABLED")
		checkError(t, "enable", w.SetTimeToLive("tab", true, "exp"), "")
		state("ENABLINGexp")
		time.Sleep(10 * time.Second)
		state("ENABLEDexp")
		checkError(t, "enable", w.SetTimeToLive("tab", true, "exp"), "TimeToLive is already enabled")
		checkError(t, "disable", w.SetTimeToLive("tab", false, "exp"), often)
		time.Sleep(time.Hour)
		checkError(t, "disable", w.SetTimeToLive("tab", false, "exp"), "")
		state("DISABLINGexp")
		time.Sleep(10 * time.Second)
		state("DISABLED")
		checkError(t, "enable", w.SetTimeToLive("tab", true, "other"), often)
	})
}

func TestRecoveryWindow(t *testing.T) {
	const day, minute = dayNanos, env.Time(time.Minute)
	for _, c := range []struct {
		r                     Recovery
		now, earliest, latest env.Time
	}{
		{Recovery{Since: 10 * day, Days: 3}, 10 * day, 10 * day, 10 * day},
		{Recovery{Since: 10 * day, Days: 3}, 10*day + 7*minute, 10 * day, 10*day + 2*minute},
		{Recovery{Since: 10 * day, Days: 3}, 20 * day, 17 * day, 20*day - 5*minute},
	} {
		if earliest, latest := c.r.Window(c.now); earliest != c.earliest || latest != c.latest {
			t.Errorf("%+v at %d: [%d, %d], want [%d, %d]", c.r, c.now, earliest, latest, c.earliest, c.latest)
		}
	}
}

// TestPolicyRevisions: a revision names one text; who expects another one is refused.
func TestPolicyRevisions(t *testing.T) {
	w := newWorld(t)
	w.create(simple("tab", 1))
	put := func(text, expected string) string {
		revision, err := w.PutPolicy("tab", text, expected)
		if errors.As(err, new(*PolicyNotFoundError)) {
			return "refused"
		}
		if err != nil {
			t.Fatal(err)
		}
		return revision
	}
	if got := put("a", "1"); got != "refused" {
		t.Errorf("a revision of nothing: %s", got)
	}
	one := put("a", NoPolicy)
	if got := put("a", NoPolicy); got != "refused" {
		t.Errorf("no policy expected: %s", got)
	}
	if same := put("a", ""); same != one {
		t.Errorf("the same text has revisions %s and %s", one, same)
	}
	two := put("b", one)
	if two <= one || two == "refused" {
		t.Errorf("revision %s follows %s", two, one)
	}
	if got := put("c", one); got != "refused" {
		t.Errorf("an old revision: %s", got)
	}
	if _, err := w.DeletePolicy("tab", one); !errors.As(err, new(*PolicyNotFoundError)) {
		t.Errorf("DeletePolicy of an old revision: %v", err)
	}
	if got, err := w.DeletePolicy("tab", two); got != two || err != nil {
		t.Errorf("DeletePolicy = %s, %v, want %s", got, err, two)
	}
	if got, err := w.DeletePolicy("tab", ""); got != "" || err != nil {
		t.Errorf("DeletePolicy of none = %s, %v", got, err)
	}
	_, err := w.PutPolicy("tab", strings.Repeat("x", MaxPolicyBytes+1), "")
	checkError(t, "large policy", err, "Resource-based policy size exceeds the limit of 20480 bytes")
}
