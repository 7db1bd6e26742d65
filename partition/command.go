package partition

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
	"github.com/statordb/stator/txn"
)

// A command is one change, as the replicated log carries it. Integers are
// little-endian; a size is a uvarint and 0 means absent.
//
//	+------------+---------+-----------+
//	| version 1B | kind 1B | body ...  |
//	+------------+---------+-----------+
//
// kind 1, Configure: the body is a configuration record (config.go).
// kinds 2, 3 and 4, Put, Delete and Update:
//
//	+--------------+---------+----------------------+-------------------+----------+
//	| timestamp 8B | wish 1B | condition size+bytes | update size+bytes | item ... |
//	+--------------+---------+----------------------+-------------------+----------+
//
// kind 5, Entries: the body is a batch of entries of a global index (entries.go).
// kind 6, Trim: through 8B; change records up to this sequence number go.
// kind 7, Backfill: the body is drawn in backfill.go.
// kind 8, SplitOff: the body is drawn in split.go.
// kinds 9 to 13 and 15, Transact, Prepare, Resolve, Settle, Forget, Decide: drawn in transaction.go.
// kind 16, Mark: mark 8B (token.go).
// kind 17, Close: hash 8B (close.go).
//
// The timestamp was chosen once by the proposer, so that every replica writes
// the same one. wish holds the ReturnValues in bits 0 to 2 and
// ReturnOnFailure in bit 3. condition and update are expression trees in the
// form of package expr; only Update may carry an update. item is the whole item
// (Put) or the primary key (Delete, Update).
//
// The version is 1, or 2 for a Put, Delete, Update, Transact or Prepare that has a request id, which
// precedes the body:
//
//	+---------+-----------+
//	| node 8B | number 8B |
//	+---------+-----------+
//
// A replica refuses a version it does not know instead of
// guessing, so during an upgrade every node learns to read a version before any
// node writes it.
const (
	commandVersion        byte = 1
	commandVersionRequest byte = 2
)

// Kind is what a command does.
type Kind byte

const (
	Configure Kind = 1
	Put       Kind = 2
	Delete    Kind = 3
	Update    Kind = 4
	Entries   Kind = 5 // made by an EntryBatch
	Trim      Kind = 6
	Backfill  Kind = 7
	SplitOff  Kind = 8
	Transact  Kind = 9 // see Transaction
	Prepare   Kind = 10
	Resolve   Kind = 11
	Settle    Kind = 12
	Forget    Kind = 13
	Check     Kind = 14 // only an action of a transaction
	Decide    Kind = 15
	Mark      Kind = 16
	Close     Kind = 17
)

func (k Kind) String() string {
	switch k {
	case Configure:
		return "configure"
	case Put:
		return "put"
	case Delete:
		return "delete"
	case Update:
		return "update"
	case Entries:
		return "entries"
	case Trim:
		return "trim"
	case Backfill:
		return "backfill"
	case SplitOff:
		return "split"
	case Transact:
		return "transact"
	case Prepare:
		return "prepare"
	case Resolve:
		return "resolve"
	case Settle:
		return "settle"
	case Forget:
		return "forget"
	case Check:
		return "check"
	case Decide:
		return "decide"
	case Mark:
		return "mark"
	case Close:
		return "close"
	}
	return fmt.Sprintf("kind(%d)", byte(k))
}

// ReturnValues says which attributes a command answers with.
type ReturnValues byte

const (
	ReturnNone ReturnValues = iota
	AllOld
	AllNew
	UpdatedOld
	UpdatedNew
	endReturnValues
)

const (
	wishReturn    = 0x07
	wishOnFailure = 0x08

	writeFixed     = 2 + 8 + 1 // header, timestamp and wish
	requestIDBytes = 8 + 8
)

// ErrCommand reports a log entry that is not a command of a known version.
var ErrCommand = errors.New("partition: unreadable command")

