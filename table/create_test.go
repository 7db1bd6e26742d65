package table

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

const invalidPrefix = "One or more parameter values were invalid: "

// TestCreateRefusals: every text of the create checks; each case has one fault
// more than a request that is accepted.
func TestCreateRefusals(t *testing.T) {
	hashOnly := func(change func(*Definition)) Definition {
		d := Definition{Name: "tab", Attributes: attributes("p", "S"), Keys: keys("p"), Throughput: &Throughput{1, 1}}
		change(&d)
		return d
	}
	sorted := func(change func(*Definition)) Definition {
		d := Definition{Name: "tab", Attributes: attributes("p", "S", "s", "N", "x", "B"), Keys: keys("p", "s"), Throughput: &Throughput{1, 1},
			LocalIndexes:  []IndexDefinition{{Name: "loc", Keys: keys("p", "x"), Projection: all()}},
			GlobalIndexes: []IndexDefinition{{Name: "glo", Keys: keys("x"), Projection: all(), Throughput: &Throughput{1, 1}}},
		}
		change(&d)
		return d
	}
	demand := func(change func(*Definition)) Definition {
		return hashOnly(func(d *Definition) {
			d.BillingMode, d.Throughput = BillingOnDemand, nil
			change(d)
		})
	}
	const (
		capsRefused = invalidPrefix + "OnDemandThroughput can only be specified when BillingMode is PAY_PER_REQUEST"
		coldRefused = invalidPrefix + "Requested %sUnitsPerSecond for WarmThroughput for table is lower than current WarmThroughput, decreasing WarmThroughput is not supported"
	)
	manyLocal := make([]IndexDefinition, 6)
	for i := range manyLocal {
		manyLocal[i] = IndexDefinition{Name: fmt.Sprint("loc", i), Keys: keys("p", "x"), Projection: all()}
	}
	manyGlobal := make([]IndexDefinition, 21)
	for i := range manyGlobal {
		manyGlobal[i] = IndexDefinition{Name: fmt.Sprint("glo", i), Keys: keys("x"), Projection: all(), Throughput: &Throughput{1, 1}}
	}
	manyNames := make([]string, 101)
	for i := range manyNames {
		manyNames[i] = fmt.Sprint("n", i)
	}
	for _, c := range []struct {
		name string
		d    Definition
		want string
	}{
		{"units of on-demand", hashOnly(func(d *Definition) { d.BillingMode = BillingOnDemand }),
			invalidPrefix + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"},
		{"defined twice", hashOnly(func(d *Definition) { d.Attributes = attributes("p", "S", "p", "N") }),
			invalidPrefix + "Duplicate AttributeName in AttributeDefinitions: p"},
		{"no units", hashOnly(func(d *Definition) { d.Throughput = nil }),
			invalidPrefix + "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"},
		{"read units", hashOnly(func(d *Definition) { d.Throughput = &Throughput{1_000_000_000_001, 1_000_000_000_001} }),
			"Given value 1000000000001 for ReadCapacityUnits is out of bounds"},
		{"write units", hashOnly(func(d *Definition) { d.Throughput = &Throughput{1, 1_000_000_000_001} }),
			"Given value 1000000000001 for WriteCapacityUnits is out of bounds"},
		{"index units", sorted(func(d *Definition) { d.GlobalIndexes[0].Throughput = &Throughput{1_000_000_000_001, 1} }),
			"Given value 1000000000001 for ReadCapacityUnits is out of bounds for index glo"},
		{"more keys than definitions", hashOnly(func(d *Definition) { d.Keys = keys("p", "p") }),
			"Invalid KeySchema: Some index key attribute have no definition"},
		{"undefined key", hashOnly(func(d *Definition) { d.Keys, d.Attributes = keys("q", "r"), attributes("a", "S", "q", "S") }),
			invalidPrefix + "Some index key attributes are not defined in AttributeDefinitions. Keys: [q, r], AttributeDefinitions: [a, q]"},
		{"same names", hashOnly(func(d *Definition) { d.Keys, d.Attributes = keys("p", "p"), attributes("p", "S", "s", "S") }),
			"Both the Hash Key and the Range Key element in the KeySchema have the same name"},
		{"first not hash", hashOnly(func(d *Definition) { d.Keys[0].Role = Range }),
			"Invalid KeySchema: The first KeySchemaElement is not a HASH key type"},
		{"second not range", hashOnly(func(d *Definition) {
			d.Keys, d.Attributes = keys("p", "s"), attributes("p", "S", "s", "S")
			d.Keys[1].Role = Hash
		}), "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"},
		{"spurious definition", hashOnly(func(d *Definition) { d.Attributes = attributes("p", "S", "q", "S") }),
			invalidPrefix + "Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions"},
		{"spurious definition with indexes", sorted(func(d *Definition) { d.Attributes = append(d.Attributes, attributes("q", "S")...) }),
			invalidPrefix + "Some AttributeDefinitions are not used. AttributeDefinitions: [p, s, x, q], keys used: [p, s, x]"},
		{"empty local list", sorted(func(d *Definition) { d.LocalIndexes, d.LocalIndexesGiven = nil, true }),
			invalidPrefix + "List of LocalSecondaryIndexes is empty"},
		{"local index without sort key", sorted(func(d *Definition) { d.Keys, d.GlobalIndexes[0].Keys = keys("p"), keys("x", "s") }),
			invalidPrefix + "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex"},
		{"local undefined", sorted(func(d *Definition) { d.LocalIndexes[0].Keys = keys("p", "y") }),
			invalidPrefix + "Some index key attributes are not defined in AttributeDefinitions. Keys: [p, y], AttributeDefinitions: [p, s, x]"},
		{"local same names", sorted(func(d *Definition) { d.LocalIndexes[0].Keys = keys("p", "p") }),
			"Both the Hash Key and the Range Key element in the KeySchema have the same name"},
		{"local first not hash", sorted(func(d *Definition) { d.LocalIndexes[0].Keys[0].Role = Range }),
			"Invalid KeySchema: The first KeySchemaElement is not a HASH key type"},
		{"local second not range", sorted(func(d *Definition) { d.LocalIndexes[0].Keys[1].Role = Hash }),
			"Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"},
		{"local without range", sorted(func(d *Definition) { d.LocalIndexes[0].Keys = keys("p") }),
			invalidPrefix + "Index KeySchema does not have a range key for index: loc"},
		{"local other hash", sorted(func(d *Definition) { d.LocalIndexes[0].Keys = keys("x", "s") }),
			invalidPrefix + "Index KeySchema does not have the same leading hash key as table KeySchema for index: loc. " +
				"index hash key: x, table hash key: p"},
		{"local projection", sorted(func(d *Definition) { d.LocalIndexes[0].Projection = &Projection{} }),
			invalidPrefix + "Unknown ProjectionType: null"},
		{"local no projection", sorted(func(d *Definition) { d.LocalIndexes[0].Projection = nil }),
			invalidPrefix + "Unknown ProjectionType: null"},
		{"local projection names", sorted(func(d *Definition) {
			d.LocalIndexes[0].Projection = &Projection{Type: "KEYS_ONLY", NonKeyAttributes: []string{"a"}}
		}), invalidPrefix + "ProjectionType is KEYS_ONLY, but NonKeyAttributes is specified"},
		{"local duplicate", sorted(func(d *Definition) { d.LocalIndexes = append(d.LocalIndexes, d.LocalIndexes[0]) }),
			invalidPrefix + "Duplicate index name: loc"},
		{"too many local", sorted(func(d *Definition) { d.LocalIndexes = manyLocal }),
			invalidPrefix + "Number of LocalSecondaryIndexes exceeds per-table limit of 5"},
		{"empty global list", sorted(func(d *Definition) { d.GlobalIndexes, d.GlobalIndexesGiven = nil, true }),
			invalidPrefix + "List of GlobalSecondaryIndexes is empty"},
		{"global undefined", sorted(func(d *Definition) { d.GlobalIndexes[0].Keys = keys("y") }),
			invalidPrefix + "Some index key attributes are not defined in AttributeDefinitions. Keys: [y], AttributeDefinitions: [p, s, x]"},
		{"global same names", sorted(func(d *Definition) { d.GlobalIndexes[0].Keys = keys("x", "x") }),
			"Both the Hash Key and the Range Key element in the KeySchema have the same name"},
		{"global first not hash", sorted(func(d *Definition) { d.GlobalIndexes[0].Keys[0].Role = Range }),
			"Invalid KeySchema: The first KeySchemaElement is not a HASH key type"},
		{"global hash after range", sorted(func(d *Definition) {
			d.GlobalIndexes[0].Keys = append(keys("x", "s"), KeyElement{"p", Hash})
		}), invalidPrefix + "KeySchema must list all HASH elements before RANGE elements for index: glo"},
		{"global include", sorted(func(d *Definition) { d.GlobalIndexes[0].Projection = &Projection{Type: "INCLUDE"} }),
			invalidPrefix + "ProjectionType is INCLUDE, but NonKeyAttributes is not specified"},
		{"global duplicate name", sorted(func(d *Definition) {
			d.GlobalIndexes[0].Projection = &Projection{Type: "INCLUDE", NonKeyAttributes: []string{"a", "a"}}
		}), invalidPrefix + "Duplicate non-key attribute: a, index: glo"},
		{"index names are shared", sorted(func(d *Definition) { d.GlobalIndexes[0].Name = "loc" }),
			invalidPrefix + "Duplicate index name: loc"},
		{"index units missing", sorted(func(d *Definition) { d.GlobalIndexes[0].Throughput = nil }),
			invalidPrefix + "ProvisionedThroughput must be specified for index: glo"},
		{"index units of on-demand", sorted(func(d *Definition) { d.BillingMode, d.Throughput = BillingOnDemand, nil }),
			invalidPrefix + "ProvisionedThroughput should not be specified for index: glo when BillingMode is PAY_PER_REQUEST"},
		{"too many global", sorted(func(d *Definition) { d.GlobalIndexes = manyGlobal }),
			invalidPrefix + "GlobalSecondaryIndex count exceeds the per-table limit of 20"},
		{"too many names", sorted(func(d *Definition) {
			d.GlobalIndexes[0].Projection = &Projection{Type: "INCLUDE", NonKeyAttributes: manyNames}
		}), invalidPrefix + "Number of NonKeyAttributes of all indexes exceeds the per-table limit of 100"},
		{"duplicate definition", sorted(func(d *Definition) { d.Attributes = append(d.Attributes, d.Attributes[0]) }),
			invalidPrefix + "Duplicate AttributeName in AttributeDefinitions: p"},
		{"stream without view", hashOnly(func(d *Definition) { d.Stream = &StreamSpec{Enabled: true} }),
			invalidPrefix + "StreamViewType must be specified when StreamEnabled is true"},
		{"view without stream", hashOnly(func(d *Definition) { d.Stream = &StreamSpec{ViewType: "KEYS_ONLY"} }),
			invalidPrefix + "Table is being created with stream disabled, StreamViewType may not be specified"},
		{"AES", hashOnly(func(d *Definition) { d.SSE = &SSESpec{Enabled: true, Type: "AES256"} }), invalidPrefix + "SSEType AES256 is not supported"},
		{"key of the default", hashOnly(func(d *Definition) { d.SSE = &SSESpec{KMSKeyID: "k"} }),
			invalidPrefix + "SSEType and KMSMasterKeyId may not be specified when Enabled is false"},
		{"large policy", hashOnly(func(d *Definition) { d.Policy = strings.Repeat("x", 20<<10+1) }),
			"Resource-based policy size exceeds the limit of 20480 bytes"},
		{"cold index", sorted(func(d *Definition) {
			d.GlobalIndexes[0].Throughput = &Throughput{5, 5}
			d.GlobalIndexes[0].Warm = &Throughput{4, 5}
		}),
			invalidPrefix + "Requested ReadUnitsPerSecond for WarmThroughput for index glo is lower than current WarmThroughput, decreasing WarmThroughput is not supported"},
		{"caps of provisioned", hashOnly(func(d *Definition) { d.OnDemand = &OnDemandThroughput{MaxRead: 5} }), capsRefused},
		{"index caps of provisioned", sorted(func(d *Definition) { d.GlobalIndexes[0].OnDemand = &OnDemandThroughput{MaxRead: 5} }), capsRefused},
		{"no cap", demand(func(d *Definition) { d.OnDemand = &OnDemandThroughput{} }),
			invalidPrefix + "OnDemandThroughput must specify MaxReadRequestUnits, MaxWriteRequestUnits, or both"},
		{"read cap", demand(func(d *Definition) { d.OnDemand = &OnDemandThroughput{-2, 5} }), "Given value -2 for MaxReadRequestUnits is out of bounds"},
		{"write cap", demand(func(d *Definition) { d.OnDemand = &OnDemandThroughput{-1, -9} }), "Given value -9 for MaxWriteRequestUnits is out of bounds"},
		{"no warm rate", demand(func(d *Definition) { d.WarmThroughput = &Throughput{} }),
			invalidPrefix + "WarmThroughput must specify ReadUnitsPerSecond, WriteUnitsPerSecond, or both"},
		{"cold reads", demand(func(d *Definition) { d.WarmThroughput = &Throughput{11999, 4000} }), fmt.Sprintf(coldRefused, "Read")},
		{"cold writes", hashOnly(func(d *Definition) { d.Throughput, d.WarmThroughput = &Throughput{5, 5}, &Throughput{0, 4} }), fmt.Sprintf(coldRefused, "Write")},
		{"tags", hashOnly(func(d *Definition) { d.Tags = make([]Tag, 51) }), invalidPrefix + "Number of tags exceeds the per-table limit of 50"},
		{"tag twice", hashOnly(func(d *Definition) { d.Tags = []Tag{{"a", "1"}, {"a", "2"}} }), invalidPrefix + "Duplicate tag key: a"},
		{"reserved tag", hashOnly(func(d *Definition) { d.Tags = []Tag{{"aws:a", ""}} }), invalidPrefix + "Tag keys must not begin with the reserved prefix aws:, got: aws:a"},
		{"tag characters", hashOnly(func(d *Definition) { d.Tags = []Tag{{"é 1+-=._:/@", "ok"}, {"a", "b;c"}} }),
			invalidPrefix + "Tags may have letters, digits, blanks and + - = . _ : / @ only, got: a=b;c"},
		{"partitions", hashOnly(func(d *Definition) { d.Partitions = 5000 }),
			invalidPrefix + "A table starts with 1 to 4096 partitions, not 5000"},
	} {
		w := newWorld(t)
		_, err := w.Create(c.d)
		checkError(t, c.name, err, c.want)
		if _, err := w.Describe("tab"); err == nil {
			t.Errorf("%s: the table exists", c.name)
		}
	}
	w := newWorld(t)
	for _, d := range []Definition{hashOnly(func(*Definition) {}), sorted(func(d *Definition) { d.Name = "tab2" })} {
		if _, err := w.Create(d); err != nil {
			t.Errorf("Create(%s) without fault: %v", d.Name, err)
		}
	}
}

// TestCreateOrder: of two faults the earlier check wins.
func TestCreateOrder(t *testing.T) {
	d := Definition{Name: "tab", Attributes: attributes("a", "S"), Keys: keys("p", "p")}
	for _, want := range []string{
		invalidPrefix + "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
		"Invalid KeySchema: Some index key attribute have no definition",
		invalidPrefix + "Some index key attributes are not defined in AttributeDefinitions. Keys: [p, p], AttributeDefinitions: [a, b, c]",
		"Both the Hash Key and the Range Key element in the KeySchema have the same name",
		invalidPrefix + "Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions",
	} {
		checkError(t, "Create", checkDefinition(&d), want)
		switch {
		case d.Throughput == nil:
			d.Throughput = &Throughput{1, 1}
		case len(d.Attributes) == 1:
			d.Attributes = attributes("a", "S", "b", "S", "c", "S")
		case d.Attributes[0].Name == "a":
			d.Attributes = attributes("p", "S", "b", "S", "c", "S")
		default:
			d.Keys = keys("p", "b")
		}
	}
}

func TestCreateDescribes(t *testing.T) {
	w := newWorld(t)
	d := Definition{
		Name: "music", Attributes: attributes("p", "S", "s", "N", "g", "S", "h", "B"), Keys: keys("p", "s"),
		GlobalIndexes: []IndexDefinition{{
			Name: "wide", Projection: &Projection{Type: "INCLUDE", NonKeyAttributes: []string{"a"}},
			Keys:     []KeyElement{{"g", Hash}, {"h", Hash}, {"s", Range}},
			OnDemand: &OnDemandThroughput{MaxRead: 5},
		}},
		BillingMode: BillingOnDemand, OnDemand: &OnDemandThroughput{10, -1}, WarmThroughput: &Throughput{12000, 4000},
		TableClass: "STANDARD", DeletionProtection: true, SSE: &SSESpec{Enabled: true, Type: "KMS", KMSKeyID: "k"},
		Tags: []Tag{{"a", "b"}}, Partitions: 3,
	}
	created, err := w.Create(d)
	if err != nil {
		t.Fatal(err)
	}
	if created.Status != StatusCreating || created.GlobalIndexStatus[0] != StatusCreating {
		t.Errorf("Create answers with %s and index %s, want CREATING", created.Status, created.GlobalIndexStatus[0])
	}
	for range 2 {
		got, err := w.Describe("arn:aws:dynamodb:us-east-1:000000000000:table/music")
		if err != nil {
			t.Fatal(err)
		}
		want := *created
		want.Status, want.GlobalIndexStatus = StatusActive, []string{StatusActive}
		if g, w := fmt.Sprintf("%+v", deref(got)), fmt.Sprintf("%+v", deref(&want)); g != w {
			t.Errorf("Describe =\n%s, want\n%s", g, w)
		}
		w.restart() // and the same again from the store
	}
	if len(created.ID) != 36 || created.ID[14] != '4' || created.Created == 0 || created.BillingModeOnDemandSince == 0 || created.TableClassUpdated == 0 {
		t.Errorf("description lacks identity or times: %+v", created)
	}
	var inUse *InUseError
	if _, err := w.Create(d); !errors.As(err, &inUse) || err.Error() != "Table already exists: music" {
		t.Errorf("second Create: %v", err)
	}
}

// deref makes what pointers point to comparable as text.
func deref(d *Description) []any {
	x := d.GlobalIndexes[0]
	return []any{d.Name, d.Attributes, d.Keys, d.BillingMode, *d.Throughput, *d.OnDemand, *d.WarmThroughput, d.TableClass,
		d.DeletionProtection, *d.SSE, d.Tags, d.Partitions, x.Name, x.Keys, *x.Projection, x.Throughput, *x.OnDemand,
		d.Status, d.ID, d.ARN, d.Created, d.ItemCount, d.SizeBytes, d.BillingModeOnDemandSince, d.GlobalIndexStatus, d.TableClassUpdated}
}

func TestNames(t *testing.T) {
	w := newWorld(t)
	w.create(Definition{Name: "tab", Attributes: attributes("p", "S"), Keys: keys("p")})
	for name, found := range map[string]bool{
		"tab": true, "arn:aws:dynamodb:us-east-1:000000000000:table/tab": true,
		"t": false, "arn:aws:dynamodb:eu-west-1:000000000000:table/tab": false, "arn:aws:dynamodb:us-east-1:123456789012:table/tab": false,
		"arn:aws:dynamodb:us-east-1:000000000000:table/tab/index/x": false, "arn:": false,
	} {
		_, control := w.Describe(name)
		_, data := w.Get(&GetRequest{Table: name, Key: js(`{"p":{"S":"a"}}`)})
		if found != (control == nil) || found != (data == nil) {
			t.Errorf("%s: Describe error %v, Get error %v, want found = %v", name, control, data, found)
		}
		if !found {
			checkError(t, "Get "+name, data, "Requested resource not found")
			checkError(t, "Describe "+name, control, "Requested resource not found: Table: "+name+" not found")
		}
	}
}

// TestCreateByARN: the name in the ARN is the table's name.
func TestCreateByARN(t *testing.T) {
	w := newWorld(t)
	const here = "arn:aws:dynamodb:us-east-1:000000000000:table/"
	d, err := w.Create(simple(here+"tab", 1))
	if err != nil || d.Name != "tab" || d.ARN != here+"tab" {
		t.Fatalf("Create = %+v, %v", d, err)
	}
	_, err = w.Create(simple("tab", 1))
	checkError(t, "again", err, "Table already exists: tab")
	for _, arn := range []string{here + "ab", here + "a;b", here + "tab/index/x", here + longText(256), "arn:aws:dynamodb:eu-west-1:000000000000:table/tab", "arn:"} {
		_, err := w.Create(simple(arn, 1))
		checkError(t, arn, err, "Invalid TableArn: Invalid ResourceArn provided as input "+arn)
	}
}

func TestList(t *testing.T) {
	w := newWorld(t)
	for _, name := range strings.Fields("b.1 a-2 C_3 a_1") {
		w.create(Definition{Name: name, Attributes: attributes("p", "S"), Keys: keys("p")})
	}
	for _, c := range []struct {
		start string
		limit int
		names string
		last  string
	}{
		{"", 0, "C_3 a-2 a_1 b.1", ""}, {"", 2, "C_3 a-2", "a-2"}, {"a-2", 2, "a_1 b.1", ""},
		{"a-3", 1, "a_1", "a_1"}, {"z", 5, "", ""}, {"", 4, "C_3 a-2 a_1 b.1", ""},
	} {
		names, last, err := w.List(c.start, c.limit)
		if got := strings.Join(names, " "); err != nil || got != c.names || last != c.last {
			t.Errorf("List(%q, %d) = %q, %q, %v, want %q, %q", c.start, c.limit, got, last, err, c.names, c.last)
		}
	}
}
