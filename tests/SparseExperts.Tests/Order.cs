using SparseExperts.Conformance;
using SparseExperts.Tests.Routing;
using Xunit;

[assembly: TestCollectionOrderer(LongestFirst.Name, LongestFirst.Assembly)]
[assembly: Longest(typeof(AxisLawTests))]
