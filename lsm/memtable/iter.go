package memtable

import "github.com/statordb/stator/lsm/key"

// An Iter moves over the versions of a table in internal key order. It is an
// iterator.Source that never fails. Range deletes are not among its entries.
type Iter struct {
	list   *skiplist
	node   uint32 // 0 when off the list
	atEnd  bool   // node is 0 because the iterator moved past the last entry
	loaded entry
}

// NewIter returns an iterator that stands nowhere.
func (t *Table) NewIter() *Iter { return &Iter{list: &t.list} }

// First goes to the first entry.
func (i *Iter) First() bool { return i.stand(i.list.next(0, 0), true) }

// Last goes to the last entry.
func (i *Iter) Last() bool { return i.stand(i.list.prev(0), false) }

// SeekGE goes to the first entry not before (user, key.SeekTrailer(seq)).
func (i *Iter) SeekGE(user []byte, seq key.SeqNum) bool {
	return i.stand(i.list.seekGE(user, key.SeekTrailer(seq)), true)
}

// SeekLT goes to the last entry whose user key is less than user.
func (i *Iter) SeekLT(user []byte) bool {
	return i.stand(i.list.seekLT(user, key.MaxTrailer), false)
}

// Next goes to the following entry; from before the first one, to the first.
func (i *Iter) Next() bool {
	if i.node == 0 && i.atEnd {
		return false
	}
	return i.stand(i.list.next(i.node, 0), true)
}

// Prev goes to the preceding entry; from behind the last one, to the last.
func (i *Iter) Prev() bool {
	if i.node == 0 && !i.atEnd {
		return false
	}
	return i.stand(i.list.prev(i.node), false)
}

// stand moves to a node that was found going forward or backward.
func (i *Iter) stand(node uint32, forward bool) bool {
	i.node = node
	if node == 0 {
		i.atEnd = forward
		return false
	}
	i.loaded = i.list.entry(node)
	return true
}

// Key returns the current internal key, valid as long as the table.
func (i *Iter) Key() (user []byte, t key.Trailer) { return i.loaded.user, i.loaded.trailer }

// Value returns the current value, valid as long as the table.
func (i *Iter) Value() []byte { return i.loaded.value }

// Err returns nil.
func (i *Iter) Err() error { return nil }

// Close does nothing.
func (i *Iter) Close() error { return nil }
