// Package plant holds bugs that are planted on purpose, to find out whether the
// simulator finds them.
//
// A site is one line, in the terms of the code around it:
//
//	if mustSync && !plant.On(plant.AckBeforeFsync) {
//
// Without the build tag plantedbugs On is a constant false: the compiler drops
// the branch, and nothing of the bugs is in the program, not even their names.
// With the tag one bug at a time is chosen by Set, and Registry says what each
// does, where, and which checker is expected to tell of it.
//
//	go build -tags plantedbugs -o stator-bugs ./cmd/stator
//	./stator-bugs sim bugs
//
// A bug belongs here if someone could have written it, if no other test of the
// rooms is needed to see that it is one, and if it changes what a client or an
// operator can see: a change that nobody could ever notice is not a bug, and goes
// from the list. docs/planted-bugs.md has the table of how fast each is found.
package plant

// A Bug names a planted bug. None is no bug.
type Bug uint16
