package sim

import "fmt"

// Items that are put once are not there before, nor does anybody else write them. So whoever reads some of
// them at one moment finds all or none, whatever comes between its looks at them; and all, if the client had been told
// that they are there.
const glimpse = "glimpse"

// glimpsed judges what a glimpse shows.
func (x *tx) glimpsed() error {
	there := 0
	for i, it := range x.saw {
		switch {
		case it == nil:
		case textIn(it, "v") != x.op.Value:
			return fmt.Errorf("sim: %s is shown as %s", x.op.Keys[i], it.AppendJSON(nil))
		default:
			there++
		}
	}
	if there == len(x.saw) {
		return nil
	}
	if there > 0 {
		return fmt.Errorf("sim: %s shows a part of a transaction (%d of %d items): %s", x, there, len(x.saw), jsonOf(x.saw))
	}
	for _, o := range x.run.ledger.requests {
		if o.op.Do == "once" && o.op.Value == x.op.Value && o.outcome == Done && o.ret < x.call {
			return fmt.Errorf("sim: %s shows nothing of %s, which had succeeded before", x, o)
		}
	}
	return nil
}
