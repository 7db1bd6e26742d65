package vlog

import (
	"github.com/statordb/stator/internal/vfs"
	"github.com/statordb/stator/lsm/corrupt"
)

// Verify reads the whole file and checks all of it: the footer, every record's
// checksum, that every value decodes, and what the footer says of them together.
// Every byte of the file is under some checksum; so it finds every flipped bit.
//
// The error is a *corrupt.Error unless the file could not be read.
func (r *Reader) Verify() error {
	return vfs.Guard(func() error {
		again := &Reader{name: r.name, m: r.m}
		if err := again.open(r.meta.Number); err != nil {
			return err
		}
		counted := Meta{Number: r.meta.Number, Size: r.meta.Size, version: again.meta.version}
		var scratch []byte
		err := again.Records(func(c Record) error {
			counted.Records++
			counted.KeyBytes += uint64(len(c.User))
			counted.ValueBytes += uint64(c.RawBytes)
			if counted.Least == 0 || uint32(c.Size) < counted.Least {
				counted.Least = uint32(c.Size)
			}
			if c.Codec == None {
				return nil
			}
			var reason string
			if scratch, reason = r.decoder.append(scratch[:0], c.stored, c.Codec, c.RawBytes); reason != "" {
				return corrupt.New(r.name, int64(c.Offset), "%s", reason)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if counted != again.meta {
			return corrupt.New(r.name, int64(again.meta.RecordBytes()), "footer says %+v, counted %+v", again.meta, counted)
		}
		return nil
	})
}
