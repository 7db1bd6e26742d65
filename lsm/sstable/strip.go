package sstable

import "encoding/binary"

// The slots of a data block take four bytes for each entry, of which half is
// noise to a codec: heads are hashed, in effect. But they follow from the
// entries. So encoded blocks are stripped of them:
//
//	payload   header | prefix | slots 4B × count        | entries
//	stripped  header | prefix | sizes 2B × (count - 1)  | entries
//
// A size is that of the entry with its lengths and trailer; the last entry goes
// on to the end. Sizes are mostly alike and compress to next to nothing. With
// 100 B values of which half compresses, S2 makes 71 B of an entry with slots
// and 67 without, for some 3 ns of decoding.

// strippedGap is by how much a payload of count entries shrinks.
func strippedGap(count int) int { return 2*count + 2 }

// appendStripped appends the stripped form of payload, which must be sound.
func appendStripped(dst, payload []byte) []byte {
	var b block
	b.parse(payload, 0)
	dst = append(dst, payload[:b.slots]...)
	for i := range b.count - 1 {
		dst = little.AppendUint16(dst, uint16(b.place(i+1)-b.place(i)))
	}
	return append(dst, payload[b.entries:]...)
}

// restore computes the slots of the payload of count entries that fills buf. Its
// stripped form lies at the end of buf, strippedGap behind the start, so that the
// entries are where they belong. It reports false for bytes that no payload
// strips to.
//
//	buf  gap     | header | prefix | sizes | entries
//	     header | prefix | slots           | entries
//
// Slots are written from the front over sizes that have been read: slot i ends
// where the header began, 4i+4 bytes on, while size i lies 2·count+2 + 2i on.
func restore(buf []byte, count int) bool {
	gap := strippedGap(count)
	if count == 0 || len(buf) < gap+blockHeaderBytes {
		return false
	}
	head := buf[gap:]
	prefix := int(little.Uint16(head[26:]))
	if int(little.Uint16(head[24:])) != count || len(head) < blockHeaderBytes+prefix+2*(count-1) {
		return false
	}
	copy(buf, head[:blockHeaderBytes+prefix])
	s := spread{base: little.Uint64(buf), scale: little.Uint64(buf[8:])}
	suffixWidth, trailerWidth := int(buf[28]), int(buf[29])
	if suffixWidth != 1 && suffixWidth != 2 || trailerWidth > 8 {
		return false
	}
	slots := buf[blockHeaderBytes+prefix:]
	sizes := slots[gap:]
	entries := slots[4*count:]
	place := 0
	for i := range count {
		size := 0
		if i < count-1 {
			size = int(little.Uint16(sizes[2*i:]))
		}
		w, ok := windowAt(entries, place, suffixWidth, trailerWidth)
		if !ok {
			return false
		}
		head, ok := s.head(w, entryHeadBits)
		if !ok {
			return false
		}
		little.PutUint32(slots[4*i:], uint32(head)<<16|uint32(place))
		if place += size; place >= 1<<16 {
			return false
		}
	}
	return true
}

// windowAt is the window of the entry at place, behind the block's prefix.
func windowAt(entries []byte, place, suffixWidth, trailerWidth int) (w uint64, ok bool) {
	at := place + suffixWidth + trailerWidth
	if at > len(entries) {
		return 0, false
	}
	n := int(entries[place])
	if suffixWidth == 2 {
		n |= int(entries[place+1]) << 8
	}
	if at+8 > len(entries) {
		if at+n > len(entries) {
			return 0, false
		}
		return window(entries[at:at+n], 0), true
	}
	w = binary.BigEndian.Uint64(entries[at:])
	return w &^ (1<<max(64-8*n, 0) - 1), true
}
