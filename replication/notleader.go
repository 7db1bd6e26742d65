package replication

import "fmt"

// A NotLeaderError says which node leads the group, as far as this one knows. It
// matches ErrNotLeader.
type NotLeaderError struct {
	Group  GroupID
	Leader uint64 // a hint; 0: none known
}

func (e *NotLeaderError) Error() string {
	if e.Leader == 0 {
		return fmt.Sprintf("%v: group %d has none that this node knows of", ErrNotLeader, e.Group)
	}
	return fmt.Sprintf("%v: node %d leads group %d", ErrNotLeader, e.Leader, e.Group)
}

// Is reports whether target is ErrNotLeader.
func (e *NotLeaderError) Is(target error) bool { return target == ErrNotLeader }

// notLeader is the error of a replica that is asked for what only a leader does.
func (g *Group) notLeader() error {
	return &NotLeaderError{Group: g.id, Leader: g.Leader()}
}
