// Package capacity does the arithmetic of read and write capacity units.
//
// Units are float64 because an eventually consistent read costs half of one;
// all amounts are multiples of 0.5 far below 2^52, so sums are exact.
//
// Sizes are bytes as package item counts them: names and values, no overhead.
// Source: reference guide, pages CapacityUnitCalculations and
// ProvisionedThroughput.
package capacity
