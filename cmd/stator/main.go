// Command stator serves the DynamoDB API, from one process or from a cluster of
// them, imports files into tables, looks into closed databases and measures its
// engine.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	kongcompletion "github.com/jotaen/kong-completion"
	"github.com/posener/complete"
)

type commands struct {
	Serve      serveCommand              `cmd:"" help:"Serve the DynamoDB API."`
	Cluster    clusterCommand            `cmd:"" help:"Start a cluster of several processes on this host."`
	Admin      adminCommand              `cmd:"" help:"Look at a cluster and change it."`
	Import     importCommand             `cmd:"" help:"Copy items from JSON or CSV files into a table."`
	Inspect    inspectCommand            `cmd:"" help:"Summarise the files of a closed database."`
	Bench      benchCommand              `cmd:"" help:"Measure the parts of this program."`
	Sim        simCommand                `cmd:"" help:"Run simulated worlds."`
	Version    versionCommand            `cmd:"" help:"Print the version."`
	Completion kongcompletion.Completion `cmd:"" help:"Print how to switch on completion in your shell."`
}

func main() {
	ctx := untilSignal()
	args := helped(os.Args[1:])
	parser := kong.Must(grammar(args),
		kong.Name("stator"),
		kong.Description("A DynamoDB-compatible database in one binary."),
		kong.ShortUsageOnError(),
		kong.Exit(exit),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	kongcompletion.Register(parser,
		kongcompletion.WithPredictor("file", complete.PredictFiles("*")),
		kongcompletion.WithPredictor("dir", complete.PredictDirs("*")))
	k, err := parser.Parse(translated(args))
	parser.FatalIfErrorf(noSuchCommand(err))
	k.FatalIfErrorf(k.Run())
}

// grammar returns the commands that a line may mean. The server has a grammar of its
// own: to look at that of all commands takes longer than to open a database, and what
// it leaves behind stays in memory.
func grammar(args []string) any {
	if len(args) > 0 && args[0] == "serve" && os.Getenv("COMP_LINE") == "" {
		return &struct {
			Serve serveCommand `cmd:"" help:"Serve the DynamoDB API."`
		}{}
	}
	return &commands{}
}

// helped makes "help serve" mean "serve --help".
func helped(args []string) []string {
	if len(args) == 0 || args[0] != "help" {
		return args
	}
	return append(slices.Clone(args[1:]), "--help")
}

// noSuchCommand says of a word where a command was expected that there is none of this
// name: kong takes it for an argument of the command that is the default there, and would
// complain about that one.
func noSuchCommand(err error) error {
	var parse *kong.ParseError
	if !errors.As(err, &parse) {
		return err
	}
	word, ok := strings.CutPrefix(err.Error(), "unexpected argument ")
	at := parse.Context.Selected()
	if !ok || at == nil || at.Parent == nil || at.Parent.DefaultCmd != at || slices.Contains(parse.Context.Args, at.Name) {
		return err
	}
	var names []string
	for _, c := range at.Parent.Children {
		names = append(names, c.Name)
	}
	return &exitError{code: 2, err: fmt.Errorf("%s has no command %q; there are %s", at.Parent.Name, word, strings.Join(names, ", "))}
}

// exit ends the process. A mistake in the command line is 2, where kong says 80.
func exit(code int) {
	if code == 80 {
		code = 2
	}
	os.Exit(code)
}

// untilSignal returns a context that ends with the first signal. The second one ends the
// process at once, however soon it comes after the first.
func untilSignal() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(1)
	}()
	return ctx
}
