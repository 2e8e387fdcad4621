using SparseExperts.Cpu;
using Xunit;

namespace SparseExperts.Conformance.Cpu;

/// <summary>Keeps one number a row for the backward op and computes the probabilities again, as a backend does whose kernels go tile by tile.</summary>
sealed class RecomputingAttention(IBackend inner) : DelegatingBackend(inner)
{
    const double Mark = 7;

    public override (int Rows, int Columns) AttentionSaved(in AttentionShape shape) => (shape.ScoreRows, 1);

    public override void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y)
    {
        RequireSize(shape, saved);
        var probabilities = Inner.Rent(shape.ScoreRows, shape.Keys + (shape.Sinks ? 1 : 0));
        base.Attention(shape, q, k, v, terms, probabilities, y);
        Inner.Return(probabilities.Storage);
        Fill(saved, Mark);
    }

    public override void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y, Matrix dy,
        Matrix dq, bool accumulateQ, Matrix dk, bool accumulateK, Matrix dv, bool accumulateV, Matrix? dBias, Matrix? dSinks)
    {
        RequireSize(shape, saved);
        Assert.All(Inner.ToDoubles(saved), number => Assert.Equal(Mark, number));
        Matrix probabilities = Inner.Rent(shape.ScoreRows, shape.Keys + (shape.Sinks ? 1 : 0)), again = Inner.Rent(y.Rows, y.Columns);
        base.Attention(shape, q, k, v, terms, probabilities, again);
        base.AttentionBackward(shape, q, k, v, terms, probabilities, again, dy, dq, accumulateQ, dk, accumulateK, dv, accumulateV, dBias, dSinks);
        foreach (var matrix in (Matrix[])[probabilities, again]) Inner.Return(matrix.Storage);
    }

    static void RequireSize(in AttentionShape shape, Matrix saved) => Assert.Equal((shape.ScoreRows, 1), (saved.Rows, saved.Columns));
}

/// <summary>What attention saves has a size and content of the backend's own, and nobody else looks into it.</summary>
public sealed class SavedByTheBackendTests
{
    public static TheoryData<string> Cards => [.. OpCards.All.Where(c => c.Family == "attention").Select(c => c.Name)];

    [Theory, MemberData(nameof(Cards))]
    public void A_backend_that_keeps_a_number_a_row_keeps_the_laws(string name)
    {
        using var subject = new Subject(threads => new RecomputingAttention(new CpuBackend(threads)), canonical: true);
        var card = OpCards.Named(name);
        Law[] laws =
        [
            DefinitionLaws.EqualsTheDefinition, MemoryLaws.WritesStayInside, MemoryLaws.InputsAreKept, InvarianceLaws.Batch, ShardLaws.Shards,
        ];
        foreach (var @case in card.Edges)
            foreach (var law in laws) law.Demand(subject, card, @case);
    }

    /// <summary>The tape asks the backend too.</summary>
    [Fact]
    public void A_model_on_such_a_backend_has_the_same_gradients()
    {
        static double[] Gradient(IBackend backend)
        {
            var tape = new Autograd.Tape(backend);
            Matrix Of(int rows, int columns, double phase)
            {
                var matrix = tape.Rent(rows, columns);
                backend.Write(matrix, [.. Enumerable.Range(0, rows * columns).Select(i => Math.Sin(i * 0.37 + phase))]);
                return matrix;
            }
            var qkv = tape.Input(Of(6, 12, 0), sequence: 3);
            var y = Ops.Op.SelfAttention(tape, AttentionShape.OfSelf(2, 3, 2, 2, 0.7, true), qkv, null, null);
            tape.Backward((y, Of(6, 4, 1)));
            return backend.ToDoubles(qkv.Gradient);
        }
        using CpuBackend plain = new(1), inner = new(1);
        Assert.Equal(Gradient(plain), Gradient(new RecomputingAttention(inner)));
    }
}
