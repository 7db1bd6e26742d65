package table

import (
	"encoding/binary"
	"errors"
	"time"
)

// A block on the disk of one replica may be damaged. A read that meets it is carried
// out by another replica. If the read is to be consistent, the leader first says up to
// which entry it has applied what was answered before; a replica that has applied as much
// answers as well as the leader.

// behindPause is between two looks at how much a replica has applied, behindPatience how
// long a replica may take to come as far as the leader.
const (
	behindPause    = 2 * time.Millisecond
	behindPatience = callPatience / 2
)

// fetchIntact is fetch for a read that met damage at the node that t has asked last.
func (t *trip) fetchIntact(consistent bool, request []byte, local func(p *livePartition) error, read func(answer []byte) error, damage error) error {
	c, index := t.core, uint64(0)
	if consistent {
		var err error
		if index, err = c.applied(t.group); err != nil {
			return errors.Join(damage, err)
		}
	}
	p := c.directory.partition(t.group)
	for _, id := range c.nearest(t.replicas(p)) {
		if id == t.asked {
			continue
		}
		var err error
		if id == c.self {
			if err = p.applies(index); err == nil {
				err = local(p)
			}
		} else {
			err = t.readAt(id, index, request, read)
		}
		if err == nil || isAnswer(err) {
			c.env.Sometimes("table: another replica reads what is damaged here")
			return err
		}
	}
	return damage
}

// applies waits until the replica here has applied an entry.
func (p *livePartition) applies(index uint64) error {
	if p.group == nil || p.Err() != nil {
		return errNotHere
	}
	for until := p.core.env.Now().Add(behindPatience); p.Applied() < index; p.core.env.Sleep(behindPause) {
		if p.core.env.Now() >= until {
			return errBehind
		}
	}
	return nil
}

// readAt has another node read, once it has applied index.
func (t *trip) readAt(to uint64, index uint64, request []byte, read func(answer []byte) error) error {
	body := append(binary.LittleEndian.AppendUint64(nil, index), request...)
	a, err := t.core.ask(to, callReadAt, t.group, 0, body, callPatience)
	if err == nil {
		err = a.err()
	}
	if err != nil {
		return err
	}
	return read(a.body)
}

// serveReadAt carries out a read for another node. The body is the index (8 bytes,
// little-endian) and the request.
func (c *core) serveReadAt(r callRequest) answer {
	p := c.directory.partition(r.group)
	if p == nil || len(r.body) < 8 {
		return answer{verdict: verdictNotHere}
	}
	if err := p.applies(binary.LittleEndian.Uint64(r.body)); err != nil {
		return verdictOf(err)
	}
	return answer{body: p.Answer(r.body[8:])}
}

// applied asks the leader of a group what it has applied, once that is everything that
// was answered before.
func (c *core) applied(group uint64) (index uint64, err error) {
	t := c.newTrip(group, true)
	err = t.atLeader(func(p *livePartition) error {
		if err := p.settle(true); err != nil {
			return err
		}
		index = p.Applied()
		return nil
	}, func(p *livePartition, to uint64) (err error) {
		index, err = t.applied(p, to)
		return err
	})
	return index, err
}

func (t *trip) applied(p *livePartition, to uint64) (uint64, error) {
	a, err := t.core.ask(to, callApplied, t.group, 0, nil, callPatience)
	if err != nil {
		return 0, err
	}
	t.learn(p, &a)
	if err := a.err(); err != nil {
		return 0, err
	}
	if len(a.body) != 8 {
		return 0, errCall
	}
	return binary.LittleEndian.Uint64(a.body), nil
}

// serveApplied answers applied.
func (c *core) serveApplied(r callRequest) answer {
	p := c.directory.partition(r.group)
	if p == nil || p.group == nil {
		return answer{verdict: verdictNotHere}
	}
	if err := p.settle(true); err != nil {
		return verdictOf(err)
	}
	return answer{body: binary.LittleEndian.AppendUint64(nil, p.Applied())}
}
