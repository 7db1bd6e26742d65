package sim

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
)

// What is drawn can be written down and read again, and means the same.
func TestPlanEncoding(t *testing.T) {
	for seed := range uint64(20) {
		p := NewPlan(seed, Options{Duration: 3 * time.Second})
		b := p.Encode()
		again, err := DecodePlan(b)
		if err != nil {
			t.Fatalf("seed %d: %v\n%.2000s", seed, err, b)
		}
		if !reflect.DeepEqual(p, again) || !bytes.Equal(b, again.Encode()) {
			t.Errorf("seed %d: a plan read again is another", seed)
		}
	}
}

func TestPlanIsDecodedStrictly(t *testing.T) {
	good := string(NewPlan(1, Options{Duration: 100 * time.Millisecond}).Encode())
	for name, change := range map[string][2]string{
		"version 99":    {`"version":1`, `"version":99`},
		"no stack":      {`"stack":"table"`, `"stack":"cards"`},
		"unknown field": {`"stack"`, `"typo":1,"stack"`},
		"one node":      {`"zone":"a"`, `"zone":""`},
		"ppm":           {`"ratio":`, `"ratio":-`},
		"time":          {`"for":"100ms"`, `"for":"soon"`},
		"kind":          {`"nemesis":`, `"nemesis":[{"at":"1s","kind":"flood"}],"clients":[],"x":`},
	} {
		text := strings.Replace(good, change[0], change[1], 1)
		if text == good {
			t.Errorf("%s: nothing was changed", name)
		}
		if _, err := DecodePlan([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), "sim: plan: ") {
			t.Errorf("%s: err = %v", name, err)
		}
	}
}

func TestNothingFollowsAPlan(t *testing.T) {
	b := NewPlan(1, Options{Duration: 10 * time.Millisecond}).Encode()
	if _, err := DecodePlan(append(b, "{}"...)); err == nil {
		t.Error("a second plan was ignored")
	}
}

func FuzzDecodePlan(f *testing.F) {
	f.Add(NewPlan(1, Options{Duration: 50 * time.Millisecond}).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodePlan(b)
		if err != nil {
			return
		}
		if _, err := DecodePlan(p.Encode()); err != nil {
			t.Errorf("what was accepted is refused when it is written again: %v", err)
		}
	})
}
