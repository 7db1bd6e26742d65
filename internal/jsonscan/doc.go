// Package jsonscan reads one JSON text that lies in memory, in two passes.
//
// Valid checks the whole text once: RFC 8259 syntax, UTF-8 and a depth limit.
// A Scanner then pulls values out of the checked text in document order. It
// never looks for a syntax error again, keeps no stack, allocates nothing and
// hands out slices of the input, so a decoder that knows the shape it expects
// costs little more than the scan itself:
//
//	s := jsonscan.New(body)
//	s.EnterObject()
//	for name, ok := s.NextMember(); ok; name, ok = s.NextMember() {
//		switch string(name) {
//		case "Limit":
//			limit = s.Number()
//		default:
//			s.Skip()
//		}
//	}
//
// When the text is valid but a value has the wrong kind, DynamoDB answers with
// the words of its Java decoder. Mismatch is the one place that knows them.
//
// Reading order: valid.go (syntax), scanner.go (values), text.go (strings in
// and out), conversion.go (messages).
package jsonscan
