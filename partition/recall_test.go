package partition

import (
	"testing"

	"github.com/statordb/stator/internal/vfs"
)

// A store remembers what its group has carried out, and so does the part of a split what was before it: also
// when the window has room for few requests. What was never carried out it does not know.
func TestRecall(t *testing.T) {
	smallWindow(t, 16, 1<<20, 256)
	db := openStore(t, vfs.NewMem())
	m := openMember(t, db)
	if r, err := RecallOf(db, 77); err != nil || r.Applied != 0 {
		t.Fatalf("of a group that is not there: %+v, %v", r, err)
	}
	m.Apply(1, [][]byte{counterConfig()})
	r := newRetrier(t, 1)
	var sent []sentCommand
	for range 60 {
		c := r.next()
		sent = append(sent, c)
		m.Apply(m.Applied()+1, [][]byte{c.bytes})
	}
	plan, err := m.PlanSplit(0)
	if err != nil {
		t.Fatal(err)
	}
	plan.Child, plan.Voters = 8, []uint64{1, 2, 3}
	if err := m.Apply(m.Applied()+1, [][]byte{splitCommand(*plan)})[0].(*Result).Err; err != nil {
		t.Fatal(err)
	}
	for _, group := range []uint64{m.group, 8} {
		recall, err := RecallOf(db, group)
		if err != nil || group == m.group && recall.Applied != m.Applied() {
			t.Fatalf("group %d: %+v, %v", group, recall, err)
		}
		for i, c := range sent {
			command, err := DecodeCommand(c.bytes)
			if err != nil {
				t.Fatal(err)
			}
			if !recall.Knows(c.id, command.Timestamp) {
				t.Errorf("group %d does not know request %d, %v", group, i, c.id)
			}
		}
		if id := (RequestID{3, r.numbers[3] + 1}); recall.Knows(id, 1<<40) {
			t.Errorf("group %d knows %v, which was never sent", group, id)
		}
	}
}
