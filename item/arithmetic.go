package item

// Add returns n+m, exactly. If the sum needs more than 38 digits or is out of
// range, it fails with the *ValueError that DynamoDB gives in both cases.
func (n Number) Add(m Number) (Number, error) {
	var a accumulator
	a.add(n, false)
	a.add(m, false)
	return a.number()
}

// Sub returns n-m; see Add.
func (n Number) Sub(m Number) (Number, error) {
	var a accumulator
	a.add(n, false)
	a.add(m, true)
	return a.number()
}

// places is how many powers of 100 the pairs of all Numbers can stand at: one
// for each exponent, and behind the lowest one the other pairs of a number
// that begins there.
const places = pairBias + maxPair + 1 + maxDigits/2

// lastFirst is the lowest place at which a Number can begin.
const lastFirst = pairBias + maxPair

// accumulator sums numbers in fixed point. Place i stands for 100^(maxPair-i);
// places hold signed digit pairs until they are settled. The range of Number
// is so small that covering all of it is simpler than aligning two operands.
type accumulator struct {
	place    [places]int16
	from, to int // places in use are [from, to); none if from == to
}

func (a *accumulator) add(n Number, negate bool) {
	if n.Sign() == 0 {
		return
	}
	minus, pair, mask := n.unpack()
	first := maxPair - pair
	if a.from == a.to {
		a.from, a.to = first, first
	}
	a.from = min(a.from, first)
	a.to = max(a.to, first+len(n)-1)
	for i, b := range n[1:] {
		p := int16((b ^ mask) >> 1)
		if minus != negate {
			p = -p
		}
		a.place[first+i] += p
	}
}

// number settles the places and packs them.
func (a *accumulator) number() (Number, error) {
	a.trim()
	if a.from == a.to {
		return append(Number(nil), zero...), nil
	}
	minus := a.place[a.from] < 0 // the first place outweighs all others
	if minus {
		for i := a.from; i < a.to; i++ {
			a.place[i] = -a.place[i]
		}
	}
	fits := a.carry()
	a.trim()
	if !fits || a.from > lastFirst {
		return nil, numberError(MsgOverflow)
	}
	n := a.pack()
	if !canonicalPairs(n[1:], 0) {
		return nil, numberError(MsgOverflow)
	}
	if minus {
		complement(n)
	}
	return n, nil
}

// carry brings each place into 0..99, from the right. The value is positive.
// It fails if something is carried out of range.
func (a *accumulator) carry() bool {
	over := int16(0)
	for i := a.to - 1; i >= a.from; i-- {
		p := a.place[i] + over
		over = 0
		if p < 0 {
			p, over = p+100, -1
		} else if p >= 100 {
			p, over = p-100, 1
		}
		a.place[i] = p
	}
	if over == 0 {
		return true
	}
	if a.from == 0 {
		return false
	}
	a.from--
	a.place[a.from] = over
	return true
}

// trim leaves out zero places at both ends.
func (a *accumulator) trim() {
	for a.from < a.to && a.place[a.from] == 0 {
		a.from++
	}
	for a.from < a.to && a.place[a.to-1] == 0 {
		a.to--
	}
}

// pack makes a positive number of settled, trimmed places.
func (a *accumulator) pack() Number {
	n := make(Number, 1, 1+a.to-a.from)
	n[0] = byte(negative + pairBias + maxPair - a.from)
	for _, p := range a.place[a.from:a.to] {
		n = append(n, byte(p)<<1|1)
	}
	n[len(n)-1] &^= 1
	return n
}
