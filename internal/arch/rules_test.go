package arch

// module is the path of the module, and so of its root package.
const module = "github.com/statordb/stator"

// storeys says how high each room lies. A package belongs to the room of its
// first directory; internal/x is a room of its own. Imports run downhill only,
// and rooms on one storey do not know each other.
var storeys = map[string]int{
	"internal/arch":      0,
	"internal/env":       0,
	"internal/invariant": 0,
	"internal/jsonscan":  0,
	"internal/offheap":   0,
	"internal/plant":     0,
	"internal/nowait":    0,
	"internal/prefetch":  0,
	"internal/transport": 1, // on env, below the rooms that send
	"internal/vfs":       0,

	"item":     1,
	"capacity": 1,
	"iam":      1,
	"txn":      1,
	"lsm":      1,

	"expr":        2,
	"stream":      2,
	"replication": 2,

	"partition": 3,
	"table":     4,
	"dax":       5,
	"server":    6,

	"":           7, // package stator
	"statortest": 8,
	"sim":        9,
	"simtest":    10,
	"bench":      9,
	"cmd":        10,
}

// doors are the packages inside a room that other rooms may import. All others
// belong to their room alone.
var doors = map[string][]string{
	"bench/drive":  {"cmd"},         // what a workload says of simulated worlds
	"bench/gate":   {"cmd"},         // verdicts
	"bench/result": {"cmd"},         // what was measured
	"bench/suite":  {"cmd"},         // the command run
	"bench/trace":  {"cmd"},         // recording
	"expr/partiql": {"server"},      // the language of statements, which the edge turns into table operations
	"lsm/corrupt":  nil,             // the error that names damaged bytes; for everyone
	"lsm/wal":      {"replication"}, // the node's shared raft log is built on it

	"internal/transport/tcp": {"server", "cmd"}, // real connections, for real nodes
}

// deterministic are the rooms that run in simulated worlds.
var deterministic = []string{"internal/transport", "lsm", "partition", "txn", "replication", "stream", "capacity", "table", "dax"}

// shells are the packages of deterministic rooms that never run in a simulated
// world: something else stands in for them there.
var shells = []string{
	"internal/transport/tcp", // transport.Network
}

// insteadOfImport names the substitute for packages that the deterministic
// rooms must not import. A name that ends in / stands for all below it.
var insteadOfImport = map[string]string{
	"context":                "deadlines as env.Mono values and AwaitFor",
	"crypto/rand":            "env.Env.Rand",
	"github.com/google/uuid": "numbers from env.Env.Rand",
	"hash/maphash":           "a hash without a random seed (xxhash)",
	"math/rand":              "env.Env.Rand",
	"math/rand/v2":           "env.Env.Rand",
	"net":                    "a transport given by the caller",
	"net/":                   "a transport given by the caller",
	"os":                     "internal/vfs",
	"os/":                    "internal/vfs",
	"syscall":                "the errors of internal/vfs",
	"golang.org/x/sys/":      "internal/vfs",
	"golang.org/x/sync/":     "env.Group",
}

// insteadOf names the substitute for single names of packages.
var insteadOf = map[string]string{
	"time.Now":       "env.Env.Now or Wall",
	"time.Since":     "env.Mono.Sub",
	"time.Until":     "env.Mono.Sub",
	"time.Sleep":     "env.Env.Sleep",
	"time.After":     "Future.AwaitFor, Queue.RecvFor or env.WaitAnyFor",
	"time.AfterFunc": "env.Env.After",
	"time.Tick":      "env.Env.Sleep in a loop",
	"time.NewTimer":  "env.Env.After",
	"time.NewTicker": "env.Env.Sleep in a loop",
	"time.Timer":     "env.Timer",
	"time.Ticker":    "env.Env.Sleep in a loop",
	"time.Time":      "env.Time or env.Mono",

	"sync.Mutex":      "env.Leaf, or env.Latch if it is held over a wait",
	"sync.RWMutex":    "env.Leaf, or an immutable value behind atomic.Pointer",
	"sync.Locker":     "env.Leaf or env.Latch",
	"sync.WaitGroup":  "env.Group",
	"sync.Cond":       "env.Queue or env.Future",
	"sync.Once":       "a bool under env.Leaf",
	"sync.OnceFunc":   "a bool under env.Leaf",
	"sync.OnceValue":  "a value made by the constructor",
	"sync.OnceValues": "values made by the constructor",
	"sync.Pool":       "a free list under env.Leaf (a Pool is emptied by the collector)",
	"sync.Map":        "a map under env.Leaf",

	"runtime.Gosched":      "env.Env.Yield",
	"runtime.NumGoroutine": "env.Group",
	"runtime.SetFinalizer": "an explicit Close",
	"runtime.AddCleanup":   "an explicit Close",
	"reflect.Select":       "env.WaitAny",

	"maps.Keys":   "slices.Sorted(maps.Keys(m))",
	"maps.Values": "sorted keys, then their values",
	"maps.All":    "sorted keys, then their values",
}

// Substitutes for statements.
const (
	insteadOfGo      = "env.Env.Go or env.Group.Go"
	insteadOfSelect  = "env.WaitAny or env.WaitAnyFor"
	insteadOfChannel = "env.Queue or env.Future"
	insteadOfRange   = "slices.Sorted(maps.Keys(m)), or a body that only collects, counts, copies or deletes"
	insteadOfPointer = "an id (addresses differ from run to run)"
)
