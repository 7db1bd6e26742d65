package server

import (
	"github.com/statordb/stator/internal/env"
	"github.com/statordb/stator/server/api"
	"github.com/statordb/stator/table"
)

func (f *frontend) describeTable(in *api.DescribeTableInput) (*api.DescribeTableOutput, error) {
	d, err := f.tables.Describe(in.TableName.Value)
	if err != nil {
		return nil, err
	}
	return &api.DescribeTableOutput{Table: describe(d)}, nil
}

// describe shows a table as all control operations answer with it.
func describe(d *table.Description) *api.TableDescription {
	t := &api.TableDescription{
		AttributeDefinitions:      describeAttributes(d.Attributes),
		BillingModeSummary:        describeBilling(d),
		CreationDateTime:          api.Some(d.Created),
		DeletionProtectionEnabled: api.Some(d.DeletionProtection),
		ItemCount:                 api.Some(d.ItemCount),
		KeySchema:                 describeKeys(d.Keys),
		OnDemandThroughput:        describeOnDemand(d.OnDemand),
		ProvisionedThroughput:     describeThroughput(*d.Throughput, d.ThroughputChanges),
		SSEDescription:            describeSSE(d),
		StreamSpecification:       describeStream(d.Stream),
		TableArn:                  api.Some(d.ARN),
		TableId:                   api.Some(d.ID),
		TableName:                 api.Some(d.Name),
		TableSizeBytes:            api.Some(d.SizeBytes),
		TableStatus:               api.Some(d.Status),
	}
	warm := d.Warm()
	t.WarmThroughput = &api.TableWarmThroughputDescription{
		ReadUnitsPerSecond: api.Some(warm.Read), WriteUnitsPerSecond: api.Some(warm.Write), Status: api.Some(warmStatus(d.Status)),
	}
	if d.StreamLabel != "" {
		t.LatestStreamLabel, t.LatestStreamArn = api.Some(d.StreamLabel), api.Some(d.ARN+"/stream/"+d.StreamLabel)
	}
	if d.TableClass != "" {
		t.TableClassSummary = &api.TableClassSummary{TableClass: api.Some(d.TableClass), LastUpdateDateTime: instant(d.TableClassUpdated)}
	}
	if d.Status != table.StatusDeleting {
		t.LocalSecondaryIndexes = describeLocal(d)
		t.GlobalSecondaryIndexes = describeGlobal(d)
	}
	return t
}

// instant is a member that is absent at time 0.
func instant(t env.Time) api.Optional[env.Time] {
	return api.Optional[env.Time]{Value: t, Given: t != 0}
}

func describeAttributes(in []table.AttributeDefinition) []api.AttributeDefinition {
	out := make([]api.AttributeDefinition, len(in))
	for i, a := range in {
		out[i] = api.AttributeDefinition{AttributeName: api.Some(a.Name), AttributeType: api.Some(a.Type.String())}
	}
	return out
}

func describeKeys(in []table.KeyElement) []api.KeySchemaElement {
	out := make([]api.KeySchemaElement, len(in))
	for i, k := range in {
		out[i] = api.KeySchemaElement{AttributeName: api.Some(k.Name), KeyType: api.Some(k.Role.String())}
	}
	return out
}

// describeBilling is absent for tables that were always provisioned.
func describeBilling(d *table.Description) *api.BillingModeSummary {
	if d.BillingMode != table.BillingOnDemand && d.BillingModeOnDemandSince == 0 {
		return nil
	}
	mode := d.BillingMode
	if mode == "" {
		mode = table.BillingProvisioned
	}
	since := d.BillingModeOnDemandSince
	if d.Status == table.StatusCreating {
		since = 0
	}
	return &api.BillingModeSummary{
		BillingMode:                       api.Some(mode),
		LastUpdateToPayPerRequestDateTime: instant(since),
	}
}

func describeOnDemand(t *table.OnDemandThroughput) *api.OnDemandThroughput {
	if t == nil {
		return nil
	}
	given := func(n int64) api.Optional[int64] { return api.Optional[int64]{Value: n, Given: n != 0} }
	return &api.OnDemandThroughput{MaxReadRequestUnits: given(t.MaxRead), MaxWriteRequestUnits: given(t.MaxWrite)}
}

