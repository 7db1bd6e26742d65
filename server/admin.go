package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/statordb/stator/internal/transport"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

// Operators ask a node over HTTP, if it was started so:
//
//	POST /_stator/admin/OPERATION[?node=N]    {...}
//
// with the header X-Stator-Admin, which keeps web pages out. With node=N another node
// carries it out. Operations about the cluster are handed to the node in charge like
// those on tables, under names that begin with adminPrefix.
const (
	adminPath   = "/_stator/admin/"
	adminHeader = "X-Stator-Admin"
	adminPrefix = "admin:"
	maxAdmin    = 64 << 10 // bytes of a request

	adminTimeout = 10 * time.Second
)

// An AdminRequest is what operations of operators take. Each looks at what it needs.
type AdminRequest struct {
	Node    uint64   `json:"node,omitempty"`
	Group   uint64   `json:"group,omitempty"`
	From    uint64   `json:"from,omitempty"`
	Table   string   `json:"table,omitempty"`
	Hash    uint64   `json:"hash,omitempty"`
	Nodes   []uint64 `json:"nodes,omitempty"`
	Zone    string   `json:"zone,omitempty"`
	Address string   `json:"address,omitempty"`
	Token   string   `json:"token,omitempty"`
	Delay   string   `json:"delay,omitempty"` // as in "1.5ms"
	Force   bool     `json:"force,omitempty"`
}

// An AdminStatus is how a node sees itself and its cluster.
type AdminStatus struct {
	Node    uint64             `json:"node"`
	Zone    string             `json:"zone"`
	Cluster string             `json:"cluster,omitempty"`
	Leader  uint64             `json:"leader"` // of the catalog; 0: not known
	Ready   bool               `json:"ready"`  // it has heard from the leader since its start
	Members []AdminMember      `json:"members"`
	Groups  []table.GroupState `json:"groups,omitempty"`
}

// An AdminMember is a node of the cluster.
type AdminMember struct {
	Node        uint64 `json:"node"`
	Zone        string `json:"zone"`
	Address     string `json:"address"`
	State       string `json:"state"`
	Unreachable bool   `json:"unreachable,omitempty"` // from the node that is asked
	Cut         bool   `json:"cut,omitempty"`         // from it, on purpose
	Delay       string `json:"delay,omitempty"`       // of what that one sends to it, on purpose
}

// adminOperations are those that the node has, by name.
func (s *Server) adminOperations() map[string]operation {
	all := map[string]operation{
		"Nodes":  administer(func(*AdminRequest) (any, error) { return s.status(), nil }),
		"Groups": administer(func(*AdminRequest) (any, error) { return s.statusWithGroups(), nil }),
	}
	for name, f := range s.groupOperations() {
		all[name] = administer(f)
	}
	for name, f := range s.local {
		all[name] = administer(f)
	}
	return all
}

// administer makes an operation of a function.
func administer(f func(*AdminRequest) (any, error)) operation {
	return func(body []byte) (api.Output, error) {
		in := &AdminRequest{}
		if err := json.Unmarshal(body, in); err != nil {
			return nil, adminFault(err)
		}
		out, err := f(in)
		var elsewhere *table.ElsewhereError
		if errors.As(err, &elsewhere) {
			return nil, err
		}
		if err != nil {
			return nil, adminFault(err)
		}
		text, err := json.Marshal(out)
		return foreignAnswer(text), err
	}
}

// adminFault tells an operator all there is to tell.
func adminFault(err error) error {
	return &fault{dynamodb, "AdminException", "message", err.Error()}
}

// admin carries out an operation here, or where it must be done.
func (s *Server) admin(name string, body []byte) (api.Output, error) {
	run := s.adminOperations()[name]
	if run == nil {
		return nil, adminFault(fmt.Errorf("server: this node has no operation %s", name))
	}
	out, err := run(body)
	var elsewhere *table.ElsewhereError
	if s.calls != nil && errors.As(err, &elsewhere) {
		return s.forward(&forwarded{name: adminPrefix + name, body: body}, elsewhere.Leader, run)
	}
	return out, err
}

// adminAt has another node carry it out.
func (s *Server) adminAt(node uint64, name string, body []byte) (api.Output, error) {
	if s.calls == nil {
		return nil, adminFault(errors.New("server: this node is not one of a cluster"))
	}
	f := &forwarded{name: adminPrefix + name, body: body}
	b, err := s.calls.Call(transport.NodeID(node), callOperate, f.encode(), adminTimeout)
	if err != nil {
		return nil, adminFault(err)
	}
	a, err := decodeForwardAnswer(b)
	switch {
	case err != nil:
		return nil, adminFault(err)
	case a.elsewhere:
		return nil, adminFault(&table.ElsewhereError{Leader: a.leader})
	case a.status != http.StatusOK:
		return nil, &foreignError{a.status, a.body}
	}
	return foreignAnswer(a.body), nil
}

// serveAdmin answers HTTP.
func (s *Server) serveAdmin(w http.ResponseWriter, r *http.Request) {
	out, status := s.answerAdmin(w, r)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(out)
}

func (s *Server) answerAdmin(w http.ResponseWriter, r *http.Request) ([]byte, int) {
	if r.Method != http.MethodPost || r.Header.Get(adminHeader) == "" || r.Header.Get("Origin") != "" {
		return nil, http.StatusForbidden
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAdmin))
	if err != nil {
		return nil, http.StatusBadRequest
	}
	name, node := strings.TrimPrefix(r.URL.Path, adminPath), uint64(0)
	if text := r.URL.Query().Get("node"); text != "" {
		if node, err = strconv.ParseUint(text, 10, 64); err != nil {
			return appendError(nil, adminFault(err))
		}
	}
	var out api.Output
	if node != 0 && s.calls != nil && node != uint64(s.calls.Self()) {
		out, err = s.adminAt(node, name, body)
	} else {
		out, err = s.admin(name, body)
	}
	if err != nil {
		if translate(err) == nil {
			err = adminFault(err)
		}
		return appendError(nil, translate(err))
	}
	return out.AppendJSON(nil), http.StatusOK
}

// status returns how the node sees the cluster.
func (s *Server) status() *AdminStatus {
	st := &AdminStatus{Node: nodeID, Ready: s.tables.Ready()}
	if c := s.cluster; c != nil {
		st.Node, st.Zone = c.Node, c.Zone
	}
	st.Leader, _ = s.tables.Leader()
	for _, m := range s.tables.Members() {
		a := AdminMember{Node: m.ID, Zone: m.Zone, Address: m.Address, State: m.State}
		if s.cluster != nil {
			a.Unreachable = s.cluster.Transport.Unreachable(transport.NodeID(m.ID))
		}
		st.Members = append(st.Members, a)
	}
	if s.complete != nil {
		s.complete(st)
	}
	return st
}

func (s *Server) statusWithGroups() *AdminStatus {
	st := s.status()
	st.Groups = s.tables.Groups()
	slices.SortFunc(st.Groups, func(a, b table.GroupState) int { return int(int64(a.ID) - int64(b.ID)) })
	return st
}
