// Package compaction decides which tables to merge next.
//
// It only looks at a View and answers with a Pick; carrying it out is the engine's
// business. After Sarkar et al., "Constructing and Analyzing the LSM Compaction
// Design Space" (VLDB 2021), a compaction is four choices:
//
//	trigger      when: a level too large, too many runs, tombstones, age
//	layout       how many sorted runs there are, and how large
//	granularity  how much at once: a table with what lies below it, whole runs
//	movement     which of the candidates: the least work, most tombstones, oldest
//
// A Policy makes them. There are four:
//
//	             runs               trigger           granularity  good for
//	Leveled      one per level      size of a level   table        reads, space
//	Tiered       K per size class   K of one size     runs         writes
//	LazyLeveled  tiered, one large  K of one size     runs         writes, less space
//	             run at the end
//	FIFO         level 0 only       size, age         table        logs, caches
//
// A sorted run is a table of level 0, or all of a deeper level: so a version needs
// no further notion of runs, and whatever the policy, a read looks at level 0 table
// by table and at every other level once. A database may be opened with
// another policy at any time; it takes the tables as it finds them.
//
// Reading order: pick.go, view.go, policy.go; leveled.go, tiered.go, fifo.go;
// tombstones.go; manual.go for what a caller asks for.
package compaction