func describeThroughput(t table.Throughput, c table.ThroughputChanges) *api.ProvisionedThroughputDescription {
	return &api.ProvisionedThroughputDescription{
		LastDecreaseDateTime:   instant(c.LastDecrease),
		LastIncreaseDateTime:   instant(c.LastIncrease),
		NumberOfDecreasesToday: api.Some(c.Decreases),
		ReadCapacityUnits:      api.Some(t.Read),
		WriteCapacityUnits:     api.Some(t.Write),
	}
}

// warmStatus is the status of the rates of a table or index that has one.
func warmStatus(status string) string {
	if status == table.StatusCreating {
		return status
	}
	return table.StatusActive
}

// describeSSE is absent for the default key.
func describeSSE(d *table.Description) *api.SSEDescription {
	if d.SSEStatus == "" {
		return nil
	}
	sse := &api.SSEDescription{Status: api.Some(d.SSEStatus), SSEType: api.Some("KMS")}
	if d.SSE != nil && d.SSE.KMSKeyID != "" {
		sse.KMSMasterKeyArn = api.Some(d.SSE.KMSKeyID)
	}
	return sse
}

func describeStream(s *table.StreamSpec) *api.StreamSpecification {
	if s == nil || !s.Enabled {
		return nil
	}
	return &api.StreamSpecification{StreamEnabled: api.Some(true), StreamViewType: api.Some(s.ViewType)}
}

func describeLocal(d *table.Description) []api.LocalSecondaryIndexDescription {
	var out []api.LocalSecondaryIndexDescription
	for i, x := range d.LocalIndexes {
		counts := indexCounts(d.LocalIndexCounts, i)
		out = append(out, api.LocalSecondaryIndexDescription{
			IndexArn:       api.Some(d.ARN + "/index/" + x.Name),
			IndexName:      api.Some(x.Name),
			IndexSizeBytes: api.Some(counts.Bytes),
			ItemCount:      api.Some(counts.Items),
			KeySchema:      describeKeys(x.Keys),
			Projection:     describeProjection(x.Projection),
		})
	}
	return out
}

func describeGlobal(d *table.Description) []api.GlobalSecondaryIndexDescription {
	var out []api.GlobalSecondaryIndexDescription
	for i, x := range d.GlobalIndexes {
		warm := d.WarmIndex(&x)
		counts := indexCounts(d.GlobalIndexCounts, i)
		rates := table.Throughput{}
		if x.Throughput != nil && d.BillingMode != table.BillingOnDemand {
			rates = *x.Throughput
		}
		out = append(out, api.GlobalSecondaryIndexDescription{
			IndexArn:              api.Some(d.ARN + "/index/" + x.Name),
			IndexName:             api.Some(x.Name),
			IndexSizeBytes:        api.Some(counts.Bytes),
			IndexStatus:           api.Some(indexStatus(d, i)),
			Backfilling:           backfilling(d, i),
			ItemCount:             api.Some(counts.Items),
			KeySchema:             describeKeys(x.Keys),
			OnDemandThroughput:    describeOnDemand(x.OnDemand),
			Projection:            describeProjection(x.Projection),
			ProvisionedThroughput: describeThroughput(rates, d.GlobalIndexChanges[i]),
			WarmThroughput: &api.GlobalSecondaryIndexWarmThroughputDescription{
				ReadUnitsPerSecond: api.Some(warm.Read), WriteUnitsPerSecond: api.Some(warm.Write), Status: api.Some(warmStatus(indexStatus(d, i))),
			},
		})
	}
	return out
}

// indexCounts returns what an index holds; nothing while the table is not there.
func indexCounts(counts []table.IndexCounts, i int) table.IndexCounts {
	if i >= len(counts) {
		return table.IndexCounts{}
	}
	return counts[i]
}

// indexStatus follows the table while it is being made.
func indexStatus(d *table.Description, i int) string {
	if d.Status == table.StatusCreating {
		return table.StatusCreating
	}
	return d.GlobalIndexStatus[i]
}

// backfilling is absent unless UpdateTable is creating the index.
func backfilling(d *table.Description, i int) api.Optional[bool] {
	if d.Status == table.StatusCreating || d.GlobalIndexStatus[i] != table.StatusCreating {
		return api.Optional[bool]{}
	}
	return api.Some(i < len(d.GlobalIndexBackfilling) && d.GlobalIndexBackfilling[i])
}

func describeProjection(p *table.Projection) *api.Projection {
	if p == nil {
		return nil
	}
	return &api.Projection{ProjectionType: api.Some(p.Type), NonKeyAttributes: p.NonKeyAttributes}
}
