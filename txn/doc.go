// Package txn has what transactions follow: hybrid logical time, the rule of participants, the ledger, the
// coordinator.
//
// A transaction changes several items, or none of them. Package txn knows neither items nor how messages
// travel: it has the rules, and state machines that say what is to be sent.
//
// Reading order: timestamp.go (the time), clock.go (one node's clock), id.go, participant.go (the rule of
// the paper), ledger.go (how a decision is made once), coordinator.go (who goes through the participants, and who
// finishes what others have left). search_test.go goes through every interleaving of them. See docs/transactions.md.
package txn
