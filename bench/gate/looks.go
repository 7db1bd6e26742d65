package gate

// Looks returns after how many rounds a gate looks that goes on while it is not sure: after the first so many, and each time
// after twice as many, up to a last number. A last number that is not above first is one look.
func Looks(first, last int) (rounds []int) {
	for n := first; n < last; n *= 2 {
		rounds = append(rounds, n)
	}
	return append(rounds, max(first, last))
}

// OfEach is the confidence of each of so many looks, for which that of all together is as given: one who looks again and again
// until something is seen would see what is not there.
func OfEach(confidence float64, looks int) float64 { return 1 - (1-confidence)/float64(looks) }

// Undecided reports whether more rounds may help: nothing is a regression, and something inconclusive.
func (r *Report) Undecided() bool { return r.worst() == Inconclusive }
