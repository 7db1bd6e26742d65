//go:build plantedbugs

package plant

import "fmt"

// An Entry describes a bug.
type Entry struct {
	Bug   Bug
	Name  string
	Room  string
	What  string // one sentence
	Found string // the checkers of which one is expected to tell of it; see sim.CheckerOf
	After string // a paper, an incident or a class of bugs known from elsewhere
}

// Registry has an entry for every bug, in their order.
var Registry = []Entry{
	{ManifestNameUnsynced, "manifest-name-unsynced", "lsm", "The new CURRENT is renamed into place, but its directory is not synced.", "boot, damage", "Pillai et al., All File Systems Are Not Created Equal, OSDI 2014; LevelDB"},
	{TableUnsynced, "table-unsynced", "lsm", "A table is named in the manifest before its bytes are synced.", "boot, damage, linearizability", "Zheng et al., Torturing Databases for Fun and Profit, OSDI 2014"},
	{TableNameUnsynced, "table-name-unsynced", "lsm", "A table is named in the manifest before the directory that has its name is synced.", "boot, damage", "Pillai et al., OSDI 2014"},
	{FlushedTooMuch, "flushed-too-much", "lsm", "A flush records that everything visible is flushed, not only what was in its memtable.", "linearizability, boot", "lost updates after recovery: RocksDB with several column families and no WAL"},
	{FlushOutOfOrder, "flush-out-of-order", "lsm", "Of two memtables that are flushed side by side the newer one may be recorded first.", "linearizability, progress, boot", "RocksDB: out-of-order flush results"},
	{FilterFalseNegative, "filter-false-negative", "lsm", "The filter of a table denies one key in 64 that the table has.", "engine, linearizability", "Bloom filter hash mismatches between versions"},
	{SeparatorTooShort, "separator-too-short", "lsm", "The index key between two blocks is one byte too short, so that keys are looked for in the wrong block.", "engine, linearizability", "LevelDB issue 320 and successors: FindShortestSeparator"},
	{ChecksumUnchecked, "checksum-unchecked", "lsm", "The checksums of mapped blocks are never looked at.", "damage", "Bairavasundaram et al., Data Corruption in the Storage Stack, FAST 2008"},
	{TombstoneDropped, "tombstone-dropped", "lsm", "A compaction drops tombstones although older versions lie below its output.", "engine, linearizability", "resurrected keys: LevelDB, Cassandra"},
	{SnapshotIgnored, "snapshot-ignored", "lsm", "Flushes and compactions drop versions that only an open snapshot sees.", "linearizability", "RocksDB: snapshots released or ignored by compaction"},
	{RangeDeleteEndIncluded, "range-delete-end-included", "lsm", "A range delete also hides the key at its end.", "mirror, linearizability, boot", "Pebble: range tombstone truncation"},
	{NewerTakenDownFirst, "newer-taken-down-first", "lsm", "The newest table of level 0 is merged below older ones.", "linearizability, mirror, boot", "LevelDB issue 200-odd: overlapping level-0 inputs not taken"},
	{UpperBoundIncluded, "upper-bound-included", "lsm", "An iterator shows the key at its upper bound.", "linearizability, query", "off by one"},
	{RunnerUpNotAsked, "runner-up-not-asked", "lsm", "A merge keeps to its last source without comparing it with the runner-up.", "linearizability, mirror", "loser trees: a cached comparison gone stale"},
	{FilteredScanIgnoresTables, "filtered-scan-ignores-tables", "lsm", "A filtered scan does not ask newer tables whether they hide a row.", "linearizability, damage", "secondary bitmap over a log-structured store"},
	{BitmapRowShifted, "bitmap-row-shifted", "lsm", "The bitmaps of a table are off by one row.", "engine, linearizability", "ordinals shift after a merge"},
	{LiveValuesDropped, "live-values-dropped", "lsm", "A value file is dropped when half of it is garbage, although the rest is not moved yet.", "damage, boot", "WiscKey, FAST 2016: garbage collection of the value log; Badger"},
	{SnapshotOffByOne, "snapshot-off-by-one", "lsm", "A merge takes the version that a snapshot was opened at for one that is newer.", "replicas", "off by one: LevelDB's smallest_snapshot"},
	{LastKeyMissed, "last-key-missed", "lsm", "A seek to the last key of a table goes on to the table behind it.", "linearizability, mirror, boot", "off by one: FindFile"},
	{RangeDeleteLostInFlush, "range-delete-lost-in-flush", "lsm", "A flush does not write the range deletes of its memtable.", "tables, boot, replicas", "a second kind of tombstone that one path forgets: RocksDB DeleteRange"},
	{TombstoneUnderSnapshot, "tombstone-under-snapshot", "lsm", "A compaction drops a tombstone, as nothing lies below its output, although a snapshot sees the version that it hides, which stays.", "replicas, linearizability", "LevelDB, RocksDB: deletion markers and snapshots"},
	{SequenceReused, "sequence-reused", "lsm", "A store that starts again gives some of the latest sequence numbers a second time.", "counters, linearizability, replicas", "numbers that a restart resets"},
	{FileNumberReused, "file-number-reused", "lsm", "A store that starts again gives the latest file numbers a second time.", "replicas, boot, progress", "LevelDB: file numbers after recovery"},
	{StoreLogUnsynced, "store-log-unsynced", "lsm", "A batch is acknowledged before the engine's own log is synced.", "engine", "LevelDB and HyperDex in Pillai et al., OSDI 2014"},
	{ExcisedBeforeFlush, "excised-before-flush", "lsm", "Tables within an excised range go before the range delete is durable that hides the rest of it.", "engine", "RocksDB: DeleteFilesInRange"},

	{SyncErrorIgnored, "sync-error-ignored", "lsm/wal", "A failed sync of the log counts as done.", "linearizability, boot", "Rebello et al., Can Applications Recover from fsync Failures, ATC 2020; PostgreSQL's fsyncgate"},
	{SegmentNameUnsynced, "segment-name-unsynced", "lsm/wal", "A new segment of the log takes records before the directory that has its name is synced.", "linearizability, boot", "Pillai et al., OSDI 2014"},
	{SealUnsynced, "seal-unsynced", "lsm/wal", "A segment of the log is ended before its last records are synced, and the end says that they are.", "boot", "a checkpoint that reaches the disk before what it vouches for"},
	{TornRecordAccepted, "torn-record-accepted", "lsm/wal", "A record of the log counts as whole if its header is.", "boot, linearizability, damage", "torn writes: ALICE, OSDI 2014"},
	{StaleRecordAccepted, "stale-record-accepted", "lsm/wal", "The checksum of a record does not cover its segment, so that one left from an earlier use of the file passes.", "boot, linearizability", "log recycling in RocksDB"},

	{AckBeforeFsync, "ack-before-fsync", "replication", "Entries are applied and answered before the log is synced.", "linearizability, boot", "Jepsen: Elasticsearch, Redis-Raft"},
	{HardStateLost, "hard-state-lost", "replication", "Term and vote are not written to the log.", "election, boot", "Ongaro, Raft, section 3.8: persisted state"},
	{LogTruncatedEarly, "log-truncated-early", "replication", "Segments of the log go when their entries are applied, before the store has flushed them.", "linearizability, boot", "write-ahead rule: ARIES, 1992"},
	{PendingSegmentRemoved, "pending-segment-removed", "replication", "Segments of the log go although entries in them are not applied.", "panic, boot", "truncation by the wrong index"},
	{UnknownReportedAsFailed, "unknown-reported-as-failed", "replication", "A proposal whose fate is open is answered as if nothing had happened.", "linearizability", "Jepsen: indeterminate errors reported as failures, in etcd and MongoDB clients"},
	{AnswersCrossed, "answers-crossed", "replication", "The commands of one entry get each other's answers.", "linearizability, damage", "batching"},
	{LogSpaceNotReserved, "log-space-not-reserved", "replication", "A proposal is taken although the disk has no room for it.", "progress, error", "etcd: no space left while raft is under way"},

	{VoteUnsynced, "vote-unsynced", "replication", "A vote is cast before it is durable.", "election", "Ongaro, Raft, section 3.8; etcd: MustSync"},
	{StaleLeaderRead, "stale-leader-read", "replication", "A leader goes on to serve consistent reads when its lease is over.", "linearizability", "Jepsen: etcd and Consul, 2014; MongoDB, 2015"},
	{LeaseFromReceipt, "lease-from-receipt", "replication", "A lease counts from when an answer was received, not from when what it answers was sent.", "linearizability", "Ongaro, Raft, section 6.4.1; Gray, Cheriton, Leases, SOSP 1989"},
	{LeaseOutlivesPromise, "lease-outlives-promise", "replication", "A lease lasts longer than voters have promised.", "linearizability", "Gray, Cheriton, SOSP 1989"},
	{NewLeaderDoesNotWait, "new-leader-does-not-wait", "replication", "A new leader does not wait for the lease of the one before.", "linearizability", "Gray, Cheriton, SOSP 1989"},
	{PromiseForgotten, "promise-forgotten", "replication", "A voter that was started again has forgotten what it promised to a leader.", "linearizability", "Gray, Cheriton, SOSP 1989: recovery of a lessor"},
	{SnapshotFailureUnreported, "snapshot-failure-unreported", "replication", "Raft is not told that a snapshot did not arrive, and takes the member for busy for ever.", "progress, replicas", "etcd raft: ReportSnapshot"},
	{LeaseIgnoresDrift, "lease-ignores-drift", "replication", "A lease leaves no room for clocks that run at different rates.", "leases, linearizability", "Gray, Cheriton, SOSP 1989: clock drift"},
	{LeaseWithoutQuorum, "lease-without-quorum", "replication", "A lease counts from the newest echo instead of that of a majority.", "leases, linearizability", "quorums: off by one"},
	{EvenQuorum, "even-quorum", "replication", "Of an even number of voters a half counts as a majority, for leases.", "leases, linearizability", "quorums: off by one, seen with an even number only"},
	{VoteHidesPromise, "vote-hides-promise", "replication", "A vote does not say what its voter has promised to an earlier leader.", "leases, linearizability", "Gray, Cheriton, SOSP 1989; CockroachDB: leases and raft leadership"},
	{LeaseKeptInTransfer, "lease-kept-in-transfer", "replication", "A leader that hands over keeps its lease.", "leases, linearizability", "TiKV: lease read and leader transfer"},
	{AcknowledgedBeforeWrite, "acknowledged-before-write", "replication", "A follower says that it has entries before they are written.", "durability, replicas", "Ongaro, Raft, section 3.8; parallel appends done wrong"},
	{TermUnsaved, "term-unsaved", "replication", "A new term is written only together with a vote.", "durability, election", "Ongaro, Raft, section 3.8: persisted state"},
	{LeadsTooEarly, "leads-too-early", "replication", "A leader serves before it has applied the entries of earlier terms.", "linearizability, leases", "Ongaro, Raft, section 6.4: the no-op of a new leader"},
	{ConflictingTailKept, "conflicting-tail-kept", "replication", "An entry that takes the place of another one leaves that in memory.", "log-matching, replicas, panic", "conflicting suffixes: truncation off by one"},
	{CheckpointWithoutVote, "checkpoint-without-vote", "replication", "The checkpoint at the beginning of a segment of the log leaves out the vote.", "durability, election", "state that only the first of two places keeps"},
	{RetiredVoteForgotten, "retired-vote-forgotten", "replication", "A replica that was removed and comes back has forgotten its term and vote.", "durability, election", "raft-dev: re-adding a server with an empty disk"},
	{EmptyReplicaVotes, "empty-replica-votes", "replication", "A replica that waits for its first snapshot takes part like any other.", "completeness, replicas, panic", "etcd: learners, and members with lost disks"},

	{ChildNotBound, "child-not-bound", "replication", "The first leader of a group that was split off does not wait for leases of the parent's leaders.", "leases, linearizability", "leases and splits: CockroachDB"},
	{LeaseIgnoresOutgoing, "lease-ignores-outgoing", "replication", "While members change, a lease rests on a majority of the new ones alone.", "leases", "Ongaro, Raft, section 4.3: joint consensus"},
	{InstallUnsynced, "install-unsynced", "replication", "The record that has a snapshot take the place of the log is not synced before the leader is told.", "durability, boot", "Ongaro, Raft, section 5.1: a snapshot is durable before the answer"},

	{DoubleApplyAfterRestart, "double-apply-after-restart", "partition", "After a restart the last applied entry is applied once more.", "linearizability", "state machines: applied index not atomic with its effects"},
	{ConditionOnStaleRow, "condition-on-stale-row", "partition", "A command does not see what earlier commands of the same entry have written.", "linearizability, replicas", "batched apply"},
	{OldImageAfterWrite, "old-image-after-write", "partition", "ReturnValues ALL_OLD of an overwrite shows the new item.", "linearizability", "aliasing of before and after image"},
	{LocalEntryKept, "local-entry-kept", "partition", "A write that moves an entry of a local index leaves the old one behind.", "mirror", "secondary index upkeep"},
	{GlobalEntryKept, "global-entry-kept", "partition", "A change that moves an entry of a global index does not bring the old key along.", "mirror", "secondary index upkeep"},
	{CollectionSizeStale, "collection-size-stale", "partition", "The size of an item collection forgets earlier commands of the same entry.", "counters", "batched apply"},
	{ItemCountDrifts, "item-count-drifts", "partition", "One delete in eight is not counted.", "counters", "statistics kept by increments"},
	{BackfillSkipsRow, "backfill-skips-row", "partition", "The backfill of a new index goes on behind the first row that it has not looked at.", "mirror", "pagination"},
	{RequestCarriedOutAgain, "request-carried-out-again", "partition", "A command whose fate was unknown and that is repeated under the same id is carried out again.", "linearizability, serializability", "Lee et al., Implementing Linearizability at Large Scale and Low Latency (RIFL), SOSP 2015"},
	{SnapshotOmitsRequests, "snapshot-omits-requests", "partition", "A snapshot leaves out which requests were carried out.", "replicas, linearizability", "Ongaro, Raft, section 6.3: sessions are part of the state"},
	{SnapshotNotPinned, "snapshot-not-pinned", "partition", "A snapshot that is sent shows what was written since it was taken.", "replicas, progress", "fuzzy checkpoints without a log position"},
	{ForgottenRequestNew, "forgotten-request-new", "partition", "A request that is repeated so late that it was forgotten counts as new.", "linearizability", "Lee et al., RIFL, SOSP 2015: when may a completion record go"},
	{WindowNotReloaded, "window-not-reloaded", "partition", "A replica that installs a snapshot goes on with the requests that it remembered before.", "replicas, linearizability", "caches beside the state that a snapshot replaces"},
	{MembersForgotten, "members-forgotten", "partition", "A change of members is not stored with the entry that makes it.", "replicas, election, boot", "raft: ConfState is part of the applied state"},
	{SplitForgetsRequests, "split-forgets-requests", "partition", "The child of a split does not know which requests its parent has carried out.", "linearizability, serializability", "Lee et al., RIFL, SOSP 2015: completion records migrate with the data"},
	{SplitKeepsHashes, "split-keeps-hashes", "partition", "The parent of a split goes on with the hashes that it has given away.", "linearizability, loss, mirror", "range splits: two owners of a key; stale epochs in TiKV and HBase"},
	{SplitCountsTwice, "split-counts-twice", "partition", "What the child of a split has is not taken out of the parent's counters.", "counters", "statistics at a split: CockroachDB's MVCCStats"},
	{ParentAnswersForChild, "parent-answers-for-child", "partition", "The parent of a split answers reads of keys that its child has, from the rows that it still sees.", "linearizability, serializability", "stale routing: a shard that serves what it no longer owns; MongoDB shard versions"},
	{DropTakesNeighbours, "drop-takes-neighbours", "partition", "A replica that is dropped takes all rows of its table on the node along.", "loss, replicas, mirror, linearizability", "range deletes of moved data: an end that is too far"},
	{RepeatedAnswerLost, "repeated-answer-lost", "partition", "A request that is repeated is answered with success, but not as it was.", "linearizability", "RIFL: a completion record without its result"},
	{WindowNeverSmaller, "window-never-smaller", "partition", "What a request that is forgotten took in memory stays counted, so that all are forgotten early until the next start.", "replicas", "a cached size that only grows; replicas that then differ by when they were started"},
	{FloorFalls, "floor-falls", "partition", "The number up to which requests of a node are too old is that of the last one forgotten, not the greatest.", "replicas, linearizability", "Lee et al., RIFL, SOSP 2015: requests of one client overtake each other"},
	{DeletesForgotten, "deletes-forgotten", "partition", "A replica that starts does not read when something was deleted last, so that an item that comes back may be older than one that went.", "replicas", "GC grace and timestamps of tombstones: Cassandra"},

	{IndexUpdateLostOnCrash, "index-update-lost-on-crash", "table", "After a restart the upkeep of indexes begins with the newest change, not behind the last trimmed one.", "mirror", "at-least-once delivery with a cursor in memory"},
	{ChangesTrimmedEarly, "changes-trimmed-early", "table", "Change records are trimmed that the indexes do not have yet.", "mirror", "consumer offset committed before processing"},
	{IndexBatchErrorIgnored, "index-batch-error-ignored", "table", "The upkeep goes on although an index partition has not taken its batch.", "mirror", "error paths: Yuan et al., Simple Testing Can Prevent Most Critical Failures, OSDI 2014"},
	{ExpiryNotRechecked, "expiry-not-rechecked", "table", "An expired item is deleted although it was prolonged since it was seen.", "expiry, linearizability", "check then act"},
	{UnprocessedForgotten, "unprocessed-forgotten", "table", "A write of a batch that was not carried out is not reported as unprocessed.", "linearizability", "BatchWriteItem: UnprocessedItems"},
	{PageSkipsRow, "page-skips-row", "partition", "LastEvaluatedKey is the row behind the last one of the page.", "linearizability, mirror", "pagination"},
	{FollowerReadServed, "follower-read-served", "table", "A consistent read is served by the nearest replica, whether it leads or not.", "linearizability, reference", "Jepsen: read from any replica"},
	{UnknownForgotten, "unknown-forgotten", "table", "A request is reported as not carried out because its last attempt was not, although an earlier one may have been.", "linearizability", "retries: Jepsen, indeterminate operations"},
	{RequestNamesReused, "request-names-reused", "table", "A node that starts again gives its requests the names that it used before.", "linearizability, loss", "sequence numbers that a restart resets"},
	{RemoteReadUnsettled, "remote-read-unsettled", "table", "A node answers consistent reads of others without asking whether it still leads.", "linearizability", "the path that a request takes when it is forwarded"},
	{LaterPagesStale, "later-pages-stale", "table", "The second page of a consistent query and those after it are not consistent.", "linearizability", "a flag that a continuation drops"},
	{ScanStopsAtEmpty, "scan-stops-at-empty", "table", "A scan ends at a partition without rows.", "linearizability, damage, mirror", "pagination: empty is not the end"},
	{ChildOvertakesParent, "child-overtakes-parent", "table", "The child of a split brings its changes to the indexes before the parent's from before the split are there.", "mirror", "order of a log that was divided: child shards after parents"},
	{ScanTrustsOldMap, "scan-trusts-old-map", "table", "A scan goes on where the partition ended by an old map, although that was split meanwhile.", "linearizability, mirror", "pagination over a partition map that changes"},
	{UnprocessedMixedUp, "unprocessed-mixed-up", "table", "Of the writes of a batch another one is reported as unprocessed than the one that is.", "linearizability", "BatchWriteItem: UnprocessedItems"},
	{RetryUnderNewName, "retry-under-new-name", "table", "A command that is sent again has another request id.", "linearizability, serializability", "RIFL: exactly once needs one name"},
	{OldItemsExpire, "old-items-expire", "table", "Items whose time passed more than five years ago are deleted, too.", "expiry", "Developer Guide, Time to Live"},
	{ExpiresTooEarly, "expires-too-early", "table", "Items expire an hour before their time.", "expiry", "units and time zones"},

	{EdgeQueryNotConsistent, "edge-query-not-consistent", "server", "The edge does not pass on that a query is to be consistent.", "linearizability", "a flag that one of many request types drops"},
	{EdgeDropsLastKey, "edge-drops-last-key", "server", "A page of which the filter has left nothing has no LastEvaluatedKey.", "linearizability", "Developer Guide: an empty page is not the last one"},
	{EdgeForgetsUnprocessed, "edge-forgets-unprocessed", "server", "Puts are left out of UnprocessedItems.", "linearizability", "BatchWriteItem: UnprocessedItems"},

	{WriteIgnoresPrepared, "write-ignores-prepared", "partition", "A single write is carried out although a transaction has taken the item.", "serializability, linearizability", "Idziorek et al., Distributed Transactions at Scale in Amazon DynamoDB, ATC 2023, section 4"},
	{PreparedTwice, "prepared-twice", "partition", "Two transactions may have taken one item at the same time.", "serializability", "Bernstein, Hadzilacos, Goodman, Concurrency Control and Recovery, 1987: lost locks"},
	{CheckKeepsTimestamp, "check-keeps-timestamp", "partition", "A condition check does not raise the timestamp from which on the item may be written.", "serializability", "ATC 2023, section 4: ConditionCheck advances the timestamp"},
	{TokenIgnored, "token-ignored", "partition", "A client request token that was used is not looked at.", "serializability", "idempotent retries"},
	{LateCommit, "late-commit", "partition", "A participant accepts a transaction of which it has said that it never will.", "serializability", "Skeen, Nonblocking Commit Protocols, SIGMOD 1981; recovery racing the coordinator"},
	{ReadsOnce, "reads-once", "table", "A transaction of reads does not look again whether its items have changed meanwhile.", "serializability", "ATC 2023, section 4: two-phase writeless reads"},
	{AnsweredBeforeDecision, "answered-before-decision", "table", "The client is told that its transaction is committed once all others are prepared, before the partition with the anchor is.", "serializability, linearizability", "Gray, Lamport, Consensus on Transaction Commit, TODS 2006"},
	{PreparedLostAtStart, "prepared-lost-at-start", "partition", "A replica that starts does not read which items transactions have taken.", "serializability, replicas", "ATC 2023, section 5: prepared state is durable"},
	{ResolvedAgain, "resolved-again", "partition", "The record of a prepared item stays in the store when it is resolved, so that it is written again after a restart.", "serializability, linearizability, replicas", "redo of a committed transaction: ARIES, 1992"},
	{TimestampFalls, "timestamp-falls", "partition", "A write takes the timestamp of its proposer, also if that is less than the item's.", "serializability, mirror", "ATC 2023, section 4: timestamps of an item ascend"},
	{UnilateralAbort, "unilateral-abort", "table", "A participant that has been prepared for long cancels without asking the ledger.", "serializability", "Skeen, SIGMOD 1981: a prepared participant must not abort by itself"},
	{SnapshotOmitsPrepared, "snapshot-omits-prepared", "partition", "A snapshot leaves out which items transactions have taken.", "replicas, serializability", "Ongaro, Raft, section 5: a snapshot is all of the state"},
	{SnapshotOmitsTokens, "snapshot-omits-tokens", "partition", "A snapshot leaves out the tokens of client requests.", "replicas, serializability", "Ongaro, Raft, section 6.3"},
	{SplitForgetsPrepared, "split-forgets-prepared", "partition", "The child of a split does not know which of its items transactions have taken.", "serializability", "range splits and locks: CockroachDB, TiKV"},
	{PreparedReadAsOld, "prepared-read-as-old", "table", "A consistent read takes an item that a transaction has taken as it was, without asking whether that is committed.", "linearizability, serializability", "ATC 2023, section 4: reads of prepared items"},
	{ForgottenEarly, "forgotten-early", "table", "The ledger forgets a committed transaction of which a participant was not told.", "serializability", "presumed abort: Mohan, Lindsay, Obermarck, TODS 1986"},
	{RefusalTakenForYes, "refusal-taken-for-yes", "table", "A coordinator takes the refusal of a participant for its consent.", "serializability, linearizability", "two-phase commit: half of a transaction"},
	{CommitForgetsItems, "commit-forgets-items", "partition", "Of the items that a participant has of a transaction that is committed, one is written.", "serializability, linearizability", "batched resolution of intents: CockroachDB"},
	{CancelCommits, "cancel-commits", "partition", "A cancelled transaction leaves behind what it had prepared to write.", "serializability, linearizability", "Adya: G1a, aborted reads"},
	{ForgottenTakenForUndecided, "forgotten-taken-for-undecided", "table", "A consistent read of an item that a transaction has taken takes it as it was if the ledger knows nothing of that one, which may have been forgotten meanwhile.", "linearizability, serializability", "presumed abort read backwards: absence is no answer; seen in this product"},
	{FenceForgotten, "fence-forgotten", "partition", "A participant that says never to accept a transaction does not record that, and may accept it later.", "serializability, linearizability", "Guo et al., Cornus: Atomic Commit for a Cloud DBMS with Storage Disaggregation, VLDB 2022: log once"},
	{ImplicitCommitIgnored, "implicit-commit-ignored", "table", "A consistent read takes an item as it was as long as no decision is recorded, although all participants have accepted the transaction.", "linearizability, serializability", "parallel commits: CockroachDB, SIGMOD 2020, status recovery"},
	{CancelledUnfenced, "cancelled-unfenced", "table", "A recovery cancels a transaction that a participant has not accepted yet, without having it say that it never will.", "serializability, linearizability", "parallel commits: CockroachDB, SIGMOD 2020; Skeen, SIGMOD 1981"},
	{StagedForgotten, "staged-forgotten", "partition", "A replica that starts does not read which transactions its partition has accepted as the one with the anchor.", "serializability, replicas, progress", "presumed abort: Mohan, Lindsay, Obermarck, TODS 1986"},
	{ParentKeepsDecisions, "parent-keeps-decisions", "partition", "The parent of a split goes on with the decisions of transactions that its child has, in memory.", "replicas", "a cache beside the state that a split divides"},
	{MarksUntold, "marks-untold", "partition", "Whoever counts for how long tokens are known is not told of a count that comes alone.", "replicas", "a copy for readers that one of several changes does not reach"},
	{IdleWithDecisions, "idle-with-decisions", "partition", "A partition that has decisions of transactions to be forgotten, and no taken item, says that it has nothing to do.", "replicas", "lost wake-ups: a summary flag that one of its parts does not set"},
	{ZoneTakenTwice, "zone-taken-twice", "table", "A replica that is made anew may go to a zone that has one of its group already.", "progress", "placement: one failure domain each, as HDFS places blocks by racks"},
	{ZoneLeftOut, "zone-left-out", "table", "A group that has given a broken replica up goes on with two.", "progress", "under-replicated blocks, as in HDFS"},
	{SnapshotMembersIgnored, "snapshot-members-ignored", "replication", "A replica that has taken in a snapshot goes on to watch the members that it knew before.", "replicas", "Ongaro, Raft, section 5.1: a snapshot brings the configuration"},
	{MembersKnownEarly, "members-known-early", "replication", "A leader says that its voters know that they are as soon as it has applied a change of them itself.", "durability", "Ongaro, Raft, section 4.2: a server acts on a configuration that others may not know to be committed; this project's ADR 44"},
	{ComesAsVoter, "comes-as-voter", "table", "A node that is given a replica of a group begins with it as if the group were new.", "replicas", "CockroachDB: replicas that are not initialized; etcd: initial-cluster-state new instead of existing"},
	{RecordsKept, "records-kept", "table", "Nobody takes away the record of a committed transaction whose coordinator has died.", "progress", "garbage that only the one who made it would collect"},
}

// Find returns the entry of that name.
func Find(name string) (Entry, error) {
	for _, e := range Registry {
		if e.Name == name {
			return e, nil
		}
	}
	return Entry{}, fmt.Errorf("plant: no bug %q", name)
}
