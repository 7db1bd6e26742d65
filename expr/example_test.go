package expr_test

import (
	"fmt"

	"github.com/statordb/stator/expr"
	"github.com/statordb/stator/item"
)

// A write happens only if the item is what the writer thinks it is.
func ExampleParseCondition() {
	three, _ := item.Num("3")
	params := expr.NewParams(map[string]string{"#v": "version"}, item.NewItem(map[string]item.Value{":v": three}))

	c, err := expr.ParseCondition(expr.ConditionExpression, "attribute_exists(id) AND #v = :v", params)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c)
	fmt.Println(c.Eval(item.NewItem(map[string]item.Value{"id": item.String("x"), "version": three})))
	fmt.Println(c.Eval(nil)) // no such item

	_, err = expr.ParseCondition(expr.ConditionExpression, "size = :v", params)
	fmt.Println(err)
	// Output:
	// attribute_exists(id) AND version = {N:3}
	// true
	// false
	// Invalid ConditionExpression: Attribute name is a reserved keyword; reserved keyword: size
}

// All right-hand sides see the item before the update.
func ExampleUpdate_Apply() {
	one, _ := item.Num("1")
	params := expr.NewParams(nil, item.NewItem(map[string]item.Value{":one": one, ":zero": item.String("zero")}))
	u, err := expr.ParseUpdate("SET a = b, b = a, queue[0] = :zero REMOVE queue[1] ADD visits :one", params)
	if err != nil {
		fmt.Println(err)
		return
	}
	old := item.NewItem(map[string]item.Value{
		"a":     item.String("A"),
		"b":     item.String("B"),
		"queue": item.List(item.String("0"), item.String("1"), item.String("2")),
	})
	updated, err := u.Apply(old)
	fmt.Println(updated, err)
	fmt.Println(u.Project(old))
	// Output:
	// {a={S:B}, b={S:A}, queue={L:[{S:zero}, {S:2}]}, visits={N:1}} <nil>
	// {a={S:A}, b={S:B}, queue={L:[{S:0}, {S:1}]}}
}

func ExampleParseProjection() {
	p, err := expr.ParseProjection("title, ratings[2], ratings[0]", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Apply(item.NewItem(map[string]item.Value{
		"title":   item.String("Dune"),
		"pages":   item.String("many"),
		"ratings": item.List(item.String("good"), item.String("bad"), item.String("ugly")),
	})))
	// Output:
	// {ratings={L:[{S:good}, {S:ugly}]}, title={S:Dune}}
}

func ExampleParseKeyCondition() {
	params := expr.NewParams(nil, item.NewItem(map[string]item.Value{
		":id": item.String("user#7"), ":prefix": item.String("order#"),
	}))
	k, err := expr.ParseKeyCondition("pk = :id AND begins_with(sk, :prefix)", params)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, term := range k.Terms {
		fmt.Println(term.Attr, term.Op, term.Values[0])
	}
	// Output:
	// pk EQ {S:user#7}
	// sk BEGINS_WITH {S:order#}
}
