using SparseExperts.Conformance;
using SparseExperts.Conformance.Cuda;
using Xunit;

[assembly: TestCollectionOrderer(LongestFirst.Name, LongestFirst.Assembly)]
[assembly: Longest(typeof(CudaOpLaws), typeof(MutantTests))]
