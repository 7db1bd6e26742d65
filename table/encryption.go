package table

import "strings"

// Stator keeps the choice of a key for encryption at rest, and shows it; what is
// on disk is as encrypted as the disk is.

// checkEncryption checks the choice of a key of a new table.
func checkEncryption(d *Definition) error { return d.SSE.check() }

func (s *SSESpec) check() error {
	switch {
	case s == nil:
	case s.Type == "AES256":
		return invalidValue("SSEType AES256 is not supported")
	case !s.Enabled && (s.Type != "" || s.KMSKeyID != ""):
		return invalidValue("SSEType and KMSMasterKeyId may not be specified when Enabled is false")
	}
	return nil
}

// changeEncryption chooses another key.
func (u *UpdateTableRequest) changeEncryption(r *record) error {
	current := r.def.SSE
	if current == nil {
		current = &SSESpec{}
	}
	switch {
	case u.SSE == nil:
		return nil
	case !u.SSE.Enabled && !current.Enabled:
		return invalidValue("Table is already encrypted by default")
	case u.SSE.Enabled && current.Enabled && u.SSE.KMSKeyID == current.KMSKeyID:
		return invalidValue("Table is already encrypted by given KMSMasterKeyId")
	}
	r.def.SSE = u.SSE
	return nil
}

// keyARN returns the ARN of a key that is named by an ARN, an alias or an id; "" is the
// key that the service manages.
func (sp *space) keyARN(key string) string {
	prefix := "arn:aws:kms:" + sp.region + ":" + sp.account + ":"
	switch {
	case key == "":
		return prefix + "alias/aws/dynamodb"
	case strings.HasPrefix(key, "arn:"):
		return key
	case strings.HasPrefix(key, "alias/"):
		return prefix + key
	}
	return prefix + "key/" + key
}
