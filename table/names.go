package table

import (
	"fmt"
	"strings"

	"github.com/statordb/stator/internal/env"
)

// arn returns the ARN of a table.
func (s *Service) arn(name string) string {
	return s.arnPrefix + name
}

// name returns the table name that a request means by a name or an ARN, "" when
// the ARN is not that of a table of this region and account.
func (s *Service) name(table string) string {
	if !strings.HasPrefix(table, "arn:") {
		return table
	}
	name, ok := strings.CutPrefix(table, s.arnPrefix)
	if !ok || strings.Contains(name, "/") {
		return ""
	}
	return name
}

// newName returns the name of a table that is to be created by a name, which
// has been checked, or an ARN, whose last part has not.
//
// Errors: *ValidationError.
func (s *Service) newName(table string) (string, error) {
	name := s.name(table)
	if name != table && !isTableName(name) {
		return "", refuse("Invalid TableArn: Invalid ResourceArn provided as input %s", table)
	}
	return name, nil
}

// isTableName reports whether name has 3 to 255 of the characters that names
// of tables have.
func isTableName(name string) bool {
	return len(name) >= 3 && len(name) <= 255 && !strings.ContainsFunc(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_.-", r))
	})
}

// newUUID returns a random (version 4) UUID in its usual form.
func newUUID(e *env.Env) string {
	high, low := e.Rand(), e.Rand()
	high = high&^0xf000 | 0x4000
	low = low&^(3<<62) | 2<<62
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", high>>32, high>>16&0xffff, high&0xffff, low>>48, low&(1<<48-1))
}
