package server

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"github.com/statordb/stator/item"
	"github.com/statordb/stator/server/api"
)

// A NextToken says where a statement goes on. It is base64 of
//
//	+------------+---------------+-----------------+-------------------------+-----------+
//	| version 1B | statement 16B | query (varint)  | start key, may be empty | crc32c 4B |
//	+------------+---------------+-----------------+-------------------------+-----------+
//
// where statement is the head of a SHA-256 of the text and its parameters, the
// start key is in the form of package item, and the checksum, little-endian,
// covers all before it.
//
// It is no secret and no proof: what it says of the start key is checked like
// any ExclusiveStartKey, so a token that a client makes up reads nothing that
// the client could not read by Query.
const tokenVersion = 1

const (
	tokenStatementBytes = 16
	tokenLeastBytes     = 1 + tokenStatementBytes + 1 + 4
)

var (
	errTokenForm  = validationFault("Invalid NextToken")
	errTokenOther = validationFault("NextToken does not match request")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// statementToken returns the token for going on at a position.
func statementToken(statement [tokenStatementBytes]byte, at *position) string {
	b := append([]byte{tokenVersion}, statement[:]...)
	b = binary.AppendUvarint(b, uint64(at.query))
	b = append(b, at.start...)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return base64.StdEncoding.EncodeToString(b)
}

// parseToken returns the position in a token of the same statement.
func parseToken(token string, statement [tokenStatementBytes]byte) (at position, err error) {
	b, err := base64.StdEncoding.DecodeString(token)
	if err != nil || len(b) < tokenLeastBytes || b[0] != tokenVersion {
		return at, errTokenForm
	}
	body, sum := b[:len(b)-4], b[len(b)-4:]
	if binary.LittleEndian.Uint32(sum) != crc32.Checksum(body, castagnoli) {
		return at, errTokenForm
	}
	if string(body[1:1+tokenStatementBytes]) != string(statement[:]) {
		return at, errTokenOther
	}
	rest := body[1+tokenStatementBytes:]
	query, width := binary.Uvarint(rest)
	if width <= 0 || query >= maxHashValues {
		return at, errTokenForm
	}
	at.query = int(query)
	if start := rest[width:]; len(start) > 0 {
		at.start = item.Item(start)
		if item.Check(at.start) != nil {
			return position{}, errTokenForm
		}
	}
	return at, nil
}

// statementDigest tells statements with their parameters apart.
func statementDigest(text string, parameters []api.Value) (d [tokenStatementBytes]byte) {
	b := binary.AppendUvarint(nil, uint64(len(text)))
	b = append(b, text...)
	for i := range parameters {
		b = binary.AppendUvarint(b, uint64(len(parameters[i].Value)))
		b = append(b, parameters[i].Value...)
	}
	sum := sha256.Sum256(b)
	copy(d[:], sum[:])
	return d
}
