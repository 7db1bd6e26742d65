package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/internal/vfs"
)

// The file NODE in the directory of a database says which node of which cluster it
// is. It is JSON, and replaced as a whole:
//
//	{"format": 1, "token": "8c1f...", "cluster": "...", "node": 2, "founders": [...], "peers": [...]}
//
// It is written first, with a token only, when the directory is made for a node of a
// cluster: the node then has no place in one yet, and has voted in nothing. The
// token names the directory for ever. Once it has a place, only peers change.
const (
	nodeFile   = "NODE"
	nodeTemp   = "NODE.new"
	nodeFormat = 1
)

// An identity is what a node knows of itself without its catalog.
type identity struct {
	Format   int      `json:"format"`
	Token    string   `json:"token"`              // 16 hex digits, never all 0
	Cluster  string   `json:"cluster,omitempty"`  // 32 hex digits; "": no place yet
	Node     uint64   `json:"node,omitempty"`     // 0: no place yet
	Founders []placed `json:"founders,omitempty"` // nodes that began the cluster
	Peers    []placed `json:"peers,omitempty"`    // where nodes are that the catalog may not know of yet
}

// A placed node is one that has a number.
type placed struct {
	Node    uint64 `json:"node"`
	Zone    string `json:"zone"`
	Address string `json:"address"`
	Token   string `json:"token,omitempty"`
}

func (id *identity) born() bool { return id.Node != 0 }

// zone returns the zone that the node was born in, "" if the file does not say.
func (id *identity) zone() string {
	for _, p := range slices.Concat(id.Founders, id.Peers) {
		if p.Node == id.Node && id.born() {
			return p.Zone
		}
	}
	return ""
}

// ErrIdentity means that a directory belongs to something else than what it is
// opened as.
var ErrIdentity = errors.New("server: not this node's directory")

// readIdentity returns nil if the directory is not that of a node of a cluster.
func readIdentity(fs vfs.FS) (*identity, error) {
	f, err := fs.Open(nodeFile)
	if errors.Is(err, vfs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("server: %s: %w", nodeFile, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("server: %s: %w", nodeFile, err)
	}
	return parseIdentity(text)
}

// isAlone refuses the directory of a node of a cluster: without the others it does not
// know what has been acknowledged.
func isAlone(fs vfs.FS) error {
	id, err := readIdentity(fs)
	if err != nil || id == nil {
		return err
	}
	if !id.born() {
		return fmt.Errorf("%w: it is that of a node of a cluster which has no place yet", ErrIdentity)
	}
	return fmt.Errorf("%w: it is that of node %d of a cluster, and must be opened as such", ErrIdentity, id.Node)
}

func parseIdentity(text []byte) (*identity, error) {
	id := &identity{}
	if err := json.Unmarshal(text, id); err != nil {
		return nil, fmt.Errorf("server: %s: %w", nodeFile, err)
	}
	switch {
	case id.Format != nodeFormat:
		return nil, fmt.Errorf("%w: %s has format %d, this version knows %d", ErrFormat, nodeFile, id.Format, nodeFormat)
	case !isHex(id.Token, 16), id.born() != isHex(id.Cluster, 32):
		return nil, fmt.Errorf("server: %s is damaged", nodeFile)
	}
	return id, nil
}

// isHex reports whether text is so many hex digits, not all of them 0.
func isHex(text string, digits int) bool {
	zeros := 0
	for _, c := range []byte(text) {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
		if c == '0' {
			zeros++
		}
	}
	return len(text) == digits && zeros < digits
}

func newToken(e *env.Env) string { return fmt.Sprintf("%016x", e.Rand()|1) }

// write replaces the file.
func (id *identity) write(fs vfs.FS) error {
	text, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return err
	}
	f, err := fs.Create(nodeTemp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(append(text, '\n'), 0)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(nodeTemp, nodeFile); err != nil {
		return err
	}
	return fs.SyncDir("")
}