// A Command is one change of a partition.
type Command struct {
	Kind   Kind
	Config *Config // Configure only

	// Request makes sure that the command is carried out once, however often it is
	// proposed. Put, Delete, Update, Transact and Prepare only; all others may be repeated as
	// they are.
	Request RequestID

	Timestamp       txn.Timestamp
	Return          ReturnValues
	ReturnOnFailure bool            // a failed condition answers with the item it met
	Condition       *expr.Condition // nil = none
	Update          *expr.Update    // Update only; nil = only make sure that the item exists
	Item            item.Item       // Put: the item; Delete, Update: the key

	Through uint64 // Trim, Entries: sequence number of the last change concerned
	Source  uint64 // Entries: group of the base partition
	entries []byte // Entries
	Index   uint32 // Backfill: id of a global index
	Rows    uint32 // Backfill: how many to look at, at most
	Split   *Split // SplitOff
	Mark    uint64 // Mark: what the partition has counted from now on
	Hash    uint64 // Close: that the partition must have

	Transaction *Transaction // Transact, Prepare, Resolve, Settle, Decide, Forget
}

// Encode returns the encoded command, in memory of its own.
func (c *Command) Encode() []byte {
	header := []byte{commandVersion, byte(c.Kind)}
	switch c.Kind {
	case Configure:
		return c.Config.append(header)
	case Entries:
		b := binary.LittleEndian.AppendUint64(header, c.Source)
		return append(binary.LittleEndian.AppendUint64(b, c.Through), c.entries...)
	case Trim:
		return binary.LittleEndian.AppendUint64(header, c.Through)
	case Mark:
		return binary.LittleEndian.AppendUint64(header, c.Mark)
	case Close:
		return binary.LittleEndian.AppendUint64(header, c.Hash)
	case SplitOff:
		return c.Split.append(header)
	case Backfill:
		return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(header, c.Index), c.Rows)
	case Transact, Prepare, Resolve, Settle, Decide, Forget:
		return c.Transaction.append(c.appendRequest(header), c.Kind)
	}
	var condition, update []byte
	if c.Condition != nil {
		condition = c.Condition.AppendBinary(nil)
	}
	if c.Update != nil {
		update = c.Update.AppendBinary(nil)
	}
	size := writeFixed + requestIDBytes + 2*binary.MaxVarintLen32 + len(condition) + len(update) + len(c.Item)
	dst := c.appendRequest(append(make([]byte, 0, size), commandVersion, byte(c.Kind)))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(c.Timestamp))
	dst = append(dst, c.wish())
	dst = appendSized(dst, condition)
	dst = appendSized(dst, update)
	return append(dst, c.Item...)
}

// appendRequest appends the request id to a header, if there is one.
func (c *Command) appendRequest(header []byte) []byte {
	if c.Request.Node == 0 {
		return header
	}
	header[0] = commandVersionRequest
	header = binary.LittleEndian.AppendUint64(header, c.Request.Node)
	return binary.LittleEndian.AppendUint64(header, c.Request.Number)
}

// Renew makes an encoded Put, Delete or Update another request: it was refused, and is to be
// carried out after all.
func Renew(command []byte, id RequestID, ts txn.Timestamp) {
	at := 2
	if command[0] == commandVersionRequest {
		binary.LittleEndian.PutUint64(command[2:], id.Node)
		binary.LittleEndian.PutUint64(command[10:], id.Number)
		at += requestIDBytes
	}
	binary.LittleEndian.PutUint64(command[at:], uint64(ts))
}

func (c *Command) wish() byte {
	wish := byte(c.Return) & wishReturn
	if c.ReturnOnFailure {
		wish |= wishOnFailure
	}
	return wish
}

