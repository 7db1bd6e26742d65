package plant

// The bugs, by room. What each does is said in Registry.
const (
	None Bug = iota

	// lsm
	ManifestNameUnsynced
	TableUnsynced
	TableNameUnsynced
	FlushedTooMuch
	FlushOutOfOrder
	FilterFalseNegative
	SeparatorTooShort
	ChecksumUnchecked
	TombstoneDropped
	SnapshotIgnored
	RangeDeleteEndIncluded
	NewerTakenDownFirst
	UpperBoundIncluded
	RunnerUpNotAsked
	FilteredScanIgnoresTables
	BitmapRowShifted
	LiveValuesDropped

	// lsm/wal
	SyncErrorIgnored
	SegmentNameUnsynced
	TornRecordAccepted
	StaleRecordAccepted

	// replication
	AckBeforeFsync
	HardStateLost
	LogTruncatedEarly
	UnknownReportedAsFailed
	AnswersCrossed
	LogSpaceNotReserved
	VoteUnsynced
	CommitBeforeEntries
	StaleLeaderRead
	LeaseFromReceipt
	LeaseOutlivesPromise
	NewLeaderDoesNotWait
	PromiseForgotten
	SnapshotFailureUnreported

	// partition
	DoubleApplyAfterRestart
	ConditionOnStaleRow
	OldImageAfterWrite
	LocalEntryKept
	GlobalEntryKept
	CollectionSizeStale
	ItemCountDrifts
	BackfillSkipsRow
	RequestCarriedOutAgain
	SnapshotOmitsRequests

	// table
	IndexUpdateLostOnCrash
	ChangesTrimmedEarly
	IndexBatchErrorIgnored
	ExpiryNotRechecked
	UnprocessedForgotten
	PageSkipsRow
	FollowerReadServed

	// transactions
	WriteIgnoresPrepared
	PreparedTwice
	CheckKeepsTimestamp
	TokenIgnored
	LateCommit
	ReadsOnce
)
