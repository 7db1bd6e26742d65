package facet

import (
	"fmt"
	"math/bits"
)

// The library decodes a bitmap without a look at what is in its containers. Operations
// on one that is malformed would give nonsense or panic, so checkBitmap goes through
// it before. (The library's own Validate takes time that grows with the square of the
// number of runs.)
//
//	with runs: cookie 12347 2B | n-1 2B | (n+7)/8 B: which containers are runs
//	without:   cookie 12346 4B | n 4B
//	then:      n × (key 2B, count-1 2B)
//	           n × offset 4B, unless there are runs and n < 4
//	           containers:  runs   count 2B | count × (start 2B, length-1 2B)
//	                        bits   8 KiB, if count > 4096
//	                        array  count × 2B
const (
	cookieRuns     = 12347
	cookieNoRuns   = 12346
	maxArray       = 4096
	bitsBytes      = 8192
	offsetsFromRun = 4 // containers, from which on there are offsets beside runs
)

// checkBitmap checks that b is a bitmap of count rows, all less than rows.
func checkBitmap(b []byte, rows uint32, count uint64) (reason string) {
	c := checker{rest: b}
	n, runs := c.header()
	heads := c.take(4 * n)
	if runs == nil || n >= offsetsFromRun {
		c.take(4 * n)
	}
	total, last := uint64(0), -1
	for i := 0; i < n && c.reason == ""; i++ {
		key, size := int(little.Uint16(heads[4*i:])), int(little.Uint16(heads[4*i+2:]))+1
		if key <= last {
			return fmt.Sprintf("container %d is not in order", i)
		}
		last = key
		isRuns := runs != nil && runs[i/8]>>(i%8)&1 != 0
		if top := c.container(size, isRuns); c.reason == "" && uint64(key)<<16+uint64(top) >= uint64(rows) {
			return fmt.Sprintf("container %d reaches row %d of %d", i, key<<16+top, rows)
		}
		total += uint64(size)
	}
	switch {
	case c.reason != "":
		return c.reason
	case len(c.rest) > 0:
		return fmt.Sprintf("%d bytes behind the last container", len(c.rest))
	case total != count:
		return fmt.Sprintf("%d rows, directory says %d", total, count)
	}
	return ""
}

// A checker takes an encoded bitmap apart. After the first reason all is empty.
type checker struct {
	rest   []byte
	reason string
}

func (c *checker) fail(format string, args ...any) int {
	if c.reason == "" {
		c.reason = fmt.Sprintf(format, args...)
	}
	c.rest = nil
	return 0
}

func (c *checker) take(n int) []byte {
	if n > len(c.rest) {
		c.fail("cut off")
		return make([]byte, min(n, 8*maxArray))
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

// header returns the number of containers and, if there are runs, which are.
func (c *checker) header() (n int, runs []byte) {
	cookie := little.Uint32(c.take(4))
	switch {
	case cookie&0xffff == cookieRuns:
		n = int(cookie>>16) + 1
		runs = c.take((n + 7) / 8)
	case cookie == cookieNoRuns:
		if size := little.Uint32(c.take(4)); size <= 1<<16 {
			n = int(size)
		} else {
			c.fail("%d containers", size)
		}
	default:
		c.fail("cookie %#x", cookie)
	}
	if 4*n > len(c.rest) {
		return c.fail("cut off"), nil
	}
	return n, runs
}

// container takes one of so many rows and returns its last.
func (c *checker) container(size int, isRuns bool) (last int) {
	switch {
	case isRuns:
		return c.runs(size)
	case size > maxArray:
		return c.bits(size)
	}
	array := c.take(2 * size)
	last = -1
	for ; len(array) > 0; array = array[2:] {
		row := int(little.Uint16(array))
		if row <= last {
			return c.fail("row %d is not in order", row)
		}
		last = row
	}
	return last
}

func (c *checker) bits(size int) (last int) {
	b := c.take(bitsBytes)
	n := 0
	for i := 0; i < len(b); i += 8 {
		if word := little.Uint64(b[i:]); word != 0 {
			n += bits.OnesCount64(word)
			last = 8*i + 63 - bits.LeadingZeros64(word)
		}
	}
	if n != size {
		return c.fail("container of %d rows, says %d", n, size)
	}
	return last
}

// runs may not touch each other, or a row would have two descriptions.
func (c *checker) runs(size int) (last int) {
	b := c.take(4 * int(little.Uint16(c.take(2))))
	n := 0
	last = -2
	for ; len(b) > 0; b = b[4:] {
		start, more := int(little.Uint16(b)), int(little.Uint16(b[2:]))
		if start <= last+1 || start+more > 0xffff {
			return c.fail("run of %d rows at %d is not in order", more+1, start)
		}
		last = start + more
		n += more + 1
	}
	if n != size {
		return c.fail("runs of %d rows, says %d", n, size)
	}
	return last
}