// DecodeCommand decodes and checks a command. Its item aliases b.
func DecodeCommand(b []byte) (Command, error) {
	if len(b) < 2 || b[0] != commandVersion && b[0] != commandVersionRequest {
		return Command{}, fmt.Errorf("%w: %d bytes", ErrCommand, len(b))
	}
	c := Command{Kind: Kind(b[1])}
	var err error
	if b[0] == commandVersionRequest {
		if b, err = c.decodeRequest(b); err != nil {
			return Command{}, err
		}
	}
	switch c.Kind {
	case Configure:
		c.Config, err = decodeConfig(b[2:])
	case Put, Delete, Update:
		err = c.decodeWrite(b[2:])
	case Entries:
		err = c.decodeEntries(b[2:])
	case Trim:
		c.Through, err = c.decodeNumber(b[2:])
	case Mark:
		c.Mark, err = c.decodeNumber(b[2:])
	case Close:
		c.Hash, err = c.decodeNumber(b[2:])
	case Backfill:
		err = c.decodeBackfill(b[2:])
	case SplitOff:
		c.Split, err = decodeSplit(b[2:])
	case Transact, Prepare, Resolve, Settle, Decide, Forget:
		err = c.decodeTransaction(b[2:])
	default:
		err = fmt.Errorf("%w: %v", ErrCommand, c.Kind)
	}
	if err != nil {
		return Command{}, err
	}
	return c, nil
}

// decodeRequest reads a request id and returns the command as it is without.
func (c *Command) decodeRequest(b []byte) ([]byte, error) {
	mayHave := c.Kind == Put || c.Kind == Delete || c.Kind == Update || c.Kind == Transact || c.Kind == Prepare
	if !mayHave || len(b) < 2+requestIDBytes {
		return nil, fmt.Errorf("%w: request id of %v", ErrCommand, c.Kind)
	}
	c.Request = RequestID{binary.LittleEndian.Uint64(b[2:]), binary.LittleEndian.Uint64(b[10:])}
	if c.Request.Node == 0 {
		return nil, fmt.Errorf("%w: request id without a node", ErrCommand)
	}
	return b[requestIDBytes:], nil
}

func (c *Command) decodeNumber(b []byte) (uint64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("%w: %v of %d bytes", ErrCommand, c.Kind, len(b))
	}
	return binary.LittleEndian.Uint64(b), nil
}

func (c *Command) decodeWrite(b []byte) error {
	if len(b) < 9 {
		return fmt.Errorf("%w: short %v", ErrCommand, c.Kind)
	}
	c.Timestamp = txn.Timestamp(binary.LittleEndian.Uint64(b))
	wish := b[8]
	c.Return = ReturnValues(wish & wishReturn)
	c.ReturnOnFailure = wish&wishOnFailure != 0
	if c.Return >= endReturnValues || wish&^(wishReturn|wishOnFailure) != 0 {
		return fmt.Errorf("%w: wish %#x", ErrCommand, wish)
	}
	condition, b, ok := cutSized(b[9:])
	if !ok {
		return fmt.Errorf("%w: condition of %v", ErrCommand, c.Kind)
	}
	update, b, ok := cutSized(b)
	if !ok || len(update) > 0 && c.Kind != Update {
		return fmt.Errorf("%w: update of %v", ErrCommand, c.Kind)
	}
	return c.decodeParts(condition, update, b)
}

func (c *Command) decodeParts(condition, update, it []byte) (err error) {
	if len(condition) > 0 {
		if c.Condition, err = expr.DecodeCondition(condition); err != nil {
			return fmt.Errorf("%w: %w", ErrCommand, err)
		}
	}
	if len(update) > 0 {
		if c.Update, err = expr.DecodeUpdate(update); err != nil {
			return fmt.Errorf("%w: %w", ErrCommand, err)
		}
	}
	if err = item.Check(it); err != nil {
		return fmt.Errorf("%w: %w", ErrCommand, err)
	}
	c.Item = it
	return nil
}

func appendSized(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// cutSized splits b after its leading sized part. A size in more bytes than it
// needs is not one that appendSized wrote.
func cutSized(b []byte) (part, rest []byte, ok bool) {
	size, n := binary.Uvarint(b)
	if n <= 0 || n > 1 && b[n-1] == 0 || size > uint64(len(b)-n) {
		return nil, nil, false
	}
	return b[n : n+int(size)], b[n+int(size):], true
}
