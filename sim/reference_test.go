package sim

import (
	"math/rand/v2"
	"testing"

	"github.com/statordb/stator/expr"
)

// The reference and package expr, asked for the same, say the same.
func TestReferenceAgreesWithExpr(t *testing.T) {
	held, refused := 0, 0
	for seed := range uint64(4000) {
		g := refGenerator{rand.New(rand.NewPCG(seed, 7))}
		it := g.item()
		values := map[string]any{}
		condition := g.condition(2)
		text := condition.text(values)
		parsed, err := expr.ParseCondition(expr.ConditionExpression, text, refParams(text, values))
		if err != nil {
			t.Fatalf("seed %d: %s: %v", seed, text, err)
		}
		got, want := parsed.Eval(refToItem(it)), condition.holds(it)
		if got != want {
			t.Errorf("seed %d: %s %v of %s is %v, the reference says %v", seed, text, values, refItemJSON(it), got, want)
		}
		if want {
			held++
		}
		values = map[string]any{}
		actions := g.actions()
		text = refUpdateText(actions, values)
		update, err := expr.ParseUpdate(text, refParams(text, values))
		if err != nil {
			t.Fatalf("seed %d: %s: %v", seed, text, err)
		}
		after, ok := refUpdate(it, actions)
		updated, err := update.Apply(refToItem(it))
		if (err == nil) != ok || ok && string(updated.AppendJSON(nil)) != refItemJSON(after) {
			t.Errorf("seed %d: %s %v of %s is %s, %v; the reference says %s, %v", seed, text, values, refItemJSON(it), updated.AppendJSON(nil), err, refItemJSON(after), ok)
		}
		if !ok {
			refused++
		}
	}
	if held < 500 || refused < 500 {
		t.Errorf("%d conditions held and %d updates were refused: too few to say anything", held, refused)
	}
}
