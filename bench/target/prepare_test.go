package target

import (
	"testing"

	"github.com/statordb/stator/bench"
	"github.com/statordb/stator/bench/drive"
)

// preparing is a session of an endpoint that nobody has dialled.
func preparing(t testing.TB) (drive.Session, func(*drive.Op)) {
	t.Helper()
	w, err := drive.Parse("", []byte(`{"name":"p","operations":{"get":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	d := newDynamo(w, func(int) wire { return &socket{signer: newSigner(Credentials{}, "127.0.0.1:8000")} })
	s, err := d.NewSession(0)
	if err != nil {
		t.Fatal(err)
	}
	return s, func(op *drive.Op) {
		if err := s.Prepare(op); err != nil {
			t.Fatal(err)
		}
	}
}

// What making and signing a request costs: it is not timed, but a closed loop's rate includes it.
func BenchmarkPrepare(b *testing.B) {
	_, prepare := preparing(b)
	for _, op := range []drive.Op{{Kind: drive.Get, Key: 77}, {Kind: drive.Put, Key: 77, Size: 100}} {
		b.Run(string(op.Kind), func(b *testing.B) {
			b.ReportAllocs()
			before := bench.CPUTime()
			for range b.N {
				prepare(&op)
			}
			b.ReportMetric(float64(bench.CPUTime()-before)/float64(b.N), "cpu-ns/op")
		})
	}
}
