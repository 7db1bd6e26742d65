package table

import (
	"strings"
	"unicode"
)

// maxTags is how many tags a table may have; Developer Guide, "Service,
// account, and table quotas". The lengths of a tag are constraints of the API's
// model, checked at the edge.
const maxTags = 50

// checkTags checks all tags of a table.
func checkTags(d *Definition) error {
	if len(d.Tags) > maxTags {
		return invalidValue("Number of tags exceeds the per-table limit of %d", maxTags)
	}
	seen := make(map[string]bool, len(d.Tags))
	for _, t := range d.Tags {
		switch {
		case seen[t.Key]:
			return duplicateTag(t.Key)
		case strings.HasPrefix(t.Key, "aws:"):
			return invalidValue("Tag keys must not begin with the reserved prefix aws:, got: %s", t.Key)
		case strings.ContainsFunc(t.Key, notInTags), t.Key != FacetsTag && strings.ContainsFunc(t.Value, notInTags):
			return invalidValue("Tags may have letters, digits, blanks and + - = . _ : / @ only, got: %s=%s", t.Key, t.Value)
		}
		seen[t.Key] = true
	}
	return nil
}

func duplicateTag(key string) error { return invalidValue("Duplicate tag key: %s", key) }

func notInTags(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsSpace(r) && !strings.ContainsRune("+-=._:/@", r)
}
