using SparseExperts.Oracle;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>A case too large to hold all its dispatched rows is checked block by block, with the same result.</summary>
public sealed class LargeCaseTests
{
    const int Tokens = 3001, Width = 96, Experts = 8, Hidden = 4;

    static double[] Normal(int count, ulong seed) => [.. Enumerable.Range(0, count).Select(i => (double)(float)(0.3 * Philox.Normal(new(seed, 0), (ulong)i)))];

    static Case Answered(string dialect)
    {
        using var backend = new ScalarBackend<Float32>();
        return CaseAnswers.Fill(Case.Create(dialect, "eval",
        [
            new("x", "F32", [1, Tokens, Width], Normal(Tokens * Width, 1)),
            new("router.weight", "F32", [Experts, Width], Normal(Experts * Width, 2)),
            new("padding", "U8", [1, Tokens], [.. Enumerable.Range(0, Tokens).Select(t => t % 7 == 3 ? 0.0 : 1)]),
            new("experts.wi", "F32", [Experts, Hidden, Width], Normal(Experts * Hidden * Width, 3)),
            new("experts.wi_gate", "F32", [Experts, Hidden, Width], Normal(Experts * Hidden * Width, 4)),
            new("experts.wo", "F32", [Experts, Width, Hidden], Normal(Experts * Hidden * Width, 5)),
            new("experts.bi", "F32", [Experts, Hidden], Normal(Experts * Hidden, 6)),
            new("experts.bo", "F32", [Experts, Width], Normal(Experts * Width, 7)),
        ]), backend);
    }

    static StageVerdict Output(Case file)
    {
        using var backend = new ScalarBackend<Tracked>();
        return CaseCheck.Run(file, backend).Stages.Single(s => s.Stage == "y");
    }

    /// <summary>A backend that serves one thread, and the threads that came.</summary>
    sealed class ForOneThread(IBackend inner) : Conformance.DelegatingBackend(inner), IErrorBounds
    {
        public HashSet<int> Threads { get; } = [];
        public override BackendInfo Info => base.Info with { ServesThreads = false };
        public bool CarriesBounds => true;
        public void ReadErrors(Matrix from, Span<double> errors) => ((IErrorBounds)Inner).ReadErrors(from, errors);
        public void WriteErrors(Matrix to, ReadOnlySpan<double> values, ReadOnlySpan<double> errors) => ((IErrorBounds)Inner).WriteErrors(to, values, errors);

        public override Storage Rent(ElementType type, long length)
        {
            lock (Threads) Threads.Add(Environment.CurrentManagedThreadId);
            return base.Rent(type, length);
        }
    }

    [Fact]
    public void A_backend_that_serves_one_thread_is_asked_by_one()
    {
        Assert.True(new ScalarBackend<Tracked>().Info.ServesThreads);
        using var backend = new ForOneThread(new ScalarBackend<Tracked>());
        Assert.Equal(Outcome.Agrees, CaseCheck.Run(Answered("hf.mixtral"), backend).Stages.Single(s => s.Stage == "y").Outcome);
        Assert.Single(backend.Threads);
    }

    /// <summary>Two choices; one with dropped tokens; a last block that is not full.</summary>
    [Theory]
    [InlineData("hf.mixtral")]
    [InlineData("mesh.switch")]
    public void The_output_agrees_and_one_wrong_number_is_found_in_its_place(string dialect)
    {
        var file = Answered(dialect);
        Assert.Equal(Outcome.Agrees, Output(file).Outcome);
        foreach (var index in (int[])[0, Width * 2047 + 5, Tokens * Width - 1])
        {
            var y = file.Get("claim.y");
            var values = y.Values.ToArray();
            values[index] += 1;
            var verdict = Output(file.With(y with { Values = values }));
            Assert.Equal((Outcome.Differs, index, 1), (verdict.Outcome, verdict.First!.Index, verdict.First.Count));
        }
    }
}
