package table

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/statordb/stator/item"
)

// TestExpiry: items go when their time has passed, from their indexes, too; what
// is not a time in the last five years stays.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, options: Options{TTLInterval: time.Minute}}
		w.begin()
		defer func() { w.Close(); w.db.Close() }()
		d := simple("tab", 3)
		d.Attributes = attributes("p", "S", "x", "S")
		d.GlobalIndexes = []IndexDefinition{{Name: "glo", Keys: keys("x"), Projection: all()}}
		w.create(d)
		now := time.Now().Unix()
		for name, exp := range map[string]string{
			"past":          fmt.Sprintf(`{"N":"%d"}`, now-1),
			"fraction":      fmt.Sprintf(`{"N":"%d.5"}`, now-1),
			"4 years ago":   fmt.Sprintf(`{"N":"%d"}`, now-4*365*24*3600),
			"soon":          fmt.Sprintf(`{"N":"%d"}`, now+90),
			"6 years ago":   fmt.Sprintf(`{"N":"%d"}`, now-6*365*24*3600),
			"never":         fmt.Sprintf(`{"N":"%d"}`, now+100*365*24*3600),
			"milliseconds":  fmt.Sprintf(`{"N":"%d"}`, (now-1)*1000),
			"text":          fmt.Sprintf(`{"S":"%d"}`, now-1),
			"another thing": `{"NULL":true}`,
		} {
			w.put("tab", `{"p":{"S":"`+name+`"},"x":{"S":"i"},"exp":`+exp+`}`)
		}
		w.put("tab", `{"p":{"S":"without"},"x":{"S":"i"}}`)
		left := func(when, want string) {
			t.Helper()
			synctest.Wait()
			page, err := w.Query(&QueryRequest{Table: "tab", Index: "glo", Keys: keyed("x = :x", `{":x":{"S":"i"}}`)})
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(page.Count, " ", count(t, w, "tab")); got != want {
				t.Errorf("%s: %s items in the index and in the table, want %s", when, got, want)
			}
		}
		time.Sleep(2 * time.Minute)
		left("without a time to live", "10 10")
		if err := w.SetTimeToLive("tab", true, "exp"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(61 * time.Second)
		left("after the first search", "6 6") // soon has passed, too
		w.put("tab", fmt.Sprintf(`{"p":{"S":"later"},"x":{"S":"i"},"exp":{"N":"%d"}}`, time.Now().Unix()+10))
		w.put("tab", fmt.Sprintf(`{"p":{"S":"gone"},"x":{"S":"i"},"exp":{"N":"%d"}}`, time.Now().Unix()-10))
		w.restart()
		time.Sleep(61 * time.Second)
		left("after a restart", "6 6")
		if err := w.SetTimeToLive("tab", false, "exp"); err != nil {
			t.Fatal(err)
		}
		w.put("tab", fmt.Sprintf(`{"p":{"S":"gone"},"x":{"S":"i"},"exp":{"N":"%d"}}`, time.Now().Unix()-10))
		time.Sleep(5 * time.Minute)
		left("when it is disabled", "7 7")
	})
}

func count(t *testing.T, w *world, table string) (n int) {
	t.Helper()
	for after := item.Item(nil); ; {
		page, err := w.Scan(&ScanRequest{Table: table, Select: "COUNT", StartKey: after})
		if err != nil {
			t.Fatal(err)
		}
		n += page.Count
		if after = page.LastKey; after == nil {
			return n
		}
	}
}

// TestRescue: an item that got another time since it was found stays.
func TestRescue(t *testing.T) {
	w := newWorld(t)
	w.options.TTLInterval = -1
	w.restart()
	w.create(simple("tab", 1))
	if err := w.SetTimeToLive("tab", true, "exp"); err != nil {
		t.Fatal(err)
	}
	var found []item.Item
	for i := range 3 {
		w.put("tab", fmt.Sprintf(`{"p":{"S":"%d"},"exp":{"N":"1"}}`, i))
		found = append(found, js(fmt.Sprintf(`{"p":{"S":"%d"},"exp":{"N":"1"}}`, i)))
	}
	w.put("tab", `{"p":{"S":"0"},"exp":{"N":"2"}}`)
	w.put("tab", `{"p":{"S":"1"}}`)
	live, _ := w.lookup("tab")
	if err := w.deleteExpired(live, found); err != nil {
		t.Fatal(err)
	}
	if a, b, c := w.get("tab", `{"p":{"S":"0"}}`), w.get("tab", `{"p":{"S":"1"}}`), w.get("tab", `{"p":{"S":"2"}}`); a == "none" || b == "none" || c != "none" {
		t.Errorf("left are %s, %s and %s, want the first two", a, b, c)
	}
}

// TestExpiryOfPages: a search goes over all pages of a table, and the time may be
// a key.
func TestExpiryOfPages(t *testing.T) {
	w := newWorld(t)
	w.options.TTLInterval = -1
	w.restart()
	w.create(Definition{Name: "tab", Attributes: attributes("p", "S", "exp", "N"), Keys: keys("p", "exp"), BillingMode: BillingOnDemand})
	if err := w.SetTimeToLive("tab", true, "exp"); err != nil {
		t.Fatal(err)
	}
	past, pad := time.Now().Unix()-100, strings.Repeat("x", 100_000)
	for i := range 30 {
		w.put("tab", fmt.Sprintf(`{"p":{"S":"p"},"exp":{"N":"%d"},"pad":{"S":"%s"}}`, past+int64(i%2)*1000+int64(i), pad))
	}
	if err := w.sweepTable("tab"); err != nil {
		t.Fatal(err)
	}
	if n := count(t, w, "tab"); n != 15 {
		t.Errorf("%d items are left, want 15", n)
	}
}
