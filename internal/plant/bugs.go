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
	SnapshotOffByOne
	LastKeyMissed
	RangeDeleteLostInFlush
	TombstoneUnderSnapshot
	SequenceReused
	FileNumberReused
	StoreLogUnsynced
	ExcisedBeforeFlush

	// lsm/wal
	SyncErrorIgnored
	SegmentNameUnsynced
	SealUnsynced
	TornRecordAccepted
	StaleRecordAccepted

	// replication
	AckBeforeFsync
	HardStateLost
	LogTruncatedEarly
	PendingSegmentRemoved
	UnknownReportedAsFailed
	AnswersCrossed
	LogSpaceNotReserved
	VoteUnsynced
	StaleLeaderRead
	LeaseFromReceipt
	LeaseOutlivesPromise
	NewLeaderDoesNotWait
	PromiseForgotten
	SnapshotFailureUnreported
	LeaseIgnoresDrift
	LeaseWithoutQuorum
	EvenQuorum
	VoteHidesPromise
	LeaseKeptInTransfer
	AcknowledgedBeforeWrite
	TermUnsaved
	LeadsTooEarly
	ConflictingTailKept
	CheckpointWithoutVote
	RetiredVoteForgotten
	EmptyReplicaVotes
	ChildNotBound
	LeaseIgnoresOutgoing
	InstallUnsynced

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
	SnapshotNotPinned
	ForgottenRequestNew
	WindowNotReloaded
	MembersForgotten
	SplitForgetsRequests
	SplitKeepsHashes
	SplitCountsTwice
	ParentAnswersForChild
	DropTakesNeighbours
	RepeatedAnswerLost
	WindowNeverSmaller
	FloorFalls
	DeletesForgotten

	// table
	IndexUpdateLostOnCrash
	ChangesTrimmedEarly
	IndexBatchErrorIgnored
	ExpiryNotRechecked
	UnprocessedForgotten
	PageSkipsRow
	FollowerReadServed
	UnknownForgotten
	RequestNamesReused
	RemoteReadUnsettled
	LaterPagesStale
	ScanStopsAtEmpty
	ChildOvertakesParent
	ScanTrustsOldMap
	UnprocessedMixedUp
	RetryUnderNewName
	OldItemsExpire
	ExpiresTooEarly

	// server
	EdgeQueryNotConsistent
	EdgeDropsLastKey
	EdgeForgetsUnprocessed

	// transactions
	WriteIgnoresPrepared
	PreparedTwice
	CheckKeepsTimestamp
	TokenIgnored
	LateCommit
	ReadsOnce
	AnsweredBeforeDecision
	PreparedLostAtStart
	ResolvedAgain
	TimestampFalls
	UnilateralAbort
	SnapshotOmitsPrepared
	SnapshotOmitsTokens
	SplitForgetsPrepared
	PreparedReadAsOld
	ForgottenEarly
	RefusalTakenForYes
	CommitForgetsItems
	CancelCommits
	ForgottenTakenForUndecided
	FenceForgotten
	ImplicitCommitIgnored
	CancelledUnfenced
	StagedForgotten
	ParentKeepsDecisions
	MarksUntold
	IdleWithDecisions
	ZoneTakenTwice
	ZoneLeftOut
	SnapshotMembersIgnored
	MembersKnownEarly
	ComesAsVoter
	RecordsKept
)
